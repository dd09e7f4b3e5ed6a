/** As a user who may not: prints what each access to the journal at argv[2] says. */
import { chmodSync } from 'node:fs';
import { made, WHO } from './runs.ts';

const { journal, record, plan } = made(process.argv[2]!);
// What is loaded on first use is loaded as who we were.
await journal.resume('last', WHO).then((writer) => writer.close());
// Root may all: it becomes another user.
if (process.getuid?.() === 0) process.seteuid?.(65_534);
else chmodSync(process.argv[2]!, 0o000);

async function messageOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

console.log(
  JSON.stringify({
    create: await messageOf(() => journal.create({ ...record, id: 'other' }, plan)),
    read: await messageOf(() => journal.read('last')),
    resume: await messageOf(() => journal.resume('last', WHO)),
    list: await messageOf(() => [...journal.list()]),
  }),
);
