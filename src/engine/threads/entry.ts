/** The file that a worker thread starts with. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadSource } from './protocol.ts';
import { serveThread } from './thread.ts';
import type { MakeThread, Port } from './thread_parts.ts';

/** What the main thread starts it with. */
export interface EntryData {
  readonly name: string;
  readonly source: ThreadSource;
}

const { name, source } = workerData as EntryData;
const made = (await import(source.module)) as Readonly<Record<string, MakeThread>>;
await serveThread(parentPort as unknown as Port, name, (link) => made[source.export]!(source.data, link));
