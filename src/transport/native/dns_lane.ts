/**
 * The ways queries go to one name server: UDP sockets and a TCP connection.
 *
 * lane   one socket that is connected to one server: the kernel drops what comes from anywhere else, and its port is
 *        random, and used for a bounded number of queries. An answer counts only on a lane that its query left by.
 *        opening —connected→ open —error or end→ over. A lane that is over is never used again: the next has a new port.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { type Socket as TcpSocket, connect as tcpConnect } from 'node:net';
import type { ServerAddress } from './resolv_conf.ts';

export interface LaneUser {
  /** A whole message came, of any length. */
  received(lane: Lane, message: Buffer): void;
  /** The lane is over: nothing more comes. Called once, never during `send`. */
  failed(lane: Lane, error: NodeJS.ErrnoException): void;
}

export interface Lane {
  /** Queries that left by it and are open: its user's count. */
  load: number;
  /**
   * `again`: it is a copy of one that was not answered. Afterwards `packet` may be made into the next query of the same lookup:
   * where the kernel had no room, that one leaves twice, and this one is a lost packet.
   */
  send(packet: Buffer, again: boolean): void;
  close(): void;
}

export class UdpLane implements Lane {
  load = 0;
  /** Queries that ever left by it: its user's count. */
  queries = 0;
  readonly #socket: UdpSocket;
  readonly #user: LaneUser;
  /** What was sent while it opens; undefined from then on. */
  #early: Buffer[] | undefined = [];
  #over = false;
  /** It answered after the last careful send. */
  #heard = false;
  /** That nobody is there is told to whoever calls next: the reading side, or the next to send. */
  readonly #sent = (error: NodeJS.ErrnoException | null): void => {
    // Full for a moment is a lost packet.
    if (error && error.code !== 'ENOBUFS' && error.code !== 'EAGAIN') this.#end(error);
  };

  constructor(server: ServerAddress, user: LaneUser) {
    this.#user = user;
    const family = server.address.includes(':') ? 6 : 4;
    // Without a `lookup` of ours, all of node:dns would be loaded to find that an address is one.
    this.#socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      lookup: (address, _options, told) => told(null, address, family),
    });
    // The resolver's timer keeps the process alive while a name is asked for; an idle socket must not.
    this.#socket.unref();
    this.#socket.on('message', (message) => {
      this.#heard = true;
      user.received(this, message);
    });
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.connect(server.port, server.address, (error?: Error) => this.#opened(error));
  }

  /** As long as answers come, nobody asks what became of a datagram: to be told costs a tick each. */
  send(packet: Buffer, again: boolean): void {
    if (this.#over) return;
    if (again) this.#heard = false;
    if (this.#early !== undefined) this.#early.push(Buffer.from(packet));
    else if (this.#heard) this.#socket.send(packet);
    else this.#socket.send(packet, this.#sent);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.close();
  }

  #opened(error: Error | undefined): void {
    if (error) {
      this.#end(error);
      return;
    }
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const packet of early) this.send(packet, false);
  }

  #end(error: NodeJS.ErrnoException): void {
    if (this.#over) return;
    this.close();
    this.#user.failed(this, error);
  }
}

/** All answers of a server that are too long for UDP, pipelined on one connection (RFC 7766). */
export class TcpLane implements Lane {
  load = 0;
  readonly #socket: TcpSocket;
  readonly #user: LaneUser;
  /** What came of a message that is not complete: at most 64 KiB and a chunk. */
  #rest: Buffer = Buffer.alloc(0);
  #corked = false;
  #over = false;

  constructor(server: ServerAddress, user: LaneUser) {
    this.#user = user;
    this.#socket = tcpConnect({ host: server.address, port: server.port, noDelay: true, autoSelectFamily: false });
    this.#socket.unref();
    this.#socket.on('data', (chunk) => this.#received(chunk as Buffer));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the connection was closed')));
  }

  /** What is asked for in one turn of the loop leaves in one piece. */
  send(packet: Buffer): void {
    if (this.#over) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    const framed = Buffer.allocUnsafe(2 + packet.length);
    framed.writeUInt16BE(packet.length, 0);
    packet.copy(framed, 2);
    this.#socket.write(framed);
  }

  close(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (!this.#over && bytes.length >= 2) {
      const end = 2 + bytes.readUInt16BE(0);
      if (bytes.length < end) break;
      const message = bytes.subarray(2, end);
      bytes = bytes.subarray(end);
      this.#user.received(this, message);
    }
    this.#rest = bytes;
  }

  #end(error: NodeJS.ErrnoException): void {
    if (this.#over) return;
    this.close();
    this.#user.failed(this, error);
  }
}
