/** The writer thread: the one that writes a run's file, and holds its lock. Thin; the work is the Recorder's. */
import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { MyriadError } from '../../contracts/errors.ts';
import { journalError } from './errors.ts';
import { RunLock } from './lock.ts';
import { migrate } from './migrations.ts';
import { createDatabase, openForResuming, prepareForWriting } from './open.ts';
import type { Answer, NewRun, Request, WriterData } from './protocol.ts';
import { Recorder } from './recorder.ts';
import { insertRun, insertWriter } from './statements.ts';

const { files, owner, run, outputs, keep, maxPages } = workerData as WriterData;

function answer(reply: Answer): void {
  parentPort!.postMessage(reply);
}

function failure(error: unknown): Answer {
  const { code, message } = journalError(error, files.db);
  return { error: { code, message } };
}

/** What is left of a run that could not even be opened must not look like a run. */
function discard(): void {
  for (const path of [files.db, `${files.db}-wal`, `${files.db}-shm`, `${files.db}-journal`]) {
    rmSync(path, { force: true });
  }
}

function open(): DatabaseSync {
  const db = run === undefined ? openExisting() : create(run);
  insertWriter(db, owner.since, JSON.stringify(owner.who));
  return db;
}

function openExisting(): DatabaseSync {
  const { db, run: found } = openForResuming(files.db);
  if (found.phase !== 'open') return db;
  db.close();
  const why = 'its plan was not complete when it ended, so nothing began';
  throw new MyriadError('journal', `run ${found.id} cannot be resumed: ${why}; start it again (${files.db})`);
}

function create(row: NewRun): DatabaseSync {
  const db = createDatabase(files.db);
  try {
    if (maxPages > 0) db.exec(`PRAGMA max_page_count = ${maxPages}`);
    prepareForWriting(db);
    migrate(db, 0);
    insertRun(db, row);
    return db;
  } catch (error) {
    db.close();
    discard();
    throw error;
  }
}

function serve(db: DatabaseSync, lock: RunLock): void {
  const recorder = new Recorder(db, { folder: files.outputs, kept: outputs }, { resumed: run === undefined, keep });
  parentPort!.on('message', (request: Request) => {
    let reply: Answer = {};
    try {
      perform(request, recorder, db, lock);
    } catch (error) {
      reply = failure(error);
    }
    answer(reply);
  });
}

function perform(request: Request, recorder: Recorder, db: DatabaseSync, lock: RunLock): void {
  switch (request.kind) {
    case 'batch':
      recorder.apply(Buffer.from(request.batch.buffer, request.batch.byteOffset, request.batch.length), request);
      break;
    case 'plan':
      recorder.planBlock(request.first, request.hosts);
      break;
    case 'running':
      recorder.running(request.hosts);
      break;
    case 'reopen':
      recorder.reopened();
      break;
    case 'flush':
      recorder.flush();
      break;
    case 'round-end':
      recorder.roundEnd(request.round);
      break;
    case 'end':
      recorder.end(request.at, request.summary);
      break;
    case 'close':
      close(recorder, db, lock);
  }
}

/** A file that is over is one file, which can be read from read-only media too; not while it has readers. */
function close(recorder: Recorder, db: DatabaseSync, lock: RunLock): void {
  try {
    recorder.flush();
  } finally {
    try {
      db.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE;');
    } catch {
      // It stays as it is: complete, with its log beside it.
    }
    db.close();
    lock.remove();
  }
}

function start(): void {
  const lock = RunLock.take(files.lock, owner);
  try {
    serve(open(), lock);
  } catch (error) {
    lock.remove();
    throw error;
  }
}

try {
  start();
  answer({});
} catch (error) {
  answer(failure(error));
}
