/** How threads come into being: real workers here, others in tests. */
import { getCompileCacheDir } from 'node:module';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import type { EntryData } from './entry.ts';
import type { FromThread, ThreadSource, ToThread } from './protocol.ts';

/** A thread as the main thread sees it. */
export interface Spawned {
  post(message: ToThread, transfer?: readonly ArrayBuffer[]): void;
  /** Whether it keeps the process alive. */
  hold(alive: boolean): void;
  /** Ends it now. Resolves when it is gone. */
  terminate(): Promise<void>;
}

export interface SpawnHooks {
  onMessage(message: FromThread): void;
  /** Called once; `reason` in words. Every message that it sent came before. */
  onExit(reason: string): void;
}

export type Spawn = (name: string, hooks: SpawnHooks) => Spawned;

/** Compiled, the file beside this one has another ending. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './entry.ts' : './entry.js', import.meta.url);

/** Threads of this process, made from `source`. */
export function workers(source: ThreadSource, resourceLimits: ResourceLimits = {}): Spawn {
  return (name, hooks) => {
    const workerData: EntryData = { name, source, compiled: getCompileCacheDir() };
    const worker = new Worker(ENTRY, { name, workerData, argv: [], resourceLimits });
    let reason = 'it ended by itself';
    worker.on('message', (message: FromThread) => hooks.onMessage(message));
    worker.on('error', (error: unknown) => {
      reason = error instanceof Error ? error.message || error.name : String(error);
    });
    worker.on('exit', (code) =>
      hooks.onExit(code === 0 || reason !== 'it ended by itself' ? reason : `exit code ${code}`),
    );
    return {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      hold: (alive) => void (alive ? worker.ref() : worker.unref()),
      terminate: async () => void (await worker.terminate()),
    };
  };
}
