/**
 * A fleet that is polled over warm connections for half an hour, and restarts in the middle of it.
 *
 * MYRIAD_SOAK_MINUTES  how long (1 ends within a minute); below 6 CPU and the growth of memory are bounded by more
 * MYRIAD_SOAK_HOSTS    how many hosts
 */
import { type ChildProcess, fork } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Check, Finding, Room } from './check.ts';
import type { ClientNews, ClientOrder, FleetNews, FleetOrder } from './poll_ends.ts';
import { growthOf, type MemoryBounds } from './poll_growth.ts';

const HOSTS = Number(process.env.MYRIAD_SOAK_HOSTS ?? 10_000);
const MINUTES = Number(process.env.MYRIAD_SOAK_MINUTES ?? 30);
const EVERY_MS = 10_000;
/** In a short run V8 has not settled: neither what it has compiled nor what it keeps. */
const SHORT = MINUTES < 6;
const MOST_CPU_MS = SHORT ? 0.3 : 0.15;
/**
 * To the last minutes, from those after SETTLED (in a short run after its first third). Garbage goes every ten rounds or so: below 20
 * minutes a window may be shorter than that, and its least has garbage in it.
 */
const GROWTH: MemoryBounds = SHORT
  ? { live: 1.3, least: 1.3, most: 1.5, peak: 1.5 }
  : MINUTES < 20
    ? { live: 1.15, least: 1.15, most: 1.2, peak: 1.3 }
    : { live: 1.05, least: 1.03, most: 1.07, peak: 1.3 };
/**
 * Rounds. What lives is there after minute 3; V8 looks for the size of its heap with each collection of all of it, of which there is one
 * a minute: resident memory is level from minute 9 on.
 */
const SETTLED = { live: 18, resident: 54 };
/** Logins of a whole fleet are spread over four fifths of a period; on top of it the slack, and what a busy machine lets come together. */
const MOST_OPENED = (hosts: number) => Math.ceil(1.5 * (hosts / (0.8 * (EVERY_MS / 1000))) + 32);

const ENDS = join(import.meta.dirname, 'poll_ends.ts');
const COMMAND = join(import.meta.dirname, '../../src/cli/main.ts');

export const POLL: Check = {
  name: 'poll',
  what: `${HOSTS.toLocaleString('en')} simulated hosts polled every 10 s over warm connections for ${MINUTES} minutes with a journal; the fleet is away for a round in the middle`,
  bound: `${MOST_CPU_MS} ms CPU a poll; to the last 5 minutes, from minutes 9–14 the least resident memory at most ${GROWTH.least} ×, the most ${GROWTH.most} ×, the peak of the whole ${GROWTH.peak} ×, and from minutes 3–8 the live heap ${GROWTH.live} ×; no overrun, none stale; at most ${MOST_OPENED(HOSTS).toLocaleString('en')} connections opened in any second of the restart; all back`,
  run: pollForLong,
};

/** What the parent knows of the run as it goes on. */
class Watch {
  readonly rounds: ClientNews[] = [];
  done: ClientNews | undefined;
  /** Connections by then, of the fleet that came back. */
  readonly opened: FleetNews[] = [];
  port = 0;
}

async function pollForLong(room: Room): Promise<Finding> {
  const hosts = HOSTS;
  // One period less: that is what starting takes.
  const rounds = Math.max(5, Math.floor((MINUTES * 60_000) / EVERY_MS) - 1);
  // After it there is time for the round without the fleet, and for two in which all come back.
  const away = Math.max(1, Math.floor(rounds / 2) - 1);
  const children: ChildProcess[] = [];
  const watch = new Watch();
  const knownHosts = join(room.dir, 'known_hosts');
  const begin = async (port: number): Promise<void> => {
    const fleet = start(room, children, '--fleet', { hosts, port, knownHosts } satisfies FleetOrder);
    await new Promise<void>((resolve, reject) => {
      fleet.once('exit', () => reject(new Error('the simulated fleet ended early')));
      fleet.on('message', (news: FleetNews) => {
        if (news.port !== undefined) watch.port = news.port;
        if (port > 0) watch.opened.push(news);
        resolve();
      });
    });
  };
  try {
    await begin(0);
    const order = orderOf(room, { hosts, rounds, knownHosts, port: watch.port });
    const client = start(room, children, '--client', order, commandFlags());
    await new Promise<void>((resolve, reject) => {
      client.once('exit', (status) => (watch.done ? resolve() : reject(new Error(`the client ended: ${status}`))));
      client.on('message', (news: ClientNews) => {
        if (news.done !== undefined) {
          watch.done = news;
          return;
        }
        watch.rounds.push(news);
        if (news.round === away) children[0]!.kill('SIGKILL');
        if (news.round === away + 1) begin(watch.port).catch(reject);
      });
    });
    return judge(watch, { hosts, rounds, away });
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

/** Node's, as the first line of the command gives them: whoever polls by the command has these. */
function commandFlags(): string[] {
  const [line = ''] = readFileSync(COMMAND, 'utf8').split('\n', 1);
  return line.split(' ').filter((word) => /^--./.test(word));
}

function start(
  room: Room,
  children: ChildProcess[],
  role: string,
  order: FleetOrder | ClientOrder,
  flags: readonly string[] = [],
): ChildProcess {
  const execArgv = [...process.execArgv, ...flags];
  const child = fork(ENDS, [role], { execArgv, signal: room.signal, killSignal: 'SIGKILL' });
  child.on('error', () => {});
  children.push(child);
  child.send(order);
  return child;
}

interface Reach {
  readonly hosts: number;
  readonly rounds: number;
  readonly knownHosts: string;
  readonly port: number;
}

function orderOf({ dir }: Room, { hosts, rounds, knownHosts, port }: Reach): ClientOrder {
  const identity = join(dir, 'id_ed25519');
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(identity, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  // The hosts of the simulator, in its order.
  const label = (index: number) => `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const labels = Array.from({ length: hosts }, (_, index) => label(index));
  const login = { user: 'root', port, identity, knownHosts, config: 'none', agent: false } as const;
  const journal = process.env.MYRIAD_SOAK_JOURNAL === 'none' ? false : join(dir, 'journal');
  return { options: { hosts: labels, ...login, threads: 1, journal }, everyMs: EVERY_MS, rounds };
}

interface Course {
  readonly hosts: number;
  readonly rounds: number;
  /** The fleet was away in the round after this. */
  readonly away: number;
}

function judge({ rounds, done, opened }: Watch, course: Course): Finding {
  const { hosts, away } = course;
  const last = rounds.at(-1)!;
  const third = Math.floor(course.rounds / 3);
  const settled = { live: Math.min(SETTLED.live, third), resident: Math.min(SETTLED.resident, third) };
  // The restart and the round after it are all logins: they have a bound of their own.
  const steady = rounds.filter(({ round }) => round >= Math.min(2, third) && (round <= away || round > away + 3));
  const cpu = median(
    steady.flatMap((news) => {
      const before = rounds[news.round - 1];
      return before === undefined ? [] : [(news.cpuMs - before.cpuMs) / hosts];
    }),
  );
  const growth = growthOf({ samples: rounds, settled, away }, GROWTH);
  const most = mostInASecond(opened);
  const stale = Math.max(...rounds.map((news) => news.stale));
  const changes = rounds.reduce((sum, news) => sum + news.changes, 0);
  const { planned, counted } = done?.done ?? { planned: 0, counted: -1 };
  const bounds: readonly (readonly [boolean, string])[] = [
    [cpu <= MOST_CPU_MS, 'CPU'],
    [growth.broken.length === 0, `memory (${growth.broken.join(', ')})`],
    [last.overruns === 0, 'overruns'],
    [stale === 0, 'stale'],
    [most <= MOST_OPENED(hosts), 'reconnects'],
    [last.up === hosts && last.ok === hosts, 'not all are back'],
    [changes === 2 * hosts, `${changes} changes`],
    [planned === counted && planned === hosts * course.rounds, 'not all accounted for'],
  ];
  const broken = bounds.filter(([kept]) => !kept).map(([, name]) => name);
  const longest = Math.max(...rounds.slice(1).map(({ durationMs }) => durationMs)) / 1000;
  const measured = [
    `${course.rounds} rounds: ${cpu.toFixed(3)} ms CPU a poll`,
    growth.told,
    `${last.overruns} overruns, ${stale} stale, the longest round ${longest.toFixed(1)} s`,
    `restart: ${most} connections in the fullest second, ${last.up} back up`,
    ...(broken.length > 0 ? [`outside: ${broken.join(', ')}`] : []),
  ].join('; ');
  tellSeries(rounds, hosts);
  return { measured, passed: broken.length === 0 };
}

/** What the judgement stands on, round by round. */
function tellSeries(rounds: readonly ClientNews[], hosts: number): void {
  const cpu = rounds.map(({ cpuMs }, at) => ((cpuMs - (rounds[at - 1]?.cpuMs ?? 0)) / hosts).toFixed(3));
  const series: readonly (readonly [string, readonly (string | number)[]])[] = [
    ['resident MB', rounds.map(({ rssMb }) => Math.round(rssMb))],
    ['live heap MB', rounds.map(({ liveMb }) => Math.round(liveMb))],
    ['buffers MB', rounds.map(({ buffersMb }) => Math.round(buffersMb))],
    ['CPU ms a poll', cpu],
    ['seconds', rounds.map(({ durationMs }) => (durationMs / 1000).toFixed(1))],
  ];
  for (const [name, values] of series) console.log(`  ${name}: ${values.join(' ')}`);
}

/** Of connections that were counted as they came. */
function mostInASecond(counts: readonly FleetNews[]): number {
  let most = 0;
  let from = 0;
  for (const { at, connections } of counts) {
    while (counts[from]!.at < at - 1000) from += 1;
    most = Math.max(most, connections - counts[from]!.connections);
  }
  return most;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
