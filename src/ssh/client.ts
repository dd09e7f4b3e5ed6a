/**
 * One SSH connection of the client half: socket, transport layer, authentication, connection protocol, put together.
 *
 *   connecting ──TCP──▶ handshaking ──secured──▶ authenticating ──SUCCESS──▶ ready ──close, error──▶ closed
 *   ready ──rest──▶ ready, resting ──reopen──▶ ready      resting: without a channel, nothing is asked of the peer
 *   any ──error, destroy──▶ closed
 *
 * Round trips after TCP, with one key: identification 1, KEXINIT 2, key exchange 3, authentication 4, CHANNEL_OPEN 5,
 * first output 6, where TCP is the first of them; CHANNEL_OPEN rides with the signed request (RFC 4252 §5.1) to servers
 * whose identification proves that they take it, which saves one.
 */

import type { Offer } from './algorithms.ts';
import type { Arena } from './arena.ts';
import { ClientAuth, type Credentials } from './client_auth.ts';
import { DISCONNECT, OPEN_FAILURE, protocolError, SshError } from './errors.ts';
import { type ChannelStream, ForwardedStream } from './forward.ts';
import { MSG } from './messages.ts';
import { type Acceptor, Mux } from './mux.ts';
import type { PublicKey } from './public_key.ts';
import { Session } from './session.ts';
import type { ClientStream, SocketUser } from './socket.ts';
import { TransportLayer } from './transport.ts';
import type { Reader } from './wire.ts';

export interface ClientOptions {
  /** Starts the connection: a socket, or a way through a jump host. Told to `user` later, never before it returns. */
  readonly dial: (user: SocketUser) => ClientStream;
  readonly credentials: Credentials;
  readonly offer: Offer;
  readonly arena: Arena;
  /** A session is wanted at once. */
  readonly session: boolean;
  readonly setTimer: (delayMs: number, callback: () => void) => { cancel(): void };
  /** Without anything received for so long, the peer is asked whether it is there; 0: never. @default 30000 */
  readonly keepaliveMs?: number;
  /** Unanswered questions before the connection counts as lost. @default 3 */
  readonly keepaliveCount?: number;
  readonly rekeyBytes?: number;
  /** New keys after so long, once authenticated. @default never by time */
  readonly rekeyMs?: number;
  /**
   * The server opens a channel to our agent: gets its stream, of use from `connected` on, and gives who takes
   * what comes out of it; undefined refuses. Give it where the agent is forwarded to this very host only. @default refuses all
   */
  readonly onAgentChannel?: (stream: ChannelStream) => SocketUser | undefined;
}

/** What happens on the way; promises hold the connection back until they resolve. */
export interface ClientObserver {
  /** The server's identification is here: key exchange is next. */
  identified(software: string): Promise<void> | undefined;
  /** The server holds this key; throw or reject to refuse it. */
  hostKey(key: PublicKey): Promise<void> | undefined;
  /** Keys are exchanged: authentication is next. */
  secured(): void;
  /** Authentication waits for a secret or a person, not for the server. What it returns is called afterwards. */
  waits?(): () => void;
}

/** Servers seen to take CHANNEL_OPEN together with the request that authenticates; asyncssh disconnects. */
const TAKES_EARLY_OPEN = /^(OpenSSH_|Go$|Go |Myriad_)/;

/** Made once: an error costs 15 µs, most of it for its stack. */
const GOODBYE = new SshError('stopped', 'disconnected by us');

const NOTHING = Buffer.alloc(0);

type ClientMode = 'connecting' | 'handshaking' | 'authenticating' | 'ready' | 'closed';

export class SshClient {
  readonly #options: ClientOptions;
  readonly #stream: ClientStream;
  readonly #transport: TransportLayer;
  readonly #auth: ClientAuth;
  readonly #mux: Mux;
  readonly #ready = Promise.withResolvers<SshClient>();
  #mode: ClientMode = 'connecting';
  #early: Session | undefined;
  #hostKey: PublicKey | undefined;
  #lastReceived = 0;
  #keepalive: { cancel(): void } | undefined;
  #rekeying: { cancel(): void } | undefined;
  #unanswered = 0;
  #error: SshError | undefined;
  #onClosed: (() => void) | undefined;

  constructor(options: ClientOptions, observer: ClientObserver) {
    this.#options = options;
    const { arena, offer } = options;
    this.#stream = options.dial({
      connected: () => this.#connected(),
      received: (chunk) => this.#received(chunk),
      drained: () => this.#transport.drained(),
      ended: (error) => this.#streamEnded(error),
    });
    const rekey = options.rekeyBytes === undefined ? {} : { rekeyBytes: options.rekeyBytes };
    this.#transport = new TransportLayer(
      this.#stream,
      arena,
      { offer, ...rekey },
      {
        identified: (software) => observer.identified(software),
        hostKey: (key) => {
          this.#hostKey ??= key;
          return observer.hostKey(key);
        },
        secured: () => {
          this.#mode = 'authenticating';
          observer.secured();
          this.#auth.begin();
        },
        message: (type, reader) => this.#message(type, reader),
        resumed: () => this.#mux.resumed(),
        closed: (error) => this.#closed(error),
      },
    );
    this.#mux = new Mux(this.#transport, arena, options.onAgentChannel && this.#agentChannels(options.onAgentChannel));
    this.#auth = new ClientAuth(this.#transport, options.credentials, {
      requested: (only) => this.#requested(only),
      succeeded: () => this.#succeeded(),
      failed: (error) => this.#transport.fail(error),
      proof: () => this.#proof(),
      ...(observer.waits && { waits: () => observer.waits!() }),
    });
    this.#ready.promise.catch(() => {});
  }

  /** Resolves when authenticated; rejects with SshError. */
  get ready(): Promise<SshClient> {
    return this.#ready.promise;
  }

  get hostKey(): PublicKey | undefined {
    return this.#hostKey;
  }

  /** The host key of the first key exchange on the wire; empty before it. With the next two it binds an agent to this session. */
  get hostKeyBlob(): Buffer {
    return this.#hostKey?.blob ?? NOTHING;
  }

  /** The exchange hash of the first key exchange; empty before it. */
  get sessionId(): Buffer {
    return this.#transport.sessionId;
  }

  /** The host key's signature over `sessionId`; empty before it. */
  get exchangeSignature(): Buffer {
    return this.#transport.exchangeSignature;
  }

  get software(): string {
    return this.#transport.software;
  }

  get closed(): boolean {
    return this.#mode === 'closed';
  }

  #connected(): void {
    if (this.#mode !== 'connecting') return;
    this.#mode = 'handshaking';
    this.#transport.start();
  }

  #received(chunk: Buffer): void {
    this.#lastReceived++;
    this.#transport.receive(chunk);
  }

  #streamEnded(error: NodeJS.ErrnoException | SshError | undefined): void {
    if (this.#mode === 'closed') return;
    if (error instanceof SshError) {
      this.#closed(error);
      return;
    }
    if (this.#mode === 'connecting') {
      const text = error?.message ?? 'the connection ended before it was there';
      this.#closed(new SshError('connect', text, {}, { cause: error }));
      return;
    }
    this.#transport.ended(error !== undefined, error);
  }

  #message(type: number, reader: Reader): void {
    if (type < MSG.GLOBAL_REQUEST) {
      // Stray answers after success (a second SUCCESS) are the peer's fault; the auth object says so.
      this.#auth.message(type, reader);
      return;
    }
    if (!this.#auth.done) throw protocolError(`expected authentication first, got message ${type}`);
    this.#mux.message(type, reader);
  }

  #requested(only: boolean): void {
    if (only && this.#options.session && TAKES_EARLY_OPEN.test(this.#transport.software))
      this.#early = this.#openSession();
  }

  #succeeded(): void {
    this.#mode = 'ready';
    if (this.#options.rekeyMs !== undefined) this.#rekeyLater(this.#options.rekeyMs);
    if (this.#options.session && !this.#early) this.#early = this.#openSession();
    this.#ready.resolve(this);
  }

  #openSession(): Session {
    const session = new Session(this.#transport, this.#options.setTimer);
    session.attach(this.#mux.open('session', session));
    return session;
  }

  /** A session: the one asked for at connect, or a new one. */
  session(): Session {
    const session = this.#early ?? this.#openSession();
    this.#early = undefined;
    if (this.#error) session.openFailed(this.#error);
    this.#transport.flush();
    if (!this.#keepalive) this.#armKeepalive();
    return session;
  }

  /** Asks a quiet peer whether it is still there, so that a command on a dead host does not run for ever. */
  #armKeepalive(): void {
    const every = this.#options.keepaliveMs ?? 30_000;
    if (every === 0 || this.#mode !== 'ready') return;
    const seen = this.#lastReceived;
    this.#keepalive = this.#options.setTimer(every, () => {
      this.#keepalive = undefined;
      if (this.#lastReceived !== seen) this.#unanswered = 0;
      else if (this.#unanswered >= (this.#options.keepaliveCount ?? 3)) {
        this.destroy(new SshError('reset', `no answer to ${this.#unanswered} keepalives`));
        return;
      } else {
        this.#unanswered++;
        this.#transport.packet(MSG.GLOBAL_REQUEST).text('keepalive@openssh.com').boolean(true);
        this.#transport.send();
        this.#transport.flush();
      }
      this.#armKeepalive();
    });
  }

  /**
   * Its work is done, and it may wait for more: no keepalive leaves, and it does not keep the process from its end. False:
   * something is still open on it, or it is over itself. `gone` is called once when it is over before `reopen`.
   */
  rest(gone: () => void): boolean {
    if (this.#mode !== 'ready' || this.#early !== undefined || this.#mux.channels > 0) return false;
    this.#keepalive?.cancel();
    this.#keepalive = undefined;
    this.#unanswered = 0;
    this.#onClosed = gone;
    // Our CLOSE, which RFC 4254 §5.3 sets no time for: the next task's CHANNEL_OPEN takes it along, or a DISCONNECT does without it.
    this.#transport.keepLater();
    this.#stream.unref?.();
    return true;
  }

  /**
   * Ends the rest: calls back once a session is open, for `session()` to give out, or with the error where there is none. sshd
   * counts the session before as long as our CLOSE is in one read with CHANNEL_OPEN, so that where one is all that it allows
   * (MaxSessions 1) the second question is the one that counts.
   */
  reopen(told: (error: unknown) => void): void {
    this.#onClosed = undefined;
    this.#stream.ref?.();
    this.#openEarly((error) => {
      if (error instanceof SshError && error.reason === 'open-refused') this.#openEarly(told);
      else told(error);
    });
    if (!this.#keepalive) this.#armKeepalive();
  }

  #openEarly(told: (error: unknown) => void): void {
    const session = this.#openSession();
    session.whenOpen(told);
    this.#early = session;
    if (this.#error) session.openFailed(this.#error);
    this.#transport.flush();
  }

  /** Calls back once when the connection is over; at once where it is. */
  whenClosed(callback: () => void): void {
    if (this.#mode === 'closed') callback();
    else this.#onClosed = callback;
  }

  /**
   * A way to `host`:`port` through this connection (direct-tcpip, RFC 4254 §7.2), for another connection to run over.
   * The name is resolved by the server.
   */
  forward(host: string, port: number, user: SocketUser): ClientStream {
    const stream = new ForwardedStream(this.#transport, this.#options.setTimer);
    const channel = this.#mux.open('direct-tcpip', stream, (packet) => {
      packet.text(host).uint32(port).text('127.0.0.1').uint32(0);
    });
    stream.attach(channel, user);
    this.#transport.flush();
    if (this.#error) stream.openFailed(this.#error);
    if (!this.#keepalive) this.#armKeepalive();
    return stream;
  }

  /** Takes the server's channels to the agent. */
  #agentChannels(take: NonNullable<ClientOptions['onAgentChannel']>): Acceptor {
    return (type, channel) => {
      const refusal = { code: OPEN_FAILURE.ADMINISTRATIVELY_PROHIBITED, text: 'not available' };
      if (type !== 'auth-agent@openssh.com') return refusal;
      const stream = new ForwardedStream(this.#transport, this.#options.setTimer);
      const user = take(stream);
      if (user === undefined) return refusal;
      stream.attach(channel, user);
      return stream;
    };
  }

  #rekeyLater(everyMs: number): void {
    this.#rekeying = this.#options.setTimer(everyMs, () => {
      this.rekey();
      this.#rekeyLater(everyMs);
    });
  }

  /** Starts a key exchange. */
  rekey(): void {
    this.#transport.rekey();
    this.#transport.flush();
  }

  /** For agents: valid from `secured` on. */
  #proof() {
    const { sessionId, exchangeSignature } = this.#transport;
    return this.#hostKey && { hostKey: this.#hostKey.blob, sessionId, signature: exchangeSignature };
  }

  #closed(cause: SshError): void {
    if (this.#mode === 'closed') return;
    const error = this.#mode === 'authenticating' ? this.#auth.ended(cause) : cause;
    this.#mode = 'closed';
    this.#error = error;
    this.#keepalive?.cancel();
    this.#rekeying?.cancel();
    this.#mux.lost(error);
    this.#ready.reject(error);
    this.#onClosed?.();
    if (error.reason === 'closed' || error.reason === 'reset' || error.reason === 'connect') this.#stream.destroy();
  }

  /** Says goodbye and lets the server close first. */
  close(): void {
    if (this.#mode === 'closed') return;
    this.#transport.disconnect(DISCONNECT.BY_APPLICATION, GOODBYE);
  }

  /** Drops the connection now; what waits on it rejects with `error`. */
  destroy(error: SshError): void {
    this.#closed(error);
    this.#stream.destroy();
  }
}
