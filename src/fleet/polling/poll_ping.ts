/** `pollPing()`: a sweep that is repeated, as a run in rounds: the same events, record and metrics, over ICMP, TCP or SSH banners. */
import { MyriadError } from '../../contracts/errors.ts';
import type { RunListener } from '../../contracts/events.ts';
import { DEFAULT_DEADLINES, type Limits } from '../../contracts/limits.ts';
import { startRun } from '../../engine/engine.ts';
import { LagMeter } from '../../engine/lag.ts';
import type { Plan } from '../../engine/plan.ts';
import { Redactor } from '../../engine/redact.ts';
import { Secrets } from '../../engine/secrets.ts';
import { splitLabel } from '../../hostset/label.ts';
import type { JournalWriter } from '../../journal/journal.ts';
import { whoRuns } from '../../journal/who.ts';
import { openForRecords } from '../journaling.ts';
import { type Ping, pings } from '../ping.ts';
import type { PingOptions } from '../ping_options.ts';
import { Run, type StartEngine } from '../run.ts';
import { newRunId } from '../run_id.ts';
import { recordedArgv } from '../stored_job.ts';
import { systemClock } from '../system_clock.ts';
import { keptRounds, type PollOptions, resolvePolling } from './options.ts';
import { RunPolling } from './run_polling.ts';
import { SweepExecutor } from './sweep_executor.ts';

/** Addresses of a polled sweep: each round makes an object of each, and between rounds 6 to 14 bytes are kept of it. */
const MOST_POLLED = 262_144;
/** More say nothing new. */
const MOST_WARNINGS = 100;

export interface PollPingOptions
  extends PingOptions,
    Pick<PollOptions, 'rounds' | 'failAfter' | 'onChange' | 'metrics' | 'keepRounds'> {
  /** From the start of a round to that of the next, in milliseconds. */
  readonly everyMs: number;
  /** No round begins after so long; what was sent has its time. @default null */
  readonly runMs?: number | null;
  readonly listener?: RunListener;
}

const POLLS = ['rounds', 'failAfter', 'onChange', 'metrics', 'keepRounds'] as const;
const OWN = ['everyMs', ...POLLS, 'argv', 'runMs', 'listener'] as const;

/** A repeated sweep that has not begun: its run does not before it is used. */
export interface PolledPing {
  readonly run: Run;
  readonly count: number;
  /** What the user should know, in sentences; more may come while it goes on. */
  readonly warnings: readonly string[];
}

/**
 * Selects and resolves, once; nothing is sent before the run is used. Each address is a task of each round: `ok` where it is up, with
 * its round trip in milliseconds, or what its server says of itself, as stdout. Throws as `ping()` does, and `usage` for more than
 * 262,144 addresses.
 */
export async function pollPing(options: PollPingOptions): Promise<PolledPing> {
  if (options.resume !== undefined) throw new MyriadError('usage', 'resume: a polled sweep is not gone on with');
  const sweep: Record<string, unknown> = { ...options };
  for (const name of OWN) delete sweep[name];
  const open = await pings(sweep as PingOptions, false);
  const first = open();
  const { count } = first;
  if (count > MOST_POLLED) {
    const few = `at most ${MOST_POLLED.toLocaleString('en')} addresses are polled, and these are ${count.toLocaleString('en')}`;
    throw new MyriadError('usage', `everyMs: ${few}: poll a part of them, or sweep all of them once without it`);
  }
  const warnings: string[] = [];
  const warn = (text: string): void => {
    if (warnings.length < MOST_WARNINGS && !warnings.includes(text)) warnings.push(text);
  };
  const { everyMs, level = 'icmp' } = options;
  const roundMs = (count * 1000) / first.rate;
  if (roundMs > everyMs) warn(slowText(first, roundMs));
  // Rates spread a sweep already. What a server says of itself is an answer; how long it took is not.
  const upWhen = level === 'banner' ? 'answered' : 'ok';
  const asked: PollOptions = { ...pollsOf(options), jitterMs: 0, upWhen };
  const resolved = resolvePolling(asked, count)!;
  const id = newRunId();
  const polling = new RunPolling({ polling: resolved, run: id, count, clock: systemClock, warn });
  const plan = planOf(first);
  const title = `ping --${level}`;
  let journal: JournalWriter | undefined;
  const start: StartEngine = async (listener) => {
    const over = await polling.over(new SweepExecutor(open, warn));
    journal = await record(options, { id, title, plan, level, warn });
    const request = { ...REQUEST, run: id, round: 0, plan, limits: limitsOf(options) };
    const more = { title, clock: systemClock, journal, polling: over };
    return startRun(
      over.executor,
      { ...request, job: { kind: 'ping', version: 1, options: { level } } },
      listener,
      more,
    );
  };
  const run = new Run(
    id,
    title,
    plan,
    {
      start,
      check: async () => {},
      line: () => undefined,
      resize: () => {},
      journal: () => journal?.path,
      lag: new LagMeter(warn),
      polling,
    },
    options.signal,
  );
  if (options.listener) run.on(options.listener);
  run.on(({ type }) => void (type === 'run:end' && polling.close()));
  return { run, count, warnings };
}

/** What is given of them. */
function pollsOf(options: PollPingOptions): PollOptions & Pick<PollPingOptions, 'everyMs'> {
  const { everyMs } = options;
  const given = POLLS.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]);
  return { everyMs, ...Object.fromEntries(given) };
}

const REQUEST = { gather: 'collect', maxOutput: 1024, lingerMs: 0, graceMs: 0 } as const;

function slowText({ rate }: Ping, roundMs: number): string {
  const seconds = (roundMs / 1000).toFixed(1);
  return `a round takes ${seconds} s at ${rate.toLocaleString('en')} probes a second, which is longer than its period: rounds will be left out`;
}

/** The sweep's own rules bound what is in progress. */
function limitsOf({ runMs = null }: PollPingOptions): Limits {
  const deadlines = { ...DEFAULT_DEADLINES, runMs };
  const counts = { fanout: 1, handshakes: 1, perAddress: 1, connections: 1, patienceMs: 0, retries: 0 };
  return { ...counts, deadlines };
}

/** By arithmetic, as the sweep has its addresses. */
function planOf(ping: Ping): Plan {
  const { count } = ping;
  const at = (index: number) => {
    const label = ping.label(index);
    const { name = label, user, port } = splitLabel(label) ?? {};
    return { label, name, user, port, index, iteration: 1 };
  };
  return { count, hosts: count, at };
}

interface Recorded {
  readonly id: string;
  readonly title: string;
  readonly plan: Plan;
  readonly level: string;
  readonly warn: (text: string) => void;
}

/** Rounds of it in the journal; undefined: it is not recorded. */
async function record(
  options: PollPingOptions,
  { id, title, plan, level, warn }: Recorded,
): Promise<JournalWriter | undefined> {
  const { journal = false, argv = process.argv } = options;
  if (journal === false) return undefined;
  const job = { kind: 'ping', version: 1, options: { level } };
  const limits = limitsOf(options);
  const words = recordedArgv(argv, new Redactor([], new Secrets()));
  const about = { id, startedAt: Date.now(), title, job, limits, argv: words, who: whoRuns() };
  const keep = keptRounds(pollsOf(options));
  const rows = { kind: 'rows', hosts: hostsOf(plan), repeat: 1 } as const;
  return openForRecords(journal, warn).create(about, rows, { keep });
}

function* hostsOf(plan: Plan): Generator<ReturnType<Plan['at']>> {
  for (let index = 0; index < plan.count; index++) yield plan.at(index);
}
