/**
 * A channel as a stream: one of direct-tcpip carries another connection, which is how a jump host carries its targets; one that
 * the server opens to our agent carries the agent's messages.
 */
import type { Channel, ChannelUser } from './channel.ts';
import { SshError } from './errors.ts';
import type { ClientStream, SocketUser } from './socket.ts';
import type { TransportLayer } from './transport.ts';

/** After our goodbye the target closes first; a channel that is still open then is closed by us, in milliseconds. */
const GOODBYE_MS = 1000;

/** A stream that can be told to wait. */
export interface ChannelStream extends ClientStream {
  /** Called in `received`: what follows is taken once `resume` was called, and the peer may send only what its window allows. */
  pause(): void;
  resume(): void;
}

export class ForwardedStream implements ChannelStream, ChannelUser {
  readonly #transport: TransportLayer;
  readonly #setTimer: (delayMs: number, callback: () => void) => { cancel(): void };
  #user!: SocketUser;
  #channel!: Channel;
  #paused = false;
  #goodbye: { cancel(): void } | undefined;
  #over = false;

  constructor(transport: TransportLayer, setTimer: (delayMs: number, callback: () => void) => { cancel(): void }) {
    this.#transport = transport;
    this.#setTimer = setTimer;
  }

  /** Called once, before anything else. */
  attach(channel: Channel, user: SocketUser): void {
    this.#channel = channel;
    this.#user = user;
  }

  opened(): void {
    if (this.#over) this.#close();
    else this.#user.connected();
  }

  openFailed(error: SshError): void {
    const { reason, message, detail } = error;
    this.#ended(
      reason === 'open-refused' ? new SshError(reason, message, { ...detail, channel: 'direct-tcpip' }) : error,
    );
  }

  data(extended: number, chunk: Buffer): boolean {
    if (extended === 0 && !this.#over) this.#user.received(chunk);
    return !this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#channel.resume();
  }

  eof(): void {
    this.#ended(undefined);
    this.#close();
  }

  closed(error: SshError | undefined): void {
    this.#goodbye?.cancel();
    this.#ended(error);
  }

  #ended(error: SshError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#user.ended(error);
  }

  // Requests are for sessions; none is answered here, and none was made.
  request(): void {}
  reply(): void {}

  drained(): void {
    if (!this.#over) this.#user.drained();
  }

  get waiting(): number {
    return this.#channel.waiting;
  }

  write(bytes: Buffer): void {
    this.#channel.write(bytes);
    this.#transport.flush();
  }

  end(): void {
    this.#channel.end();
    this.#transport.flush();
    this.#goodbye ??= this.#setTimer(GOODBYE_MS, () => this.#close());
  }

  destroy(): void {
    this.#over = true;
    this.#close();
  }

  #close(): void {
    this.#goodbye?.cancel();
    this.#channel.close();
    this.#transport.flush();
  }
}
