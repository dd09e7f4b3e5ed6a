/** The file that a worker thread starts with. */
import { enableCompileCache } from 'node:module';
import { dirname } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadSource } from './protocol.ts';
import { serveThread } from './thread.ts';
import type { MakeThread, Port } from './thread_parts.ts';

/** What the main thread starts it with. */
export interface EntryData {
  readonly name: string;
  readonly source: ThreadSource;
  /** Where the main thread keeps compiled code, with the folder of this Node; a thread has to be told. */
  readonly compiled: string | undefined;
}

const { name, source, compiled } = workerData as EntryData;
if (compiled !== undefined) enableCompileCache(dirname(compiled));
const made = (await import(source.module)) as Readonly<Record<string, MakeThread>>;
await serveThread(parentPort as unknown as Port, name, (link) => made[source.export]!(source.data, link));
