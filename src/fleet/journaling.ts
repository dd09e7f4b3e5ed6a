/** The journal of a fleet: where its runs are recorded, what of them stands there, and hosts of runs that are recorded. */
import { MyriadError } from '../contracts/errors.ts';
import type { Limits } from '../contracts/limits.ts';
import type { Host } from '../contracts/task.ts';
import type { Before } from '../engine/engine.ts';
import type { Redactor } from '../engine/redact.ts';
import { type HostSet, parseHostFile, parseHostSet } from '../hostset/hostset.ts';
import { splitLabel } from '../hostset/label.ts';
import type { JobSpec } from '../jobs/job.ts';
import { findFolder, journalFolder } from '../journal/folder.ts';
import type { Journal, JournalWriter, PlanRecord } from '../journal/journal.ts';
import { parseRunReference } from '../journal/selection.ts';
import { SqliteJournal } from '../journal/sqlite/store.ts';
import type { SweepJournal } from '../journal/sweeps.ts';
import { whoRuns } from '../journal/who.ts';
import type { FleetOptions, RunOptions } from './options.ts';
import { sweptHosts } from './ping_replay.ts';
import { keptRounds } from './polling/options.ts';
import { SELECTION_OPTIONS } from './selection_options.ts';
import { recordedArgv, storeJob } from './stored_job.ts';

/** A run on its way into the journal. */
export interface Recorded {
  readonly journal: JournalWriter;
  readonly round: number;
  readonly before?: Before | undefined;
}

type Tell = (sentence: string) => void;

/** A journal to write to; its folder is there afterwards. Throws MyriadError `journal`. */
export function openForRecords(journal: boolean | string | undefined, tell: Tell): Journal & SweepJournal {
  const folder = typeof journal === 'string' ? journal : undefined;
  return store(journalFolder({ folder, env: process.env, uid: uid(), tell }));
}

/** A journal to read from: one that was named must be there. Throws MyriadError `journal`. */
export function openRecords(journal: boolean | string | undefined, tell: Tell): Journal & SweepJournal {
  return typeof journal === 'string' ? store(findFolder(journal)) : openForRecords(true, tell);
}

function store(folder: string): Journal & SweepJournal {
  return new SqliteJournal(folder, { who: whoRuns(), now: Date.now });
}

function uid(): number {
  return process.getuid?.() ?? 0;
}

/**
 * The hosts that `RUN:SELECTION` means, each once. Those whose label does not say how they were reached go into `reached`. Throws
 * `journal`, `usage`, and `empty-selection` where it means none.
 */
export function recordedHosts(
  reference: string,
  journal: boolean | string | undefined,
  reached: Map<string, Host>,
): HostSet {
  const { run, selection } = parseRunReference(reference);
  const records = openRecords(journal, () => {});
  const sweep = records.readSweep(run);
  if (sweep) return sweptHosts(sweep, reference, selection);
  const reader = records.read(run);
  try {
    const labels: string[] = [];
    for (const { label, name, user, port, identity } of reader.select(selection)) {
      labels.push(label);
      const parts = splitLabel(label);
      const told = parts?.name === name && parts.user === user && parts.port === port && identity === undefined;
      if (!told) reached.set(label, { label, name, user, port, identity });
    }
    if (labels.length === 0) {
      throw new MyriadError('empty-selection', `from "${reference}": no host of run ${reader.info.id} is meant`);
    }
    return parseHostFile(labels.join('\n'), `run ${reader.info.id}`);
  } finally {
    reader.close();
  }
}

/** The hosts, those of `reached` by the way they were reached before. */
export function asRecorded(hosts: HostSet, reached: ReadonlyMap<string, Host>): HostSet {
  return reached.size === 0 ? hosts : new RecordedHosts(hosts, reached);
}

class RecordedHosts implements HostSet {
  readonly count: number;
  readonly #hosts: HostSet;
  readonly #reached: ReadonlyMap<string, Host>;

  constructor(hosts: HostSet, reached: ReadonlyMap<string, Host>) {
    this.count = hosts.count;
    this.#hosts = hosts;
    this.#reached = reached;
  }

  at(index: number): Host {
    const host = this.#hosts.at(index);
    return this.#reached.get(host.label) ?? host;
  }

  has(nameOrLabel: string): boolean {
    return this.#hosts.has(nameOrLabel);
  }

  *[Symbol.iterator](): Generator<Host> {
    for (const host of this.#hosts) yield this.#reached.get(host.label) ?? host;
  }
}

/** Of a run; an index is 32 bits there. */
const MOST_TASKS = 2 ** 32;

/** A run that is about to begin. */
export interface NewRun {
  readonly id: string;
  readonly title: string;
  readonly job: JobSpec;
  readonly limits: Limits;
  readonly hosts: HostSet;
  readonly repeat: number;
  readonly fleet: FleetOptions;
  readonly options: RunOptions;
  readonly redactor: Redactor;
  readonly tell: Tell;
}

/** Records that a run begins; its plan is stored afterwards. Throws MyriadError `journal`. */
export async function recordRun(run: NewRun): Promise<Recorded> {
  const { id, job, limits, fleet, options, redactor } = run;
  if (run.hosts.count * run.repeat > MOST_TASKS) {
    throw new MyriadError(
      'journal',
      `a journal has places for ${MOST_TASKS} tasks, not for ${run.hosts.count * run.repeat}`,
    );
  }
  const record = {
    id,
    startedAt: Date.now(),
    title: redactor.text(run.title),
    job: storeJob(job, fleet, options, redactor),
    limits,
    argv: recordedArgv(fleet.argv ?? process.argv, redactor),
    who: whoRuns(),
  };
  const outputs = options.journalOutput;
  const keep = keptRounds(options);
  const journal = await openForRecords(fleet.journal, run.tell).create(record, planOf(run), { outputs, keep });
  return { journal, round: 0 };
}

/** A host set that is the whole plan, and means the same wherever it is read, is kept as it was written. */
function planOf({ hosts, repeat, fleet }: NewRun): PlanRecord {
  const texts = typeof fleet.hosts === 'string' ? [fleet.hosts] : (fleet.hosts ?? []);
  if (texts.length !== 1 || OTHERS.some((name) => fleet[name] !== undefined) || !standsAlone(texts[0]!, hosts)) {
    return { kind: 'rows', hosts, repeat };
  }
  return { kind: 'set', text: texts[0]!, hosts: hosts.count, repeat };
}

/** Options by which the hosts are others than those of the text, or are reached in another way. */
const OTHERS: readonly (keyof FleetOptions)[] = ['hostFiles', 'exclude', 'from', 'resume', ...SELECTION_OPTIONS];

/** False for groups and patterns, whose hosts are known elsewhere. */
function standsAlone(text: string, hosts: HostSet): boolean {
  try {
    return parseHostSet(text).count === hosts.count;
  } catch {
    return false;
  }
}
