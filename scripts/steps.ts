/**
 * Steps of a task: programs that run one after the other, each named and timed, the first failure being the end.
 *
 * quiet  output is kept back and shown only when the step fails
 * loud   output passes through as it comes
 */
import { spawnSync } from 'node:child_process';

export interface Step {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** @default 'quiet' */
  readonly output?: 'quiet' | 'loud';
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Output kept back of one quiet step; a step that says more is ended and fails. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** Runs one step and says how long it took; true where it left with 0. */
export function runStep(step: Step): boolean {
  const loud = step.output === 'loud';
  if (loud) console.log(`==    ${step.name}`);
  const started = performance.now();
  const done = spawnSync(step.program, [...step.args], {
    stdio: ['ignore', loud ? 'inherit' : 'pipe', loud ? 'inherit' : 'pipe'],
    env: { ...process.env, ...step.env },
    maxBuffer: MAX_OUTPUT,
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (done.status === 0) {
    console.log(`ok    ${step.name}, ${seconds} s`);
    return true;
  }
  if (!loud && done.stdout) process.stderr.write(done.stdout);
  if (!loud && done.stderr) process.stderr.write(done.stderr);
  const how = done.error?.message ?? (done.signal ? `ended by ${done.signal}` : `exit status ${done.status}`);
  console.error(`FAIL  ${step.name}, ${seconds} s: ${how}`);
  return false;
}

/** Runs steps in order; false at the first that fails. */
export function runSteps(steps: readonly Step[]): boolean {
  return steps.every(runStep);
}
