/** A fleet in threads: the same outcomes, and what cannot cross stays on the main thread. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { threadsForRun } from '../../src/fleet/threads.ts';
import { fleet, outcomeLabel } from '../../src/index.ts';
import { FAULT_NAMES } from '../../src/simulator/faults.ts';
import { simulate, sumOf } from '../kit/fleet.ts';

const THREADS = { threads: 2, fanout: 64 } as const;

describe('threads', () => {
  it('300 hosts with faults end as they do on the main thread, none runs twice, and no thread is left', async () => {
    // As in `test/simulator/faults.test.ts`: neither deadlines nor what keeps this thread.
    const names = FAULT_NAMES.filter((name) => !name.startsWith('silent') && name !== 'huge');
    const faults = Object.fromEntries(names.map((name) => [name, 0.03]));
    const ran = new Map<string, number>();
    const onCommand = (address: string) => void ran.set(address, (ran.get(address) ?? 0) + 1);
    await using simulated = await simulate({ hosts: 300, faults, seed: 7, onCommand });
    const seen: string[][] = [];
    const before = process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
    for (const threads of [1, 2]) {
      ran.clear();
      await using hosts = fleet({ ...simulated.options, ...THREADS, threads, deadlines: { connectMs: 60_000 } });
      const started: number[] = [];
      const run = hosts.run('echo hello', {
        listener: (event) => void (event.type === 'task:start' && started.push(event.index)),
      });
      const results = await run.all();
      const summary = await run.summary();
      expect([summary.planned, sumOf(summary)]).toEqual([300, 300]);
      expect(Math.max(...ran.values())).toBe(1);
      expect(new Set(started).size).toBe(started.length);
      const where = new Set(results.map(({ executor }) => executor));
      expect(where).toEqual(threads === 1 ? new Set(['main']) : new Set(['thread-1', 'thread-2']));
      seen.push(results.map(({ host, outcome, stdout }) => `${host.label} ${outcomeLabel(outcome)} ${stdout.text()}`));
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(process.getActiveResourcesInfo().filter((name) => name === 'MessagePort')).toHaveLength(before);
  });

  it('a streamed output comes whole and in its order', async () => {
    await using simulated = await simulate({ hosts: 16 });
    await using hosts = fleet({ ...simulated.options, ...THREADS });
    // More than a window: hosts are held back on the way.
    const counts = new Map<number, number>();
    for await (const { index, line } of hosts.run('hostname; yes 50000', { gather: 'stream' }).lines()) {
      const count = counts.get(index) ?? 0;
      if (line !== (count === 0 ? `sim-${index}` : 'y')) expect.fail(`line ${count} of host ${index} is "${line}"`);
      counts.set(index, count + 1);
    }
    expect([...counts.values()]).toEqual(Array(16).fill(50_001));
  });

  it('known_hosts is read once, and not by each thread', async () => {
    await using simulated = await simulate({ hosts: 40 });
    const knownHosts = `${simulated.dir}/once`;
    writeFileSync(knownHosts, readFileSync(simulated.knownHosts));
    await using hosts = fleet({ ...simulated.options, ...THREADS, knownHosts });
    await hosts.prepare();
    rmSync(knownHosts);
    const results = await hosts.run('true').all();
    expect(results.map(({ outcome }) => outcomeLabel(outcome))).toEqual(Array(40).fill('ok'));
    expect(new Set(results.map(({ executor }) => executor))).toEqual(new Set(['thread-1', 'thread-2']));
  });

  it('accept-new has one writer: each key stands once in the file', async () => {
    await using simulated = await simulate({ hosts: 40 });
    const knownHosts = `${simulated.dir}/learnt`;
    for (const hostKeys of ['accept-new', 'strict'] as const) {
      await using hosts = fleet({ ...simulated.options, ...THREADS, knownHosts, hostKeys });
      expect((await hosts.run('true', { repeat: 3 }).summary()).outcomes.ok).toBe(120);
    }
    const written = readFileSync(knownHosts, 'utf8').trimEnd().split('\n');
    expect(new Set(written).size).toBe(40);
    expect(written).toHaveLength(40);
  });

  it('a wrong password is tried three times over all threads, and not once more', async () => {
    let tries = 0;
    const accepts = (attempt: { readonly method: string }) => {
      if (attempt.method === 'password') tries += 1;
      return false;
    };
    await using simulated = await simulate({ hosts: 60, accepts });
    const { identity: _, ...options } = simulated.options;
    await using hosts = fleet({ ...options, ...THREADS, password: async () => 'mistyped' });
    const summary = await hosts.run('true').summary();
    expect(tries).toBe(3);
    expect(summary.stopped).toBe('guard');
    expect(sumOf(summary)).toBe(60);
  });

  it('a password that was sent is taken out of what hosts say, patterns too', async () => {
    await using simulated = await simulate({ hosts: 40, accepts: ({ method }) => method === 'password' });
    const { identity: _, ...options } = simulated.options;
    await using hosts = fleet({ ...options, ...THREADS, password: () => 'hunter22' });
    const results = await hosts.run('echo hunter22 and ticket-17', { redact: [/ticket-\d+/] }).all();
    const said = new Set(results.map(({ stdout }) => stdout.text()));
    expect(said).toEqual(new Set(['[redacted] and [redacted]\n']));
  });

  it('a sudo password is on trial in one thread for all', async () => {
    await using simulated = await simulate({ hosts: 36, sudoPassword: 'c0rrect' });
    for (const password of ['c0rrect', 'wrong']) {
      await using hosts = fleet({ ...simulated.options, ...THREADS });
      const results = await hosts.run('echo done', { sudo: { password } }).all();
      const words = results.map(({ outcome }) => ('message' in outcome ? outcome.message : outcome.kind));
      if (password === 'c0rrect') expect(words).toEqual(Array(36).fill('ok'));
      else expect(words.filter((word) => word.endsWith(': the password was refused'))).toHaveLength(3);
      expect(words.filter((word) => word === 'ok')).toHaveLength(password === 'c0rrect' ? 36 : 0);
    }
  });

  it('what is read on the main thread is refused by its name, or runs there', async () => {
    await using simulated = await simulate({ hosts: 2 });
    const run = (threads: number | 'auto') => {
      const hosts = fleet({ ...simulated.options, threads });
      const stdin = (async function* () {
        yield Buffer.from('x');
      })();
      return hosts
        .run('cat', { stdin })
        .all()
        .finally(() => hosts.close());
    };
    await expect(run(2)).rejects.toMatchObject({
      code: 'usage',
      message: 'threads 2: stdin from a file or stream stays on the main thread; leave it out, or take threads 1',
    });
    expect((await run('auto')).map(({ executor, stdout }) => [executor, stdout.text()])).toEqual([
      ['main', 'x'],
      ['main', 'x'],
    ]);
  });

  it.each([
    ['auto', 1, 1],
    ['auto', 3_999, 1],
    [4, 1, 4],
    [1, 1_000_000, 1],
  ] as const)('%s for %i tasks: %i', (asked, tasks, expected) => {
    expect(threadsForRun(asked, tasks)).toBe(expected);
  });

  it.each([0, 1.5, 257])('threads %s is refused', (threads) => {
    expect(() => fleet({ hosts: 'web1', threads })).toThrow(/threads: expected a whole number from 1 to 256/);
  });
});
