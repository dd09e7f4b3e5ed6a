/**
 * One connection to an ssh-agent: requests go out in order, answers come back in order.
 *
 *   connecting ──connect──▶ open ──hang-up, silence, broken protocol, close──▶ closed
 *   connecting ──EAGAIN──▶ connecting (again, a little later)
 *   connecting ──any other error──▶ closed
 *
 * EAGAIN means that the agent's backlog is full. Silence is measured from the last answer, or from the oldest request where
 * that is younger: an agent that works off a long queue is not a dead one.
 */
import { connect, type Socket } from 'node:net';
import { AgentError, brokenProtocol, closedByUs, hungUp, silent, unreachable } from './agent_errors.ts';
import type { AgentRequest } from './agent_request.ts';
import { FrameReader } from './agent_wire.ts';

export type SetTimer = (delayMs: number, callback: () => void) => { cancel(): void };

export interface AgentConnectionOptions {
  readonly socketPath: string;
  readonly setTimer: SetTimer;
  /** What sockets are read into; shared, because it is used up before the read returns. */
  readonly readBuffer: Buffer;
}

export interface AgentConnectionUser {
  /** An answer came: there is room for a request. */
  answered(): void;
  /** Called once. `unanswered`: the oldest first. */
  ended(error: AgentError, unanswered: readonly AgentRequest[]): void;
  /** True while the agent waits for a person: its silence does not count. */
  waitsForPerson(): boolean;
}

const DIAL_AGAIN_MS = 50;

export class AgentConnection {
  readonly #options: AgentConnectionOptions;
  readonly #user: AgentConnectionUser;
  readonly #frames: FrameReader;
  #mode: 'connecting' | 'open' | 'closed' = 'connecting';
  #socket: Socket | undefined;
  #unanswered: AgentRequest[] = [];
  #out: Buffer[] = [];
  #flushing = false;
  #watch: { cancel(): void } | undefined;
  #redial: { cancel(): void } | undefined;

  constructor(options: AgentConnectionOptions, user: AgentConnectionUser) {
    this.#options = options;
    this.#user = user;
    this.#frames = new FrameReader(options.socketPath);
    this.#dial();
  }

  /** Requests that wait for their answer. */
  get load(): number {
    return this.#unanswered.length;
  }

  get isOpen(): boolean {
    return this.#mode === 'open';
  }

  /** Sends it, together with all others of this turn. It ends in `answer`, or in the list given to `ended`. */
  send(request: AgentRequest): void {
    request.sends++;
    this.#unanswered.push(request);
    this.#out.push(request.frame);
    if (this.#unanswered.length === 1) this.#watchOldest();
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /** Closes it where everything that was sent on it has been given up: the agent may be waiting for a person who never comes. */
  letGo(): void {
    if (this.#unanswered.length > 0 && this.#unanswered.every((request) => request.settled)) this.close();
  }

  /** Ends it now; `ended` is called with `error`. */
  close(error: AgentError = closedByUs(this.#options.socketPath)): void {
    if (this.#mode === 'closed') return;
    this.#mode = 'closed';
    this.#watch?.cancel();
    this.#redial?.cancel();
    this.#socket?.destroy();
    const unanswered = this.#unanswered;
    this.#unanswered = [];
    this.#out = [];
    this.#user.ended(error, unanswered);
  }

  #dial(): void {
    const { socketPath, readBuffer } = this.#options;
    this.#redial = undefined;
    if (socketPath === '') {
      // Node would take it for no path at all and connect to a TCP port.
      queueMicrotask(() => this.close(unreachable(socketPath, undefined)));
      return;
    }
    const socket = connect({
      path: socketPath,
      onread: {
        buffer: readBuffer,
        callback: (count, buffer) => {
          this.#received((buffer as Buffer).subarray(0, count));
          return true;
        },
      },
    });
    this.#socket = socket;
    socket.once('connect', () => {
      if (this.#mode !== 'connecting') return;
      this.#mode = 'open';
      this.#flush();
    });
    socket.once('end', () => this.#failed(undefined));
    socket.on('error', (error) => this.#failed(error));
    socket.once('close', () => {
      if (this.#socket === socket) this.#failed(undefined);
    });
  }

  #failed(error: NodeJS.ErrnoException | undefined): void {
    if (this.#mode === 'closed' || this.#redial !== undefined) return;
    if (this.#mode === 'open') {
      this.close(hungUp(this.#options.socketPath, error));
    } else if (error?.code === 'EAGAIN') {
      this.#socket?.destroy();
      this.#socket = undefined;
      this.#redial = this.#options.setTimer(DIAL_AGAIN_MS, () => this.#dial());
    } else {
      this.close(unreachable(this.#options.socketPath, error));
    }
  }

  #flush(): void {
    if (this.#mode !== 'open' || this.#out.length === 0) return;
    const bytes = this.#out.length === 1 ? this.#out[0]! : Buffer.concat(this.#out);
    this.#out = [];
    this.#socket!.write(bytes);
  }

  #received(chunk: Buffer): void {
    try {
      this.#frames.push(chunk, (payload) => this.#answer(payload));
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.#broken(error);
    }
  }

  /** Returns whether the connection is still of use. */
  #answer(payload: Buffer): boolean {
    if (this.#mode !== 'open') return false;
    const request = this.#unanswered.shift();
    const error = request
      ? request.answer(payload)
      : brokenProtocol(this.#options.socketPath, `message ${payload[0]} came unasked`);
    if (error) {
      this.close(error);
      return false;
    }
    this.#watchOldest();
    this.#user.answered();
    return this.#mode === 'open';
  }

  /** What came is no answer to the oldest request, or to any: the oldest gets the blame told, the others may go elsewhere. */
  #broken(error: AgentError): void {
    this.#unanswered.shift()?.fail(error);
    this.close(error);
  }

  #watchOldest(): void {
    this.#watch?.cancel();
    this.#watch = undefined;
    const oldest = this.#unanswered[0];
    if (oldest === undefined || oldest.timeoutMs === Number.POSITIVE_INFINITY) return;
    this.#watch = this.#options.setTimer(oldest.timeoutMs, () => {
      if (this.#user.waitsForPerson()) this.#watchOldest();
      else this.close(silent(this.#options.socketPath, oldest.timeoutMs));
    });
  }
}
