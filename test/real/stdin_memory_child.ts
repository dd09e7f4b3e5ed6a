/**
 * A process of its own, started with --expose-gc: gives a file to all hosts, and prints how much more it held at most while it did
 * so. What is garbage already is not counted: when that goes is V8's choice.
 */
import { fleet } from '../../src/index.ts';

const { options, file } = JSON.parse(process.argv[2]!);

function held(): number {
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

await using hosts = fleet(options);
const warm = await hosts.run('sha256sum', { stdin: Buffer.from('warm\n') }).summary();
const base = held();
let most = 0;
let samples = 0;
let bytes = 0;
const run = hosts.run('sha256sum', { stdin: { file } });
const timer = setInterval(() => {
  samples++;
  most = Math.max(most, held());
}, 50);
const sums = new Set<string>();
for await (const task of run) {
  sums.add(task.stdout.text());
  bytes += task.stdout.total;
}
clearInterval(timer);
console.log(
  JSON.stringify({ ok: warm.outcomes.ok, bytes, sums: [...sums], samples, grownMiB: (most - base) / 2 ** 20 }),
);
