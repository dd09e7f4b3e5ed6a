/**
 * When V8 optimizes. Its own counts are those of a page in a browser: 400 calls of a function, 500 more after each new shape
 * that it has seen. A run calls the same few hundred functions once for each host and is over in seconds: much of it would be
 * interpreted. What compiles is process-wide, so this is the command's to decide and not the library's.
 */
import { setFlagsFromString } from 'node:v8';
import type { Run } from '../index.ts';

/** Tasks from which on it repays what is compiled in vain. */
const LEAST_TASKS = 1_000;

/** After a few dozen hosts instead of hundreds: 0.91 to 0.98 × the CPU of a run of 8,192. */
export const EARLY: readonly string[] = [
  '--invocation-count-for-maglev=30',
  '--minimum-invocations-after-ic-update=30',
];
/** V8's own: compiled code is kept under all flags as they are at the exit, and taken only under the same ones. */
const USUAL = ['--invocation-count-for-maglev=400', '--minimum-invocations-after-ic-update=500'];

/** Not before the run starts: what is loaded under other flags than Node was built with is compiled anew, 50 ms of it. */
export function optimizeEarly(run: Run): void {
  if (run.planned < LEAST_TASKS) return;
  run.on(({ type }) => {
    if (type === 'run:start') set(EARLY);
    else if (type === 'run:end') set(USUAL);
  });
}

function set(flags: readonly string[]): void {
  for (const flag of flags) setFlagsFromString(flag);
}
