/** A TCP connection read into one shared buffer, and the waiting room for connections that were said goodbye to. */
import { connect, type Socket } from 'node:net';
import type { Arena } from './arena.ts';
import type { ByteStream } from './byte_stream.ts';
import type { SshError } from './errors.ts';

export interface SocketUser {
  connected(): void;
  /** `chunk` is valid during the call. */
  received(chunk: Buffer): void;
  /** After more than 64 KiB waited to leave: none of it does any more. */
  drained(): void;
  /** Called once: the peer ended (`error` undefined) or the connection failed. */
  ended(error: NodeJS.ErrnoException | SshError | undefined): void;
}

/** What carries a connection of the client half. */
export interface ClientStream extends ByteStream {
  /** From here on the process may end although it is open. @default it never keeps a process from its end */
  unref?(): void;
  /** Undoes `unref`. */
  ref?(): void;
}

export interface SocketOptions {
  /** A literal: names are resolved above. */
  readonly address: string;
  readonly port: number;
  readonly localAddress?: string | undefined;
}

/**
 * Connections after our DISCONNECT: the server closes first, so that TIME_WAIT does not eat our ports. Those that have
 * not closed after one to two seconds are dropped. Two generations, one timer.
 */
export class ClosingRoom {
  #young = new Set<Socket>();
  #old = new Set<Socket>();
  #timer: NodeJS.Timeout | undefined;

  add(socket: Socket): void {
    if (socket.destroyed) return;
    this.#young.add(socket);
    this.#timer ??= setInterval(() => this.#tick(), 1000).unref();
  }

  remove(socket: Socket): void {
    if (this.#timer === undefined) return;
    this.#young.delete(socket);
    this.#old.delete(socket);
  }

  /** Drops them all. */
  clear(): void {
    this.#tick();
    this.#tick();
  }

  #tick(): void {
    for (const socket of this.#old) socket.destroy();
    this.#old = this.#young;
    this.#young = new Set();
    if (this.#old.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}

/**
 * Whom a closed socket belongs to. V8's scavenges take Node's handles for alive until the next full collection, and with them all
 * that they refer to: a connection would be copied twice, and live on as garbage.
 */
const NOBODY: SocketUser = { connected() {}, received() {}, drained() {}, ended() {} };

export class ClientSocket implements ClientStream {
  readonly #socket: Socket;
  readonly #room: ClosingRoom;
  #user: SocketUser;
  #over = false;
  #draining = false;

  constructor(options: SocketOptions, arena: Arena, room: ClosingRoom, user: SocketUser) {
    this.#room = room;
    this.#user = user;
    const { address, port, localAddress } = options;
    const socket = connect({
      host: address,
      port,
      noDelay: true,
      // The peer's end is ours, too, and at once: Node's own way there costs a shutdown(2) more.
      allowHalfOpen: true,
      autoSelectFamily: false,
      ...(localAddress === undefined ? {} : { localAddress }),
      onread: {
        buffer: arena.readBuffer,
        callback: (count, buffer) => {
          this.#user.received((buffer as Buffer).subarray(0, count));
          return true;
        },
      },
    });
    this.#socket = socket;
    const ended = (error?: NodeJS.ErrnoException) => {
      if (this.#over) return;
      this.#over = true;
      this.#user.ended(error);
    };
    // Each comes once: `once` would take its listener away again, which turns the table of listeners into a slow one.
    socket.on('connect', () => this.#user.connected());
    socket.on('end', () => {
      ended();
      socket.destroy();
    });
    socket.on('error', ended);
    socket.on('close', () => {
      room.remove(socket);
      ended();
      this.#user = NOBODY;
    });
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  write(bytes: Buffer, left?: () => void): void {
    if (this.#socket.destroyed || this.#socket.write(bytes, left) || this.#draining) return;
    // Listened for where it is needed only: few connections ever fill their socket.
    this.#draining = true;
    this.#socket.once('drain', () => {
      this.#draining = false;
      this.#user.drained();
    });
  }

  get waiting(): number {
    return this.#socket.writableLength;
  }

  unref(): void {
    this.#socket.unref();
  }

  ref(): void {
    this.#socket.ref();
  }

  /** The goodbye was said: waits for the peer to close first. */
  end(): void {
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#room.add(this.#socket);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
