/** The options of execution as words: what they come to on hosts, and what of them is refused before anything connects. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { present } from '../kit/servers.ts';
import { MAIN, myriad, reach, shell } from './command.ts';
import { Terminal } from './terminal.ts';

const PASSWORD = 'corr3ct horse "battery"';
const HOSTS = '127.1.0.[0-9]';

let fleetOf: SimulatedFleet;
let dir: string;
const commands: string[] = [];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'myriad-execution-'));
  fleetOf = await simulate({ hosts: 10, sudoPassword: PASSWORD, onCommand: (_at, line) => commands.push(line) });
});
afterAll(async () => {
  await fleetOf[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const file = (name: string, text: string, mode = 0o600) => {
  const path = join(dir, name);
  writeFileSync(path, text, { mode });
  return path;
};

describe('sudo', () => {
  it('with a password file runs on every host, and shows the password nowhere', async () => {
    const words = ['--sudo', '--sudo-password-file', file('right', `${PASSWORD}\n`), '--output', 'ndjson'];
    const { code, stdout, stderr } = await myriad(['-w', HOSTS, ...reach(fleetOf), ...words, '--', 'echo', 'done']);
    expect(code).toBe(0);
    expect(stdout.match(/"stdout":\{"text":"done\\n"/g)).toHaveLength(10);
    expect(stdout + stderr).not.toContain('corr3ct');
    expect(commands.join()).not.toContain('corr3ct');
  });

  it('with a wrong one stops after three hosts, and says why', async () => {
    const words = ['--sudo', '--sudo-password-file', file('wrong', 'wr0ng-one\n'), '-f', '2'];
    const { code, stdout, stderr } = await myriad(['-w', HOSTS, ...reach(fleetOf), ...words, '--', 'echo', 'done']);
    expect(code).toBe(6);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^ +\d+ failed\(sudo\): 127/m);
    expect(stderr).toContain('sudo refused: the password was refused');
    expect(stderr).toMatch(/refused three times and never accepted/);
    expect(stderr).not.toContain('wr0ng-one');
  });

  it('that refuses is exit code 5', async () => {
    const words = ['--doas', '--output', 'ndjson'];
    const ok = await myriad(['-w', '127.1.0.0', ...reach(fleetOf), ...words, '--', 'echo', 'done']);
    expect(ok.code).toBe(0);
    const none = file('other', 'not-this-one\n');
    const one = ['--sudo', '--sudo-password-file', none, '--output', 'ndjson'];
    const { code, stdout } = await myriad(['-w', '127.1.0.0', ...reach(fleetOf), ...one, '--', 'echo', 'done']);
    expect(code).toBe(5);
    const end = stdout.split('\n').find((line) => line.includes('"task:end"'))!;
    expect(JSON.parse(end).outcome).toEqual({
      kind: 'failed',
      began: 'no',
      status: null,
      cause: 'sudo',
      message: 'sudo refused: the password was refused',
    });
  });

  it.runIf(present('script'))('asks with -K once, without an echo', async () => {
    const terminal = new Terminal(['-w', HOSTS, ...reach(fleetOf), '--sudo', '-K', '-N', '--', 'echo', 'done']);
    await terminal.shows(/Password for sudo: /);
    terminal.type(`${PASSWORD}\r`);
    const { code, stdout } = await terminal.ended;
    expect(code).toBe(0);
    expect(stdout.match(/(?:^|\x1b\[K)done\r$/gm)).toHaveLength(10);
    expect(stdout.match(/Password for sudo/g)).toHaveLength(1);
    expect(stdout).not.toContain('corr3ct');
  });
});

describe('refused before anything connects', () => {
  const RUN = ['-w', HOSTS, '-p', '1'];
  it.each([
    [['-K', '--', 'id'], /^myriad: --ask-sudo-password \(-K\): nothing asks for it without --sudo/],
    [['--sudo', '-K', '--', 'id'], /there is no terminal to ask on/],
    [['--sudo', '--doas', '--', 'id'], /--sudo and --doas: give one of them/],
    [['--doas', '-K', '--', 'id'], /doas takes no password from here/],
    [['--local', '--sudo', '--', 'id'], /--sudo: a program that runs here \(--local\) gets none/],
    [['--env', 'NOT_SET_HERE', '--', 'id'], /--env NOT_SET_HERE: there is no such variable here/],
    [['--env', 'UID=1', '--', 'id'], /env "UID": shells do not let this be set/],
    [['--umask', '8', '--', 'id'], /--umask: expected an octal mask such as 027, got "8"/],
    [['--cwd', '', '--', 'id'], /option "cwd" is empty/],
    [['--shell', 'fish', '--', 'id'], /--shell: expected one of sh, cmd, powershell, got "fish"/],
    [['--shell', 'powershell', '--sudo', '--', 'id'], /^myriad: --sudo: --shell powershell has no sudo$/m],
    [['--shell', 'cmd', '--sudo-user', 'ann', '--', 'id'], /^myriad: --sudo-user: --shell cmd has no sudo$/m],
    [['--shell', 'cmd', '--doas', '--', 'id'], /^myriad: --doas: --shell cmd has no doas$/m],
    [['--shell', 'cmd', '--umask', '027', '--', 'id'], /^myriad: --umask: --shell cmd has no umask$/m],
    [['--shell', 'cmd', '--tty', '--', 'id'], /^myriad: --tty: --shell cmd is given no terminal$/m],
    [['--shell', 'cmd', '--local', '--', 'id'], /--shell: a program that runs here \(--local\) gets none/],
    [['--shell', 'cmd', '-e', 'x=50%', '--', 'echo {x}'], /command: "\{x\}": cmd cannot be given a value with % in it/],
    [['--on-stop', 'kill', '--', 'id'], /--on-stop: expected one of term, leave, got "kill"/],
  ])('%j', async (words, message) => {
    const { code, stdout, stderr } = await myriad([...RUN, ...words]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('a password file that others may read', async () => {
    const words = ['--sudo', '--sudo-password-file', file('open', 'x\n', 0o644), '--', 'id'];
    const { code, stderr } = await myriad([...RUN, ...words]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--sudo-password-file ".*" can be read or changed by others \(mode 0644\); chmod 600 it/);
  });

  it.each([
    [[], /no script was given: add its file after the options/],
    [['/no/such/script'], /script "\/no\/such\/script" cannot be read \(ENOENT\)/],
    [['--interpreter', ' ', 'x'], /--interpreter: expected a program, such as python3/],
    [['--local', 'x'], /unknown option '--local'/],
    [['--shell', 'cmd', 'x'], /^myriad: --shell cmd: scripts are for hosts with a POSIX shell$/m],
  ])('script %j', async (words, message) => {
    const { code, stderr } = await myriad(['script', ...RUN, ...words]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

it('a file of variables is ours to read, and not taken by node', async () => {
  const main = shell(
    `PATH=${dirname(process.execPath)}:$PATH; exec $(sed -n '1s/^#!//p' '${MAIN}') '${MAIN}' -w a --env-file /no/such/file -- id`,
  );
  const { code, stderr } = await main.ended;
  expect([code, stderr]).toEqual([2, 'myriad: --env-file "/no/such/file" cannot be read (ENOENT)\n']);
});

it('--on-stop leave: what runs at the deadline goes on there', async () => {
  const before = commands.length;
  const words = ['--on-stop', 'leave', '-u', '200ms', '--output', 'ndjson', '--', 'sleep 100'];
  const { code, stdout } = await myriad(['-w', '127.1.0.0', ...reach(fleetOf), ...words]);
  expect(code).toBe(3);
  const end = stdout.split('\n').find((line) => line.includes('"task:end"'))!;
  expect(JSON.parse(end).outcome).toEqual({ kind: 'timeout', began: 'yes', phase: 'command', remote: 'left-running' });
  expect(commands.slice(before)).toEqual(['sleep 100']);
});
