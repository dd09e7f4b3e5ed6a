/** The connection protocol (RFC 4254): channels by number over one transport, and global requests. */
import type { Arena } from './arena.ts';
import { Channel, type ChannelUser } from './channel.ts';
import { OPEN_FAILURE, protocolError, SshError } from './errors.ts';
import { MSG } from './messages.ts';
import type { TransportLayer } from './transport.ts';
import type { Reader, Writer } from './wire.ts';

/** Server half: decides on the peer's CHANNEL_OPEN; the mux answers. */
export type Acceptor = (
  type: string,
  channel: Channel,
) => ChannelUser | { readonly code: number; readonly text: string };

/** Channels at once on one connection; the server half refuses more, the client half never asks for as many. */
const MAX_CHANNELS = 256;

const NOBODY: ChannelUser = {
  opened() {},
  openFailed() {},
  data: () => true,
  eof() {},
  request() {},
  reply() {},
  drained() {},
  closed() {},
};

export class Mux {
  readonly #transport: TransportLayer;
  readonly #arena: Arena;
  readonly #accept: Acceptor | undefined;
  readonly #channels = new Map<number, Channel>();
  #nextId = 0;

  constructor(transport: TransportLayer, arena: Arena, accept?: Acceptor) {
    this.#transport = transport;
    this.#arena = arena;
    this.#accept = accept;
  }

  get channels(): number {
    return this.#channels.size;
  }

  /** Opens a channel; `extra` adds what its type wants in CHANNEL_OPEN. The caller flushes. */
  open(type: string, user: ChannelUser, extra?: (packet: Writer) => void): Channel {
    const channel = new Channel(this.#nextId++, this.#transport, this.#arena, user);
    this.#channels.set(channel.id, channel);
    channel.open(type, extra);
    return channel;
  }

  /** Takes messages 80–127. */
  message(type: number, reader: Reader): void {
    switch (type) {
      case MSG.GLOBAL_REQUEST:
        this.#globalRequest(reader);
        return;
      case MSG.REQUEST_SUCCESS:
      case MSG.REQUEST_FAILURE:
        // Answers to keepalives; none is awaited.
        return;
      case MSG.CHANNEL_OPEN:
        this.#channelOpen(reader);
        return;
      default:
        this.#channelMessage(type, reader);
    }
  }

  #channelMessage(type: number, reader: Reader): void {
    if (type < MSG.CHANNEL_OPEN_CONFIRMATION || type > MSG.CHANNEL_FAILURE) {
      throw protocolError(`expected a message of RFC 4254, got ${type}`);
    }
    const id = reader.uint32();
    const channel = this.#channels.get(id);
    if (!channel) throw protocolError(`expected a channel that is open, got channel ${id}`);
    channel.message(type, reader);
    if (channel.mode === 'closed') this.#channels.delete(id);
  }

  /** hostkeys-00@openssh.com and the like: not for us, and said so when asked. */
  #globalRequest(reader: Reader): void {
    reader.text();
    if (!reader.boolean()) return;
    this.#transport.packet(MSG.REQUEST_FAILURE);
    this.#transport.send();
  }

  #channelOpen(reader: Reader): void {
    const type = reader.text();
    const peerId = reader.uint32();
    const window = reader.uint32();
    const maxData = reader.uint32();
    const full = this.#channels.size >= MAX_CHANNELS;
    if (!this.#accept || full) {
      const code = full ? OPEN_FAILURE.RESOURCE_SHORTAGE : OPEN_FAILURE.ADMINISTRATIVELY_PROHIBITED;
      this.#refuseOpen(peerId, code, 'not available');
      return;
    }
    const channel = new Channel(this.#nextId++, this.#transport, this.#arena, NOBODY);
    const answer = this.#accept(type, channel);
    if ('code' in answer) {
      channel.lost(new SshError('open-refused', answer.text, { code: answer.code }));
      this.#refuseOpen(peerId, answer.code, answer.text);
      return;
    }
    channel.user = answer;
    this.#channels.set(channel.id, channel);
    channel.accept(peerId, window, maxData);
    answer.opened();
  }

  #refuseOpen(peerId: number, code: number, text: string): void {
    this.#transport.packet(MSG.CHANNEL_OPEN_FAILURE).uint32(peerId).uint32(code).text(text).text('');
    this.#transport.send();
  }

  /** What waited may leave. Channels take turns: those that come first now come last the next time. */
  resumed(): void {
    let left = this.#channels.size;
    for (const [id, channel] of this.#channels) {
      if (left-- === 0 || !this.#transport.room()) return;
      if (channel.waiting > 0) {
        this.#channels.delete(id);
        this.#channels.set(id, channel);
      }
      channel.pump();
    }
  }

  /** The connection ended. */
  lost(error: SshError): void {
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const channel of channels) channel.lost(error);
  }
}
