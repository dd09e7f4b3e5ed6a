/** One request to an agent, on its way: what to send, how to read the answer, who waits for it. */
import { MyriadError } from '../contracts/errors.ts';
import { AgentError, brokenProtocol } from './agent_errors.ts';
import { SshError } from './errors.ts';
import { Reader } from './wire.ts';

export interface RequestPlan<T> {
  readonly socketPath: string;
  readonly frame: Buffer;
  /** Silence of the agent that it bears while it is the oldest of its connection. */
  readonly timeoutMs: number;
  /** A person is asked to touch something: only the caller's deadline counts. */
  readonly patient: boolean;
  readonly signal: AbortSignal | undefined;
  /** Reads an answer, valid during the call. Throws AgentError, or SshError where it ends too soon. */
  read(type: number, body: Reader): T;
  /** Called once, when it is answered, failed or given up. */
  settled?(request: AgentRequest): void;
}

/** What connections and queues know of it. */
export interface AgentRequest {
  /** Empty once it is settled. */
  readonly frame: Buffer;
  readonly timeoutMs: number;
  readonly patient: boolean;
  readonly settled: boolean;
  /** Connections it was sent on. */
  sends: number;
  /** Takes the answer (type and contents). Returns the error where it broke the protocol, for the connection is of no use then. */
  answer(payload: Buffer): AgentError | undefined;
  fail(error: AgentError): void;
}

const NOTHING = Buffer.alloc(0);

export class Request<T> implements AgentRequest {
  readonly #plan: RequestPlan<T>;
  readonly #result = Promise.withResolvers<T>();
  readonly #stopped = (): void => this.stop();
  frame: Buffer;
  sends = 0;
  settled = false;

  constructor(plan: RequestPlan<T>) {
    this.#plan = plan;
    this.frame = plan.frame;
    plan.signal?.addEventListener('abort', this.#stopped, { once: true });
  }

  get timeoutMs(): number {
    return this.#plan.timeoutMs;
  }

  get patient(): boolean {
    return this.#plan.patient;
  }

  get result(): Promise<T> {
    return this.#result.promise;
  }

  answer(payload: Buffer): AgentError | undefined {
    if (this.settled) return undefined;
    try {
      const body = new Reader(payload);
      const value = this.#plan.read(body.byte(), body);
      this.#settle();
      this.#result.resolve(value);
      return undefined;
    } catch (cause) {
      const error = this.#explain(cause);
      this.fail(error);
      return error.reason === 'protocol' ? error : undefined;
    }
  }

  fail(error: AgentError): void {
    if (this.settled) return;
    this.#settle();
    this.#result.reject(error);
  }

  /** Its caller waits no longer. */
  stop(): void {
    if (this.settled) return;
    this.#settle();
    this.#result.reject(stoppedError(this.#plan.signal));
  }

  #explain(cause: unknown): AgentError {
    if (cause instanceof AgentError) return cause;
    const found = cause instanceof SshError ? cause.message : 'its answer cannot be read';
    return brokenProtocol(this.#plan.socketPath, found, cause);
  }

  #settle(): void {
    this.settled = true;
    this.#plan.signal?.removeEventListener('abort', this.#stopped);
    this.#plan.settled?.(this);
    this.frame = NOTHING;
  }
}

/** What a wait ends in that its caller stopped. */
export function stoppedError(signal: AbortSignal | undefined): MyriadError {
  return new MyriadError('aborted', 'the request to the SSH agent was stopped', { cause: signal?.reason });
}
