/** `myriad simulate` as its user runs it, and `myriad run` against it. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, launchOpen, myriad, type Running, totals } from './command.ts';

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'myriad-simulate-'));
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(dir, 'id'), privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Resolves with the port that it says it is ready on. */
async function ready(simulator: Running): Promise<string> {
  const pattern = /port (\d+); ready\n/;
  await simulator.shows(pattern);
  return pattern.exec(simulator.stdout)![1]!;
}

describe.concurrent('myriad simulate', () => {
  it('serves a fleet that myriad run reaches with what it has written', async () => {
    const file = (name: string) => join(dir, name);
    const files = ['--known-hosts', file('known'), '--hostfile', file('hosts'), '--commands', file('commands')];
    const faults = ['--fault', 'exit-1=20%', '--fault', 'refuse=0.1'];
    const simulator = launchOpen(['simulate', '40', '--base', '127.3.0.250', '--seed', '5', ...faults, ...files]);
    const port = await ready(simulator);
    const target = ['-w', `^${file('hosts')}`, '-p', port, '-l', 'me', '--known-hosts', file('known')];
    const { code, stderr } = await myriad([...target, '--identity', file('id'), '--', 'echo hello']);
    const { ok = 0, failed = 0, unreachable = 0 } = totals(stderr);
    expect(ok + failed + unreachable).toBe(40);
    expect(Math.min(ok, failed, unreachable)).toBeGreaterThan(0);
    expect(code).toBe(4);
    simulator.child.stdin!.end();
    simulator.child.kill('SIGTERM');
    const ended = await simulator.ended;
    expect(ended.stdout).toBe(
      `40 hosts, 127.3.0.250 to 127.3.1.33, port ${port}; ready\n` +
        `${ok + failed} connections, ${ok + failed} logins, ${ok + failed} commands\n`,
    );
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: '' });
    const commands = readFileSync(file('commands'), 'utf8').trimEnd().split('\n');
    expect(commands).toHaveLength(ok + failed);
    for (const command of commands) expect(command).toMatch(/^127\.3\.[01]\.\d+\techo hello$/);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends at %s', async (signal) => {
    const simulator = launch(['simulate', '1']);
    await ready(simulator);
    simulator.child.kill(signal);
    const { code, stdout } = await simulator.ended;
    expect(stdout).toMatch(/\n0 connections, 0 logins, 0 commands\n$/);
    expect(code).toBe(0);
  });

  it('ends with stdin where that is asked for, and only there', async () => {
    const simulator = launchOpen(['simulate', '1', '--until-stdin-ends']);
    await ready(simulator);
    simulator.child.stdin!.end();
    expect((await simulator.ended).code).toBe(0);
  });

  it('misbehaves in the same way again, by its seed', async () => {
    const hosts = async (name: string, seed: string) => {
      const simulator = launch([
        'simulate',
        '60',
        '--seed',
        seed,
        '--fault',
        'refuse=30%',
        '--hostfile',
        join(dir, name),
      ]);
      await ready(simulator);
      simulator.child.kill('SIGTERM');
      await simulator.ended;
      return readFileSync(join(dir, name), 'utf8');
    };
    const [first, again, other] = await Promise.all([hosts('a', '1'), hosts('b', '1'), hosts('c', '2')]);
    expect(first).toBe(again);
    expect(first).not.toBe(other);
    expect(first.match(/:1\n/g)!.length).toBeLessThan(40);
  });
});

describe.concurrent('myriad simulate refuses', () => {
  it.each<[string, readonly string[], RegExp]>([
    ['no number of hosts', [], /missing required argument 'N'/],
    ['a number in words', ['many'], /N: expected a whole number from 1 to 16000000, got "many"/],
    ['no hosts', ['0'], /N: .* got "0"/],
    ['two numbers', ['1', '2'], /too many arguments; expected 1 argument but got 2: 1, 2/],
    [
      'more hosts than there are addresses',
      ['100', '--base', '127.255.255.250'],
      /100 hosts from 127.255.255.250 leave 127/,
    ],
    ['an address elsewhere', ['1', '--base', '10.0.0.1'], /expected an address of 127\.0\.0\.0\/8, got "10\.0\.0\.1"/],
    [
      'a fault that is none',
      ['1', '--fault', 'slient=1%'],
      /fault "slient=1%": expected NAME=SHARE%, with NAME one of /,
    ],
    ['a fault without a share', ['1', '--fault', 'silent'], /fault "silent": expected NAME=SHARE%/],
    [
      'more than all hosts',
      ['1', '--fault', 'silent=60%', '--fault', 'lost=60%'],
      /at most 100% together, got 120\.0%/,
    ],
    [
      'MaxStartups',
      ['1', '--max-startups', '10'],
      /--max-startups: expected BEGIN:RATE:FULL such as 10:30:100, got "10"/,
    ],
    ['MaxSessions', ['1', '--max-sessions', '-1'], /--max-sessions: expected a whole number of at least 0, got "-1"/],
    ['a latency', ['1', '--latency', 'slow'], /--latency: expected a duration above 0 .*, got "slow"/],
    ['a port', ['1', '-p', '0'], /--port \(-p\): expected a whole number from 1 to 65535, got "0"/],
    ['a misspelt option', ['1', '--prot', '22'], /unknown option '--prot' \(Did you mean --port\?\)/],
    [
      'a known_hosts that cannot be written',
      ['1', '--known-hosts', '/no/dir'],
      /"\/no\/dir" cannot be written: ENOENT/,
    ],
    ['a large one, too', ['5000', '--known-hosts', '/no/dir'], /"\/no\/dir" cannot be written: ENOENT/],
    ['hosts that cannot be written', ['1', '--hostfile', '/no/dir'], /"\/no\/dir" cannot be written: ENOENT/],
    ['commands that cannot be written', ['1', '--commands', '/no/dir'], /"\/no\/dir" cannot be written: ENOENT/],
  ])('%s', async (_, words, says) => {
    const { code, stdout, stderr } = await myriad(['simulate', ...words]);
    expect(stderr).toMatch(says);
    expect(stderr).toMatch(/^myriad: [^\n]+\n$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('a port that is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { code, stderr } = await myriad(['simulate', '1', '-p', String(port)]);
    server.close();
    expect(stderr).toBe(
      `myriad: simulator: cannot listen on port ${port}: listen EADDRINUSE: address already in use 0.0.0.0:${port}\n`,
    );
    expect(code).toBe(2);
  });
});
