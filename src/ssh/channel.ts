/**
 * One channel (RFC 4254 §5), both halves: windows, data, EOF, close.
 *
 *   opening ──CONFIRMATION──▶ open ──we close──▶ closing ──peer's CLOSE──▶ closed
 *   opening ──FAILURE──▶ closed      open ──peer's CLOSE──▶ closed (ours goes out)
 *
 * What arrives: the window is opened again as the user takes data, half a window at a time, and grows while the peer
 * fills it, out of the arena's budget. What leaves: waits in `#outgoing` for the peer's window and for room in the stream;
 * bounded by the caller, who must wait for `drained` once `write` said false.
 */
import type { Arena } from './arena.ts';
import { OPEN_FAILURE, printable, protocolError, SshError } from './errors.ts';
import { MSG } from './messages.ts';
import type { TransportLayer } from './transport.ts';
import type { Reader, Writer } from './wire.ts';

/** The user of a channel. */
export interface ChannelUser {
  opened(): void;
  /** The peer declined to open it. */
  openFailed(error: SshError): void;
  /** `extended`: 0 for data, 1 for stderr. `chunk` is valid during the call. False: keep the window shut until `resume`. */
  data(extended: number, chunk: Buffer): boolean;
  eof(): void;
  request(name: string, wantReply: boolean, reader: Reader): void;
  /** The answer to our oldest request with `wantReply`. */
  reply(success: boolean): void;
  /** Everything that `write` had to keep has left. */
  drained(): void;
  /** The peer closed it, or the connection ended: nothing follows. */
  closed(error: SshError | undefined): void;
}

const START_WINDOW = 32 * 1024;
const MOST_WINDOW = 2 * 1024 * 1024;
const MAX_DATA = 32 * 1024;
/** `write` asks the caller to wait from here on. */
const HIGH_WATER = 256 * 1024;

export type ChannelMode = 'opening' | 'open' | 'closing' | 'closed';

export class Channel {
  readonly id: number;
  readonly #transport: TransportLayer;
  readonly #arena: Arena;
  #user: ChannelUser;
  #mode: ChannelMode = 'opening';
  #peerId = 0;
  /** What the peer may still send, and the size we refill to. */
  #window = START_WINDOW;
  #windowSize = START_WINDOW;
  #consumed = 0;
  /** Out of the arena's budget. */
  #granted = 0;
  #heldBack = false;
  #peerWindow = 0;
  #peerMaxData = 0;
  #outgoing: { bytes: Uint8Array; at: number; extended: number }[] = [];
  #outgoingBytes = 0;
  /** `write` had to keep something: `drained` is due once it has left, by whichever way it did. */
  #keeping = false;
  #eofWanted = false;
  #eofSent = false;
  #eofReceived = false;
  #awaitedReplies = 0;

  constructor(id: number, transport: TransportLayer, arena: Arena, user: ChannelUser) {
    this.id = id;
    this.#transport = transport;
    this.#arena = arena;
    this.#user = user;
    // Without budget the window still opens: 32 KiB is what one channel needs to make progress at all.
    this.#granted = arena.windows.take(START_WINDOW) ? START_WINDOW : 0;
  }

  get mode(): ChannelMode {
    return this.#mode;
  }

  set user(user: ChannelUser) {
    this.#user = user;
  }

  /** Sends CHANNEL_OPEN. The caller flushes. */
  open(type: string, extra?: (packet: Writer) => void): void {
    const packet = this.#transport.packet(MSG.CHANNEL_OPEN).text(type).uint32(this.id);
    packet.uint32(START_WINDOW).uint32(MAX_DATA);
    extra?.(packet);
    this.#transport.send();
  }

  /** Server half: takes the peer's CHANNEL_OPEN and confirms. */
  accept(peerId: number, window: number, maxData: number): void {
    this.#connected(peerId, window, maxData);
    const packet = this.#transport.packet(MSG.CHANNEL_OPEN_CONFIRMATION).uint32(peerId).uint32(this.id);
    packet.uint32(START_WINDOW).uint32(MAX_DATA);
    this.#transport.send();
  }

  #connected(peerId: number, window: number, maxData: number): void {
    this.#peerId = peerId;
    this.#peerWindow = window;
    this.#peerMaxData = Math.min(maxData, MAX_DATA);
    if (this.#peerMaxData < 1) throw protocolError('expected a maximum packet size above 0');
    this.#mode = 'open';
  }

  /** Takes messages 91–100 that are for this channel; the reader is after the recipient channel. */
  message(type: number, reader: Reader): void {
    if (this.#mode === 'opening') {
      this.#openingMessage(type, reader);
      return;
    }
    switch (type) {
      case MSG.CHANNEL_WINDOW_ADJUST:
        this.#windowAdjust(reader.uint32());
        return;
      case MSG.CHANNEL_DATA:
        this.#data(0, reader.string());
        return;
      case MSG.CHANNEL_EXTENDED_DATA:
        this.#data(reader.uint32(), reader.string());
        return;
      case MSG.CHANNEL_EOF:
        if (this.#eofReceived) throw protocolError('expected one EOF a channel');
        this.#eofReceived = true;
        if (this.#mode === 'open') this.#user.eof();
        return;
      case MSG.CHANNEL_CLOSE:
        this.#peerClosed();
        return;
      case MSG.CHANNEL_REQUEST:
        this.#request(reader);
        return;
      case MSG.CHANNEL_SUCCESS:
      case MSG.CHANNEL_FAILURE:
        if (this.#awaitedReplies === 0) throw protocolError('expected no reply: none was asked for');
        this.#awaitedReplies--;
        if (this.#mode === 'open') this.#user.reply(type === MSG.CHANNEL_SUCCESS);
        return;
      default:
        throw protocolError(`unexpected channel message ${type}`);
    }
  }

  #openingMessage(type: number, reader: Reader): void {
    if (type === MSG.CHANNEL_OPEN_CONFIRMATION) {
      this.#connected(reader.uint32(), reader.uint32(), reader.uint32());
      this.#user.opened();
    } else if (type === MSG.CHANNEL_OPEN_FAILURE) {
      const code = reader.uint32();
      const text = printable(reader.text().slice(0, 200));
      this.#mode = 'closed';
      this.#release();
      this.#user.openFailed(new SshError('open-refused', `${openFailureName(code)}: ${text}`, { code }));
    } else {
      throw protocolError(`expected the answer to CHANNEL_OPEN, got message ${type}`);
    }
  }

  #data(extended: number, chunk: Buffer): void {
    if (chunk.length > this.#window)
      throw protocolError(`expected at most ${this.#window} bytes of data, got ${chunk.length}`);
    if (this.#eofReceived) throw protocolError('expected no data after EOF');
    this.#window -= chunk.length;
    // After our CLOSE the peer's data may still be under way; it is dropped.
    const more = this.#mode === 'open' ? this.#user.data(extended, chunk) : true;
    this.#consumed += chunk.length;
    if (!more) this.#heldBack = true;
    if (!this.#heldBack) this.#refill();
  }

  /** The user has room again. */
  resume(): void {
    if (!this.#heldBack) return;
    this.#heldBack = false;
    this.#refill();
    this.#transport.flush();
  }

  #refill(): void {
    if (this.#mode !== 'open' || this.#eofReceived || this.#consumed * 2 < this.#windowSize) return;
    // The peer keeps the window busy: double it while the budget lasts, so that long distances do not starve.
    let grant = this.#consumed;
    if (this.#windowSize < MOST_WINDOW && this.#arena.windows.take(this.#windowSize)) {
      grant += this.#windowSize;
      this.#granted += this.#windowSize;
      this.#windowSize *= 2;
    }
    this.#consumed = 0;
    this.#window += grant;
    this.#transport.packet(MSG.CHANNEL_WINDOW_ADJUST).uint32(this.#peerId).uint32(grant);
    this.#transport.send();
  }

  #windowAdjust(bytes: number): void {
    this.#peerWindow += bytes;
    if (this.#peerWindow > 0xffffffff) throw protocolError('expected a window below 2^32');
    this.pump();
  }

  #request(reader: Reader): void {
    const name = reader.text();
    const wantReply = reader.boolean();
    if (this.#mode === 'open') this.#user.request(name, wantReply, reader);
  }

  /** Begins a request: the caller adds its fields and calls `sendRequest`. */
  request(name: string, wantReply: boolean) {
    if (wantReply) this.#awaitedReplies++;
    return this.#transport.packet(MSG.CHANNEL_REQUEST).uint32(this.#peerId).text(name).boolean(wantReply);
  }

  sendRequest(): void {
    this.#transport.send();
  }

  /** Answers a request of the peer. */
  answer(success: boolean): void {
    this.#transport.packet(success ? MSG.CHANNEL_SUCCESS : MSG.CHANNEL_FAILURE).uint32(this.#peerId);
    this.#transport.send();
  }

  /**
   * Sends data as the peer's window and the stream allow; keeps `bytes` until then. False: wait for `drained`, which never
   * comes before this returns. The caller flushes.
   */
  write(bytes: Uint8Array, extended = 0): boolean {
    if (this.#mode !== 'open' || this.#eofWanted) return true;
    if (bytes.length > 0) {
      this.#outgoing.push({ bytes, at: 0, extended });
      this.#outgoingBytes += bytes.length;
      this.#send();
    }
    if (this.#outgoingBytes === 0) return true;
    this.#keeping = true;
    return this.#outgoingBytes < HIGH_WATER && this.#transport.room();
  }

  /** Bytes written that have not left. */
  get waiting(): number {
    return this.#outgoingBytes;
  }

  /** EOF follows what was written. The caller flushes. */
  end(): void {
    if (this.#mode !== 'open' || this.#eofWanted) return;
    this.#eofWanted = true;
    this.#send();
  }

  /** Sends what may leave by now. */
  pump(): void {
    this.#send();
    if (!this.#keeping || this.#outgoingBytes > 0) return;
    this.#keeping = false;
    this.#user.drained();
  }

  #send(): void {
    while (this.#outgoing.length > 0 && this.#peerWindow > 0 && this.#transport.room() && this.#mode === 'open') {
      const piece = this.#outgoing[0]!;
      const count = Math.min(piece.bytes.length - piece.at, this.#peerWindow, this.#peerMaxData);
      const chunk = piece.bytes.subarray(piece.at, piece.at + count);
      const packet = this.#transport.packet(piece.extended === 0 ? MSG.CHANNEL_DATA : MSG.CHANNEL_EXTENDED_DATA);
      packet.uint32(this.#peerId);
      if (piece.extended !== 0) packet.uint32(piece.extended);
      packet.string(chunk);
      this.#transport.send();
      piece.at += count;
      this.#peerWindow -= count;
      this.#outgoingBytes -= count;
      if (piece.at === piece.bytes.length) this.#outgoing.shift();
    }
    if (this.#outgoing.length > 0) return;
    if (this.#eofWanted && !this.#eofSent && this.#mode === 'open') {
      this.#eofSent = true;
      this.#transport.packet(MSG.CHANNEL_EOF).uint32(this.#peerId);
      this.#transport.send();
    }
  }

  /** Sends CLOSE; what has not left is dropped. The caller flushes. */
  close(): void {
    if (this.#mode !== 'open') return;
    this.#mode = 'closing';
    this.#dropOutgoing();
    this.#buildClose();
    this.#transport.send();
  }

  #buildClose(): void {
    this.#transport.packet(MSG.CHANNEL_CLOSE).uint32(this.#peerId);
  }

  #peerClosed(): void {
    // Mostly the connection has done its work now, and DISCONNECT follows instead.
    if (this.#mode === 'open') this.#transport.sendLater(() => this.#buildClose());
    this.#dropOutgoing();
    this.#mode = 'closed';
    this.#release();
    this.#user.closed(undefined);
  }

  /** The connection ended. */
  lost(error: SshError): void {
    if (this.#mode === 'closed') return;
    const opening = this.#mode === 'opening';
    this.#mode = 'closed';
    this.#dropOutgoing();
    this.#release();
    if (opening) this.#user.openFailed(error);
    else this.#user.closed(error);
  }

  #dropOutgoing(): void {
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#keeping = false;
  }

  #release(): void {
    this.#arena.windows.give(this.#granted);
    this.#granted = 0;
  }
}

function openFailureName(code: number): string {
  const entry = Object.entries(OPEN_FAILURE).find(([, value]) => value === code);
  return entry ? entry[0].toLowerCase().replaceAll('_', ' ') : `code ${code}`;
}
