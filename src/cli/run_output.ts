/** What `myriad run` writes: results and events to stdout and to files, failures, progress and summary to stderr. */
import { fstatSync } from 'node:fs';
import {
  type Fleet,
  foldHosts,
  MyriadError,
  type Run,
  type RunListener,
  type Summary,
  type TaskResult,
} from '../index.ts';
import { csvHead, csvLine } from '../output/csv.ts';
import { escapeControls, escapeText } from '../output/escape.ts';
import { Folder } from '../output/fold.ts';
import { formatDuration } from '../output/format.ts';
import { groupFold } from '../output/group_fold.ts';
import { HostFiles, openFolder } from '../output/host_files.ts';
import type { Fold } from '../output/hosts.ts';
import { jsonListener, ndjsonListener } from '../output/ndjson.ts';
import { changesAlone, changesListener, roundsListener } from '../output/polling.ts';
import { Progress, progressMode } from '../output/progress.ts';
import { renderSummary } from '../output/summary.ts';
import { TextRenderer } from '../output/text.ts';
import { type Sink, Writer } from '../output/writer.ts';
import { foldOptions, isFolding, unfolded } from './fold_options.ts';
import type { RunFlags } from './run_options.ts';
import { StatusKey } from './status_key.ts';

export interface Output {
  /** Listens to a run, and shows its progress. `stdinTaken`: no key can be read. */
  attach(run: Run, isPaused: () => boolean, stdinTaken: boolean): void;
  /** Takes a batch; resolves when there is room for more. */
  results(batch: readonly TaskResult[]): Promise<void>;
  /** Resolves when all results are shown, and are in files where they are asked for. */
  detach(): Promise<void>;
  summary(summary: Summary, run: Run, hostKeysVerified: boolean): void;
  /** What may be typed next. */
  next(line: string): void;
  /** What was passed over on the way to hosts; each once. */
  warnings(texts: Iterable<string>, told: Set<string>): void;
  /** Takes the progress away until what it returns is called. */
  makeRoom(): () => void;
  /** Others have read from the terminal: Enter is for the status again. */
  listen(): void;
  /** A line for the person at the terminal. */
  say(text: string): void;
  /** Some of what was asked for could not be written to files. */
  readonly incomplete: boolean;
  /** Resolves when everything has left. */
  end(): Promise<void>;
}

/** What must be known to be right before anything connects. */
export interface Ready {
  readonly fold: Fold;
  readonly files: HostFiles | undefined;
}

const CLOCK = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Makes folders, and reads groups. Throws `file` and `usage`. */
export async function readyOutput(flags: RunFlags, hosts: Fleet, run: Run): Promise<Ready> {
  const fold = flags.regroup ? groupFold(hosts.groups(), hosts.count, foldHosts) : foldHosts;
  const { outdir, errdir } = flags;
  for (const [option, folder] of Object.entries({ '--outdir': outdir, '--errdir': errdir })) {
    if (folder === undefined) continue;
    await openFolder(folder).catch((cause: Error) => {
      throw new MyriadError('file', `${option}: "${folder}" cannot be written to: ${cause.message}`, { cause });
    });
  }
  if (outdir === undefined && errdir === undefined) return { fold, files: undefined };
  const live = flags.gather === 'stream' || flags.gather === 'file';
  return { fold, files: new HostFiles({ outdir, errdir, live, hosts: run.planned / (flags.repeat ?? 1) }) };
}

export function openOutput(flags: RunFlags, ready: Ready): Output {
  return new RunOutput(flags, ready);
}

class RunOutput implements Output {
  readonly #flags: RunFlags;
  readonly #fold: Fold;
  readonly #files: HostFiles | undefined;
  readonly #stdout: Writer;
  readonly #stderr: Writer;
  #progress: Progress | undefined;
  #key: StatusKey | undefined;
  #folder: Folder | undefined;
  #text: TextRenderer | undefined;

  constructor(flags: RunFlags, { fold, files }: Ready) {
    this.#flags = flags;
    this.#fold = fold;
    this.#files = files;
    this.#stderr = new Writer(process.stderr);
    this.#stdout = new Writer(process.stdout, {
      onClosed: (error) => this.say(`myriad: stdout is closed (${error.message}); the run goes on\n`),
    });
  }

  attach(run: Run, isPaused: () => boolean, stdinTaken: boolean): void {
    const flags = this.#flags;
    run.throttle(this.#sinks());
    const mode = progressMode(flags.progress, { isTTY: process.stderr.isTTY === true, ci: Boolean(process.env.CI) });
    const progress = new Progress({
      mode,
      sink: this.#stderr,
      clock: CLOCK,
      status: (slowest) => ({ ...run.status(slowest), paused: isPaused() }),
      columns,
    });
    this.#progress = progress;
    const sinks = { stdout: progress.wrap(this.#stdout), stderr: progress.wrap(this.#stderr) };
    if (this.#files) run.on(this.#files.listener);
    run.on(this.#form(sinks, run));
    if (flags.verbose) {
      run.on((event) => {
        if (event.type === 'task:end') sinks.stderr.write(verboseLine(event.result));
      });
    }
    this.#sayMetrics(run, sinks.stderr);
    progress.start();
    if (mode === 'redraw' && !stdinTaken && isKeyFree(flags)) {
      this.#key = new StatusKey(() => this.say(progress.describe() + (this.#folder?.describe(columns()) ?? '')));
    }
  }

  /** Its port may have been the system's choice. */
  #sayMetrics(run: Run, stderr: Sink): void {
    if (this.#flags.metrics === undefined || this.#flags.quiet) return;
    run.on(({ type }) => {
      if (type === 'run:start') stderr.write(`metrics: ${run.metricsUrl}\n`);
    });
  }

  /** Both of what a host may have to wait for. */
  #sinks(): Pick<Writer, 'full' | 'drained'> {
    const [stdout, files] = [this.#stdout, this.#files];
    if (files === undefined) return stdout;
    return {
      get full() {
        return stdout.full || files.full;
      },
      drained: async () => {
        await stdout.drained();
        await files.drained();
      },
    };
  }

  /** What is shown of results, as `--output` says. */
  #form(sinks: { readonly stdout: Sink; readonly stderr: Sink }, run: Run): RunListener {
    const { output, gather, changesOnly, every, quiet } = this.#flags;
    const names = { label: (index: number) => run.label(index), fold: this.#fold };
    const { stdout } = sinks;
    const alone = changesOnly ? changesAlone : (listener: RunListener) => listener;
    if (output === 'ndjson') return alone(withoutPieces(ndjsonListener(stdout, names), gather));
    if (output === 'json') return alone(withoutPieces(jsonListener(stdout, names), gather));
    if (output === 'csv') {
      stdout.write(csvHead());
      return (event) => {
        if (event.type !== 'task:end') return;
        const line = csvLine(event.result);
        stdout.write(stdout.terminal && !this.#flags.raw ? escapeControls(Buffer.from(line)) : line);
      };
    }
    if (changesOnly) return changesListener(stdout);
    if (every !== undefined && !quiet) run.on(roundsListener(sinks.stderr));
    return this.#textForm(sinks, names);
  }

  #textForm(
    sinks: { readonly stdout: Sink; readonly stderr: Sink },
    names: { readonly label: (index: number) => string; readonly fold: Fold },
  ): RunListener {
    const flags = this.#flags;
    const shown = { raw: flags.raw ?? false, color: colors(flags.color) };
    if (isFolding(flags))
      this.#folder = new Folder(sinks, names, foldOptions(flags, { ...shown, prefix: flags.label }));
    this.#text = new TextRenderer(sinks, {
      ...shown,
      prefix: flags.label,
      order: flags.lineMode ? 'input' : flags.order,
      quiet: flags.quiet ?? false,
      failures: flags.verbose ?? false,
      streams: flags.gather === 'file' ? [] : unfolded(flags),
    });
    return this.#text.listener;
  }

  async results(batch: readonly TaskResult[]): Promise<void> {
    if (this.#folder) for (const result of batch) this.#folder.add(result);
    const sinks = this.#sinks();
    if (sinks.full) await sinks.drained();
  }

  async detach(): Promise<void> {
    this.#key?.release();
    this.#progress?.stop();
    this.#text?.finish();
    await this.#folder?.print();
    this.#stdout.flush();
    await this.#files?.end();
  }

  summary(summary: Summary, run: Run, hostKeysVerified: boolean): void {
    if (this.incomplete) this.#stderr.write(`myriad: ${escapeText(this.#files?.failure ?? '')}\n`);
    if (this.#flags.quiet) return;
    const width = process.stderr.isTTY ? { columns: columns() } : {};
    const label = (index: number) => run.label(index);
    const verified = hostKeysVerified || this.#flags.local === true;
    this.#stderr.write(renderSummary(summary, { label, fold: this.#fold, hostKeysVerified: verified, ...width }));
  }

  next(line: string): void {
    if (!this.#flags.quiet) this.#stderr.write(line);
  }

  warnings(texts: Iterable<string>, told: Set<string>): void {
    for (const text of texts) {
      if (told.has(text)) continue;
      told.add(text);
      if (!this.#flags.quiet) this.say(`myriad: ${escapeText(text)}\n`);
    }
  }

  makeRoom(): () => void {
    this.#key?.hold();
    const release = this.#progress?.hold();
    return () => {
      release?.();
      this.listen();
    };
  }

  listen(): void {
    this.#key?.listen();
  }

  say(text: string): void {
    this.#progress?.clear();
    this.#stderr.write(text);
    this.#stderr.flush();
  }

  get incomplete(): boolean {
    return (this.#files?.failure ?? '') !== '';
  }

  async end(): Promise<void> {
    await this.#stdout.end();
    await this.#stderr.end();
  }
}

/** With `--gather file` pieces of output are for files alone. */
function withoutPieces(listener: RunListener, gather: RunFlags['gather']): RunListener {
  if (gather !== 'file') return listener;
  return (event) => {
    if (event.type !== 'task:output') listener(event);
  };
}

/** Whether nobody else may want what is typed: a pager behind a pipe, or a program that asks on the terminal for itself. */
function isKeyFree(flags: RunFlags): boolean {
  if (!process.stdin.isTTY || fstatSync(1).isFIFO()) return false;
  const { passwordCommand, transport, job, option = [] } = flags;
  if (passwordCommand !== undefined || transport === 'openssh' || job !== undefined) return false;
  return !option.some((text) => /^\s*proxycommand/i.test(text));
}

/** A terminal that does not know its size says 0. */
function columns(): number {
  return process.stderr.columns || 80;
}

/** NO_COLOR (any value) turns colour off where it is `auto`. */
export function colors(when: RunFlags['color']): boolean {
  if (when !== 'auto') return when === 'always';
  return process.stdout.isTTY === true && !process.env.NO_COLOR;
}

function verboseLine(result: TaskResult): string {
  const { reached, outcome, attempt, durationMs } = result;
  // A program here has no port.
  const where = reached?.port
    ? ` ${reached.address}:${reached.port} ${reached.software} ${reached.fingerprint}`.trimEnd()
    : '';
  const tries = attempt > 1 ? ` after ${attempt} attempts` : '';
  return `${escapeText(result.host.label)}: ${outcome.kind} in ${formatDuration(durationMs)}${tries}${escapeText(where)}\n`;
}
