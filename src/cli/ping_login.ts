/** `myriad ping --auth` and `--exec`: the true levels. Hosts are logged in to as by a run; what is told of them is told as of a sweep. */
import { type Fleet, fleet, foldHosts, outcomeLabel, outcomeMessage, type Run } from '../index.ts';
import { csvRecord } from '../output/csv.ts';
import { exitCode } from '../output/exit_code.ts';
import { formatCount, formatDuration, formatNumberOf } from '../output/format.ts';
import { Writer } from '../output/writer.ts';
import { IndexSet } from '../util/index_set.ts';
import { askFirst, fleetOptions } from './connection_options.ts';
import { follow, warningLines } from './follow.ts';
import { guard } from './guard.ts';
import type { PingFlags } from './ping_options.ts';
import { loginPolls, pollLogins, recordedPolls } from './ping_poll.ts';
import { TerminalSecrets } from './secrets.ts';
import { readHosts } from './targets.ts';

/** Labels of one line. */
const LINE_HOSTS = 1000;

export async function login(flags: PingFlags): Promise<number> {
  const secrets = new TerminalSecrets({ onInterrupt: () => run.cancel() });
  const reach = {
    ...flags,
    fanout: flags.fanout ?? 'auto',
    ...(flags.timeout !== undefined && { connectTimeout: flags.timeout }),
  };
  await using hosts = fleet(fleetOptions(reach, { ...readHosts(flags), ...recordedPolls(flags) }, secrets));
  await askFirst(hosts, reach, secrets);
  await hosts.prepare();
  await guard(hosts.count, flags.exec === undefined ? 'check' : flags.exec, {
    expect: flags.expect,
    yes: flags.yes ?? false,
    terminal: process.stdin.isTTY === true && process.stderr.isTTY === true,
  });
  const polls = loginPolls(flags);
  const run: Run =
    flags.exec === undefined ? hosts.check(polls) : hosts.run(flags.exec, polls ?? { gather: 'discard' });
  return await (polls ? pollLogins(run, hosts, flags) : tell(run, hosts, flags));
}

async function tell(run: Run, hosts: Fleet, flags: PingFlags): Promise<number> {
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  /** Hosts by how they ended; `up` first. */
  const states = new Map<string, IndexSet>([['up', new IndexSet()]]);
  try {
    if (flags.output === 'csv') stdout.write(csvRecord(['host', 'state', 'ms', 'message']));
    const summary = await follow(run, {
      progress: flags.progress,
      stdout,
      stderr,
      take: (result) => {
        const isUp = result.outcome.kind === 'ok';
        const state = isUp ? 'up' : outcomeLabel(result.outcome);
        const members = states.get(state) ?? new IndexSet();
        states.set(state, members);
        members.add(result.index);
        if (flags.output === 'text' || (flags.alive && !isUp) || (flags.down && isUp)) return;
        const ms = Math.round(result.durationMs * 1000) / 1000;
        const message = isUp ? '' : outcomeMessage(result.outcome);
        const { label } = result.host;
        stdout.write(
          flags.output === 'csv'
            ? csvRecord([label, state, ms, message])
            : `${JSON.stringify({ type: 'ping:host', version: 1, index: result.index, host: label, state, ms, ...(isUp ? {} : { message }) })}\n`,
        );
      },
    });
    stderr.write(warningLines(hosts.warnings));
    if (flags.output === 'text') for (const line of lines(states, run, flags)) stdout.write(line);
    const up = states.get('up')!.size;
    const counts = Object.fromEntries([...states].map(([state, members]) => [state, members.size]));
    if (flags.output === 'ndjson')
      stdout.write(
        `${JSON.stringify({ type: 'ping:end', version: 1, planned: summary.planned, states: counts, durationMs: summary.durationMs })}\n`,
      );
    else if (!flags.quiet)
      stderr.write(
        `${formatNumberOf(summary.planned, 'host')}: ${formatCount(up)} up, ${formatCount(summary.planned - up)} not; ${formatDuration(summary.durationMs)}\n`,
      );
    const code = exitCode(summary);
    // What every host would have ended in is not known.
    if (code === 130 || code === 1) return code;
    if (summary.outcomes['not-run'] > 0 || summary.outcomes.error > 0) return 2;
    return up < summary.planned && !flags.alive && !flags.down ? 1 : 0;
  } finally {
    await stdout.end();
    await stderr.end();
  }
}

/** Each state with its hosts, folded. */
function* lines(states: ReadonlyMap<string, IndexSet>, run: Run, flags: PingFlags): Generator<string> {
  for (const [state, members] of states) {
    const isUp = state === 'up';
    if ((flags.alive && !isUp) || (flags.down && isUp)) continue;
    let labels: string[] = [];
    const line = () => {
      const set = foldHosts(labels);
      const count = labels.length > 1 ? `  ${formatCount(labels.length)}` : '';
      labels = [];
      return flags.alive || flags.down ? `${set}\n` : `${state.padEnd(17)} ${set}${count}\n`;
    };
    for (const index of members) if (labels.push(run.label(index)) === LINE_HOSTS) yield line();
    if (labels.length > 0) yield line();
  }
}
