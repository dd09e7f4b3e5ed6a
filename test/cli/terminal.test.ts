/** On a terminal: pausing and stopping by ^C, passwords and passphrases, progress, colour, control sequences of hosts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { keygen, present } from '../kit/servers.ts';
import { reach, totals } from './command.ts';
import { CONTROL_C, Terminal } from './terminal.ts';

const PASSWORD = 'korrekt-Pferd ñ 7';
let fleet: SimulatedFleet;
let on: string[];
const attempts: string[] = [];
const started: string[] = [];

beforeAll(async () => {
  fleet = await simulate({
    hosts: 6,
    onCommand: (address, command) => void started.push(`${address} ${command}`),
    accepts: (attempt) => {
      attempts.push(attempt.method);
      return attempt.method === 'publickey' || attempt.password === PASSWORD;
    },
  });
  on = reach(fleet);
});
afterAll(() => fleet[Symbol.asyncDispose]());

const WITH_KEY = (host: number) => ['-w', `127.1.0.${host}`, ...on];
/** Without a key. */
const ASKING = () => ['-p', String(fleet.simulator.port), '-l', 'root', '--known-hosts', fleet.knownHosts, '-k'];
/** Its lines, without colour, and each frame of the progress in a line of its own. */
const shown = (screen: string) => screen.replace(/\r\n|\r\x1b\[K/g, '\n').replace(/\x1b\[\d*m/g, '');

describe.runIf(present('script')).concurrent('^C', () => {
  it('once starts nothing new, c continues, and the run ends ok', async () => {
    const command = 'sleep 0.5; echo paused-and-continued';
    const terminal = new Terminal(['-w', '127.1.0.[0-2]', ...on, '-f', '1', command]);
    await terminal.shows(/1 running/);
    terminal.type(CONTROL_C);
    await terminal.shows(/paused: no new command starts; c continues, \^C ends what is running/);
    await terminal.shows(/ paused-and-continued/);
    // What ran has ended and nothing new may start, however long one waits.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(started.filter((line) => line.endsWith(command))).toHaveLength(1);
    // Nor is there a rate or a time left while it waits for a person.
    const waiting = terminal.stdout.split('paused-and-continued')[1];
    expect(waiting).toMatch(/1\/3 33%, paused/);
    expect(waiting).not.toMatch(/\/s|left/);
    terminal.type('xyz');
    terminal.type('c');
    await terminal.shows(/continuing/);
    const { code, stdout } = await terminal.ended;
    expect({ code, outcomes: totals(shown(stdout)) }).toEqual({ code: 0, outcomes: { ok: 3 } });
  });

  it('twice ends what runs; the rest is not run', async () => {
    const terminal = new Terminal(['-w', '127.1.0.3', ...on, '-f', '1', '--repeat', '50', 'sleep 100']);
    await terminal.shows(/1 running/);
    terminal.type(CONTROL_C);
    await terminal.shows(/paused: .*/);
    terminal.type(CONTROL_C);
    await terminal.shows(/stopping: ending what is running; \^C once more leaves at once/);
    const { code, stdout } = await terminal.ended;
    expect({ code, outcomes: totals(shown(stdout)) }).toEqual({
      code: 130,
      outcomes: { cancelled: expect.any(Number), 'not-run': expect.any(Number) },
    });
    expect(shown(stdout)).toMatch(/ cancelled: 127\S+\n +stopped by the user; the remote process was killed\n/);
  });

  it.each([
    ['a password', () => ['-w', '127.1.0.[0-1]', ...ASKING()], /Password of root: /, `${PASSWORD}\r`],
    ['the number of hosts', () => [...WITH_KEY(0), '-w', '127.9.[0-1].[0-254]'], /\[y\/N\] /, 'y\r'],
  ])('is heard after a question for %s', async (_, words, question, answer) => {
    const terminal = new Terminal([...words(), '-f', '1', '-t', '2s', 'echo up; sleep 2']);
    await terminal.shows(question);
    terminal.type(answer);
    await terminal.shows(/1 running/);
    terminal.type(CONTROL_C);
    await terminal.shows(/paused: /);
    terminal.type('c');
    await terminal.shows(/continuing/);
    terminal.type(CONTROL_C);
    await terminal.shows(/paused: [\s\S]*paused: /);
    terminal.type(CONTROL_C);
    const { code, stdout } = await terminal.ended;
    expect(code).toBe(130);
    expect(totals(shown(stdout))).toMatchObject({ cancelled: expect.any(Number) });
  });

  it('gives the terminal back as it was', async () => {
    const terminal = new Terminal([...WITH_KEY(0), '--gather', 'stream', 'echo up; sleep 100'], { after: 'stty -a' });
    await terminal.shows(/ up\r\n/);
    terminal.type(CONTROL_C);
    await terminal.shows(/paused/);
    terminal.type(CONTROL_C);
    const { stdout } = await terminal.ended;
    expect(stdout).toMatch(/^isig icanon .*\becho /m);
  });
});

describe.runIf(present('script'))('secrets', () => {
  it('-k asks for a password, once, and shows it nowhere', async () => {
    const terminal = new Terminal(['-w', '127.1.0.[0-3]', ...ASKING(), 'echo let in']);
    await terminal.shows(/Password of root: /);
    terminal.type(`wrong\x7f\x7f\x7f\x7f\x7f${PASSWORD}é\x7f\r`);
    const argv = readFileSync(`/proc/${terminal.child.pid}/cmdline`, 'utf8');
    const { code, stdout } = await terminal.ended;
    expect({ code, outcomes: totals(shown(stdout)) }).toEqual({ code: 0, outcomes: { ok: 4 } });
    expect(stdout.match(/Password of root: /g)).toHaveLength(1);
    expect(stdout.match(/let in/g)).toHaveLength(4);
    expect(argv).toContain('echo let in');
    for (const text of [stdout, argv]) expect(text).not.toContain('Pferd');
    expect(stdout).not.toContain('wrong');
  });

  it('a wrong password is auth-failed, and is shown nowhere', async () => {
    const terminal = new Terminal(['-w', '127.1.0.0', ...ASKING(), '-v', 'true'], { stdout: join(fleet.dir, 'out') });
    await terminal.shows(/Password of root: /);
    terminal.type('guessed-it\r');
    const { code, stdout } = await terminal.ended;
    expect({ code, outcomes: totals(shown(stdout)) }).toEqual({ code: 4, outcomes: { 'auth-failed': 1 } });
    expect(stdout + readFileSync(join(fleet.dir, 'out'), 'utf8')).not.toContain('guessed');
  });

  it('^C at the question ends it, and nothing connects', async () => {
    const before = attempts.length;
    const terminal = new Terminal(['-w', '127.1.0.0', ...ASKING(), 'true']);
    await terminal.shows(/Password of root: /);
    terminal.type(`half${CONTROL_C}`);
    const { code, stdout } = await terminal.ended;
    expect({ code, stdout: shown(stdout) }).toEqual({ code: 130, stdout: 'Password of root: \nmyriad: interrupted\n' });
    expect(attempts).toHaveLength(before);
  });

  it('an encrypted key is asked for its passphrase; a wrong one connects nowhere', async () => {
    if (!present('ssh-keygen')) return;
    const sealed = keygen(fleet.dir, 'sealed', '-t', 'ed25519', '-N', 'open sesame');
    const words = ['-w', '127.1.0.[0-2]', ...ASKING().slice(0, -1), '--identity', sealed, 'true'];
    for (const [passphrase, code, says] of [
      ['open sesame', 0, /^3 planned: 3 ok$/m],
      ['barley', 2, /^myriad: --identity: the passphrase for the private key .*\/sealed is wrong/m],
    ] as const) {
      const before = fleet.simulator.stats.connections;
      const terminal = new Terminal(words);
      await terminal.shows(/Passphrase for .*\/sealed: /);
      terminal.type(`${passphrase}\r`);
      const ended = await terminal.ended;
      expect(ended.code).toBe(code);
      expect(shown(ended.stdout)).toMatch(says);
      expect(ended.stdout).not.toContain(passphrase);
      expect(fleet.simulator.stats.connections - before).toBe(code === 0 ? 3 : 0);
    }
  });

  it('two questions may be answered at once', async () => {
    if (!present('ssh-keygen')) return;
    const sealed = keygen(fleet.dir, 'sealed-too', '-t', 'ed25519', '-N', 'open sesame');
    const terminal = new Terminal(['-w', '127.1.0.0', ...ASKING(), '--identity', sealed, 'true']);
    await terminal.shows(/Password of root: /);
    terminal.type(`${PASSWORD}\ropen sesame\r`);
    expect((await terminal.ended).code).toBe(0);
  });
});

describe.runIf(present('script')).concurrent('what a terminal shows', () => {
  it.each([[80], [0]])('progress in place, and a summary that keeps its words, at %i columns', async (columns) => {
    const terminal = new Terminal(['-w', '127.1.0.[0-3]', ...on, '-f', '2', 'sleep 0.6'], { columns });
    await terminal.shows(/\r\x1b\[K0\/4 0%, .*2 running/);
    const { code, stdout } = await terminal.ended;
    expect({ code, outcomes: totals(shown(stdout)) }).toEqual({ code: 0, outcomes: { ok: 4 } });
    // The last frame is taken away before the summary.
    expect(stdout).toMatch(/\r\x1b\[K4 planned: 4 ok\r\n/);
    for (const frame of stdout.split(/\r\x1b\[K|\r\n/)) expect(frame.length).toBeLessThan(80);
  });

  it.each([
    ['--progress never', ['--progress', 'never'], {}],
    ['CI', [], { CI: 'true' }],
  ])('no progress with %s', async (_, options, env) => {
    const { code, stdout } = await new Terminal([...WITH_KEY(0), ...options, 'sleep 0.6'], { env }).ended;
    expect(stdout).not.toContain('\x1b[K');
    expect(code).toBe(0);
  });

  it.each([
    ['colour', [], {}, true],
    ['none with NO_COLOR', [], { NO_COLOR: '1' }, false],
    ['none with --color never', ['--color', 'never'], {}, false],
    ['colour with both --color always and NO_COLOR', ['--color', 'always'], { NO_COLOR: '1' }, true],
  ])('%s', async (_, options, env, coloured) => {
    const { stdout } = await new Terminal([...WITH_KEY(1), ...options, 'echo x'], { env }).ended;
    expect(stdout.includes('\x1b[36m127.1.0.1:\x1b[39m x\r\n')).toBe(coloured);
    expect(stdout.includes('127.1.0.1: x\r\n')).toBe(!coloured);
  });

  it('control sequences of a host made visible, unless --raw', async () => {
    const words = ['run', '--local', '-w', 'a'];
    const command = ['--', 'printf', '\\033]0;owned\\007\\033[2Jx'];
    expect((await new Terminal([...words, ...command]).ended).stdout).toContain('^[]0;owned^G^[[2Jx');
    expect((await new Terminal([...words, '--raw', ...command]).ended).stdout).toContain('\x1b]0;owned\x07\x1b[2Jx');
  });

  it('no control sequence of a host in what is said about it', async () => {
    const { stdout } = await new Terminal(['-w', '127.1.0.0', ...on, '--dry-run', 'echo \x1b[2J']).ended;
    expect(stdout).not.toContain('\x1b[2J');
  });
});
