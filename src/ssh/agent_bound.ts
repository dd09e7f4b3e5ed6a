/**
 * Connections to an agent that are bound to one SSH connection each (session-bind@openssh.com), for destination-constrained
 * keys: such a connection says once whose session it belongs to, and cannot be used for another. Not pooled, not reopened.
 */
import { AgentConnection, type AgentConnectionOptions } from './agent_connection.ts';
import { type AgentError, closedByUs, overfull } from './agent_errors.ts';
import type { AgentIdentity } from './agent_identity.ts';
import { type Request, stoppedError } from './agent_request.ts';
import type { AgentSigner, RequestFactory, WaitOptions } from './agent_requests.ts';
import type { SessionBind } from './agent_wire.ts';

/** Open at once: the agent's backlog has 128 places, and it is one thread. */
const MAX_BOUND = 32;
/** Calls of `open` that wait for a place. */
const MAX_WAITING = 65_536;

interface Waiter {
  /** Takes the place. */
  admit(): void;
  fail(error: AgentError): void;
}

export class BoundAgents {
  readonly #connecting: AgentConnectionOptions;
  readonly #requests: RequestFactory;
  readonly #open = new Set<BoundAgent>();
  readonly #waiting = new Set<Waiter>();
  /** Places that are taken. */
  #taken = 0;
  #closed: AgentError | undefined;

  constructor(connecting: AgentConnectionOptions, requests: RequestFactory) {
    this.#connecting = connecting;
    this.#requests = requests;
  }

  async open(bind: SessionBind, options: WaitOptions): Promise<BoundAgent> {
    await this.#place(options.signal);
    const agent: BoundAgent = new BoundAgent(this.#connecting, this.#requests, () => {
      this.#open.delete(agent);
      this.#free();
    });
    this.#open.add(agent);
    try {
      await agent.bind(bind, options);
      return agent;
    } catch (error) {
      agent.close();
      throw error;
    }
  }

  close(error: AgentError): void {
    this.#closed = error;
    for (const waiter of this.#waiting) waiter.fail(error);
    this.#waiting.clear();
    for (const agent of [...this.#open]) agent.close();
  }

  /** Resolves when there is a place, which is the caller's then. */
  #place(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (signal?.aborted) reject(stoppedError(signal));
    else if (this.#closed) reject(this.#closed);
    else if (this.#taken < MAX_BOUND) {
      this.#taken++;
      resolve();
    } else if (this.#waiting.size >= MAX_WAITING) {
      reject(overfull(this.#requests.socketPath, `${MAX_WAITING} connections`));
    } else this.#wait(signal, resolve, reject);
    return promise;
  }

  #wait(signal: AbortSignal | undefined, resolve: () => void, reject: (error: Error) => void): void {
    const stopped = () => {
      this.#waiting.delete(waiter);
      reject(stoppedError(signal));
    };
    const waiter: Waiter = {
      admit: () => {
        signal?.removeEventListener('abort', stopped);
        resolve();
      },
      fail: (error) => {
        signal?.removeEventListener('abort', stopped);
        reject(error);
      },
    };
    this.#waiting.add(waiter);
    signal?.addEventListener('abort', stopped, { once: true });
  }

  /** Hands the place on to who has waited longest. */
  #free(): void {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter);
      waiter.admit();
      return;
    }
    this.#taken--;
  }
}

/** One bound connection. Made by `Agent.openBound`; the one who asked for it closes it when the SSH connection is authenticated. */
export class BoundAgent implements AgentSigner {
  readonly socketPath: string;
  readonly #requests: RequestFactory;
  readonly #connection: AgentConnection;
  #ended: AgentError | undefined;
  #patient = 0;

  constructor(connecting: AgentConnectionOptions, requests: RequestFactory, onEnded: () => void) {
    this.socketPath = connecting.socketPath;
    this.#requests = requests;
    this.#connection = new AgentConnection(connecting, {
      answered: () => {},
      ended: (error, unanswered) => {
        this.#ended = error;
        for (const request of unanswered) request.fail(error);
        onEnded();
      },
      waitsForPerson: () => this.#patient > 0,
    });
  }

  bind(bind: SessionBind, options: WaitOptions): Promise<void> {
    return this.#send(this.#requests.bind(bind, options), options);
  }

  /** The keys that may be used for this session. Rejects with AgentError. */
  identities(options: WaitOptions = {}): Promise<readonly AgentIdentity[]> {
    return this.#send(this.#requests.list(options), options);
  }

  /** Signs, see AgentSigner. Rejects with AgentError, or MyriadError `aborted`. */
  async sign(blob: Uint8Array, data: Uint8Array, flags: number, options: WaitOptions = {}): Promise<Buffer> {
    const request = this.#requests.sign({ blob, data, flags }, options, () => {
      if (request.patient) this.#patient--;
    });
    if (request.patient) this.#patient++;
    return this.#send(request, options);
  }

  /** Ends it now; what waits rejects with AgentError `closed`. */
  close(): void {
    this.#connection.close(closedByUs(this.socketPath));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send<T>(request: Request<T>, { signal }: WaitOptions): Promise<T> {
    if (signal?.aborted) request.stop();
    else if (this.#ended) request.fail(this.#ended);
    else this.#connection.send(request);
    return request.result;
  }
}
