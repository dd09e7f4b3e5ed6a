/**
 * The whole test: programs that the tests need, checks and build, then every test, the real servers included.
 * Usage: npm test -- [--all-nodes] [VITEST ARGUMENT…]
 *
 * With CI set, a program that is missing is a failure instead of a skipped test, and a part of the tests runs on the
 * oldest Node that is promised, too; `--all-nodes` asks for that anywhere.
 */
import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import { runStep, runSteps, type Step } from './steps.ts';

/** What differs between versions of Node is crypto, streams and timers: these folders use them hardest. */
const OLDEST_NODE_TESTS = ['test/ssh', 'test/engine', 'test/hostset', 'test/output'];
const OLDEST_NODE = 24;

/** The tests again on the oldest Node, where scripts/run could fetch it for this platform. */
function oldestNodeSteps(): Step[] {
  if (process.versions.node.startsWith(`${OLDEST_NODE}.`)) return [];
  const bin = `${process.cwd()}/toolchain${OLDEST_NODE}/node_modules/.bin`;
  if (!existsSync(`${bin}/node`)) {
    console.log(`note  no Node ${OLDEST_NODE} for ${process.platform}-${process.arch}: tested on this Node only`);
    return [];
  }
  return [
    {
      name: `tests on Node ${OLDEST_NODE}`,
      program: `${bin}/node`,
      args: ['node_modules/vitest/vitest.mjs', 'run', ...OLDEST_NODE_TESTS],
      output: 'loud',
      env: { PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
    },
  ];
}

/** Installs the test programs; without them only CI stops here, elsewhere the tests that need them say so. */
function installPrograms(required: boolean): boolean {
  const installed = runStep({
    name: 'programs for tests',
    program: 'sh',
    args: ['scripts/install-test-deps', 'test'],
    output: 'loud',
  });
  return installed || !required;
}

function main(args: readonly string[]): boolean {
  const inCi = Boolean(process.env.CI);
  const vitestArgs = args.filter((arg) => arg !== '--all-nodes');
  const allNodes = inCi || args.includes('--all-nodes');
  if (!installPrograms(inCi)) return false;
  return runSteps([
    // Builds dist/, too, which examples and some tests run.
    { name: 'checks', program: 'node', args: ['scripts/check.ts'], output: 'loud' },
    {
      name: `tests on Node ${process.versions.node}`,
      program: 'vitest',
      args: ['run', ...vitestArgs],
      output: 'loud',
      ...(inCi && { env: { MYRIAD_REQUIRE_SERVERS: '1' } }),
    },
    ...(allNodes ? oldestNodeSteps() : []),
  ]);
}

process.exit(main(process.argv.slice(2)) ? 0 : 1);
