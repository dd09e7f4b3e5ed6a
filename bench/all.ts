/**
 * `npm run bench`: the benchmarks one after the other, or those that are named, each in a process of its own.
 *
 * usage: node bench/all.ts [NAME…] [-- OPTION…]    options go to each of them: `npm run bench -- --quick`
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

interface Bench {
  readonly name: string;
  readonly file: string;
  /** Only where it is named: it measures little that changes, and takes its time. */
  readonly byName?: true;
}

/** The short ones first. */
const BENCHES: readonly Bench[] = [
  { name: 'ssh', file: 'main.ts' },
  { name: 'warm', file: 'warm.ts' },
  { name: 'idle', file: 'idle.ts' },
  { name: 'history', file: 'history.ts' },
  { name: 'fanout', file: 'fanout.ts' },
  { name: 'faults', file: 'faults.ts' },
  { name: 'growth', file: 'growth.ts' },
  { name: 'local-ping', file: 'local_ping.ts', byName: true },
  { name: 'ping', file: 'ping.ts', byName: true },
];

/** What was asked for; throws for a name that there is not. */
function chosen(names: readonly string[]): readonly Bench[] {
  const unknown = names.find((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown !== undefined) {
    throw new Error(`no benchmark "${unknown}": take ${BENCHES.map(({ name }) => name).join(', ')}`);
  }
  return BENCHES.filter(({ name, byName }) => (names.length === 0 ? !byName : names.includes(name)));
}

/** Runs them all, whatever becomes of one; resolves with the names of those that failed. */
async function runAll(benches: readonly Bench[], options: readonly string[]): Promise<string[]> {
  const failed: string[] = [];
  let stopped = false;
  const children = new Set<ReturnType<typeof spawn>>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      stopped = true;
      // ^C reaches them by itself, a signal to this process alone does not.
      for (const child of children) child.kill(signal);
    });
  }
  for (const { name, file } of benches) {
    process.stderr.write(`\n${name}: node bench/${[file, ...options].join(' ')}\n`);
    const child = spawn(process.execPath, [join(import.meta.dirname, file), ...options], { stdio: 'inherit' });
    children.add(child);
    const [status] = await once(child, 'exit');
    children.delete(child);
    if (status !== 0) failed.push(name);
    if (stopped) break;
  }
  return failed;
}

const words = process.argv.slice(2);
const at = words.findIndex((word) => word.startsWith('-'));
const names = at < 0 ? words : words.slice(0, at);
const options = (at < 0 ? [] : words.slice(at)).filter((word) => word !== '--');
try {
  const failed = await runAll(chosen(names), options);
  if (failed.length > 0) process.stderr.write(`\nnot whole: ${failed.join(', ')}; what is missing is said above\n`);
  process.exitCode = failed.length > 0 ? 1 : 0;
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}
