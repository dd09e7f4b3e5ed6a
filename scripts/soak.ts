/**
 * The long checks: what a test may not take the time or the memory for. Each prints what it measured and whether that is
 * within its bound; the table is kept in docs/soak.md.
 * Usage: npm run soak [NAME…] [-- --write] [-- --seed N]
 *
 * --write  puts the figures into docs/soak.md, with commit and machine
 * --seed   the first conversation of `fuzz`: the one that a failure names
 *
 * Every check is bounded in count and in time, and all that it starts ends with it, on ^C too. Exit status 0 where all are
 * within their bounds, 1 where one is not, 2 for a name that there is not, 130 when stopped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describeMachine } from '../bench/machine.ts';
import { Simulator } from '../src/simulator/simulator.ts';
import { startSshd } from '../test/kit/servers.ts';
import { fuzz } from '../test/ssh/fuzz.ts';
import type { Check, Finding, Room } from './soak/check.ts';
import { CRASH } from './soak/crash.ts';
import { POLL } from './soak/poll.ts';

const ROOT = join(import.meta.dirname, '..');
const CLI = join(ROOT, 'dist/cli/main.js');
const PAGE = join(ROOT, 'docs/soak.md');
const MINUTE = 60_000;

interface TaskEnd {
  readonly type: 'task:end';
  readonly index: number;
  readonly outcome: { readonly kind: string; readonly phase?: string };
}

interface RunEnd {
  readonly type: 'run:end';
  readonly planned: number;
  readonly outcomes: Readonly<Record<string, number>>;
}

interface CliRun {
  readonly status: number | null;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
  /** The end of its stderr. */
  readonly complaint: string;
}

interface EventsRun extends CliRun {
  readonly end: RunEnd;
}

/** A client that takes longer than this is ended, and its check with it. */
const CLIENT_LIMIT = 15 * MINUTE;

/** Runs `myriad VERB ARGS` in a process of its own; every line of its stdout goes to `line` as it comes. */
async function runCli(
  room: Room,
  args: readonly string[],
  line: (text: string) => void,
  verb: 'run' | 'trust' = 'run',
): Promise<CliRun> {
  const usage = join(room.dir, 'usage.json');
  const meter = join(room.dir, 'meter.cjs');
  const write = `require('node:fs').writeFileSync(${JSON.stringify(usage)}, JSON.stringify(process.resourceUsage()))`;
  writeFileSync(meter, `process.on('exit', () => ${write});`);
  // The figures are of the client alone: what the journal costs is measured by bench/growth.ts.
  const journal = verb === 'run' ? ['--no-journal'] : [];
  // As its first line starts it for users.
  const [first = ''] = readFileSync(CLI, 'utf8').split('\n', 1);
  const flags = first.split(' ').filter((word) => word.startsWith('--') && word !== '--');
  const argv = [...flags, '--require', meter, CLI, verb, '--progress', 'never', '--yes', ...journal, ...args];
  const env = { ...process.env, MYRIAD_SETTINGS: 'none' };
  const signal = AbortSignal.any([room.signal, AbortSignal.timeout(CLIENT_LIMIT)]);
  const started = performance.now();
  const child = spawn(process.execPath, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    signal,
    killSignal: 'SIGKILL',
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk).slice(-2000);
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  exited.catch(() => {});
  for await (const text of createInterface({ input: child.stdout })) line(text);
  const status = await exited;
  const wallSeconds = (performance.now() - started) / 1000;
  if (!existsSync(usage)) throw new Error(`myriad ended with status ${status}: ${complaint}`);
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(readFileSync(usage, 'utf8'));
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  return { status, wallSeconds, cpuSeconds, peakMb: maxRSS / 1024, complaint };
}

/** As `runCli`, with the events of the run: every task:end goes to `task` as it comes. */
async function runEvents(room: Room, args: readonly string[], task: (end: TaskEnd) => void): Promise<EventsRun> {
  let end: RunEnd | undefined;
  const run = await runCli(room, ['--output', 'ndjson', ...args], (line) => {
    const event = JSON.parse(line) as TaskEnd | RunEnd | { readonly type: 'run:start' };
    if (event.type === 'task:end') task(event);
    else if (event.type === 'run:end') end = event;
  });
  if (!end) throw new Error(`myriad ended with status ${run.status} and no summary: ${run.complaint}`);
  return { ...run, end };
}

function writeIdentity(dir: string): string {
  const file = join(dir, 'id_ed25519');
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  return file;
}

interface Fleet extends AsyncDisposable {
  /** To reach all of its hosts, host keys verified. */
  readonly args: readonly string[];
}

/** A simulated fleet in a process of its own, which ends when its stdin does: with this process, however that ends. */
async function startFleet({ dir }: Room, hosts: number): Promise<Fleet> {
  const [knownHosts, hostfile] = [join(dir, `known_hosts_${hosts}`), join(dir, `hosts_${hosts}`)];
  const files = ['--known-hosts', knownHosts, '--hostfile', hostfile];
  const child: ChildProcess = spawn(process.execPath, [CLI, 'simulate', `${hosts}`, '--until-stdin-ends', ...files], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const port = await new Promise<string>((resolve, reject) => {
    gone.then(() => reject(new Error('the simulated fleet did not start')));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const ready = /port (\d+); ready/.exec(line)?.[1];
      if (ready) resolve(ready);
    });
  });
  return {
    args: [
      '--hostfile',
      hostfile,
      '-l',
      'root',
      '-p',
      port,
      '--identity',
      writeIdentity(dir),
      '--known-hosts',
      knownHosts,
    ],
    async [Symbol.asyncDispose]() {
      child.stdin?.end();
      await gone;
    },
  };
}

const sum = (outcomes: RunEnd['outcomes']) => Object.values(outcomes).reduce((total, count) => total + count, 0);

/** One command on a fleet of `hosts`, fanout 1000. */
async function fleetRun(room: Room, hosts: number): Promise<EventsRun & { readonly ended: number }> {
  await using fleet = await startFleet(room, hosts);
  let ended = 0;
  const run = await runEvents(
    room,
    [...fleet.args, '-f', '1000', '--gather', 'discard', '--', 'uptime'],
    () => ended++,
  );
  return { ...run, ended };
}

const FUZZ_CONVERSATIONS = 100_000;
const FUZZ_LIMIT = 10 * MINUTE;

const CHECKS: readonly Check[] = [
  {
    name: 'fuzz',
    what: `${FUZZ_CONVERSATIONS.toLocaleString('en')} mutated conversations of both halves, or 10 minutes of them`,
    bound: 'no crash, no hang, no error that is not the peer’s',
    async run({ signal, seed }) {
      const started = performance.now();
      const ends = new Map<string, number>();
      let count = 0;
      while (count < FUZZ_CONVERSATIONS && performance.now() - started < FUZZ_LIMIT) {
        signal.throwIfAborted();
        const { client } = await fuzz(seed + count);
        count++;
        ends.set(client, (ends.get(client) ?? 0) + 1);
      }
      const kinds = [...ends].sort((a, b) => b[1] - a[1]).map(([end, times]) => `${end} ${times}`);
      const minutes = ((performance.now() - started) / MINUTE).toFixed(1);
      return { measured: `${count} in ${minutes} min: ${kinds.join(', ')}`, passed: count > 1000 };
    },
  },
  {
    name: 'memory',
    what: 'one command on 10,000 and on 100,000 simulated hosts at fanout 1000, host keys verified',
    bound: 'all ok; peak memory at most 1.3 ×',
    async run(room) {
      const small = await fleetRun(room, 10_000);
      const large = await fleetRun(room, 100_000);
      const ratio = large.peakMb / small.peakMb;
      const all = small.end.outcomes.ok === 10_000 && large.end.outcomes.ok === 100_000;
      const peaks = `${small.peakMb.toFixed(0)} MB and ${large.peakMb.toFixed(0)} MB, ${ratio.toFixed(2)} ×`;
      const rest = all
        ? `${large.wallSeconds.toFixed(0)} s`
        : `not all ok: ${counted(small.end)}; ${counted(large.end)}`;
      return { measured: `${peaks}; ${rest}`, passed: ratio <= 1.3 && all };
    },
  },
  {
    name: 'hosts',
    what: 'one command on 8,192 simulated hosts at fanout 1000, host keys verified',
    bound: 'every one accounted for, all ok; peak memory at most 250 MB',
    async run(room) {
      const { end, ended, peakMb, cpuSeconds, wallSeconds } = await fleetRun(room, 8192);
      const whole = end.planned === 8192 && sum(end.outcomes) === 8192 && ended === 8192 && end.outcomes.ok === 8192;
      const cost = `${((cpuSeconds * 1000) / 8192).toFixed(2)} ms CPU a host, ${(8192 / wallSeconds).toFixed(0)} hosts/s`;
      return { measured: `${counted(end)}; ${peakMb.toFixed(0)} MB; ${cost}`, passed: whole && peakMb <= 250 };
    },
  },
  {
    name: 'trust',
    what: '`trust` on 10,000 simulated hosts with 1,000 keys, then one command at `--host-keys strict`, then `trust` again',
    bound: 'every key learnt, exactly the right ones; all ok; then all known',
    run: trustThenRun,
  },
  CRASH,
  POLL,
  {
    name: 'repeat',
    what: '200 × `echo hello world {i}` on one sshd with default settings',
    bound: '200 ok, each with its own answer, in order (MaxStartups drops are retried)',
    async run(room) {
      await using server = await startSshd();
      const { port, user, identity, knownHosts } = server;
      const lines: string[] = [];
      const login = [
        '-w',
        '127.0.0.1',
        '-l',
        user,
        '-p',
        `${port}`,
        '--identity',
        identity,
        '--known-hosts',
        knownHosts,
      ];
      const command = ['--repeat', '200', '--order', 'input', '-N', '--', 'echo hello world {i}'];
      const { status, wallSeconds } = await runCli(room, [...login, ...command], (line) => lines.push(line));
      const right = lines.length === 200 && lines.every((line, i) => line === `hello world ${i + 1}`);
      const measured = `${lines.length} answers${right ? ' in order' : ''}, exit status ${status}; ${wallSeconds.toFixed(1)} s`;
      return { measured, passed: right && status === 0 };
    },
  },
  {
    name: 'silent',
    what: 'ten silent hosts, then a hundred good ones, at fanout 8',
    bound: 'all hundred end ok before the first of exactly ten time-outs',
    run: silentFirst,
  },
  {
    name: 'local',
    what: '`--local -f 255 -- ping -c 1 -W 1 {host}` on 127.2.0.0 to 127.2.0.254',
    bound: '255 ok',
    async run(room) {
      const ping = ['--local', '-w', '127.2.0.[0-254]', '-f', '255', '--', 'ping', '-c', '1', '-W', '1', '{host}'];
      const { end, wallSeconds, cpuSeconds } = await runEvents(room, ping, () => {});
      const measured = `${counted(end)}; ${wallSeconds.toFixed(1)} s, ${cpuSeconds.toFixed(2)} s CPU without the pings`;
      return { measured, passed: end.outcomes.ok === 255 && sum(end.outcomes) === 255 };
    },
  },
];

async function trustThenRun(room: Room): Promise<Finding> {
  const hosts = 10_000;
  await using fleet = await startFleet(room, hosts);
  const learnt = join(room.dir, 'learnt');
  const right = join(room.dir, `known_hosts_${hosts}`);
  // No ssh_config: Debian's own hashes names, which could not be compared.
  const args = [...fleet.args.map((word) => (word === right ? learnt : word)), '-F', 'none', '-f', '1000'];
  const trust = await runCli(room, args, () => {}, 'trust');
  const same = trust.status === 0 && readFileSync(learnt, 'utf8') === readFileSync(right, 'utf8');
  const run = await runEvents(room, [...args, '--host-keys', 'strict', '--gather', 'discard', '--', 'true'], () => {});
  const again = await runCli(room, args, () => {}, 'trust');
  const known = again.status === 0 && again.complaint.includes('10,000 hosts known already');
  const cost = `${((trust.cpuSeconds * 1000) / hosts).toFixed(2)} ms CPU a host, ${trust.peakMb.toFixed(0)} MB`;
  const told = `${same ? 'the right keys' : `exit status ${trust.status}, other keys`} in ${trust.wallSeconds.toFixed(1)} s, ${cost}`;
  const last = known ? `all known in ${again.wallSeconds.toFixed(1)} s` : `exit status ${again.status}`;
  return { measured: `${told}; ${counted(run.end)}; ${last}`, passed: same && known && run.end.outcomes.ok === hosts };
}

async function silentFirst(room: Room): Promise<Finding> {
  await using silent = await Simulator.start({ hosts: 10, base: '127.3.0.0', faults: { silent: 1 } });
  await using good = await Simulator.start({ hosts: 100, base: '127.4.0.0' });
  const [hostfile, knownHosts] = [join(room.dir, 'hosts'), join(room.dir, 'known_hosts')];
  const names = [silent, good].flatMap((fleet) => [...fleet.labels()].map((label) => `${label}:${fleet.port}\n`));
  writeFileSync(hostfile, names.join(''));
  writeFileSync(knownHosts, [...silent.knownHosts(), ...good.knownHosts()].join(''));
  const ends: string[] = [];
  const login = [
    '--hostfile',
    hostfile,
    '-l',
    'root',
    '--identity',
    writeIdentity(room.dir),
    '--known-hosts',
    knownHosts,
  ];
  const run = await runEvents(room, [...login, '-f', '8', '-t', '4s', '--', 'uptime'], ({ index, outcome }) => {
    ends.push(index < 10 ? `${outcome.kind}(${outcome.phase})` : outcome.kind);
  });
  const first = ends.findIndex((end) => end !== 'ok');
  const passed = first === 100 && ends.length === 110 && ends.slice(100).every((end) => end === 'timeout(connect)');
  return {
    measured: `${counted(run.end)}; first time-out after ${first} ends; ${run.wallSeconds.toFixed(1)} s`,
    passed,
  };
}

/** `8192 ok, 1 lost`. */
function counted({ outcomes }: RunEnd): string {
  const kinds = Object.entries(outcomes).filter(([, count]) => count > 0);
  return kinds.map(([kind, count]) => `${count} ${kind}`).join(', ');
}

const HEAD = ['| check | what | bound | measured | | commit | date |', '| --- | --- | --- | --- | --- | --- | --- |'];

/** Puts these rows into the table of docs/soak.md, in the order of CHECKS; rows of checks that did not run stay. */
async function writePage(rows: ReadonlyMap<string, string>): Promise<void> {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  const kept = new Map([...page.matchAll(/^\| (\w+) \|.*$/gm)].map((match) => [match[1]!, match[0]]));
  const table = CHECKS.map(({ name }) => rows.get(name) ?? kept.get(name)).filter((row) => row !== undefined);
  const { cpu, cores, memoryGiB, kernel, node } = await describeMachine('scripts/soak.ts');
  const machine = `Machine of the last run: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, Node ${node}.`;
  const [before = '', after = ''] = page.split(/<!-- figures -->.*<!-- end of figures -->\n/s);
  const figures = ['<!-- figures -->', ...HEAD, ...table, '', machine, '<!-- end of figures -->', ''];
  writeFileSync(PAGE, `${before}${figures.join('\n')}${after}`);
}

/** Runs one check in a folder of its own, and prints what came of it. */
async function runCheck(check: Check, seed: number, signal: AbortSignal): Promise<Finding> {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-soak-'));
  console.log(`${check.name}: ${check.what}`);
  try {
    return await check.run({ dir, signal, seed });
  } catch (error) {
    if (signal.aborted) throw error;
    return {
      measured: `failed: ${error instanceof Error ? error.message : error}`.replaceAll('\n', ' '),
      passed: false,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function main(args: readonly string[]): Promise<number> {
  const seedAt = args.indexOf('--seed');
  const seed = seedAt < 0 ? 0 : Number(args[seedAt + 1]);
  const names = args.filter((arg, i) => arg !== '--write' && (seedAt < 0 || (i !== seedAt && i !== seedAt + 1)));
  const unknown = names.find((name) => !CHECKS.some((check) => check.name === name));
  if (unknown !== undefined || !Number.isInteger(seed)) {
    console.error(
      `no check "${unknown ?? `--seed ${seed}`}": use some of ${CHECKS.map(({ name }) => name).join(', ')}`,
    );
    return 2;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stop.abort(new Error(name)));
  const { commit, date } = await describeMachine('scripts/soak.ts');
  const rows = new Map<string, string>();
  let failed = 0;
  for (const check of CHECKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const { measured, passed } = await runCheck(check, seed, stop.signal);
    if (!passed) failed++;
    const verdict = passed ? 'PASS' : 'FAIL';
    console.log(`  ${measured}\n  ${verdict}: ${check.bound}`);
    rows.set(check.name, `| ${[check.name, check.what, check.bound, measured, verdict, commit, date].join(' | ')} |`);
  }
  if (args.includes('--write')) await writePage(rows);
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`stopped: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 130;
}
