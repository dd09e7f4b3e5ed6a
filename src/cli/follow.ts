/** A run under way, for verbs that report at its end: progress on stderr, ^C in hand, results as they come. */
import type { Run, Summary, TaskResult } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { Progress, pausedText, progressMode } from '../output/progress.ts';
import type { Sink, Writer } from '../output/writer.ts';
import { Interrupts } from './interrupt.ts';
import { optimizeEarly } from './optimize_early.ts';

const CLOCK = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export interface FollowOptions {
  readonly progress: 'auto' | 'always' | 'never';
  readonly stdout: Writer;
  readonly stderr: Writer;
  /** Takes each result. */
  take(result: TaskResult): void;
  /** Called before it starts, with sinks that make room for the progress. */
  attach?(sinks: { readonly stdout: Sink; readonly stderr: Sink }): void;
}

/** Follows a run to its end; ^C and SIGTERM stop it. */
export async function follow(run: Run, options: FollowOptions): Promise<Summary> {
  const { stdout, stderr } = options;
  const progress = new Progress({
    mode: progressMode(options.progress, { isTTY: process.stderr.isTTY === true, ci: Boolean(process.env.CI) }),
    sink: stderr,
    clock: CLOCK,
    status: (slowest) => ({ ...run.status(slowest), paused: interrupts.paused }),
    columns,
  });
  const stop = () => {
    run.unpause();
    run.cancel();
  };
  const interrupts = new Interrupts(
    {
      pause: () => run.pause(),
      unpause: () => run.unpause(),
      stop,
      status: () => pausedText(run.status(), process.stderr.columns || 80),
    },
    (text) => {
      progress.clear();
      stderr.write(text);
      stderr.flush();
    },
  );
  try {
    options.attach?.({ stdout: progress.wrap(stdout), stderr: progress.wrap(stderr) });
    optimizeEarly(run);
    progress.start();
    for await (const batch of run.batches()) {
      for (const result of batch) options.take(result);
      if (stdout.full) await stdout.drained();
    }
    return await run.summary();
  } finally {
    interrupts.release();
    progress.stop();
  }
}

/** What was passed over on the way to hosts: keys, agents and lines of ssh_config. */
export function warningLines(texts: Iterable<string>): string {
  return [...texts].map((text) => `myriad: ${escapeText(text)}\n`).join('');
}

/** A terminal that does not know its size says 0. */
export function columns(): number {
  return process.stderr.columns || 80;
}
