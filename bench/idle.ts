/**
 * What an open session costs while nothing happens: memory each, and CPU of all of them together. See docs/benchmarks.md.
 *
 * usage: node bench/idle.ts [--sessions 10000] [--window 30] [--only go,asyncssh|none] [--quick] [--out DIR]
 *
 * The fleet of the library runs in a process of its own. It first visits some hosts, so that what V8 compiles and grows is there
 * before; then every session runs `sleep`. Memory is read when all have begun, as it is and after a full collection; CPU is what
 * /proc says of that process at the beginning and at the end of a quiet window in the middle.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type FleetOptions, fleet } from '../src/index.ts';
import { barChart } from './chart.ts';
import { CLIENTS, type Site } from './clients.ts';
import {
  type Field,
  grouped,
  messageOf,
  openField,
  type Report,
  readOptions,
  runBench,
  STAGE_OPTIONS,
  type Stage,
  say,
  subtitleOf,
  visit,
  wholeNumber,
} from './stage.ts';
import { digits } from './statistics.ts';

/** What the child is told first. */
interface Order {
  readonly options: FleetOptions;
  /** A few hosts to begin with. */
  readonly first: string;
  readonly seconds: number;
}

interface Memory {
  readonly rss: number;
  /** Of V8's heap, and behind buffers. */
  readonly held: number;
}

/** What the child says: once before the sessions, on request in their middle, and at the end. */
type Word =
  | { readonly kind: 'before'; readonly memory: Memory }
  | { readonly kind: 'open'; readonly asItIs: Memory; readonly collected: Memory }
  | { readonly kind: 'end'; readonly ok: number };

interface Idle {
  readonly sessions: number;
  readonly before: Memory;
  readonly asItIs: Memory;
  readonly collected: Memory;
  readonly windowSeconds: number;
  readonly cpuMs: number;
  readonly loginSeconds: number;
}

/** A client that holds as many sessions open, measured by the peak of its memory. */
interface Peer {
  readonly label: string;
  readonly bytesEach: number;
}

const SETTLE_SECONDS = 5;
/** Linux: USER_HZ, whatever the kernel runs at. */
const TICK_MS = 10;

const memory = (): Memory => {
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, held: heapUsed + external };
};

async function collect(): Promise<Memory> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await pause(50);
  }
  return memory();
}

/** In a process of its own. */
async function hold({ options, first, seconds }: Order): Promise<void> {
  const tell = (word: Word) => process.send?.(word);
  {
    await using few = fleet({ ...options, hosts: first, fanout: 16 });
    await few.run('true').summary();
  }
  tell({ kind: 'before', memory: await collect() });
  process.on('message', async () => {
    const asItIs = memory();
    tell({ kind: 'open', asItIs, collected: await collect() });
  });
  await using all = fleet(options);
  const { outcomes } = await all.run(`sleep ${seconds}`, { gather: 'discard' }).summary();
  tell({ kind: 'end', ok: outcomes.ok });
  process.disconnect?.();
}

/** User and system time of a process, from its beginning. */
async function cpuOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'latin1')).replace(/^.*\) /s, '').split(' ');
  return TICK_MS * (Number(fields[11]) + Number(fields[12]));
}

/** The next word of this kind. */
function heard<K extends Word['kind']>(child: ChildProcess, kind: K): Promise<Extract<Word, { kind: K }>> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error('the process with the sessions ended early'));
    const listen = (word: unknown) => {
      if ((word as Word).kind !== kind) return;
      child.off('message', listen);
      child.off('exit', gone);
      resolve(word as Extract<Word, { kind: K }>);
    };
    child.on('message', listen);
    child.once('exit', gone);
  });
}

function optionsOf(site: Site, stage: Stage): FleetOptions {
  const { set, port, knownHosts } = site;
  const login = { user: site.user, identity: stage.identity, knownHosts, config: 'none', agent: false } as const;
  return { hosts: set, port, ...login, fanout: site.hosts.length, threads: 1, warm: 0, journal: false };
}

async function measureIdle(stage: Stage, field: Field, sessions: number, windowSeconds: number): Promise<Idle> {
  const site = await field.sites.get(sessions);
  const first = await field.sites.get(Math.min(200, sessions));
  // Two hundred logins a second are little; who is slower is told so below.
  const seconds = Math.ceil(sessions / 200) + SETTLE_SECONDS + windowSeconds + 10;
  const child = fork(fileURLToPath(import.meta.url), ['--hold'], { execArgv: ['--expose-gc'] });
  const stop = () => child.kill('SIGKILL');
  stage.signal.addEventListener('abort', stop);
  try {
    await field.fleet.stats();
    const order: Order = { options: optionsOf(site, stage), first: first.set, seconds };
    child.send(order);
    const before = await heard(child, 'before');
    await field.fleet.stats();
    const began = performance.now();
    const end = heard(child, 'end');
    end.catch(() => {});
    let open = 0;
    while (open < sessions) {
      await pause(250, undefined, { signal: stage.signal });
      open += (await field.fleet.stats()).execs;
      if (performance.now() - began > seconds * 1000)
        throw new Error(`${open} of ${sessions} sessions in ${seconds} s`);
    }
    const loginSeconds = (performance.now() - began) / 1000;
    say(`${grouped(sessions)} sessions open after ${loginSeconds.toFixed(1)} s`);
    await pause(SETTLE_SECONDS * 1000, undefined, { signal: stage.signal });
    const from = await cpuOf(child.pid!);
    await pause(windowSeconds * 1000, undefined, { signal: stage.signal });
    const cpuMs = (await cpuOf(child.pid!)) - from;
    child.send('memory');
    const word = await heard(child, 'open');
    if (performance.now() - began > seconds * 1000) throw new Error('the first sessions ended before all was measured');
    const { ok } = await end;
    if (ok !== sessions) throw new Error(`${ok} of ${sessions} sessions ended ok`);
    const { asItIs, collected } = word;
    return { sessions, before: before.memory, asItIs, collected, windowSeconds, cpuMs, loginSeconds };
  } finally {
    stage.signal.removeEventListener('abort', stop);
    stop();
  }
}

/** How much more memory a client takes at its peak with all sessions open at once than with one. */
async function measurePeer(stage: Stage, name: string, sessions: number): Promise<Peer> {
  const client = CLIENTS.find((candidate) => candidate.name === name);
  if (client === undefined) throw new Error(`--only "${name}": take go, asyncssh or ssh2, or none`);
  const seconds = Math.ceil(sessions / 100) + 5;
  await using field = await openField(stage, sessions, { command: `sleep ${seconds}` });
  const peak = async (count: number) => {
    const site = await field.sites.get(count);
    const { argv } = client.command(site, count);
    const command = { argv: ['sh', '-c', 'ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh', ...argv] };
    return (await visit(stage, field, site, command, { check: verifyCount, timeoutMs: 120_000 + 3000 * seconds })).cost
      .peakMiB;
  };
  await client.prepare();
  const one = await peak(1);
  const bytesEach = ((await peak(sessions)) - one) * (2 ** 20 / (sessions - 1));
  say(`${client.label}: ${digits(bytesEach / 1024)} KiB each`);
  return { label: client.label, bytesEach };
}

/** `sleep` has no answer to check. */
function verifyCount(site: Site, cost: { status: number; stderr: string }, stats: { execs: number }) {
  if (cost.status !== 0) return `exit status ${cost.status}: ${cost.stderr.trim().split('\n').at(-1)}`;
  return stats.execs === site.hosts.length ? undefined : `the fleet ran ${stats.execs} commands`;
}

const kib = (bytes: number) => digits(bytes / 1024);

function rowsOf({ sessions, before, asItIs, collected, cpuMs, windowSeconds }: Idle): string[][] {
  const each = (memoryOpen: Memory) => [
    kib((memoryOpen.rss - before.rss) / sessions),
    kib((memoryOpen.held - before.held) / sessions),
  ];
  return [
    ['each open session', 'resident KiB', 'held by V8, KiB'],
    ['as it is', ...each(asItIs)],
    ['after a full collection', ...each(collected)],
    ['CPU of all, ms a second', digits(cpuMs / windowSeconds), ''],
    ['CPU of one core, %', digits(cpuMs / windowSeconds / 10), ''],
  ];
}

function reportOf(stage: Stage, idle: Idle, peers: readonly Peer[], missing: readonly string[]): Report {
  const resident = (idle.asItIs.rss - idle.before.rss) / idle.sessions;
  const bars = [{ label: 'Myriad', bytesEach: resident }, ...peers].map(({ label, bytesEach }) => ({
    label,
    value: bytesEach / 1024,
    text: `${kib(bytesEach)} KiB`,
    ours: label === 'Myriad',
  }));
  const theirs = peers.map(({ label, bytesEach }) => [label, kib(bytesEach)]);
  return {
    name: 'idle',
    title: `${grouped(idle.sessions)} idle sessions`,
    intro:
      `Every session runs \`sleep\`; all were open after ${idle.loginSeconds.toFixed(1)} s, on one thread. CPU is of the ` +
      `${idle.windowSeconds} s after that, everything included that a session does by itself.`,
    tables: [
      { title: 'Myriad', rows: rowsOf(idle) },
      ...(theirs.length > 0 ? [{ title: 'Peers', rows: [['client', 'resident KiB each'], ...theirs] }] : []),
    ],
    notes: [
      'Resident: of the process, less what it had after it had visited a few hosts, sixteen at once, before; held by V8: its heap in use, and ' +
        'what lies behind buffers. Of peers it is the peak with all sessions open less the peak with one: what their logins left is in it.',
    ],
    svg: barChart(`Memory of an idle session, ${grouped(idle.sessions)} of them`, subtitleOf(stage.machine), bars),
    data: { idle, peers },
    missing,
  };
}

async function main(): Promise<void> {
  const values = readOptions({
    ...STAGE_OPTIONS,
    sessions: { type: 'string' },
    window: { type: 'string' },
    only: { type: 'string' },
  });
  await runBench('bench/idle.ts', values, async (stage) => {
    const sessions = wholeNumber('--sessions', values.sessions ?? (stage.quick ? '200' : '10000'));
    const windowSeconds = wholeNumber('--window', values.window ?? (stage.quick ? '2' : '30'));
    const names = (values.only ?? (stage.quick ? 'go' : 'go,asyncssh')).split(',').filter((name) => name !== 'none');
    await using field = await openField(stage, sessions);
    const idle = await measureIdle(stage, field, sessions, windowSeconds);
    const peers: Peer[] = [];
    const missing: string[] = [];
    for (const name of names) {
      const peer = await measurePeer(stage, name, sessions).catch((error: unknown) => {
        stage.signal.throwIfAborted();
        missing.push(`${name}: ${messageOf(error)}`);
      });
      if (peer) peers.push(peer);
    }
    return reportOf(stage, idle, peers, missing);
  });
}

if (process.argv[2] === '--hold') process.once('message', (order) => void hold(order as Order));
else await main();
