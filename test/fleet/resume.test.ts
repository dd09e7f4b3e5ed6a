/** Runs that go on where they were left. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Fleet,
  type FleetOptions,
  fleet,
  openJournal,
  type Run,
  type RunOptions,
  type Summary,
} from '../../src/index.ts';
import { exitCode } from '../../src/output/exit_code.ts';
import { type SimulatedFleet, simulate, sumOf } from '../kit/fleet.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'myriad-resumed-'));
  folders.push(folder);
  return folder;
}

/** A run that is cancelled after so many results, its journal and all that is known of it. */
async function left(
  simulated: SimulatedFleet,
  start: (hosts: Fleet) => Run,
  { after = 20, ...more }: FleetOptions & { after?: number } = {},
) {
  const journal = temporary();
  await using hosts = fleet({ ...simulated.options, fanout: 4, threads: 1, retries: 0, journal, ...more });
  const run = start(hosts);
  let ended = 0;
  run.on(({ type }) => void (type === 'task:end' && ++ended === after && run.cancel()));
  const summary = await run.summary();
  expect(summary.stopped).toBe('cancelled');
  return { journal, summary, id: run.id };
}

/** All that is ok, and what was cut off as the run was left. */
function finished({ outcomes }: Summary): number {
  expect(outcomes.ok).toBeGreaterThan(40);
  return outcomes.ok + outcomes.cancelled;
}

describe.each([1, 2])('a run that was left, threads %i', (threads) => {
  it('is finished: what ended is not done over, and counts as it ended', async () => {
    const ran = new Map<string, number>();
    const onCommand = (address: string, command: string) => {
      if (command === 'hostname') ran.set(address, (ran.get(address) ?? 0) + 1);
    };
    await using simulated = await simulate({ hosts: 100, faults: { 'exit-1': 0.2 }, seed: 9, onCommand });
    const { journal, summary: before, id } = await left(simulated, (hosts) => hosts.run('hostname', { repeat: 2 }));
    const stood = before.outcomes.ok + before.outcomes.failed + before.outcomes.lost;
    expect(before.outcomes.failed).toBeGreaterThan(0);

    // How hosts are reached stands in the journal.
    await using resumed = fleet({ resume: id, journal, threads, fanout: 64 });
    const run = resumed.resume();
    const results = await run.all();
    const summary = await run.summary();
    expect(run.status().outcomes).toEqual(
      Object.fromEntries(Object.entries(summary.outcomes).filter(([, n]) => n > 0)),
    );
    expect([run.id, run.planned, resumed.count]).toEqual([id, 200, 100]);
    expect(summary.resumed + results.length).toBe(200);
    expect(summary.resumed).toBeGreaterThanOrEqual(stood);
    expect([sumOf(summary), summary.planned, summary.stopped]).toEqual([200, 200, 'no']);
    expect(summary.outcomes.failed).toBeGreaterThan(before.outcomes.failed);
    expect(Math.max(...ran.values())).toBeLessThanOrEqual(2);
    const reader = openJournal({ folder: journal }).read('last');
    expect(reader.info).toMatchObject({ id, state: 'ended' });
    expect([...reader.results()].map(({ index }) => index)).toEqual(Array.from({ length: 200 }, (_, index) => index));
    reader.close();
    // One file again, and no lock.
    expect(readdirSync(journal).filter((name) => !name.endsWith('.db'))).toEqual([]);
  });
});

it('a failure of before does not hide behind those that are ok now', async () => {
  const faults = { 'exit-1': 1 };
  const journal = temporary();
  await using simulated = await simulate({ hosts: 30, faults });
  const options = { ...simulated.options, journal, fanout: 4 } as const;
  await using hosts = fleet(options);
  const run = hosts.run('hostname');
  run.on(({ type }) => void (type === 'task:end' && run.cancel()));
  await run.summary();
  await using good = await simulate({ hosts: 30 });
  writeFileSync(simulated.knownHosts, [...good.simulator.knownHosts()].join(''));
  await using resumed = fleet({ resume: 'last', journal, port: good.simulator.port });
  const summary = await resumed.resume().summary();
  expect(summary.outcomes.failed).toBeGreaterThan(0);
  expect(summary.outcomes.ok).toBeGreaterThan(0);
  expect(exitCode(summary)).toBeGreaterThan(0);
});

it('an ended run that is resumed does nothing, and says how it ended', async () => {
  const journal = temporary();
  await using simulated = await simulate({ hosts: 8, faults: { 'exit-1': 0.5 }, seed: 2 });
  await using hosts = fleet({ ...simulated.options, journal });
  const before = await hosts.run('hostname').summary();
  await using resumed = fleet({ resume: 'last', journal });
  const summary = await resumed.resume().summary();
  expect(summary).toMatchObject({ planned: 8, resumed: 8, outcomes: before.outcomes, stopped: 'no' });
  expect(simulated.simulator.stats.commands).toBe(8);
});

it('a run that goes on is not resumed, and who has it is named', async () => {
  const journal = temporary();
  await using simulated = await simulate({ hosts: 4 });
  await using hosts = fleet({ ...simulated.options, journal });
  const run = hosts.run('sleep 60');
  const begun = Promise.withResolvers<void>();
  run.on(({ type }) => void (type === 'task:start' && begun.resolve()));
  const ended = run.summary();
  await begun.promise;
  await using resumed = fleet({ resume: run.id, journal });
  await expect(resumed.resume().summary()).rejects.toMatchObject({
    code: 'journal',
    message: expect.stringMatching(new RegExp(`still in progress: process ${process.pid} `)),
  });
  run.cancel();
  await ended;
});

it('a script goes on as it was, and rank and count are those of the whole run', async () => {
  const file = join(temporary(), 'job.sh');
  writeFileSync(file, '#!/bin/sh\necho as it was\n');
  await using simulated = await simulate({ hosts: 60 });
  const { journal } = await left(simulated, (hosts) => hosts.script(file, ['one', 'two words']));
  writeFileSync(file, 'echo changed meanwhile\n');
  await using resumed = fleet({ resume: 'last', journal });
  const run = resumed.resume();
  expect(run.title).toBe(`script ${file} one 'two words'`);
  expect(finished(await run.summary())).toBe(60);

  const local = await left(simulated, (hosts) => hosts.local('echo', ['{rank}/{count}']));
  await using again = fleet({ resume: 'last', journal: local.journal });
  for (const { index, stdout } of await again.resume().all()) expect(stdout.text()).toBe(`${index}/60\n`);
});

it('what is left goes on in waves, if the run did, and checks see its hosts', async () => {
  const seen = join(temporary(), 'seen');
  await using simulated = await simulate({ hosts: 60 });
  const check = `cat "$MYRIAD_WAVE_HOSTS" >>${seen}; echo >>${seen}`;
  const { journal } = await left(simulated, (hosts) => hosts.run('hostname', { serial: '7', check }), { after: 21 });
  const reader = openJournal({ folder: journal }).read('last');
  const { done } = reader.resumeState();
  const remaining = Array.from({ length: 60 }, (_, index) => reader.plan.at(index)).filter(
    ({ index }) => !done.has(index),
  );
  reader.close();
  writeFileSync(seen, '');
  await using resumed = fleet({ resume: 'last', journal });
  await resumed.resume().summary();
  const waves = readFileSync(seen, 'utf8').split('\n\n').slice(0, -1);
  expect(waves.map((wave) => wave.split('\n').length)).toEqual(
    Array.from({ length: Math.ceil(remaining.length / 7) }, (_, wave) => Math.min(7, remaining.length - 7 * wave)),
  );
  expect(waves.flatMap((wave) => wave.split('\n'))).toEqual(remaining.map(({ label }) => label));
});

describe('what the journal does not hold', () => {
  const given: RunOptions = {
    env: { TOKEN: 'abcd', MODE: 'x' },
    sudo: { user: 'www', password: 'pass-word' },
    stdin: Buffer.from('input'),
    redact: [/secret/],
  };

  it('is asked for in one sentence, and then the run goes on', async () => {
    await using simulated = await simulate({ hosts: 60, sudoPassword: 'pass-word' });
    const { journal, id } = await left(simulated, (hosts) => hosts.run('hostname', given));
    await using resumed = fleet({ resume: 'last', journal });
    const why = (options: RunOptions) => () => resumed.resume(options);
    const what = 'give env TOKEN, env MODE, the sudo password, stdin, what to redact again';
    expect(why({})).toThrow(`run ${id} cannot be resumed as it is: the journal holds no secrets: ${what}`);
    const { env: _, ...rest } = given;
    expect(why({ ...rest, env: { TOKEN: 'abcd' } })).toThrow('give env MODE again');
    expect(why({ ...given, env: { ...given.env, MORE: '' } })).toThrow(`env MORE: run ${id} was started without`);
    expect(why({ ...given, template: true, cwd: '/' })).toThrow(
      `template, cwd: run ${id} goes on with what it was started with`,
    );
    const { sudo: __, ...others } = given;
    expect(finished(await resumed.resume({ ...others, sudo: { password: 'pass-word' } }).summary())).toBe(60);
  });

  it('what was redacted in its command makes it another command: it is not resumed', async () => {
    await using simulated = await simulate({ hosts: 40 });
    const { journal } = await left(simulated, (hosts) => hosts.run('echo ticket-1', { redact: [/ticket-\d/] }));
    await using resumed = fleet({ resume: 'last', journal });
    expect(() => resumed.resume({ redact: [/ticket-\d/] })).toThrow(
      /^run .* cannot be resumed: its command held something that was redacted, and is not in the journal; run it again/,
    );
  });
});

it.each([
  [{ hosts: 'a', resume: 'last' }, 'hosts: a run is resumed on its own hosts'],
  [{ resume: 'last', where: 'a=b' }, 'where: a run is resumed on its own hosts'],
  [{ resume: 'last', journal: false }, 'journal: a run is resumed in the journal that it is in'],
  [{ hosts: 'a', journal: '' }, 'journal: expected true, false or a folder, got ""'],
  [{ resume: 'last', journal: '/nowhere/at/all' }, 'journal folder /nowhere/at/all is not there'],
] as [FleetOptions, string][])('%j: %s', (options, message) => {
  expect(() => fleet(options)).toThrow(message);
});

it('resume() without a run is refused', async () => {
  await using hosts = fleet({ hosts: 'a' });
  expect(() => hosts.resume()).toThrow('resume: give the run to the fleet, as fleet({ resume })');
});
