/**
 * Runs a program of ours on a host (`shell_program.ts`), as another user where asked, until it ends or is stopped.
 *
 *   talking ──passed──▶ running      with sudo; the program and stdin go out
 *   talking ──wants a terminal──▶ talking      once more, on a second session that has one
 *   talking ──refused──▶ over        `failed`, cause sudo
 *   running ──end──▶ over            as any command
 *   any ──stop──▶ stopping ──▶ over  by way of sudo first, for nobody else can signal what it runs
 */
import type { Outcome, RemoteFate } from '../contracts/outcome.ts';
import { type KillAnswer, killAnswer, killScript } from '../transport/kill.ts';
import type { OutputSink, RemoteProcess } from '../transport/transport.ts';
import { type Elevation, type Refusal, Talk, type TalkOptions } from './elevation.ts';
import { StoppedError, type TaskContext } from './job.ts';
import type { Lease } from './lease.ts';
import { endOutcome, feed, type OkStatus } from './process_job.ts';
import { BOOTSTRAP, lineQuote, lineStart, oneLine } from './shell_program.ts';
import type { StdinInput } from './stdin_source.ts';

export interface Program {
  /** Statements that end by becoming the command; on one line, see `lineQuote`. */
  readonly text: string;
  /** The rest of the program's line, with its end: what is the same for all tasks is made once, and shared by them. */
  readonly rest?: Uint8Array | undefined;
  /** Sent after the program's line, for the program itself. */
  readonly payload?: Uint8Array | undefined;
  /** Sent after that, then its end; without it stdin ends at once. */
  readonly stdin?: StdinInput | undefined;
  /** The program's arguments, from `$0` on, for logs of sudo; words of a shell on one line. */
  readonly words: readonly string[];
  /** Taken ahead of it. @default none */
  readonly lease?: Lease | undefined;
}

/** What the kill script may take beyond the grace, in milliseconds: sudo, a shell, two looks at all processes. */
const KILL_MARGIN_MS = 3_000;
/** Of the kill script's output. */
const KILL_OUTPUT = 4096;

export function runProgram(
  task: TaskContext,
  program: Program,
  elevation: Elevation | undefined,
  okStatus: OkStatus,
): Promise<Outcome> {
  const run = new ProgramRun(task, program, okStatus);
  const ended = elevation === undefined ? run.plain() : run.elevated(elevation);
  return program.lease === undefined ? ended : leased(program.lease, ended);
}

/** Without the lease the command did not begin, however its shell ended. */
async function leased(lease: Lease, ended: Promise<Outcome>): Promise<Outcome> {
  try {
    const outcome = await ended;
    return lease.refusal ?? outcome;
  } catch (error) {
    if (lease.refusal === undefined || error instanceof StoppedError) throw error;
    return lease.refusal;
  } finally {
    lease.finish();
  }
}

class ProgramRun {
  readonly #task: TaskContext;
  readonly #program: Program;
  readonly #okStatus: OkStatus;
  readonly #stopped = Promise.withResolvers<never>();
  #stopping = false;
  #terminate: (() => Promise<RemoteFate>) | undefined;

  constructor(task: TaskContext, program: Program, okStatus: OkStatus) {
    this.#task = task;
    this.#program = program;
    this.#okStatus = okStatus;
    this.#stopped.promise.catch(() => {});
  }

  get #sink(): OutputSink {
    return this.#program.lease ?? this.#task.sink;
  }

  async plain(): Promise<Outcome> {
    const task = this.#task;
    const process = task.connection.exec(BOOTSTRAP, {
      sink: this.#sink,
      lingerMs: task.lingerMs,
      begin: () => task.begin(),
      started: () => task.started(),
    });
    this.#watch(process, () => process.terminate(task.graceMs));
    this.#send(process, false);
    return this.#outcome(process);
  }

  async elevated(elevation: Elevation): Promise<Outcome> {
    const { stdin, payload } = this.#program;
    const first = await this.#talk(elevation, false);
    if (!('words' in first)) return first;
    let { words } = first;
    if (first.wantsTerminal && stdin === undefined && payload === undefined) {
      const second = await this.#talk(elevation, true);
      if (!('words' in second)) return second;
      ({ words } = second);
    } else if (first.wantsTerminal) words += '; with a terminal there is no stdin to give';
    return { kind: 'failed', began: 'no', status: null, cause: elevation.program, message: words };
  }

  async #talk(elevation: Elevation, terminal: boolean): Promise<Outcome | Refusal> {
    const task = this.#task;
    const talk = new Talk({
      ...this.#talkOptions(elevation, terminal),
      exec: { sink: this.#sink, lingerMs: task.lingerMs, begin: () => task.begin() },
      words: this.#program.words,
      passed: (process) => {
        task.started();
        if (elevation.asks) this.#send(process, terminal);
      },
    });
    const { process } = talk;
    this.#watch(process, () => this.#endElevated(talk, elevation, terminal));
    // What is not asked for anything reads nothing before its program.
    if (!elevation.asks) this.#send(process, terminal);
    const ended = await this.#race(talk.ended);
    if (ended.refusal !== undefined) return ended.refusal;
    this.#noteEnd(ended.end);
    return endOutcome(ended.end, process, this.#okStatus);
  }

  #talkOptions(elevation: Elevation, terminal: boolean): Pick<TalkOptions, 'task' | 'elevation' | 'terminal'> {
    return { task: this.#task, elevation, terminal };
  }

  /** The program, what belongs to it, and stdin. A terminal has no end of input: the command gets none. */
  #send(process: RemoteProcess, terminal: boolean): void {
    const { rest, payload, stdin, lease } = this.#program;
    const text = `${lease?.text ?? ''}${this.#program.text}`;
    const start = terminal ? `exec </dev/null;${text}` : text;
    process.write(Buffer.from(rest === undefined ? oneLine(start) : lineStart(start)));
    if (rest !== undefined) process.write(rest);
    if (terminal) return;
    this.#feed(process, payload, stdin).catch((error: unknown) => {
      // A command that took what it has for all of its input would do harm: it is ended before its stdin is.
      const terminate = this.#terminate;
      if (this.#stopping || terminate === undefined) return;
      this.#stopping = true;
      const failed = () => this.#stopped.reject(error);
      terminate().then(failed, failed);
    });
  }

  async #feed(process: RemoteProcess, payload: Uint8Array | undefined, stdin: StdinInput | undefined): Promise<void> {
    if (payload !== undefined) await sendAll(process, payload);
    await feed(process, stdin);
  }

  #watch(process: RemoteProcess, terminate: () => Promise<RemoteFate>): void {
    const task = this.#task;
    this.#terminate = terminate;
    const resume = () => process.resume();
    const halt = () => {
      this.#stopping = true;
      terminate().then(
        (fate) => this.#stopped.reject(new StoppedError(fate)),
        (error: unknown) => this.#stopped.reject(error),
      );
    };
    task.resume = resume;
    task.stop = halt;
  }

  async #outcome(process: RemoteProcess): Promise<Outcome> {
    const end = await this.#race(process.ended);
    this.#noteEnd(end);
    return endOutcome(end, process, this.#okStatus);
  }

  #noteEnd(end: { readonly outputLeftOpen: boolean; readonly outputCut: boolean }): void {
    if (end.outputLeftOpen) this.#task.note('output left open');
    if (end.outputCut) this.#task.note('output cut');
  }

  /** After a stop its end is our doing: the fate says what became of it. */
  #race<T>(ended: Promise<T>): Promise<T> {
    const held = ended.then(
      (end) => (this.#stopping ? this.#stopped.promise : end),
      (error: unknown) => {
        if (this.#stopping) return this.#stopped.promise;
        throw error;
      },
    );
    return Promise.race([held, this.#stopped.promise]);
  }

  async #endElevated(talk: Talk, elevation: Elevation, terminal: boolean): Promise<RemoteFate> {
    const { graceMs } = this.#task;
    if (!talk.passed) {
      talk.giveUp();
      return talk.process.terminate(graceMs);
    }
    const answer = await this.#killElevated(elevation, terminal);
    // What is left is the login user's own; then the channel is closed.
    const fate = await talk.process.terminate(answer === 'killed' ? 0 : graceMs);
    if (answer === 'left') return 'left-running';
    return answer === 'killed' && fate !== 'left-running' ? 'killed' : fate;
  }

  /** Runs the kill script as the user that the command runs as. Undefined: no second session, no leave, no answer. */
  #killElevated(elevation: Elevation, terminal: boolean): Promise<KillAnswer> {
    const { graceMs } = this.#task;
    let output = '';
    const script = killScript(graceMs).toString();
    const talk = new Talk({
      ...this.#talkOptions(elevation, terminal),
      exec: {
        sink: {
          write: (_stream, chunk) => {
            if (output.length < KILL_OUTPUT) output += Buffer.from(chunk).toString('latin1');
            return true;
          },
        },
        lingerMs: 100,
        begin: () => undefined,
      },
      // The tree is that of the server's process; the one that became sudo is not to be ended.
      words: ['kill', '"$PPID"', '"$$"'],
      passed: (process) => {
        process.write(Buffer.from(oneLine(`eval ${lineQuote(script)}`)));
        process.end();
      },
    });
    const late = this.#task.setTimer(graceMs + KILL_MARGIN_MS, () => void talk.process.terminate(0));
    const answer = (): KillAnswer => {
      late.cancel();
      return killAnswer(output);
    };
    return talk.ended.then(answer, answer);
  }
}

/** Pieces in which a payload is handed over, so that a full channel holds the rest back. */
const PIECE = 64 * 1024;

/** Sends `bytes` as the process takes them. A process that ends first takes none. */
async function sendAll(process: RemoteProcess, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (!process.write(bytes.subarray(at, at + PIECE))) await process.drained();
  }
}
