/** `myriad check`: causes folded, each with the line that fixes it, and the line to go on with. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { myriad, reach } from './command.ts';

let fleet: SimulatedFleet;
let known: string;
const commands: string[] = [];
const FAULTS = { 'wrong-key': 0.1, 'auth-refused': 0.1, refuse: 0.1, garbage: 0.1 };
const HOSTS = 60;

beforeAll(async () => {
  const onCommand = (address: string, command: string) => void commands.push(`${address} ${command}`);
  fleet = await simulate({ hosts: HOSTS, seed: 4, faults: FAULTS, onCommand });
  // The keys of the last ten are not known.
  known = join(fleet.dir, 'some');
  const lines = [...fleet.simulator.knownHosts()].join('').split('\n');
  writeFileSync(known, `${lines.slice(0, HOSTS - 10).join('\n')}\n`);
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** The hosts of a fault, those whose key is known only. */
const having = (fault: string | undefined, from = 0, to = HOSTS - 10) =>
  [...Array(to).keys()].slice(from).filter((index) => fleet.simulator.fault(index) === fault);
const ON = () => {
  const { simulator, identity } = fleet;
  return ['-F', 'none', '-p', String(simulator.port), '-l', 'root', '--identity', identity, '--known-hosts', known];
};
const ALL = () => ['-w', [...fleet.simulator.labels()].join(',')];
const GOOD = () => having(undefined).map((index) => fleet.simulator.address(index));

describe.concurrent('myriad check', () => {
  it('folds what stands in the way, with the line that fixes it', async () => {
    const { code, stdout, stderr } = await myriad(['check', ...ALL(), ...ON(), '--retries', '0']);
    expect(stderr).toBe('');
    expect(code).toBe(4);
    const words = ON()
      .slice(2)
      .join(' ')
      .replace(/-p (\d+) -l root/, '-l root -p $1');
    const unknown = having(undefined, HOSTS - 10, HOSTS).length + having('auth-refused', HOSTS - 10, HOSTS).length;
    const wrong = having('wrong-key', HOSTS - 10, HOSTS).length;
    expect(stdout).toMatch(new RegExp(`^ +${unknown + wrong} host-key\\(unknown\\): 127\\.1\\.0\\.\\[`, 'm'));
    expect(stdout).toMatch(
      /^ +fix: myriad trust -w '127\.1\.0\.\[[\d,-]+\]' -l root -p \d+ -F none --identity \S+ --known-hosts \S+$/m,
    );
    expect(words).toContain('--known-hosts');
    const changed = having('wrong-key').length;
    expect(changed).toBeGreaterThan(1);
    expect(stdout).toMatch(new RegExp(`^ +${changed} host-key\\(changed\\): `, 'm'));
    expect(stdout).toMatch(
      /^ +fix: where the change is genuine, and so for the other \d: ssh-keygen -f '\S+some' -R '\[127/m,
    );
    expect(stdout).toMatch(new RegExp(`^ +${having('auth-refused').length} auth-failed \\(as root\\): `, 'm'));
    expect(stdout).toMatch(
      /^ +fix: for host in \$\(myriad -w '127.*' --list-hosts\); do ssh-copy-id -p \d+ root@"\$\{host##\*@\}"; done$/m,
    );
    expect(stdout).toMatch(/unreachable\(refused\)[\s\S]*fix: nothing listens there: check -p and that sshd runs/);
    expect(stdout).toMatch(/protocol[\s\S]*fix: check that an SSH server answers on that port/);
    const last = stdout.trimEnd().split('\n').at(-1);
    expect(last).toMatch(
      new RegExp(`^${GOOD().length} of ${HOSTS} ready: myriad -w '127\\.1\\.0\\.\\[[^']+' -l root .* -- COMMAND$`),
    );
  });

  it('runs nothing, and the line at its end reaches those that are ready', async () => {
    const before = commands.length;
    const { stdout } = await myriad(['check', ...ALL(), ...ON(), '-q', '--retries', '0']);
    expect(commands.slice(before).filter((line) => !line.endsWith('from-the-line'))).toEqual([]);
    const [, line] = /^\d+ of \d+ ready: myriad (.*) -- COMMAND\n$/.exec(stdout)!;
    const words = line!.split(' ').map((word) => word.replaceAll("'", ''));
    const run = await myriad([...words, '-F', 'none', '-N', '--', 'echo from-the-line']);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout.trim().split('\n')).toHaveLength(GOOD().length);
  });

  it('ends with 0 where all are ready, and names the hosts as they were given', async () => {
    const set = `${GOOD().slice(0, 3).join(',')}`;
    const { code, stdout } = await myriad(['check', '-w', set, ...ON()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^3 hosts in [\d.]+ m?s.*\n3 of 3 ready: myriad -w 127\.1\S+ -l root -p \d+ .* -- COMMAND\n$/,
    );
  });

  it('writes those that are ready to a file, one set a line', async () => {
    const file = join(fleet.dir, 'ready hosts');
    const { code, stdout } = await myriad(['check', ...ALL(), ...ON(), '--ready', file, '--retries', '0']);
    expect(code).toBe(4);
    expect(stdout).toContain(` ready: myriad -w '^${file}' -l root`);
    expect(readFileSync(file, 'utf8')).toMatch(/^127\.1\.0\.\[[\d,-]+\]\n$/);
    const listed = await myriad(['-w', `^${file}`, '--list-hosts']);
    expect(listed.stdout.trim().split('\n')).toEqual(GOOD());
  });

  it('gives events as a run does', async () => {
    const { code, stdout } = await myriad(['check', ...ALL(), ...ON(), '--output', 'ndjson', '--retries', '0']);
    expect(code).toBe(4);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ type: 'run:start', job: 'check', planned: HOSTS });
    const ends = events.filter(({ type }) => type === 'task:end');
    expect(ends).toHaveLength(HOSTS);
    expect(ends.filter(({ outcome }) => outcome.kind === 'ok')).toHaveLength(GOOD().length);
    expect(events.at(-1)).toMatchObject({ type: 'run:end', outcomes: { ok: GOOD().length } });
  });

  it.each([
    ['a command', ['uptime'], /too many arguments/],
    ['a file that cannot be written', ['--ready', '/nowhere/there'], /--ready: "\/nowhere\/there" cannot be written/],
    ['a number of hosts', ['--expect', '7'], /--expect 7: the selection has 60 hosts; nothing was connected/],
    ['an option of run', ['--repeat', '2'], /unknown option '--repeat'/],
  ])('refuses %s', async (_, words, sentence) => {
    const { code, stderr } = await myriad(['check', ...ALL(), ...ON(), ...words]);
    expect(stderr).toMatch(/^myriad: [^\n]+\n$/);
    expect(stderr).toMatch(sentence);
    expect(code).toBe(2);
  });

  it('names a jump host that cannot be used once, with what to do about it', async () => {
    const way = reach(fleet).filter((word) => word !== '--known-hosts');
    const { code, stdout } = await myriad(['check', ...ALL(), ...way.slice(0, -1), '-F', 'none', '-J', '127.0.0.1:1']);
    expect(code).toBe(4);
    expect(stdout.match(/unreachable\(jump\)/g)).toHaveLength(1);
    expect(stdout).toMatch(/fix: myriad check -w 127\.0\.0\.1:1 -F none --identity \S+\n/);
    expect(stdout).toMatch(/^0 of 60 ready\n$/m);
    expect(existsSync(join(fleet.dir, 'ready'))).toBe(false);
  });
});
