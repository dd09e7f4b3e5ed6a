/**
 * One command through a master, by a client process of its own.
 *
 *   gated ──begin let it pass──▶ opening ──the server's answer (the master's log), output──▶ running
 *   opening, running ──status (the master's log), exit of the client──▶ lingering
 *   lingering ──output ends, or is silent──▶ settling ──log read, master asked──▶ over
 *   any ──terminate, destroy, error──▶ over
 *
 * A client exits with the command's status, and with 255 where there is none: what 255 means is in its log, and in
 * whether its master still answers. A status that is known before the output ends comes from the master's log.
 */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../contracts/limits.ts';
import type { Began, RemoteFate } from '../../contracts/outcome.ts';
import type { KillAnswer } from '../kill.ts';
import type { ExecOptions, ProcessEnd, RemoteProcess } from '../transport.ts';
import { type ClientFacts, ClientLog } from './client_log.ts';
import { ClientStreams } from './client_streams.ts';
import type { Master } from './master.ts';
import { OpensshError, spawnError, stopped } from './openssh_error.ts';
import { signalGroup } from './spawn.ts';
import { TerminalStart } from './terminal_start.ts';

/** The client's log is looked at after 5 ms, then at growing distances, until it says on which channel the command is. */
const FIRST_LOOK_MS = 5;
const LOOK_MS = 100;
/** How long a master that does not answer may take to end by itself. */
const DYING_MS = 1_000;

type Mode = 'gated' | 'opening' | 'running' | 'lingering' | 'settling' | 'over';

/** What a process needs of its connection. */
export interface ProcessOwner {
  readonly master: Master;
  readonly clock: Clock;
  /** Runs the kill script beside the command; undefined: the server gave no second session, or no answer. */
  kill(graceMs: number): Promise<KillAnswer>;
  over(process: OpensshProcess): void;
}

export class OpensshProcess implements RemoteProcess {
  readonly ended: Promise<ProcessEnd>;
  readonly #line: string;
  readonly #options: ExecOptions;
  readonly #owner: ProcessOwner;
  readonly #log: ClientLog;
  readonly #streams: ClientStreams;
  readonly #terminal: TerminalStart | undefined;
  readonly #end = Promise.withResolvers<ProcessEnd>();
  #mode: Mode = 'gated';
  #began: Began = 'no';
  #child: ChildProcess | undefined = undefined;
  #channel: number | undefined = undefined;
  #accepted = false;
  /** The status by the master's log. */
  #status: number | undefined = undefined;
  #lastOutput = 0;
  #timer: { cancel(): void } | undefined = undefined;
  #terminated: Promise<RemoteFate> | undefined = undefined;

  /** `log`: a path that no one has used. */
  constructor(line: string, options: ExecOptions, owner: ProcessOwner, log: string) {
    this.#line = line;
    this.#options = options;
    this.#owner = owner;
    this.#log = new ClientLog(log);
    const { pty, sink } = options;
    this.#terminal = pty && new TerminalStart(pty, (chunk) => sink.write('stdout', chunk));
    this.#streams = new ClientStreams((stream, chunk) => {
      // With a terminal there is no stderr of the host: what comes are the client's own words.
      if (stream === 'stderr' && this.#terminal !== undefined) return true;
      this.#lastOutput = owner.clock.now();
      this.#started();
      if (this.#terminal === undefined) return sink.write(stream, chunk);
      return this.#terminal.heard(chunk, () => this.#streams.releaseInput());
    }, pty !== undefined);
    this.ended = this.#end.promise;
    // Whoever stopped it may not listen any more.
    this.ended.catch(() => {});
  }

  get began(): Began {
    return this.#began;
  }

  /** Passes the gate, then starts the client. */
  start(): void {
    let gate: Promise<void> | undefined;
    try {
      gate = this.#options.begin();
    } catch (error) {
      this.fail(asError(error));
      return;
    }
    if (gate === undefined) this.#launch();
    else
      gate.then(
        () => this.#launch(),
        (error: unknown) => this.fail(asError(error)),
      );
  }

  write(chunk: Uint8Array): boolean {
    return this.#streams.input(chunk);
  }

  drained(): Promise<void> {
    return this.#streams.drained();
  }

  end(): void {
    this.#streams.endInput();
  }

  resume(): void {
    this.#lastOutput = this.#owner.clock.now();
    this.#streams.resume();
  }

  /** Nothing: a client has no way to pass a signal on. */
  signal(): void {}

  terminate(graceMs: number): Promise<RemoteFate> {
    this.#terminated ??= this.#terminate(graceMs);
    return this.#terminated;
  }

  /** The master's log: the server accepted the command on a channel. */
  accepted(channel: number): void {
    if (channel !== this.#channel) return;
    this.#accepted = true;
    this.#started();
  }

  /** The master's log: the command on a channel ended. */
  statusCame(channel: number, status: number): void {
    if (channel !== this.#channel) return;
    this.#status = status;
    this.#linger();
  }

  /** The master is gone: what has not asked for anything yet never will. What has is told by its client. */
  masterDown(): void {
    if (this.#mode === 'gated') this.fail(this.#owner.master.failure());
  }

  /** Ends it now, for us; what it started on the host is not touched. */
  fail(error: Error): void {
    if (this.#mode === 'over') return;
    this.#letGo();
    this.#end.reject(error);
  }

  #launch(): void {
    if (this.#mode !== 'gated') return;
    this.#mode = 'opening';
    this.#began = 'maybe';
    const { master } = this.#owner;
    let child: ChildProcess;
    try {
      const line = `${this.#terminal?.prefix ?? ''}${this.#line}`;
      child = master.client(line, this.#log.path, this.#options.pty?.term);
    } catch (error) {
      this.#notStarted(error);
      return;
    }
    this.#child = child;
    child.once('error', (error) => {
      if (child.pid === undefined) this.#notStarted(error);
    });
    if (child.pid === undefined) return;
    child.once('exit', () => this.#linger());
    child.once('close', () => this.#settle());
    this.#streams.attach(child);
    this.#lookAfter(FIRST_LOOK_MS);
  }

  #notStarted(error: unknown): void {
    this.#began = 'no';
    this.fail(spawnError('ssh', error));
  }

  /** Reads the client's log until it says on which channel the command is: the master's log speaks of channels. */
  #lookAfter(delayMs: number): void {
    this.#timer = this.#owner.clock.setTimer(delayMs, async () => {
      const facts = await this.#log.read();
      if (this.#mode !== 'opening' && this.#mode !== 'running') return;
      this.#hear(facts);
      if (this.#channel === undefined) this.#lookAfter(Math.min(2 * delayMs, LOOK_MS));
    });
  }

  #hear(facts: ClientFacts): void {
    if (facts.channel === undefined || this.#channel !== undefined) return;
    this.#channel = facts.channel;
    if (this.#owner.master.answer(facts.channel) === 'accepted') this.accepted(facts.channel);
    const status = this.#owner.master.status(facts.channel);
    if (status !== undefined) this.statusCame(facts.channel, status);
  }

  #started(): void {
    if (this.#began === 'yes' || this.#mode === 'over') return;
    this.#began = 'yes';
    if (this.#mode === 'opening') this.#mode = 'running';
    this.#options.started();
  }

  /** The status is known, or the client has exited: the output has its time to end. */
  #linger(): void {
    if (this.#mode !== 'opening' && this.#mode !== 'running') return;
    this.#mode = 'lingering';
    this.#lastOutput = this.#owner.clock.now();
    this.#timer?.cancel();
    this.#armLinger(this.#options.lingerMs);
  }

  /** Output that is held back by us is not silent. */
  #armLinger(delayMs: number): void {
    const { lingerMs } = this.#options;
    this.#timer = this.#owner.clock.setTimer(delayMs, () => {
      const silent = this.#owner.clock.now() - this.#lastOutput;
      if (this.#streams.heldBack) this.#armLinger(lingerMs);
      else if (silent < lingerMs) this.#armLinger(lingerMs - silent);
      else this.#settle();
    });
  }

  #settle(): void {
    if (this.#mode === 'settling' || this.#mode === 'over') return;
    this.#mode = 'settling';
    this.#timer?.cancel();
    this.#conclude().then(
      (end) => {
        if (this.#mode === 'over') return;
        this.#letGo();
        this.#end.resolve(end);
      },
      (error: unknown) => this.fail(asError(error)),
    );
  }

  async #conclude(): Promise<ProcessEnd> {
    const { master } = this.#owner;
    const outputLeftOpen = !this.#streams.outputEnded;
    this.#terminal?.end();
    const facts = await this.#log.read();
    this.#hear(facts);
    const alive = outputLeftOpen || (await master.alive());
    const status = this.#statusBy(facts);
    if (status !== undefined) {
      this.#started();
      return { status, signal: null, outputLeftOpen, outputCut: !alive };
    }
    if (facts.refused !== undefined) throw this.#refused('session', `the server gave no session: ${facts.refused}`);
    if (!alive) throw await this.#lost(facts);
    if (this.#channel === undefined) {
      throw this.#refused('local', `ssh could not run the command: ${facts.words ?? 'it left no log'}`);
    }
    if (!this.#accepted && master.answer(this.#channel) === 'refused') {
      throw this.#refused('exec', 'the server refused to run the command');
    }
    // A signal ended it, or the server gives no status: ssh does not tell these apart.
    return { status: null, signal: null, outputLeftOpen, outputCut: false };
  }

  /**
   * 255 counts only where the log says that it came from the host. Once the client has exited the number of its channel
   * may be another's: what the master said of it counts no more.
   */
  #statusBy(facts: ClientFacts): number | undefined {
    if (facts.status !== undefined) return facts.status;
    const { exitCode, signalCode } = this.#child!;
    if (exitCode === null && signalCode === null) return this.#status;
    return exitCode === null || exitCode === 255 ? undefined : exitCode;
  }

  #refused(reason: 'session' | 'exec' | 'local', message: string): OpensshError {
    this.#began = 'no';
    return new OpensshError(reason, message);
  }

  /** The master does not answer: it is dying and has last words to say, or it hangs and is ended. */
  async #lost(facts: ClientFacts): Promise<OpensshError> {
    const { master, clock } = this.#owner;
    if (facts.noMaster && facts.channel === undefined) this.#began = 'no';
    const timer = clock.setTimer(DYING_MS, () =>
      master.end(new OpensshError('lost', 'the ssh master does not answer')),
    );
    await master.gone;
    timer.cancel();
    return master.failure();
  }

  #letGo(): void {
    this.#mode = 'over';
    this.#timer?.cancel();
    if (this.#child !== undefined) signalGroup(this.#child, 'SIGKILL');
    this.#streams.close();
    this.#log.remove();
    this.#owner.over(this);
  }

  async #terminate(graceMs: number): Promise<RemoteFate> {
    const reason = stopped(new Error('the command was stopped'));
    if (this.#began === 'no' || this.#mode === 'over') {
      this.fail(reason);
      return 'none';
    }
    const answer = this.#options.ending === 'signal' ? undefined : await this.#owner.kill(graceMs);
    // Ended of itself meanwhile: nothing of it was left for the script to find.
    const over = this.#child?.exitCode !== null;
    this.fail(reason);
    if (answer === 'killed' || (answer === 'none' && over)) return 'killed';
    return answer === 'left' ? 'left-running' : 'unknown';
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new OpensshError('stopped', String(error));
}
