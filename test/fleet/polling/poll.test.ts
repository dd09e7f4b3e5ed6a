/** Runs in rounds on a simulated fleet: connections stay, changes are told, a restart is survived, and everything is recorded. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, openJournal, type RunEvent, type RunOptions } from '../../../src/index.ts';
import { Simulator } from '../../../src/simulator/simulator.ts';
import { simulate, sumOf } from '../../kit/fleet.ts';

const scratch = mkdtempSync(join(tmpdir(), 'myriad-poll-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);

describe('a run in rounds', () => {
  it('has one id, one login a host, every task of every round once, and the rounds in order', async () => {
    await using simulated = await simulate({ hosts: 50 });
    await using hosts = fleet(simulated.options);
    const events: RunEvent[] = [];
    const run = hosts.run('echo same', { everyMs: 150, rounds: 4, listener: (event) => events.push(event) });
    const results = await run.all({ order: 'done' });
    const summary = await run.summary();
    expect(new Set(results.map(({ run: id, round, index }) => `${id} ${round} ${index}`)).size).toBe(200);
    expect(new Set(results.map((result) => result.run))).toEqual(new Set([run.id]));
    expect(results.map(({ round }) => round)).toEqual(results.map(({ round }) => round).sort());
    expect([summary.planned, sumOf(summary), summary.outcomes.ok]).toEqual([200, 200, 200]);
    expect(summary.polling).toMatchObject({ rounds: 4, changes: 0, hosts: { up: 50, down: 0, unknown: 0 } });
    expect(simulated.simulator.stats).toEqual({ connections: 50, logins: 50, commands: 200 });
    expect(ofType(events, 'round:end').map(({ round, planned }) => [round, planned])).toEqual(
      [0, 1, 2, 3].map((n) => [n, 50]),
    );
    expect(events.filter(({ type }) => type === 'run:start' || type === 'run:end')).toHaveLength(2);
  });

  it('tells what answers otherwise, by what was extracted', async () => {
    const file = join(scratch, 'load');
    writeFileSync(file, '{"load": [1, 2], "at": 0}');
    await using hosts = fleet({ hosts: 'a' });
    const seen: unknown[] = [];
    const run = hosts.local('cat', [file], {
      everyMs: 40,
      rounds: 5,
      jitterMs: 0,
      extract: '.load[0]',
      listener: (event) => {
        if (event.type === 'change') seen.push([event.change, event.value]);
        // Between two rounds: other bytes with the same value, then another value.
        if (event.type === 'round:end' && event.round < 4) {
          writeFileSync(file, `{"load": [${event.round < 2 ? 1 : 1.5}, 2], "at": ${event.round}}`);
        }
      },
    });
    await run.summary();
    expect(seen).toEqual([['answer', '1.5']]);
  });

  it('survives a restart of the whole fleet: down, then up, each told once', async () => {
    await using simulated = await simulate({ hosts: 40 });
    const { port } = simulated.simulator;
    await using hosts = fleet(simulated.options);
    const events: RunEvent[] = [];
    let again: Simulator | undefined;
    const run = hosts.run('echo x', { everyMs: 200 });
    run.on((event) => {
      events.push(event);
      if (event.type !== 'round:end') return;
      if (event.round === 0) void simulated.simulator.close();
      else if (event.hosts.down === 40 && again === undefined) {
        again = {} as Simulator;
        void Simulator.start({ hosts: 40, port }).then((started) => {
          again = started;
        });
      } else if (event.hosts.up === 40) run.cancel();
    });
    const summary = await run.summary();
    await again?.close();
    expect(sumOf(summary)).toBe(summary.planned);
    const changes = ofType(events, 'change').map(({ change, result }) => `${change} ${result.host.label}`);
    expect(new Set(changes).size).toBe(80);
    expect(changes).toHaveLength(80);
    expect(again!.stats.logins).toBe(40);
  });

  it('ends between two rounds when the fleet is closed', async () => {
    await using simulated = await simulate({ hosts: 2 });
    const hosts = fleet({ ...simulated.options, journal: join(scratch, 'closed') });
    const run = hosts.run('true', { everyMs: 60_000 });
    const over = new Promise<void>((resolve) => run.on(({ type }) => void (type === 'round:end' && resolve())));
    const summary = run.summary();
    await over;
    await hosts.close();
    expect(await summary).toMatchObject({ planned: 2, stopped: 'cancelled', polling: { rounds: 1 } });
  });

  it('records the last rounds, and each as it was', async () => {
    const journal = join(scratch, 'journal');
    await using simulated = await simulate({ hosts: 10 });
    await using hosts = fleet({ ...simulated.options, journal });
    const run = hosts.run('echo same', { everyMs: 60, rounds: 12, keepRounds: 5 });
    await run.summary();
    const reader = openJournal({ folder: journal }).read(run.id);
    expect(reader.lastRound).toBe(11);
    expect([...reader.series(3)].map(({ round, index, stdout }) => [round, index, stdout.text()])).toEqual(
      [7, 8, 9, 10, 11].map((round) => [round, 3, 'same\n']),
    );
    expect([...reader.tasks()].map(({ outcome }) => outcome.kind)).toEqual(new Array(10).fill('ok'));
    expect(reader.info.outcomes).toEqual({ ok: 50 });
    expect(reader.summary?.polling?.rounds).toBe(12);
    reader.close();
  });
});

describe('onChange', () => {
  const local = async (options: RunOptions, program: string): Promise<readonly string[]> => {
    await using hosts = fleet({ hosts: 'a,b' });
    await hosts.local('/bin/sh', ['-c', program], { everyMs: 50, jitterMs: 0, ...options }).summary();
    await hosts.close();
    return [...hosts.warnings];
  };

  it('gets each change as one line of JSON on its stdin', async () => {
    const told = join(scratch, 'told');
    await local({ rounds: 3, onChange: `cat >> ${told}` }, 'echo $$');
    const lines = readFileSync(told, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(4);
    for (const line of lines)
      expect(line).toMatchObject({ v: 1, type: 'change', change: 'answer', outcome: { kind: 'ok' } });
    expect(new Set(lines.map(({ round, host }) => `${round} ${host.label}`)).size).toBe(4);
  });

  it('says how many of its programs failed', async () => {
    const warnings = await local({ rounds: 2, onChange: 'exit 3' }, 'echo $$');
    expect(warnings).toEqual([expect.stringMatching(/^onChange: [12] of its programs did not end with status 0$/)]);
  });
});

describe('options of rounds', () => {
  const made =
    (options: RunOptions, more: FleetOptions = {}) =>
    () =>
      fleet({ hosts: 'a', ...more }).run('true', options);

  it.each<[RunOptions, string | RegExp]>([
    [{ rounds: 3 }, 'rounds: the run is not repeated; add everyMs'],
    [{ metrics: '9464' }, 'metrics: the run is not repeated; add everyMs'],
    [{ everyMs: 1 }, 'everyMs: expected milliseconds from 10 to 604800000, got 1'],
    [{ everyMs: Number.NaN }, /^everyMs: expected/],
    [{ everyMs: 1000, rounds: 0 }, /^rounds: expected a whole number from 1/],
    [{ everyMs: 1000, jitterMs: 1000 }, /^jitterMs 1000: it must be less/],
    [{ everyMs: 1000, failAfter: 256 }, /^failAfter: expected a whole number from 1 to 255/],
    [{ everyMs: 1000, extract: '(' }, /^extract: "\(" is neither a path/],
    [{ everyMs: 1000, extract: 'x', gather: 'discard' }, /^extract: there is nothing to look at/],
    [{ everyMs: 1000, onChange: ' ' }, /^onChange: expected a command/],
    [{ everyMs: 1000, metrics: 'example.org:80' }, /^metrics: expected ADDRESS:PORT/],
    [{ everyMs: 1000, metrics: '127.0.0.1' }, /^metrics: expected/],
    [{ everyMs: 1000, metrics: '70000' }, /^metrics: expected/],
    [{ everyMs: 1000, journalOutput: 'all' }, /^journalOutput all: rounds are recorded/],
    [{ everyMs: 1000, maxFail: 3 }, /^everyMs: a run in rounds has no waves/],
  ])('%j: %s', (options, message) => {
    expect(made(options)).toThrow(message);
  });

  it('connections must outlive a period', () => {
    expect(made({ everyMs: 1000 }, { warmMs: 900 })).toThrow(/^warmMs 900: connections would be closed/);
  });
});
