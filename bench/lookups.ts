/**
 * What the files of the user cost: known_hosts of 100,000 lines, plain and hashed, and ssh_config of 500 Host blocks for
 * 10,000 hosts. CPU, user and system, of a process of its own for each round, from the first byte to the last answer.
 *
 * usage: node bench/lookups.ts [--rounds 5] [--lines 100000] [--hosts 10000] [--blocks 500]
 */
import { fork } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SshConfig } from '../src/ssh/config/ssh_config.ts';
import { KnownHosts } from '../src/ssh/known_hosts.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

/** What is measured, in the order in which a round gives it. */
const MEASURED = [
  ['known_hosts, plain: read all', 'ms', '≤ 500'],
  ['a look-up', 'µs', '≤ 5'],
  ['known_hosts, hashed: read all', 'ms', '≤ 500'],
  ['a look-up', 'µs', '≤ 5'],
  ['ssh_config: read, and all hosts', 'ms', '≤ 200'],
] as const;

/** The key of the host with this number; all are distinct. */
function keyOf(index: number): Buffer {
  const key = createHash('sha256').update(`host ${index}`).digest();
  return Buffer.concat([Buffer.from('\0\0\0\x0bssh-ed25519\0\0\0\x20', 'latin1'), key]);
}

function hashedName(name: string): string {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

function knownHosts(count: number, name: (name: string) => string): string {
  const lines = Array.from(
    { length: count },
    (_, index) => `${name(`web${index}.example.org`)} ssh-ed25519 ${keyOf(index).toString('base64')}\n`,
  );
  return lines.join('');
}

/** A third of the blocks names hosts, a third begins with a literal, a third ends with one; `Host *` is the last. */
function config(blocks: number): string {
  const patterns = [
    (n: number) => `web${n} db${n}`,
    (n: number) => `rack${n}-*`,
    (n: number) => `*.dc${n}.example.org`,
  ];
  const block = (n: number) => `Host ${patterns[n % 3]!(n)}\n  User user${n}\n  Port ${2000 + n}\n  ConnectTimeout 7\n`;
  const texts = Array.from({ length: blocks }, (_, n) => block(n));
  return `${texts.join('')}Host *\n  IdentityFile ~/.ssh/fleet\n  ServerAliveInterval 20\n`;
}

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function measureKnownHosts(file: string, count: number): [number, number] {
  let known!: KnownHosts;
  const read = cpuMs(() => {
    known = KnownHosts.parse([{ file, text: readFileSync(file) }]);
  });
  const keys = Array.from({ length: count }, (_, index) => keyOf(index));
  let right = 0;
  const look = cpuMs(() => {
    for (const [index, key] of keys.entries()) {
      if (known.check(`web${index}.example.org`, 22, key).kind === 'known') right++;
    }
  });
  if (right !== count) throw new Error(`${file}: ${right} of ${count} hosts are known`);
  return [read, (look * 1000) / count];
}

function measureConfig(file: string, hosts: number, blocks: number): number {
  let right = 0;
  const cost = cpuMs(() => {
    const { homedir: home, username: localUser } = userInfo();
    const exec = () => false;
    const options = {
      userFile: file,
      systemFile: undefined,
      userFileNamed: true,
      home,
      localUser,
      localHost: 'here',
      exec,
    };
    const config = SshConfig.load(options);
    const kept = Array.from({ length: hosts }, (_, index) => config.resolve({ name: nameOf(index, blocks) }));
    for (const [index, { port, settings }] of kept.entries()) {
      if (port === 2000 + (index % blocks) && settings.connectTimeoutMs === 7000) right++;
    }
  });
  if (right !== hosts) throw new Error(`ssh_config: ${right} of ${hosts} hosts have their port`);
  return cost;
}

/** A host to which block `index % blocks` belongs. */
function nameOf(index: number, blocks: number): string {
  const block = index % blocks;
  return [`web${block}`, `rack${block}-${index}`, `h${index}.dc${block}.example.org`][block % 3]!;
}

function round(dir: string): Promise<number[]> {
  const child = fork(fileURLToPath(import.meta.url), ['--measure', dir, ...process.argv.slice(2)]);
  return new Promise((resolve, reject) => {
    child.once('message', (figures) => resolve(figures as number[]));
    child.once('exit', (status) => reject(new Error(`a process of the benchmark ended early, with status ${status}`)));
  });
}

const option = (by: string) => ({ type: 'string' as const, default: by });
const measuring = process.argv[2] === '--measure';
const { values } = parseArgs({
  args: process.argv.slice(measuring ? 4 : 2),
  options: { rounds: option('5'), lines: option('100000'), hosts: option('10000'), blocks: option('500') },
});
const [lines, hosts, blocks] = [Number(values.lines), Number(values.hosts), Number(values.blocks)];

if (measuring) {
  const dir = process.argv[3]!;
  const figures = [
    ...measureKnownHosts(join(dir, 'plain'), lines),
    ...measureKnownHosts(join(dir, 'hashed'), lines),
    measureConfig(join(dir, 'config'), hosts, blocks),
  ];
  process.send?.(figures);
} else {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-lookups-'));
  try {
    writeFileSync(
      join(dir, 'plain'),
      knownHosts(lines, (name) => name),
    );
    writeFileSync(join(dir, 'hashed'), knownHosts(lines, hashedName));
    writeFileSync(join(dir, 'config'), config(blocks));
    const rounds: number[][] = [];
    for (let i = 0; i < Number(values.rounds); i++) rounds.push(await round(dir));
    const rows = MEASURED.map(([what, unit, bound], at) => {
      const { median, min, max } = spread(rounds.map((figures) => figures[at]!));
      return [what, `${digits(median)} (${digits(min)}–${digits(max)}) ${unit}`, bound];
    });
    const head = [`${lines} lines; ${hosts} hosts, ${blocks} blocks`, 'CPU', 'bound'];
    process.stdout.write(`${textTable([head, ...rows])}\n`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
