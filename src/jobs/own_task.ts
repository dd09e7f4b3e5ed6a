/**
 * One task of a job of the caller's own: calls the function, runs its commands one after the other, and makes an outcome of its end.
 *
 *   waiting ──the gate──▶ running       the function is called, once: from here on the task is not repeated
 *   waiting ──stop──▶ ended             by the engine; the function is not called
 *   running ──the function ends, or a rejection of it that nobody handles──▶ ending ──▶ ended
 *   running ──stop──▶ stopping ──▶ ended
 *
 * Ending, a command that still runs is ended first, so that none is left in silence. Stopping, too, and the function has the grace to
 * end by itself; what it does after that counts no more.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome, RemoteFate } from '../contracts/outcome.ts';
import type { ProcessEnd, RemoteProcess } from '../transport/transport.ts';
import { StoppedError, type TaskContext } from './job.ts';
import type { CustomExecOptions, CustomExecResult, CustomHost, CustomTask, OwnJob } from './own_face.ts';
import { CollectedOutput, HeldWriter } from './own_output.ts';
import { causeIn, DONE, faulted, isNo, jsonOf, saidNo, textOf, wordsOf } from './own_verdict.ts';
import { checkOkStatus, checkText, endOutcome, feed, shown } from './process_job.ts';
import { enterStrays, leaveStrays, type StrayOwner, warnOfStray } from './stray_rejections.ts';

const MAX_OUTPUT = 1024 * 1024;

/** Passes the gate, then calls the function. */
export function performOwn(job: OwnJob, task: TaskContext): Promise<Outcome> {
  const call = (): Promise<Outcome> => {
    task.started();
    return new OwnTask(job, task).run();
  };
  // Before the function, not before its first command: what it does here counts, too, and goes by the command's deadline.
  const passed = task.begin();
  return passed === undefined ? call() : passed.then(call);
}

/** A command ended in a way that was not expected. */
class UnexpectedEnd extends Error {
  readonly outcome: Outcome;

  constructor(command: string, outcome: Outcome) {
    super(`the command ${shown(command)} ended with ${endText(outcome)}`);
    this.name = 'UnexpectedEnd';
    this.outcome = outcome;
  }
}

function endText(outcome: Outcome): string {
  if (outcome.kind === 'signalled') return `signal ${outcome.signal}`;
  return outcome.kind === 'failed' ? `status ${outcome.status}` : 'no status';
}

class OwnTask implements StrayOwner {
  readonly #job: OwnJob;
  readonly #task: TaskContext;
  readonly #writer: HeldWriter;
  readonly #aborted = new AbortController();
  readonly #over = Promise.withResolvers<Outcome>();
  /** Resolves when nobody waits any more for who reads the output. */
  readonly #hurried = Promise.withResolvers<void>();
  #mode: 'running' | 'ending' | 'stopping' | 'ended' = 'running';
  #settled: Promise<unknown> = Promise.resolve();
  #working = true;
  #process: RemoteProcess | undefined;
  /** What the transport has thrown at commands of this task. */
  readonly #thrown = new WeakSet<object>();
  #ranBefore = false;
  /** What was thrown last at a command of which nothing had left. */
  #neverBegan: unknown;
  #saidNo: string | undefined;
  /** Instead of the verdict. */
  #strayed: Outcome | undefined;

  constructor(job: OwnJob, task: TaskContext) {
    this.#job = job;
    this.#task = task;
    this.#writer = new HeldWriter(task.sink);
  }

  run(): Promise<Outcome> {
    const task = this.#task;
    const stop = () => void this.#stop();
    const ended = () => this.#ended();
    const resume = () => this.#writer.roomAgain();
    task.stop = stop;
    task.ended = ended;
    task.resume = resume;
    const settled = enterStrays(this, async () => this.#job.perform(this.#face()));
    const over = () => {
      this.#working = false;
      leaveStrays();
    };
    this.#settled = settled.then(over, over);
    settled.then(
      (value) => this.#end(() => this.#verdict(value)),
      (error: unknown) => this.#end(() => this.#blame(error)),
    );
    return this.#over.promise;
  }

  stray(error: unknown): void {
    // What we refuse to a function that is over is no fault of its own.
    if (error === this.#aborted.signal.reason) return;
    if (this.#mode === 'ended') warnOfStray(this.#task.target.label, wordsOf(error));
    this.#strayed ??= faulted(error, 'a rejection that nobody handled: ');
    void this.#end(() => DONE);
  }

  #face(): CustomTask {
    const { target } = this.#task;
    return Object.freeze({
      host: this.#host(),
      iteration: target.iteration,
      options: this.#job.options,
      signal: this.#aborted.signal,
      exec: (command: string, options?: CustomExecOptions) => this.#exec(command, options),
      write: (output: string | Uint8Array) => this.#write(output),
      fail: (message: string): never => {
        this.#saidNo ??= textOf(message);
        throw new MyriadError('usage', `fail: ${this.#saidNo}`);
      },
    });
  }

  /** Who asks for the user or the port has ssh_config looked into; the others do not. */
  #host(): CustomHost {
    const { target, lent } = this.#task;
    const destination = () => lent.values?.destination?.(target);
    return {
      label: target.label,
      name: target.name,
      get user() {
        return target.user ?? destination()?.user ?? '';
      },
      get port() {
        return target.port ?? destination()?.port ?? 22;
      },
      index: target.index,
    };
  }

  async #exec(
    command: string,
    { stdin, okStatus, maxOutput = MAX_OUTPUT }: CustomExecOptions = {},
  ): Promise<CustomExecResult> {
    this.#checkRunning();
    if (this.#process !== undefined) {
      throw new MyriadError('usage', 'exec: a task runs one command at a time; await the one before');
    }
    const task = this.#task;
    const line = checkText('exec', 'command', command, 'refuse');
    const expected = okStatus && checkOkStatus('exec', okStatus);
    const input = stdin === undefined ? undefined : bytesOf('exec', stdin);
    const output = new CollectedOutput(maxOutput, () => task.heard());
    const [process, end] = await this.#runToEnd(line, output, input);
    if (end.outputLeftOpen) task.note('output left open');
    if (end.outputCut) task.note('output cut');
    if (expected) {
      const outcome = endOutcome(end, process, expected);
      if (outcome.kind !== 'ok') throw new UnexpectedEnd(line, outcome);
    }
    const { status, signal } = end;
    return { status, signal: signal?.name ?? null, stdout: output.output('stdout'), stderr: output.output('stderr') };
  }

  /** Runs a process to its end; once more where a server still had the session of the one before, and took no second. */
  async #runToEnd(
    line: string,
    sink: CollectedOutput,
    stdin: Uint8Array | undefined,
  ): Promise<readonly [RemoteProcess, ProcessEnd]> {
    const again = this.#ranBefore;
    this.#ranBefore = true;
    try {
      return await this.#runOnce(line, sink, stdin);
    } catch (error) {
      this.#checkRunning();
      if (again && error === this.#neverBegan) return await this.#runOnce(line, sink, stdin);
      throw error;
    }
  }

  async #runOnce(
    line: string,
    sink: CollectedOutput,
    stdin: Uint8Array | undefined,
  ): Promise<readonly [RemoteProcess, ProcessEnd]> {
    const task = this.#task;
    let process: RemoteProcess | undefined;
    try {
      process = task.connection.exec(line, {
        sink,
        lingerMs: task.lingerMs,
        // The gate is behind us; it would hold back what a guard lets go on.
        begin: () => undefined,
        started: () => task.heard(),
      });
      this.#process = process;
      // A process that ends first is no error.
      feed(process, stdin).catch(() => {});
      const end = await process.ended;
      this.#process = undefined;
      this.#checkRunning();
      return [process, end];
    } catch (error) {
      this.#process = undefined;
      this.#checkRunning();
      if (error instanceof Error) this.#thrown.add(error);
      if (process?.began === 'no') this.#neverBegan = error;
      throw error;
    }
  }

  async #write(output: string | Uint8Array): Promise<void> {
    this.#checkRunning();
    await this.#writer.write(bytesOf('write', output));
  }

  #checkRunning(): void {
    if (this.#mode !== 'running') throw this.#aborted.signal.reason ?? new MyriadError('closed', 'the task is over');
  }

  #verdict(value: unknown): Outcome {
    if (this.#process !== undefined) return faulted('the function ended while a command of it was running: await it');
    if (this.#saidNo !== undefined) return saidNo(this.#saidNo);
    if (isNo(value)) return saidNo(value.message === undefined ? 'the job said no' : textOf(value.message));
    if (value === undefined) return DONE;
    try {
      void this.#writer.write(Buffer.from(`${jsonOf(value)}\n`));
      return DONE;
    } catch (error) {
      return faulted(error);
    }
  }

  /** Throws what the transport has thrown, where that is what ended the function. */
  #blame(error: unknown): Outcome {
    if (this.#saidNo !== undefined) return saidNo(this.#saidNo);
    const cause = causeIn(
      error,
      (each) => each instanceof UnexpectedEnd || (each instanceof Error && this.#thrown.has(each)),
    );
    if (cause instanceof UnexpectedEnd) return cause.outcome;
    if (cause !== undefined) throw cause;
    return faulted(error);
  }

  async #end(verdict: () => Outcome): Promise<void> {
    if (this.#mode !== 'running') return;
    const outcome = (async () => verdict())();
    // It may reject before anybody waits for it.
    outcome.catch(() => {});
    const running = this.#process;
    this.#mode = 'ending';
    if (this.#working || running !== undefined) this.#abort('the task is over');
    await running?.terminate(this.#task.graceMs);
    await Promise.race([this.#writer.pending, this.#hurried.promise]);
    // A rejection that nobody handles is told of at the end of its turn.
    await new Promise((resolve) => setImmediate(resolve));
    this.#over.resolve(this.#strayed ?? outcome);
  }

  async #stop(): Promise<void> {
    this.#hurried.resolve();
    // Ending already: its outcome comes, or the engine drops the connection.
    if (this.#mode !== 'running') return;
    this.#mode = 'stopping';
    this.#abort('the task was stopped');
    const { graceMs } = this.#task;
    const grace = Promise.withResolvers<void>();
    const timer = this.#task.setTimer(graceMs, () => grace.resolve());
    const fate: Promise<RemoteFate> | undefined = this.#process?.terminate(graceMs);
    await Promise.race([this.#settled, grace.promise]);
    timer.cancel();
    this.#over.reject(new StoppedError((await fate) ?? 'none'));
  }

  /** Nothing counts any more: the function may still be at work. */
  #ended(): void {
    this.#mode = 'ended';
    if (this.#working) this.#abort('the task is over');
  }

  #abort(why: string): void {
    if (!this.#aborted.signal.aborted) this.#aborted.abort(new MyriadError('aborted', why));
  }
}

function bytesOf(what: string, given: unknown): Buffer {
  // A copy: the caller may change his own.
  if (typeof given === 'string' || given instanceof Uint8Array) return Buffer.from(given as Uint8Array);
  throw new MyriadError('usage', `${what}: expected a string or bytes (a Uint8Array), got ${shown(given)}`);
}
