/** What `myriad run` writes: results and events to stdout, failures, progress and summary to stderr. */
import { foldHosts, type Run, type Summary, type TaskResult } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { Folder } from '../output/fold.ts';
import { formatDuration } from '../output/format.ts';
import { ndjsonListener } from '../output/ndjson.ts';
import { Progress, progressMode } from '../output/progress.ts';
import { renderSummary } from '../output/summary.ts';
import { TextRenderer } from '../output/text.ts';
import { Writer } from '../output/writer.ts';
import type { RunFlags } from './run_options.ts';

export interface Output {
  /** Listens to a run, and shows its progress. */
  attach(run: Run, isPaused: () => boolean): void;
  /** Takes a batch; resolves when there is room for more. */
  results(batch: readonly TaskResult[]): Promise<void>;
  detach(): void;
  summary(summary: Summary, run: Run, hostKeysVerified: boolean): void;
  /** What may be typed next. */
  next(line: string): void;
  /** What was passed over on the way to hosts; each once. */
  warnings(texts: Iterable<string>, told: Set<string>): void;
  /** Takes the progress away until what it returns is called. */
  makeRoom(): () => void;
  /** A line for the person at the terminal. */
  say(text: string): void;
  /** Resolves when everything has left. */
  end(): Promise<void>;
}

const CLOCK = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export function openOutput(flags: RunFlags): Output {
  return new RunOutput(flags);
}

class RunOutput implements Output {
  readonly #flags: RunFlags;
  readonly #stdout: Writer;
  readonly #stderr: Writer;
  #progress: Progress | undefined;
  #folder: Folder | undefined;
  #text: TextRenderer | undefined;

  constructor(flags: RunFlags) {
    this.#flags = flags;
    this.#stderr = new Writer(process.stderr);
    this.#stdout = new Writer(process.stdout, {
      onClosed: (error) => this.say(`myriad: stdout is closed (${error.message}); the run goes on\n`),
    });
  }

  attach(run: Run, isPaused: () => boolean): void {
    const flags = this.#flags;
    run.throttle(this.#stdout);
    this.#progress = new Progress({
      mode: progressMode(flags.progress, { isTTY: process.stderr.isTTY === true, ci: Boolean(process.env.CI) }),
      sink: this.#stderr,
      clock: CLOCK,
      status: () => ({ ...run.status(), paused: isPaused() }),
      columns,
    });
    const sinks = { stdout: this.#progress.wrap(this.#stdout), stderr: this.#progress.wrap(this.#stderr) };
    const names = { label: (index: number) => run.label(index), fold: foldHosts };
    if (flags.output === 'ndjson') run.on(ndjsonListener(sinks.stdout, names));
    else {
      const folds = flags.gatherSame || flags.gatherBoth;
      if (folds) {
        const streams = flags.gatherBoth ? 'both' : 'stdout';
        this.#folder = new Folder(sinks, names, { streams, raw: flags.raw ?? false });
      }
      this.#text = new TextRenderer(sinks, {
        prefix: flags.label,
        order: flags.order,
        quiet: flags.quiet ?? false,
        raw: flags.raw ?? false,
        color: colors(flags.color),
        streams: flags.gatherBoth ? [] : flags.gatherSame ? ['stderr'] : ['stdout', 'stderr'],
      });
      run.on(this.#text.listener);
    }
    if (flags.verbose) {
      run.on((event) => {
        if (event.type === 'task:end') sinks.stderr.write(verboseLine(event.result));
      });
    }
    this.#progress.start();
  }

  async results(batch: readonly TaskResult[]): Promise<void> {
    if (this.#folder) for (const result of batch) this.#folder.add(result);
    if (this.#stdout.full) await this.#stdout.drained();
  }

  detach(): void {
    this.#progress?.stop();
    this.#text?.finish();
    this.#folder?.print();
    this.#stdout.flush();
  }

  summary(summary: Summary, run: Run, hostKeysVerified: boolean): void {
    if (this.#flags.quiet) return;
    const width = process.stderr.isTTY ? { columns: columns() } : {};
    const label = (index: number) => run.label(index);
    const verified = hostKeysVerified || this.#flags.local === true;
    this.#stderr.write(renderSummary(summary, { label, fold: foldHosts, hostKeysVerified: verified, ...width }));
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
    return this.#progress?.hold() ?? (() => {});
  }

  say(text: string): void {
    this.#progress?.clear();
    this.#stderr.write(text);
    this.#stderr.flush();
  }

  async end(): Promise<void> {
    await this.#stdout.end();
    await this.#stderr.end();
  }
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
  const where = reached
    ? ` ${reached.address}:${reached.port} ${reached.software} ${reached.fingerprint}`.trimEnd()
    : '';
  const tries = attempt > 1 ? ` after ${attempt} attempts` : '';
  return `${result.host.label}: ${outcome.kind} in ${formatDuration(durationMs)}${tries}${where}\n`;
}
