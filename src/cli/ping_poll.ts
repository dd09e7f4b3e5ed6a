/** `myriad ping --every`: round after round. Each level is a run in rounds: hosts that are not ok are down, whatever kept them. */
import {
  type Fleet,
  foldHosts,
  MyriadError,
  outcomeLabel,
  type PollOptions,
  pollPing,
  type Run,
  type RunListener,
} from '../index.ts';
import { formatCount } from '../output/format.ts';
import { ndjsonListener } from '../output/ndjson.ts';
import { changesAlone, changesListener, pollingLines, roundsListener } from '../output/polling.ts';
import { type Sink, Writer } from '../output/writer.ts';
import { IndexSet } from '../util/index_set.ts';
import { typed } from './argv.ts';
import { defined } from './connection_options.ts';
import { follow, warningLines } from './follow.ts';
import { checkExpected } from './guard.ts';
import { forgetOld } from './journal_options.ts';
import { buildPing, type Level, type PingFlags, pingOptions } from './ping_options.ts';
import { pollOptions, refuseUnrepeated } from './poll_options.ts';

/** Labels of one line. */
const LINE_HOSTS = 1000;

/** Throws `usage` for what contradicts rounds, or needs them. */
export function refusePingPolls(flags: PingFlags, level: Level): void {
  refuseUnrepeated(flags);
  const { every, jitter, output, changesOnly, count } = flags;
  if (every === undefined) return;
  if (jitter !== undefined && level !== 'auth' && level !== 'exec')
    refuse(`--jitter: goes with --auth and --exec; probes of --${level} are spread by --rate`);
  if ((count ?? 1) > 1) refuse('--count (-c): a round (--every) asks each address once; leave out one of them');
  if (output === 'csv') refuse('--output csv: it has no rounds (--every) and no changes; use text or ndjson');
  const only = flags.alive ? '--alive' : flags.down ? '--down' : undefined;
  if (changesOnly && only) refuse(`${only}: --changes-only shows hosts that change; leave out one of them`);
}

/** What the runs of `--auth` and `--exec` are repeated by; undefined: they are not. */
export function loginPolls(flags: PingFlags): PollOptions | undefined {
  return flags.every === undefined ? undefined : { ...pollOptions(flags), upWhen: 'ok' };
}

/** Rounds are recorded unless that is refused. */
export function recordedPolls(flags: PingFlags): { readonly journal?: boolean | string } {
  return flags.every === undefined ? {} : { journal: flags.journal ?? true };
}

/** A sweep, again and again. */
export async function pollSweep(
  flags: PingFlags,
  level: 'icmp' | 'tcp' | 'banner',
  argv: readonly string[],
): Promise<number> {
  const { rounds, failAfter, onChange, metrics, keepRounds } = pollOptions(flags);
  const { run, count, warnings } = await pollPing(
    defined({
      ...pingOptions(flags, level, typed(buildPing(), 'ping', argv).recorded),
      ...{ everyMs: flags.every!, rounds, failAfter, onChange, metrics, keepRounds },
      runMs: flags.deadline,
      journal: flags.journal ?? true,
    }),
  );
  checkExpected(count, flags.expect);
  return await tellRounds(run, flags, () => warnings);
}

/** Logins, or a command, again and again. */
export function pollLogins(run: Run, hosts: Fleet, flags: PingFlags): Promise<number> {
  return tellRounds(run, flags, () => hosts.warnings);
}

async function tellRounds(run: Run, flags: PingFlags, warnings: () => Iterable<string>): Promise<number> {
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  const told = new Set<string>();
  const warn = (sink: Sink): void => {
    for (const text of warnings()) {
      if (told.has(text) || flags.quiet) continue;
      told.add(text);
      sink.write(warningLines([text]));
    }
  };
  try {
    const summary = await follow(run, {
      progress: flags.progress,
      stdout,
      stderr,
      take: () => {},
      attach: (sinks) => {
        run.on(shown(run, flags, sinks));
        run.on(({ type }) => {
          if (type === 'run:start' && flags.metrics !== undefined && !flags.quiet)
            sinks.stderr.write(`metrics: ${run.metricsUrl}\n`);
          if (type === 'run:start' || type === 'round:end') warn(sinks.stderr);
        });
      },
    });
    await run.settled();
    warn(stderr);
    const { polling, stopped } = summary;
    if (!flags.quiet && flags.output === 'text') for (const line of pollingLines(polling!)) stderr.write(`${line}\n`);
    if (stopped === 'journal') stderr.write(warningLines([summary.stopReason]));
    return exitCodeOf(stopped, polling!.hosts);
  } finally {
    await stdout.end();
    await stderr.end();
    forgetOld(run, flags);
  }
}

/** How they stand at the end: 0 all are up, 1 some are down, 2 some could not be probed. */
function exitCodeOf(stopped: string, { down, unknown }: { readonly down: number; readonly unknown: number }): number {
  if (stopped === 'cancelled') return 130;
  if (stopped === 'journal') return 1;
  return unknown > 0 ? 2 : down > 0 ? 1 : 0;
}

function shown(run: Run, flags: PingFlags, sinks: { readonly stdout: Sink; readonly stderr: Sink }): RunListener {
  const { stdout, stderr } = sinks;
  if (flags.output === 'ndjson') {
    const events = ndjsonListener(stdout, { label: (index) => run.label(index), fold: foldHosts });
    return flags.changesOnly ? changesAlone(events) : events;
  }
  if (flags.changesOnly) return changesListener(stdout);
  const states = new RoundStates(run, flags, stdout);
  const line = roundsListener(stderr);
  return (event) => {
    states.take(event);
    if (!flags.quiet) line(event);
  };
}

/** Hosts of a round by how they ended; shown at its end, folded. */
class RoundStates {
  readonly #run: Run;
  readonly #flags: PingFlags;
  readonly #sink: Sink;
  readonly #states = new Map<string, IndexSet>();

  constructor(run: Run, flags: PingFlags, sink: Sink) {
    this.#run = run;
    this.#flags = flags;
    this.#sink = sink;
  }

  readonly take: RunListener = (event) => {
    if (event.type === 'round:end') this.#show();
    if (event.type !== 'task:end') return;
    const { outcome, index } = event.result;
    const state = outcome.kind === 'ok' ? 'up' : outcomeLabel(outcome);
    const members = this.#states.get(state) ?? new IndexSet();
    this.#states.set(state, members);
    members.add(index);
  };

  #show(): void {
    const { alive, down } = this.#flags;
    const sorted = [...this.#states].toSorted(([a], [b]) => Number(b === 'up') - Number(a === 'up'));
    this.#states.clear();
    for (const [state, members] of sorted) {
      if ((alive && state !== 'up') || (down && state === 'up')) continue;
      let labels: string[] = [];
      const write = (): void => {
        const count = labels.length > 1 ? `  ${formatCount(labels.length)}` : '';
        const set = foldHosts(labels);
        labels = [];
        this.#sink.write(alive || down ? `${set}\n` : `${state.padEnd(17)} ${set}${count}\n`);
      };
      for (const index of members) if (labels.push(this.#run.label(index)) === LINE_HOSTS) write();
      if (labels.length > 0) write();
    }
  }
}

function refuse(message: string): never {
  throw new MyriadError('usage', message);
}
