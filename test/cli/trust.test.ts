/** `myriad trust`: looked at, reviewed, added; and what becomes of it without a terminal. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { present } from '../kit/servers.ts';
import { launch, myriad, totals } from './command.ts';
import { CONTROL_C, Terminal } from './terminal.ts';

let fleet: SimulatedFleet;
let right: string;
let files = 0;

beforeAll(async () => {
  fleet = await simulate({ hosts: 300, hostKeys: 30 });
  right = [...fleet.simulator.knownHosts()].join('');
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** A file of its own for each test: there are none in it, or these lines. */
function knownHosts(text?: string): string {
  const file = join(fleet.dir, `known_${files++}`);
  if (text !== undefined) writeFileSync(file, text);
  return file;
}

const ON = (file: string, set = '127.1.0.0-127.1.1.43') => {
  return ['trust', '-w', set, '-F', 'none', '-p', String(fleet.simulator.port), '--known-hosts', file];
};
/** What is on the screen, each frame of the progress in a line of its own. */
const shown = (screen: string) => screen.replace(/\r\n|\r\x1b\[K/g, '\n');

describe.concurrent('myriad trust', () => {
  it('adds the keys of 300 hosts, and a strict run then reaches all of them', async () => {
    const file = knownHosts();
    const { code, stdout, stderr } = await myriad([...ON(file), '--yes']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(readFileSync(file, 'utf8')).toBe(right);
    expect(stderr).toMatch(/^300 hosts show keys that are not known yet:\n {2}300 ssh-ed25519: 127\.1\.0\.\[0-255\]/);
    expect(stderr).toMatch(
      /^30 keys are shared by several hosts, as one machine or one image has them; else ask why:$/m,
    );
    expect(stderr).toMatch(/^ {2}ssh-ed25519 SHA256:\S{43}: 127\.1\.0\.\[0,30,.*\(10\)$/m);
    expect(stderr).toMatch(/^ {2}… and 25 more keys; -v lists all$/m);
    expect(stderr).toMatch(/300 keys of 300 hosts added to \S+known_\d+\n$/);
    const words = ['-w', '127.1.0.0-127.1.1.43', '-F', 'none', '-p', String(fleet.simulator.port), '-l', 'root'];
    const keys = ['--identity', fleet.identity, '--known-hosts', file, '--host-keys', 'strict'];
    expect(totals((await myriad([...words, ...keys, '--', 'true'])).stderr)).toEqual({ ok: 300 });
    // Once more there is nothing to do, and nobody is asked.
    const again = await myriad([...ON(file), '--yes']);
    expect(again).toEqual({ code: 0, stdout: '', stderr: '300 hosts known already; --all looks at their keys, too\n' });
    const all = await myriad([...ON(file), '--yes', '--all']);
    expect(all).toEqual({ code: 0, stdout: '', stderr: '300 hosts with the key that is known\n' });
  });

  it('without a terminal wants to be told what to do, before it asks any host', async () => {
    const { code, stdout, stderr } = await myriad(['trust', '-w', '127.9.9.9', '-p', '1']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(
      'myriad: no terminal to ask on: add --yes to add the keys, or --out FILE to write them to a file; nothing was connected\n',
    );
  });

  it('writes lines to stdout or a file instead, and adds none', async () => {
    const file = knownHosts();
    const out = join(fleet.dir, 'out');
    const toStdout = await myriad([...ON(file), '--out', '-']);
    expect(toStdout.stdout).toBe(right);
    expect(toStdout.code).toBe(0);
    const toFile = await myriad([...ON(file, '127.1.0.[0-1]'), '--out', out]);
    expect(toFile).toMatchObject({ code: 0, stdout: '' });
    expect(toFile.stderr).toMatch(/2 keys of 2 hosts written to \S+out\n$/);
    expect(readFileSync(out, 'utf8')).toBe(`${right.split('\n').slice(0, 2).join('\n')}\n`);
    expect(existsSync(file)).toBe(false);
  });

  it('hashes names where the configuration says so', async () => {
    const file = knownHosts();
    const { code } = await myriad([...ON(file, '127.1.0.[0-4]'), '--yes', '-o', 'HashKnownHosts=yes']);
    expect(code).toBe(0);
    expect(readFileSync(file, 'utf8')).toMatch(/^(\|1\|[^\n]+\n){5}$/);
  });

  it('tells hosts that show another key apart, and adds nothing of them', async () => {
    const lines = right.split('\n');
    const [first = '', second = ''] = lines;
    const text = `${first.split(' ')[0]} ${second.split(' ').slice(1).join(' ')}\n`;
    const file = knownHosts(text);
    const { code, stderr } = await myriad([...ON(file, '127.1.0.[0-2]'), '--all', '--yes']);
    expect(code).toBe(5);
    expect(stderr).toMatch(/^1 host of which no key is added:\n {2}1 host-key\(changed\): 127\.1\.0\.0\n/m);
    expect(stderr).toMatch(/fix: where the change is genuine: ssh-keygen -f '\S+' -R '\[127\.1\.0\.0\]:\d+'\n/);
    expect(readFileSync(file, 'utf8')).toBe(`${text}${lines.slice(1, 3).join('\n')}\n`);
  });

  it('adds nothing when it is stopped before it has seen all', async () => {
    await using silent = await simulate({ hosts: 8, base: '127.8.0.0', faults: { silent: 0.5 } });
    const faults = Array.from({ length: 8 }, (_, index) => silent.simulator.fault(index));
    expect(new Set(faults)).toEqual(new Set(['silent', undefined]));
    const file = knownHosts();
    const words = ['trust', '-w', '127.8.0.[0-7]', '-F', 'none', '-p', String(silent.simulator.port)];
    const running = launch([...words, '--known-hosts', file, '--yes', '-t', '5m', '--progress', 'always']);
    while (silent.simulator.stats.connections < 8) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect(stderr).toContain('interrupted: no key was added');
    expect(code).toBe(130);
    expect(existsSync(file)).toBe(false);
  });

  it('goes on without hosts that it cannot reach, and says so with exit code 4', async () => {
    const file = knownHosts();
    const { code, stderr } = await myriad([...ON(file, '127.1.0.0,127.1.0.1:1'), '--yes']);
    expect(code).toBe(4);
    expect(stderr).toMatch(/1 unreachable\(refused\): 127\.1\.0\.1:1/);
    expect(readFileSync(file, 'utf8')).toBe(`${right.split('\n')[0]}\n`);
  });

  it.each([
    ['two ways at once', ['--yes', '--out', '-'], /--yes and --out: with --out no key is added/],
    ['a file that cannot be written', ['--out', '/nowhere/x'], /--out: "\/nowhere\/x" cannot be written/],
    ['unverified host keys', ['--yes', '--host-keys', 'off'], /hostKeys "off"/],
    ['a number of hosts', ['--yes', '--expect', '7'], /--expect 7: the selection has 300 hosts/],
  ])('refuses %s', async (_, words, sentence) => {
    const { code, stderr } = await myriad([...ON(knownHosts()), ...words]);
    expect(stderr).toMatch(/^myriad: [^\n]+\n$/);
    expect(stderr).toMatch(sentence);
    expect(code).toBe(2);
  });
});

describe.runIf(present('script')).concurrent('on a terminal of 80 columns', () => {
  it('shows the review, and adds after a y', async () => {
    const file = knownHosts();
    const terminal = new Terminal(ON(file));
    await terminal.shows(/Add 300 keys of 300 hosts to \S+\? \[y\/N\] /);
    expect(existsSync(file)).toBe(false);
    terminal.type('y\r');
    const { code, stdout } = await terminal.ended;
    expect(code).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(right);
    const [review = ''] = shown(stdout).split('Add 300');
    expect(review).toMatch(/^ {2}300 ssh-ed25519: /m);
    for (const line of review.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(shown(stdout)).toMatch(/300 keys of 300 hosts added to /);
  });

  it.each([
    ['n', 'n\r', 2, 'not confirmed; no key was added'],
    ['nothing', '\r', 2, 'not confirmed; no key was added'],
    ['^C', CONTROL_C, 130, 'interrupted'],
  ])('adds nothing after %s', async (_, typed, exit, sentence) => {
    const file = knownHosts();
    const terminal = new Terminal(ON(file, '127.1.0.[0-3]'));
    await terminal.shows(/Add 4 keys of 4 hosts to \S+\? \[y\/N\] /);
    terminal.type(typed);
    const { code, stdout } = await terminal.ended;
    expect(code).toBe(exit);
    expect(stdout).toContain(sentence);
    expect(existsSync(file)).toBe(false);
  });

  it('lists every fingerprint with -v', async () => {
    const terminal = new Terminal([...ON(knownHosts(), '127.1.0.[0-3]'), '-v']);
    await terminal.shows(/Add 4 keys/);
    terminal.type('n\r');
    const { stdout } = await terminal.ended;
    expect(stdout.match(/ssh-ed25519 SHA256:\S{43}: 127\.1\.0\.\d\r\n/g)).toHaveLength(4);
  });
});
