/** Runs that are recorded: what stands in the journal, and what never does. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, openJournal, type RunOptions } from '../../src/index.ts';
import { simulate, sumOf } from '../kit/fleet.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'myriad-recorded-'));
  folders.push(folder);
  return folder;
}

/** Everything that the journal has on disk. */
function bytesOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1')).join('\n');
}

async function read(folder: string, run = 'last') {
  return openJournal({ folder }).read(run);
}

describe.each([1, 2])('a run that is recorded, threads %i', (threads) => {
  const limits = { threads, fanout: 64 } as const;

  it('has its results there as they were told', async () => {
    const journal = temporary();
    await using simulated = await simulate({ hosts: 120, faults: { 'exit-1': 0.1, refuse: 0.1 }, seed: 3 });
    await using hosts = fleet({ ...simulated.options, ...limits, journal, retries: 0 });
    const run = hosts.run('hostname', { repeat: 2 });
    expect(run.journal).toBeUndefined();
    const told = await run.all();
    const summary = await run.summary();
    expect([summary.stopped, summary.resumed, sumOf(summary)]).toEqual(['no', 0, 240]);
    const reader = await read(journal);
    expect(reader.info).toMatchObject({
      id: run.id,
      path: run.journal,
      state: 'ended',
      title: 'hostname',
      planned: 240,
    });
    const kept = [...reader.results()].map(({ index, host, outcome, stdout }) => [
      index,
      host.label,
      outcome,
      stdout.text(),
    ]);
    expect(kept).toEqual(told.map(({ index, host, outcome, stdout }) => [index, host.label, outcome, stdout.text()]));
    expect(reader.summary).toMatchObject({ planned: 240, outcomes: summary.outcomes });
    reader.close();
  });

  it('has streamed output there, too', async () => {
    const journal = temporary();
    await using simulated = await simulate({ hosts: 20 });
    await using hosts = fleet({ ...simulated.options, ...limits, journal });
    let lines = 0;
    for await (const _ of hosts.run('hostname; yes 3000', { gather: 'stream', journalOutput: 'all' }).lines()) lines++;
    expect(lines).toBe(20 * 3001);
    const reader = await read(journal);
    for (const { index, stdout } of reader.results()) expect(stdout.text()).toBe(`sim-${index}\n${'y\n'.repeat(3000)}`);
    expect(reader.info.outcomes.ok).toBe(20);
    reader.close();
  });

  it('is complete when it was cancelled: what ended, what was ended, and nothing of the rest', async () => {
    const journal = temporary();
    await using simulated = await simulate({ hosts: 300 });
    await using hosts = fleet({ ...simulated.options, ...limits, journal });
    const run = hosts.run('sleep 60');
    let started = 0;
    run.on(({ type }) => {
      if (type === 'task:start' && ++started === 30) run.cancel();
    });
    const summary = await run.summary();
    expect(summary.stopped).toBe('cancelled');
    const reader = await read(journal);
    expect(reader.info.state).toBe('ended');
    const { done, lost } = reader.resumeState();
    expect([done.size, lost.size]).toEqual([started, 0]);
    const kinds = [...reader.tasks()].map(({ outcome }) => outcome.kind);
    const count = (kind: string) => kinds.filter((each) => each === kind).length;
    expect([count('cancelled'), count('not-run')]).toEqual([summary.outcomes.cancelled, summary.outcomes['not-run']]);
    reader.close();
  });
});

describe('a run that nobody reads to its end', () => {
  it('is in the journal all the same once the fleet is closed', async () => {
    const journal = temporary();
    await using simulated = await simulate({ hosts: 50 });
    const hosts = fleet({ ...simulated.options, journal, fanout: 10 });
    for await (const _ of hosts.run('echo done')) break;
    await hosts.close();
    const reader = await read(journal);
    const { done, lost } = reader.resumeState();
    expect(reader.info.state).toBe('ended');
    expect(done.size).toBeGreaterThan(0);
    expect(lost.size).toBe(0);
    reader.close();
  });

  it('tells a reader that was not done', async () => {
    await using simulated = await simulate({ hosts: 50 });
    const hosts = fleet({ ...simulated.options, journal: temporary(), fanout: 10 });
    const batches = hosts.run('echo done').batches();
    await batches.next();
    await hosts.close();
    await expect(
      (async () => {
        for (;;) if ((await batches.next()).done) return;
      })(),
    ).rejects.toMatchObject({ code: 'closed' });
  });
});

it('without a journal nothing is written, and SQLite is not loaded', async () => {
  const state = temporary();
  const { spawnSync } = await import('node:child_process');
  const script = join(state, 'run.ts');
  writeFileSync(
    script,
    `import { fleet } from ${JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))};
     const hosts = fleet({ hosts: 'a' });
     const [result] = await hosts.local('true').all();
     await hosts.close();
     console.log(result.outcome.kind, process.moduleLoadList.filter((name) => name.includes('sqlite')).join());`,
  );
  const env = { ...process.env, XDG_STATE_HOME: join(state, 'state') };
  const { stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8', env });
  expect([stdout, stderr]).toEqual(['ok \n', '']);
  expect(readdirSync(state)).toEqual(['run.ts']);
});

describe('secrets', () => {
  const SECRETS = ['s3cret-of-sudo', 'value-of-token', 'ticket-4711', 'login-passw0rd'];

  it('never reach the journal: neither its record, nor messages, nor outputs', async () => {
    const journal = temporary();
    await using simulated = await simulate({
      hosts: 12,
      sudoPassword: 's3cret-of-sudo',
      accepts: ({ method }) => method === 'password',
    });
    const { identity: _, ...reach } = simulated.options;
    const argv = ['myriad', '--env', 'TOKEN=value-of-token', '--env=MORE=value-of-token', '--redact', 'ticket-\\d+'];
    await using hosts = fleet({ ...reach, journal, argv: [...argv, '--', 'echo'], password: 'login-passw0rd' });
    const options: RunOptions = {
      env: { TOKEN: 'value-of-token', MORE: 'value-of-token' },
      sudo: { password: 's3cret-of-sudo' },
      redact: [/ticket-\d+/],
      journalOutput: 'all',
    };
    for (const gather of ['collect', 'stream'] as const) {
      const run = hosts.run('echo login-passw0rd s3cret-of-sudo ticket-4711', { ...options, gather });
      expect((await run.summary()).outcomes.ok).toBe(12);
    }
    await using wrong = fleet({ ...reach, journal, argv: [], password: 'login-passw0rd', fanout: 1 });
    await wrong.run('echo', { sudo: { password: 'ticket-4711' } }).summary();
    const bytes = bytesOf(journal);
    for (const secret of SECRETS) expect(bytes.includes(secret), secret).toBe(false);
    const [, second] = [...openJournal({ folder: journal }).list()];
    const reader = await read(journal, second!.id);
    expect(reader.record.title).toBe('echo [redacted] [redacted] [redacted]');
    expect(reader.record.argv.slice(0, 6)).toEqual([
      'myriad',
      '--env',
      'TOKEN=[redacted]',
      '--env=MORE=[redacted]',
      '--redact',
      '[redacted]',
    ]);
    for (const { stdout } of reader.results()) expect(stdout.text()).toBe('[redacted] [redacted] [redacted]\n');
    reader.close();
  });
});

describe('hosts of a run', () => {
  async function recorded(): Promise<{ journal: string; options: FleetOptions } & AsyncDisposable> {
    const journal = temporary();
    const simulated = await simulate({ hosts: 40, faults: { 'exit-1': 0.2, refuse: 0.1 }, seed: 5 });
    await using hosts = fleet({ ...simulated.options, journal, retries: 0 });
    await hosts.run('hostname').summary();
    const { hosts: _, ...options } = simulated.options;
    return { journal, options, [Symbol.asyncDispose]: () => simulated[Symbol.asyncDispose]() };
  }

  it.each(['last', 'last:bad', '-1:unreached', 'last:rc=1', 'last:ok'])('%s', async (from) => {
    await using run = await recorded();
    const reader = await read(run.journal);
    const kinds = [...reader.results()].map(({ outcome, host }) => [host.label, outcome] as const);
    reader.close();
    const expected = kinds.filter(([, { kind }]) => {
      if (from === 'last') return true;
      if (from === 'last:bad') return kind !== 'ok';
      if (from === 'last:ok') return kind === 'ok';
      return from === 'last:rc=1' ? kind === 'failed' : kind === 'unreachable';
    });
    await using hosts = fleet({ ...run.options, journal: run.journal, from });
    expect([...hosts.hosts()].map(({ label }) => label)).toEqual(expected.map(([label]) => label));
    expect(expected.length).toBeGreaterThan(0);
  });

  it.each([
    ['last:signalled', 'empty-selection', /^from "last:signalled": no host of run .* is meant$/],
    ['last:dreadful', 'usage', /selects nothing/],
    ['nobody', 'journal', /^run "nobody" is not in the journal/],
  ])('%s is %s', async (from, code, message) => {
    await using run = await recorded();
    const opened = () => fleet({ ...run.options, journal: run.journal, from });
    expect(opened).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});

describe('the plan', () => {
  async function planned(options: FleetOptions) {
    const journal = temporary();
    await using hosts = fleet({ ...options, journal });
    await hosts.local('true', [], { repeat: 2 }).summary();
    const path = readdirSync(journal).find((name) => name.endsWith('.db'))!;
    const { DatabaseSync } = await import('node:sqlite');
    using db = new DatabaseSync(join(journal, path), { readOnly: true });
    const { plan_kind: kind, plan_text: text } = db.prepare('SELECT plan_kind, plan_text FROM run').get()!;
    const reader = await read(journal);
    const targets = Array.from({ length: reader.plan.count }, (_, index) => reader.plan.at(index));
    reader.close();
    return { journal, kind, text, targets };
  }

  it('is one host set as it was written, where that is all of it', async () => {
    const { kind, text, targets } = await planned({ hosts: 'ada@h[1-3]:2222' });
    expect([kind, text]).toEqual(['set', 'ada@h[1-3]:2222']);
    expect(targets.map(({ label, index, iteration }) => `${label} ${index} ${iteration}`)).toEqual([
      'ada@h1:2222 0 1',
      'ada@h2:2222 1 1',
      'ada@h3:2222 2 1',
      'ada@h1:2222 3 2',
      'ada@h2:2222 4 2',
      'ada@h3:2222 5 2',
    ]);
  });

  it.each([
    [{ hosts: ['h[1-3]', 'g1'] }, ['h1', 'h2', 'h3', 'g1']],
    [{ hosts: 'h[1-3]', exclude: 'h2' }, ['h1', 'h3']],
    [{ hosts: 'h[1-3]', limit: 2 }, ['h1', 'h2']],
  ] as [FleetOptions, string[]][])('is a list of hosts for %j', async (options, labels) => {
    const { kind, targets } = await planned(options);
    expect([kind, targets.slice(0, labels.length).map(({ label }) => label)]).toEqual(['rows', labels]);
  });

  it('holds how hosts of an inventory are reached: taken from the run they are reached in the same way', async () => {
    const inventory = join(temporary(), 'hosts.ini');
    writeFileSync(inventory, '[web]\ndb1 ansible_host=10.0.0.1 ansible_user=ada ansible_port=2222\ndb2\n');
    const { journal, kind, targets } = await planned({ inventory, hosts: 'db[1-2]' });
    expect([kind, targets[0]!.name, targets[0]!.user, targets[0]!.port]).toEqual(['rows', '10.0.0.1', 'ada', 2222]);
    await using again = fleet({ from: 'last', journal, exclude: 'db2', config: 'none' });
    const [db1] = [...again.hosts()];
    expect(again.destination(db1!)).toEqual({ user: 'ada', name: '10.0.0.1', port: 2222 });
  });
});
