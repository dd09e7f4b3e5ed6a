/**
 * A client of ssh-agent (draft-ietf-sshm-ssh-agent): a pool of connections on which requests are pipelined.
 *
 * A request goes: queued ──▶ sent ──▶ answered. When its connection dies before the answer it is queued again, at the front,
 * once; then it fails. A connection is opened when all others are busy, up to the limit, and replaced when it is needed again.
 * So many deaths in a row that nothing was answered (`MAX_DEATHS`) end all that wait, and so does one silence that is too long:
 * the agent is one thread, its other connections are no better.
 *
 * One request at a time is on a connection until the agent has shown that it takes more: ssh-agent up to OpenSSH 8.4
 * looks at one message per read and leaves the others lying for ever. The proof is two requests in one write on a connection of its
 * own, made once, after the first list.
 */
import { MyriadError } from '../contracts/errors.ts';
import { type BoundAgent, BoundAgents } from './agent_bound.ts';
import { AgentConnection, type AgentConnectionOptions, type SetTimer } from './agent_connection.ts';
import { type AgentError, closedByUs, overfull } from './agent_errors.ts';
import type { AgentIdentity } from './agent_identity.ts';
import type { AgentRequest, Request } from './agent_request.ts';
import { type AgentSigner, RequestFactory, type WaitOptions } from './agent_requests.ts';
import { MAX_FRAME, type SessionBind } from './agent_wire.ts';

export interface AgentOptions {
  /** A Unix socket: SSH_AUTH_SOCK or IdentityAgent. */
  readonly socketPath: string;
  readonly setTimer: SetTimer;
  /** Pooled connections. @default 4 */
  readonly connections?: number;
  /** Silence that ends the wait for a list of keys, in ms. @default 10000 */
  readonly listTimeoutMs?: number;
  /**
   * Silence that ends the wait for signatures, in ms. It does not run while a key that needs a touch is waited for: there the
   * caller's signal is the deadline. @default 30000
   */
  readonly signTimeoutMs?: number;
}

/** Requests on one connection at once: enough that the agent never waits for us. */
const DEPTH = 64;
/** Bytes of requests that wait or are on their way. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Connections that may die one after the other without one answer. */
const MAX_DEATHS = 8;
/** What sockets are read into; most answers have 100 to 600 bytes. */
const READ_BUFFER = 16 * 1024;

export class Agent implements AgentSigner {
  readonly socketPath: string;
  readonly #limit: number;
  readonly #requests: RequestFactory;
  readonly #connecting: AgentConnectionOptions;
  readonly #bound: BoundAgents;
  readonly #pool = new Set<AgentConnection>();
  readonly #settled = (request: AgentRequest): void => {
    this.#bytes -= request.frame.length;
    if (!request.patient) return;
    this.#patient--;
    // One that was answered is not on a connection any more; one that was given up holds no place of the pool.
    for (const connection of this.#pool) connection.letGo();
  };
  #queue: AgentRequest[] = [];
  /** Where the queue begins; what is before it has been sent. */
  #head = 0;
  #bytes = 0;
  /** Requests that wait for a person. */
  #patient = 0;
  #deaths = 0;
  /** Connections the pool may have: fewer than the limit while no more can be opened. */
  #room: number;
  #depth = 1;
  #proof: AgentConnection | undefined;
  #closed = false;

  constructor(options: AgentOptions) {
    const { socketPath, setTimer, connections = 4, listTimeoutMs = 10_000, signTimeoutMs = 30_000 } = options;
    this.socketPath = socketPath;
    this.#limit = connections;
    this.#room = connections;
    this.#requests = new RequestFactory(socketPath, { listTimeoutMs, signTimeoutMs });
    this.#connecting = { socketPath, setTimer, readBuffer: Buffer.allocUnsafeSlow(READ_BUFFER) };
    this.#bound = new BoundAgents(this.#connecting, this.#requests);
  }

  /** The keys it holds, in its order; none while it is locked. Keys of types unknown to us are in it, too. Rejects with AgentError. */
  async identities(options: WaitOptions = {}): Promise<readonly AgentIdentity[]> {
    const identities = await this.#submit(this.#requests.list(options, this.#settled), options);
    this.#prove();
    return identities;
  }

  /** Signs, see AgentSigner. Rejects with AgentError, or MyriadError `aborted`. */
  sign(blob: Uint8Array, data: Uint8Array, flags: number, options: WaitOptions = {}): Promise<Buffer> {
    if (blob.length + data.length > MAX_FRAME - 64) {
      const size = blob.length + data.length;
      return Promise.reject(new MyriadError('internal', `an SSH agent cannot be asked to sign ${size} bytes`));
    }
    return this.#submit(this.#requests.sign({ blob, data, flags }, options, this.#settled), options);
  }

  /**
   * A connection of its own, bound to one SSH connection, for keys that are for certain hosts only. 32 are open at once, further
   * ones wait until others are closed. Rejects with AgentError `refused` where the agent does not know binding.
   */
  openBound(bind: SessionBind, options: WaitOptions = {}): Promise<BoundAgent> {
    return this.#bound.open(bind, options);
  }

  /** Ends all connections now, bound ones too; what waits rejects with AgentError `closed`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const error = closedByUs(this.socketPath);
    this.#failQueue(error);
    for (const connection of [...this.#pool]) connection.close(error);
    this.#proof?.close(error);
    this.#bound.close(error);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #submit<T>(request: Request<T>, { signal }: WaitOptions): Promise<T> {
    this.#bytes += request.frame.length;
    if (request.patient) this.#patient++;
    if (signal?.aborted) request.stop();
    else if (this.#closed) request.fail(closedByUs(this.socketPath));
    else if (this.#bytes > MAX_BYTES) request.fail(overfull(this.socketPath, '32 MiB'));
    else {
      this.#queue.push(request);
      this.#pump();
    }
    return request.result;
  }

  /** Sends what is queued as far as there is room. */
  #pump(): void {
    for (let request = this.#next(); request !== undefined; request = this.#next()) {
      const connection = this.#leastBusy();
      if (connection === undefined) return;
      this.#head++;
      connection.send(request);
    }
    this.#queue = [];
    this.#head = 0;
  }

  /** The first of the queue that still waits, left where it is. */
  #next(): AgentRequest | undefined {
    while (this.#queue[this.#head]?.settled) this.#head++;
    if (this.#head >= 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return this.#queue[this.#head];
  }

  /** The connection with the most room, a new one where all are busy; undefined where there is no room. */
  #leastBusy(): AgentConnection | undefined {
    let best: AgentConnection | undefined;
    for (const connection of this.#pool) if (best === undefined || connection.load < best.load) best = connection;
    if (best?.load === 0) return best;
    if (this.#pool.size < this.#room) return this.#open();
    return best !== undefined && best.load < this.#depth ? best : undefined;
  }

  #open(): AgentConnection {
    const connection: AgentConnection = new AgentConnection(this.#connecting, {
      answered: () => {
        this.#deaths = 0;
        this.#pump();
      },
      ended: (error, unanswered) => this.#ended(connection, error, unanswered),
      waitsForPerson: () => this.#patient > 0,
    });
    this.#pool.add(connection);
    return connection;
  }

  #ended(connection: AgentConnection, error: AgentError, unanswered: readonly AgentRequest[]): void {
    this.#pool.delete(connection);
    // Where others are open, one that cannot be opened only means that they have to do.
    const missing = error.reason === 'unreachable' && this.#anyOpen();
    this.#room = missing ? this.#pool.size : this.#limit;
    const givenUp = unanswered.length > 0 && unanswered.every((request) => request.settled);
    if (!missing && !givenUp) this.#deaths++;
    const hopeless = error.reason === 'timeout' || (error.reason === 'unreachable' && !missing);
    if (this.#closed || hopeless || this.#deaths > MAX_DEATHS) this.#giveUp(error, unanswered);
    else this.#sendAgain(error, unanswered);
  }

  #giveUp(error: AgentError, unanswered: readonly AgentRequest[]): void {
    this.#deaths = 0;
    for (const request of unanswered) request.fail(error);
    this.#failQueue(error);
  }

  #sendAgain(error: AgentError, unanswered: readonly AgentRequest[]): void {
    const again = unanswered.filter((request) => !request.settled && this.#mayGoAgain(request, error));
    this.#queue = [...again, ...this.#queue.slice(this.#head)];
    this.#head = 0;
    this.#pump();
  }

  /** A request that never left goes again for nothing; one that may have reached the agent goes a second time, not a third. */
  #mayGoAgain(request: AgentRequest, error: AgentError): boolean {
    if (error.reason === 'unreachable') request.sends--;
    else if (request.sends > 1) {
      request.fail(error);
      return false;
    }
    return true;
  }

  #anyOpen(): boolean {
    for (const connection of this.#pool) if (connection.isOpen) return true;
    return false;
  }

  #failQueue(error: AgentError): void {
    const queue = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    for (const request of queue) request.fail(error);
  }

  /** Finds out whether two requests in one write get two answers, and pipelines from then on. */
  #prove(): void {
    if (this.#depth > 1 || this.#proof !== undefined || this.#closed) return;
    const proof = new AgentConnection(this.#connecting, {
      answered: () => {
        if (proof.load > 0) return;
        this.#depth = DEPTH;
        proof.close();
        this.#pump();
      },
      ended: (error, unanswered) => {
        for (const request of unanswered) request.fail(error);
      },
      waitsForPerson: () => false,
    });
    this.#proof = proof;
    for (let i = 0; i < 2; i++) {
      const request = this.#requests.list({});
      request.result.catch(() => {});
      proof.send(request);
    }
  }
}
