/**
 * In a mount namespace of its own, on a small tmpfs at argv[2]: fills the disk, frees some, goes on; then with the file
 * system read-only. Prints what was found as JSON.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endedRun, made, output, result, WHO } from './runs.ts';

const folder = process.argv[2]!;
const COUNT = 50_000;
/** Tasks that begin while there is space. */
const BEGUN = 2_000;

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`);
}

async function messageOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Takes what space there is. */
function fill(): void {
  for (const size of [1_000_000, 4_096, 512]) {
    try {
      while (true) appendFileSync(ballast, Buffer.alloc(size));
    } catch {
      // No block of this size is left.
    }
  }
}

mount('-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder);
await endedRun(folder, 'before', 10, 1);
const { journal, record, plan } = made(folder, { count: COUNT });
const writer = await journal.create(record, plan, { outputs: 'all' });
const ballast = join(folder, 'ballast');
const claimed: number[] = [];
let full = '';
for (let index = 0; full === '' && index < COUNT; index += 100) {
  if (index === BEGUN) fill();
  const group = Array.from({ length: 100 }, (_, i) => index + i);
  full = await messageOf(() => Promise.all(group.map((i) => writer.claim(i, 1))));
  if (full === '') claimed.push(...group);
}
// What has begun ends, and its results have no place.
for (const index of claimed) await writer.result(result('run-1', index, { stdout: output(`${index} `.repeat(100)) }));
const flushed = await messageOf(() => writer.flush());
const other = await messageOf(() => journal.create({ ...record, id: 'other' }, plan));
const [early] = [...journal.list()].filter(({ id }) => id === 'run-1');
rmSync(ballast);
const afterwards = await messageOf(() => writer.flush());
const claimedAgain = await messageOf(() => writer.claim(COUNT - 1, 1));
await writer.close();

const reader = journal.read('run-1');
const { done, lost } = reader.resumeState();
const outputs = [...reader.results()].every(({ index, stdout }) => stdout.text() === `${index} `.repeat(100));
reader.close();

mount('-o', 'remount,ro', folder);
const readOnly = {
  create: await messageOf(() => journal.create({ ...record, id: 'later' }, plan)),
  resume: await messageOf(() => journal.resume('run-1', WHO)),
  prune: journal.prune({ maxBytes: 0 }).problems,
  states: [...journal.list()].map((entry) => ('state' in entry ? `${entry.id} ${entry.state}` : entry.problem)),
};
const recorded = { claimed: claimed.length, done: done.size, lost: [...lost], outputs };
const said = { full, flushed, other, afterwards, claimedAgain, early: early?.problem ?? 'read' };
console.log(JSON.stringify({ ...recorded, ...said, readOnly }));
