/**
 * The server half, for the simulator and for tests: one connection over any byte stream.
 *
 *   handshaking ──secured──▶ authenticating ──SUCCESS──▶ ready ──DISCONNECT, end──▶ closed
 *
 * It shares wire, key exchange, ciphers and channels with the client; both halves are also tested against programs that
 * were written elsewhere, so that a mistake cannot cancel itself out.
 */
import type { Offer } from './algorithms.ts';
import type { Arena } from './arena.ts';
import type { ByteStream } from './byte_stream.ts';
import { DISCONNECT, OPEN_FAILURE, protocolError, SshError } from './errors.ts';
import type { ServerKeys } from './exchange.ts';
import { MSG } from './messages.ts';
import { Mux } from './mux.ts';
import { type LoginAttempt, ServerAuth } from './server_auth.ts';
import { ServerSession, type StartCommand } from './server_session.ts';
import { TransportLayer } from './transport.ts';

export interface ServerHandler {
  /** The key exchange is done; false drops the connection here. */
  secured?(): void;
  /** True lets the user in, or asks for the signature of an offered key. */
  authenticate(attempt: LoginAttempt): boolean;
  /** True opens one more session. */
  openSession(open: number): boolean;
  startCommand: StartCommand;
  closed(error: SshError): void;
}

export interface ServerOptions {
  readonly arena: Arena;
  readonly offer: Offer;
  readonly keys: ServerKeys;
}

export class SshServerConnection {
  readonly #transport: TransportLayer;
  readonly #mux: Mux;
  readonly #auth: ServerAuth;
  #sessions = 0;

  constructor(stream: ByteStream, options: ServerOptions, handler: ServerHandler) {
    const { arena, offer, keys } = options;
    this.#transport = new TransportLayer(
      stream,
      arena,
      { offer, keys },
      {
        identified: () => undefined,
        hostKey: () => undefined,
        secured: () => handler.secured?.(),
        message: (type, reader) => {
          if (type < MSG.GLOBAL_REQUEST) this.#auth.message(type, reader);
          else if (this.#auth.done) this.#mux.message(type, reader);
          else throw protocolError(`expected authentication first, got message ${type}`);
        },
        resumed: () => this.#mux.resumed(),
        closed: (error) => {
          this.#mux.lost(error);
          handler.closed(error);
        },
      },
    );
    this.#auth = new ServerAuth(this.#transport, arena, {
      authenticate: (attempt) => handler.authenticate(attempt),
      succeeded() {},
    });
    this.#mux = new Mux(this.#transport, arena, (type, channel) => {
      if (type !== 'session') return { code: OPEN_FAILURE.UNKNOWN_CHANNEL_TYPE, text: 'unknown channel type' };
      if (!handler.openSession(this.#sessions)) return { code: OPEN_FAILURE.CONNECT_FAILED, text: 'open failed' };
      this.#sessions++;
      return new ServerSession(this.#transport, channel, handler.startCommand, () => {
        this.#sessions--;
      });
    });
  }

  /** Sends the identification. */
  start(): void {
    this.#transport.start();
  }

  /** Takes bytes from the socket; keeps none of `chunk`. */
  receive(chunk: Buffer): void {
    this.#transport.receive(chunk);
  }

  /** All that the stream took has left. */
  drained(): void {
    this.#transport.drained();
  }

  /** The client ended or cut the connection. */
  ended(reset: boolean): void {
    this.#transport.ended(reset);
  }

  /** Starts a key exchange. */
  rekey(): void {
    this.#transport.rekey();
    this.#transport.flush();
  }

  /** Says goodbye and ends. */
  disconnect(text: string): void {
    this.#transport.disconnect(DISCONNECT.BY_APPLICATION, new SshError('stopped', text));
  }
}
