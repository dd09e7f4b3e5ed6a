/** A direct-tcpip channel as the stream of another connection: how a jump host carries its targets. */
import type { Channel, ChannelUser } from './channel.ts';
import { SshError } from './errors.ts';
import type { ClientStream, SocketUser } from './socket.ts';
import type { TransportLayer } from './transport.ts';

/** After our goodbye the target closes first; a channel that is still open then is closed by us, in milliseconds. */
const GOODBYE_MS = 1000;

export class ForwardedStream implements ClientStream, ChannelUser {
  readonly #transport: TransportLayer;
  readonly #setTimer: (delayMs: number, callback: () => void) => { cancel(): void };
  readonly #user: SocketUser;
  #channel!: Channel;
  #goodbye: { cancel(): void } | undefined;
  #over = false;

  constructor(
    transport: TransportLayer,
    setTimer: (delayMs: number, callback: () => void) => { cancel(): void },
    user: SocketUser,
  ) {
    this.#transport = transport;
    this.#setTimer = setTimer;
    this.#user = user;
  }

  /** Called once, before anything else. */
  attach(channel: Channel): void {
    this.#channel = channel;
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
    return true;
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
  drained(): void {}

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
