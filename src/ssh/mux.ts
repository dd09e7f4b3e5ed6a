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
  /**
   * Those that are open, `#count` of them, and nothing behind. Mostly there is one, which comes and goes: a Map makes a new table
   * whenever its last one goes, in old memory, which was half of all that a command on a warm connection left for a full collection.
   */
  readonly #channels: (Channel | undefined)[] = [undefined];
  #count = 0;
  /** Who was let send last. */
  #turn = 0;
  /** Never given twice: what still comes for a channel that is over must not reach another one. */
  #nextId = 0;

  constructor(transport: TransportLayer, arena: Arena, accept?: Acceptor) {
    this.#transport = transport;
    this.#arena = arena;
    this.#accept = accept;
  }

  get channels(): number {
    return this.#count;
  }

  /** Opens a channel; `extra` adds what its type wants in CHANNEL_OPEN. The caller flushes. */
  open(type: string, user: ChannelUser, extra?: (packet: Writer) => void): Channel {
    const channel = new Channel(this.#nextId++, this.#transport, this.#arena, user);
    this.#add(channel);
    channel.open(type, extra);
    return channel;
  }

  #add(channel: Channel): void {
    this.#channels[this.#count] = channel;
    this.#count += 1;
  }

  /** Undefined: none is open by that number. */
  #placeOf(id: number): number | undefined {
    for (let at = 0; at < this.#count; at++) if (this.#channels[at]!.id === id) return at;
    return undefined;
  }

  #remove(at: number): void {
    this.#count -= 1;
    this.#channels[at] = this.#channels[this.#count];
    this.#channels[this.#count] = undefined;
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
    const place = this.#placeOf(id);
    if (place === undefined) throw protocolError(`expected a channel that is open, got channel ${id}`);
    const channel = this.#channels[place]!;
    channel.message(type, reader);
    // What it led to may have closed the connection, and all channels with it.
    if (channel.mode === 'closed' && this.#channels[place] === channel) this.#remove(place);
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
    const full = this.#count >= MAX_CHANNELS;
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
    this.#add(channel);
    channel.accept(peerId, window, maxData);
    answer.opened();
  }

  #refuseOpen(peerId: number, code: number, text: string): void {
    this.#transport.packet(MSG.CHANNEL_OPEN_FAILURE).uint32(peerId).uint32(code).text(text).text('');
    this.#transport.send();
  }

  /** What waited may leave. Channels take turns: after the one that was let send last comes the next. */
  resumed(): void {
    for (let left = this.#count; left > 0 && this.#count > 0 && this.#transport.room(); left--) {
      this.#turn = (this.#turn + 1) % this.#count;
      this.#channels[this.#turn]!.pump();
    }
  }

  /** The connection ended. */
  lost(error: SshError): void {
    const channels = this.#channels.splice(0, this.#count);
    this.#count = 0;
    for (const channel of channels) channel!.lost(error);
  }
}
