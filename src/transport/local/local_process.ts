/**
 * One program in progress here, in a process group of its own.
 *
 *   gated ──begin let it pass──▶ starting ──spawn──▶ running ──exit──▶ lingering ──output ends, or is silent──▶ over
 *   gated, starting ──terminate, destroy, error──▶ over
 *   running, lingering ──terminate (TERM, KILL), destroy (KILL), leave──▶ over
 *
 * The group is signalled only while it is known to exist: its number cannot belong to anyone else as long as a member
 * lives, and once it was seen gone it is never used again.
 */
import type { ChildProcessWithoutNullStreams, SpawnOptionsWithoutStdio } from 'node:child_process';
import { constants } from 'node:os';
import type { Clock } from '../../contracts/limits.ts';
import type { Began, RemoteFate } from '../../contracts/outcome.ts';
import type { StreamName } from '../../contracts/task.ts';
import type { ExecOptions, ProcessEnd, RemoteProcess } from '../transport.ts';
import { LocalError, spawnError } from './local_error.ts';

export type Spawn = (
  program: string,
  args: readonly string[],
  options: SpawnOptionsWithoutStdio,
) => ChildProcessWithoutNullStreams;

/** How often a group that is being ended is looked at. */
const LOOK_MS = 10;
/** How long after KILL the kernel may take; longer only in uninterruptible sleep. */
const KILL_PATIENCE_MS = 1_000;

type Mode = 'gated' | 'starting' | 'running' | 'lingering' | 'over';

export class LocalProcess implements RemoteProcess {
  readonly ended: Promise<ProcessEnd>;
  readonly #words: readonly string[];
  readonly #options: ExecOptions;
  readonly #clock: Clock;
  readonly #spawn: Spawn;
  readonly #onOver: (process: LocalProcess) => void;
  #mode: Mode = 'gated';
  #began: Began = 'no';
  #child: ChildProcessWithoutNullStreams | undefined = undefined;
  #end: ProcessEnd | undefined = undefined;
  #resolve!: (end: ProcessEnd) => void;
  #reject!: (error: Error) => void;
  #early: Uint8Array[] = [];
  #stdinEnded = false;
  #drainWaiters: (() => void)[] = [];
  #heldBack = false;
  #lastOutput = 0;
  #linger: { cancel(): void } | undefined = undefined;
  #terminated: Promise<RemoteFate> | undefined = undefined;

  /** `words`: program and arguments. */
  constructor(
    words: readonly string[],
    options: ExecOptions,
    clock: Clock,
    spawn: Spawn,
    onOver: (process: LocalProcess) => void,
  ) {
    this.#words = words;
    this.#options = options;
    this.#clock = clock;
    this.#spawn = spawn;
    this.#onOver = onOver;
    this.ended = new Promise<ProcessEnd>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever stopped it may not listen any more.
    this.ended.catch(() => {});
  }

  get began(): Began {
    return this.#began;
  }

  /** Passes the gate, then starts the program. */
  start(): void {
    const gate = this.#options.begin();
    if (gate === undefined) this.#launch();
    else
      gate.then(
        () => this.#launch(),
        (error: unknown) => this.#fail(asError(error)),
      );
  }

  write(chunk: Uint8Array): boolean {
    if (this.#mode === 'over' || this.#stdinEnded) return true;
    if (this.#child !== undefined) return this.#child.stdin.write(chunk);
    this.#early.push(chunk);
    return false;
  }

  drained(): Promise<void> {
    if (this.#mode === 'over') return Promise.resolve();
    if (this.#child !== undefined && !this.#child.stdin.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drainWaiters.push(resolve);
    });
  }

  end(): void {
    this.#stdinEnded = true;
    this.#child?.stdin.end();
  }

  resume(): void {
    if (!this.#heldBack) return;
    this.#heldBack = false;
    this.#lastOutput = this.#clock.now();
    this.#child?.stdout.resume();
    this.#child?.stderr.resume();
  }

  signal(name: string): void {
    const signal = `SIG${name}`;
    if (this.#mode === 'running' && signal in constants.signals) this.#signalGroup(signal);
  }

  terminate(graceMs: number): Promise<RemoteFate> {
    this.#terminated ??= this.#terminate(graceMs);
    return this.#terminated;
  }

  /** Ends it now, without waiting. */
  destroy(reason: Error): void {
    if (this.#mode === 'over') return;
    this.#signalGroup('SIGKILL');
    this.#fail(reason);
  }

  /** Lets it run on without us; what it still writes finds no reader. */
  leave(): void {
    if (this.#mode === 'over') return;
    this.#child?.unref();
    this.#fail(new LocalError('stopped', 'the program was left running'));
  }

  #launch(): void {
    if (this.#mode !== 'gated') return;
    const [program = '', ...args] = this.#words;
    this.#mode = 'starting';
    this.#began = 'maybe';
    let child: ChildProcessWithoutNullStreams;
    try {
      child = this.#spawn(program, args, { detached: true });
    } catch (error) {
      this.#failToStart(program, error);
      return;
    }
    this.#child = child;
    child.once('spawn', () => this.#running());
    child.once('error', (error) => {
      if (this.#mode === 'starting') this.#failToStart(program, error);
    });
    child.once('exit', (code, signal) => this.#exited(code, signal));
    child.once('close', () => this.#over());
    this.#read('stdout', child);
    this.#read('stderr', child);
    this.#openStdin(child);
  }

  #failToStart(program: string, error: unknown): void {
    this.#began = 'no';
    this.#fail(spawnError(program, error));
  }

  #read(name: StreamName, child: ChildProcessWithoutNullStreams): void {
    const stream = child[name];
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      if (this.#mode === 'over') return;
      this.#lastOutput = this.#clock.now();
      if (this.#options.sink.write(name, chunk)) return;
      // Said again at each chunk: Node resumes both streams by itself when the program exits.
      this.#heldBack = true;
      child.stdout.pause();
      child.stderr.pause();
    });
  }

  #openStdin(child: ChildProcessWithoutNullStreams): void {
    // EPIPE: the program does not read it; that is its business.
    child.stdin.on('error', () => this.#wakeWriters());
    child.stdin.on('drain', () => this.#wakeWriters());
    child.stdin.on('close', () => this.#wakeWriters());
    for (const chunk of this.#early) child.stdin.write(chunk);
    this.#early = [];
    if (this.#stdinEnded) child.stdin.end();
    else if (!child.stdin.writableNeedDrain) this.#wakeWriters();
  }

  #wakeWriters(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const wake of waiters) wake();
  }

  #running(): void {
    if (this.#mode !== 'starting') return;
    this.#mode = 'running';
    this.#began = 'yes';
    this.#options.started();
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#mode === 'over') return;
    this.#end = {
      status: code,
      signal: signal === null ? null : { name: signal.replace(/^SIG/, ''), coreDumped: false },
      outputLeftOpen: false,
      outputCut: false,
    };
    this.#mode = 'lingering';
    this.#lastOutput = this.#clock.now();
    this.#armLinger(this.#options.lingerMs);
  }

  /** Output that is held back by us is not silent. */
  #armLinger(delayMs: number): void {
    this.#linger = this.#clock.setTimer(delayMs, () => {
      const silent = this.#clock.now() - this.#lastOutput;
      if (this.#heldBack) this.#armLinger(this.#options.lingerMs);
      else if (silent < this.#options.lingerMs) this.#armLinger(this.#options.lingerMs - silent);
      else this.#over();
    });
  }

  /** The status is there, and the output ended or has been silent for long enough. */
  #over(): void {
    if (this.#mode !== 'lingering' || this.#end === undefined) return;
    const { stdout, stderr } = this.#child!;
    const outputLeftOpen = !(stdout.closed && stderr.closed);
    this.#letGo();
    this.#resolve({ ...this.#end, outputLeftOpen });
  }

  #fail(error: Error): void {
    if (this.#mode === 'over') return;
    this.#letGo();
    this.#reject(error);
  }

  #letGo(): void {
    this.#mode = 'over';
    this.#linger?.cancel();
    this.#child?.stdin.destroy();
    this.#child?.stdout.destroy();
    this.#child?.stderr.destroy();
    this.#wakeWriters();
    this.#onOver(this);
  }

  async #terminate(graceMs: number): Promise<RemoteFate> {
    const pid = this.#child?.pid;
    if (this.#mode === 'over' || pid === undefined) {
      this.#fail(new LocalError('stopped', 'the program was stopped before it began'));
      return 'none';
    }
    let gone = !this.#signalGroup('SIGTERM') || (await this.#groupGone(graceMs));
    if (!gone) gone = !this.#signalGroup('SIGKILL') || (await this.#groupGone(KILL_PATIENCE_MS));
    const exited = this.#end !== undefined;
    if (exited) this.#over();
    else this.#fail(new LocalError('stopped', 'the program was stopped, and has not gone yet'));
    // Where no one reaps orphans, a dead child of the program keeps the group in being.
    return gone || exited ? 'killed' : 'unknown';
  }

  /** Waits until no member of the group is left; false: some are after `patienceMs`. */
  async #groupGone(patienceMs: number): Promise<boolean> {
    const until = this.#clock.now() + patienceMs;
    while (this.#signalGroup(0)) {
      const left = until - this.#clock.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => void this.#clock.setTimer(Math.min(LOOK_MS, left), resolve));
    }
    return true;
  }

  /** Signals the process group; false: there is none. */
  #signalGroup(signal: string | 0): boolean {
    const pid = this.#child?.pid;
    if (pid === undefined) return false;
    try {
      return process.kill(-pid, signal);
    } catch (error) {
      return error instanceof Error && 'code' in error && error.code === 'EPERM';
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new LocalError('stopped', String(error));
}
