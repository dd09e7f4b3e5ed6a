/**
 * A process of its own: gives a file to all hosts, and prints by how much its peak memory (VmHWM) is above what it had before: all
 * that the operating system saw, garbage included.
 */
import { readFileSync } from 'node:fs';
import { fleet } from '../../src/index.ts';

const { options, file } = JSON.parse(process.argv[2]!);

await using hosts = fleet(options);
const warm = await hosts.run('sha256sum', { stdin: Buffer.from('warm\n') }).summary();
const base = process.memoryUsage.rss();
let bytes = 0;
const sums = new Set<string>();
for await (const task of hosts.run('sha256sum', { stdin: { file } })) {
  sums.add(task.stdout.text());
  bytes += task.stdout.total;
}
const peak = 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
console.log(JSON.stringify({ ok: warm.outcomes.ok, bytes, sums: [...sums], grownMiB: (peak - base) / 2 ** 20 }));
