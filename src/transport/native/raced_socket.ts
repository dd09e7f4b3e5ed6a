/** A TCP connection to whichever of a host's addresses answers first, as one stream. */
import type { SshError } from '../../ssh/errors.ts';
import type { ClientSocket, ClientStream, SocketUser } from '../../ssh/socket.ts';
import { type Dialling, race } from './race.ts';

type SetTimer = (delayMs: number, callback: () => void) => { cancel(): void };

/** Opens a socket to one address. */
export type OpenSocket = (address: string, user: SocketUser) => ClientSocket;

/** One address being dialled: once it is connected it belongs to whoever won it. */
class Entrant implements Dialling<Entrant>, SocketUser {
  readonly address: string;
  readonly #settled = Promise.withResolvers<Entrant>();
  readonly socket: ClientSocket;
  owner: SocketUser | undefined;

  constructor(address: string, open: OpenSocket) {
    this.address = address;
    this.socket = open(address, this);
  }

  get promise(): Promise<Entrant> {
    return this.#settled.promise;
  }

  cancel(reason: Error): void {
    this.socket.destroy();
    this.#settled.reject(reason);
  }

  connected(): void {
    this.#settled.resolve(this);
  }

  received(chunk: Buffer): void {
    this.owner?.received(chunk);
  }

  drained(): void {
    this.owner?.drained();
  }

  ended(error: NodeJS.ErrnoException | SshError | undefined): void {
    if (this.owner) this.owner.ended(error);
    else this.#settled.reject(error ?? new Error('the connection ended before it was there'));
  }
}

export class RacedSocket implements ClientStream {
  readonly #dialling: Dialling<Entrant>;
  #won: Entrant | undefined;

  constructor(addresses: readonly string[], open: OpenSocket, setTimer: SetTimer, user: SocketUser) {
    this.#dialling = race(addresses, (address) => new Entrant(address, open), setTimer);
    this.#dialling.promise.then(
      (entrant) => {
        this.#won = entrant;
        entrant.owner = user;
        user.connected();
      },
      (error) => user.ended(error),
    );
  }

  /** The address that answered. */
  get address(): string | undefined {
    return this.#won?.address;
  }

  get waiting(): number {
    return this.#won?.socket.waiting ?? 0;
  }

  write(bytes: Buffer, left?: () => void): void {
    this.#won?.socket.write(bytes, left);
  }

  unref(): void {
    this.#won?.socket.unref();
  }

  ref(): void {
    this.#won?.socket.ref();
  }

  end(): void {
    if (this.#won) this.#won.socket.end();
    else this.destroy();
  }

  destroy(): void {
    if (this.#won) this.#won.socket.destroy();
    else this.#dialling.cancel(new Error('the connection was given up'));
  }
}
