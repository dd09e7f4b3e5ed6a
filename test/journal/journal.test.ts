import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/contracts/outcome.ts';
import { Bytes, type Host, type TaskResult } from '../../src/contracts/task.ts';
import { type JournaledOutput, type KeptOutput, LOST_IN_CRASH, NOT_RUN } from '../../src/journal/journal.ts';
import { sentence, temporary } from './kit.ts';
import { endedRun, made, OK, output, result, WHO } from './runs.ts';

/** A result as plain data, outputs read. */
function plain({ stdout, stderr, ...rest }: TaskResult) {
  const read = ({ bytes, total, truncated }: TaskResult['stdout']) => ({
    text: bytes.toString('latin1'),
    total,
    truncated,
  });
  return { ...rest, stdout: read(stdout), stderr: read(stderr) };
}

const OUTCOMES: readonly Outcome[] = [
  OK,
  { kind: 'failed', began: 'yes', status: 3 },
  { kind: 'signalled', began: 'yes', signal: 'KILL', coreDumped: true },
  { kind: 'unreachable', began: 'no', cause: 'refused', message: 'connection refused: "é\u0000"' },
  { kind: 'timeout', began: 'maybe', phase: 'command', remote: 'killed' },
  { kind: 'auth-failed', began: 'no', tried: ['publickey'], allowed: [] },
  { kind: 'lost', began: 'yes', cause: 'reset', message: 'reset' },
];

const milliseconds = fc.integer({ min: 0, max: 10 ** 12 }).map((microseconds) => microseconds / 1000);

const anyResult = fc.record({
  outcome: fc.constantFrom(...OUTCOMES),
  attempt: fc.integer({ min: 1, max: 9 }),
  startedAt: fc.nat(2 ** 31).map((seconds) => seconds * 1000),
  durationMs: milliseconds,
  executor: fc.string(),
  reached: fc.option(
    fc.record({
      transport: fc.constantFrom('native', 'openssh', 'local'),
      address: fc.string(),
      port: fc.nat(65_535),
      fingerprint: fc.string(),
      software: fc.string({ unit: 'binary' }),
    }),
    { nil: undefined },
  ),
  phases: fc.dictionary(
    fc.constantFrom('dns', 'connect', 'handshake', 'auth', 'open', 'command'),
    fc.record({ start: milliseconds, end: milliseconds }, { noNullPrototype: true }),
    { noNullPrototype: true },
  ),
  stdout: fc.uint8Array({ maxLength: 300 }).map((bytes) => new Bytes(Buffer.from(bytes), bytes.length + 7)),
  stderr: fc.constantFrom(Bytes.empty, output('same\n')),
  notes: fc.subarray(['output left open', 'output cut', 'stdout truncated', 'stderr truncated']),
}) as fc.Arbitrary<Partial<TaskResult>>;

describe('a run that ended', () => {
  it('gives back every result as it was, in plan order, whatever order they came in', async () => {
    const folder = temporary();
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyResult, { minLength: 1, maxLength: 40 }), async (given) => {
        const id = `run-${number++}`;
        const { journal, record, plan, summary } = made(folder, { id, count: given.length });
        const writer = await journal.create(record, plan);
        const results = given.map((changes, index) => result(id, index, changes));
        for (const one of results.toReversed()) await writer.result(one);
        await writer.end(summary);
        await writer.close();
        const reader = journal.read(id);
        // Lone surrogates cannot be stored as UTF-8: both sides lose them.
        const known = (list: readonly TaskResult[]) => JSON.parse(JSON.stringify(list.map(plain)).toWellFormed());
        const wellFormed = JSON.parse(Buffer.from(JSON.stringify(known(results)), 'utf8').toString());
        expect(known([...reader.results()])).toEqual(wellFormed);
        expect([...reader.tasks()].map(plain)).toEqual([...reader.results()].map(plain));
        reader.close();
      }),
      { numRuns: 10 },
    );
  });

  it('keeps 100,000 results, in bounded memory on the way back', { timeout: 60_000 }, async () => {
    const folder = temporary();
    const count = 100_000;
    await endedRun(folder, 'large', count);
    const { journal } = made(folder);
    const reader = journal.read('last');
    let index = 0;
    for (const task of reader.tasks()) {
      if (task.index !== index) throw new Error(`${task.index} instead of ${index}`);
      if (index % 1_000 === 0) expect(plain(task)).toEqual(plain(result('large', index)));
      index += 1;
    }
    expect(index).toBe(count);
    expect(reader.info).toMatchObject({ state: 'ended', planned: count, outcomes: { ok: count } });
    expect(reader.resumeState().done.size).toBe(count);
    expect(reader.resumeState().lost.size).toBe(0);
    reader.close();
    const [file] = readdirSync(folder);
    // 230 bytes a host, output included: the file grows with the hosts and with nothing else.
    expect(statSync(join(folder, file!)).size).toBeLessThan(count * 260);
  });

  it('is one private file, with who ran it and what came of it', async () => {
    const folder = temporary();
    await endedRun(folder, 'run-1', 3);
    const names = readdirSync(folder);
    expect(names).toHaveLength(1);
    expect(lstatSync(join(folder, names[0]!)).mode & 0o777).toBe(0o600);
    const reader = made(folder).journal.read('last');
    expect(reader.record).toEqual({
      ...made(folder).record,
      startedAt: reader.record.startedAt,
      argv: expect.anything(),
    });
    expect(reader.summary).toMatchObject({ planned: 3, causes: [{ kind: 'ok', count: 3 }] });
    reader.close();
  });
});

describe('files of a live run', () => {
  it('are private, side files too', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder);
    const writer = await journal.create(record, plan, { outputs: 'all' });
    await writer.result(result('run-1', 0, { stdout: output(Buffer.alloc(2_000_000, 'x')) }));
    await writer.flush();
    const modes = readdirSync(folder, { recursive: true }).map((name) => lstatSync(join(folder, String(name))));
    expect(modes).toHaveLength(6);
    expect(modes.map((found) => (found.isDirectory() ? 'folder' : found.mode & 0o777)).sort()).toEqual([
      ...Array(5).fill(0o600),
      'folder',
    ]);
    expect(modes.every((found) => (found.mode & 0o077) === 0)).toBe(true);
    await writer.close();
  });

  it('are read while they are written', async () => {
    const folder = temporary();
    const { journal, record, plan, summary } = made(folder, { count: 2_000 });
    const writer = await journal.create(record, plan);
    for (let index = 0; index < 1_000; index++) await writer.result(result('run-1', index));
    await writer.flush();
    const early = journal.read('run-1');
    expect(early.info).toMatchObject({ state: 'running', outcomes: { ok: 1_000 } });
    const walk = early.results()[Symbol.iterator]();
    walk.next();
    for (let index = 1_000; index < 2_000; index++) await writer.result(result('run-1', index));
    await writer.flush();
    const late = journal.read('run-1');
    // One sees the file as it was when it began to read, the other as it is.
    expect([...{ [Symbol.iterator]: () => walk }]).toHaveLength(999);
    expect([...late.tasks()]).toHaveLength(2_000);
    await writer.end(summary);
    await writer.close();
    early.close();
    late.close();
    expect([...journal.list()]).toMatchObject([{ state: 'ended', outcomes: { ok: 2_000 } }]);
  });
});

describe('plans', () => {
  const hosts: Host[] = Array.from({ length: 1_300 }, (_, i) => {
    const name = `host${i}.example`;
    if (i % 3 === 0) return { label: name, name, user: undefined, port: undefined };
    return { label: `u${i}@${name}:${i + 1}`, name, user: `u${i}`, port: i + 1 };
  });

  it.each(['a list', 'a stream'])('keeps %s of hosts, each twice', async (how) => {
    const folder = temporary();
    const { journal, record } = made(folder);
    async function* stream() {
      yield* hosts;
    }
    const given = how === 'a list' ? hosts : stream();
    const writer = await journal.create(record, { kind: 'rows', hosts: given, repeat: 2 });
    await writer.close();
    const { plan, close } = ((reader) => ({ plan: reader.plan, close: () => reader.close() }))(journal.read('last'));
    expect([plan.count, plan.hosts]).toEqual([2_600, 1_300]);
    for (let i = 0; i < 2_600; i++) {
      expect(plan.at(i)).toEqual({ ...hosts[i % 1_300], index: i, iteration: i < 1_300 ? 1 : 2 });
    }
    close();
  });

  it('keeps a host set as its text, whatever its size', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder, { count: 10_000_000 });
    await (await journal.create(record, plan)).close();
    const reader = journal.read('last');
    expect(reader.plan.at(9_999_999).label).toBe('h10000000');
    expect(statSync(reader.info.path).size).toBeLessThan(100_000);
    reader.close();
  });

  it('that cannot be read leaves no run behind', async () => {
    const folder = temporary();
    const { journal, record } = made(folder);
    function* broken(): Generator<Host> {
      yield* hosts;
      throw new Error('the inventory ended early');
    }
    const create = journal.create(record, { kind: 'rows', hosts: broken(), repeat: 1 });
    await expect(create).rejects.toThrow('the inventory ended early');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('outputs', () => {
  const long = Buffer.from('0123456789abcdef'.repeat(100_000));

  async function kept(outputs: KeptOutput, streamed: boolean) {
    const folder = temporary();
    const { journal, record, plan } = made(folder, { count: 4 });
    const writer = await journal.create(record, plan, { outputs });
    for (let index = 0; index < 4; index++) {
      const bytes = index === 3 ? Buffer.from('short') : long;
      if (!streamed) await writer.result(result('run-1', index, { stdout: output(bytes) }));
      else {
        for (let at = 0; at < bytes.length; at += 50_000) {
          await writer.output(index, 'stdout', bytes.subarray(at, at + 50_000));
        }
        await writer.result(result('run-1', index, { stdout: new Bytes(Buffer.alloc(0), bytes.length) }));
      }
    }
    await writer.close();
    const reader = journal.read('last');
    const found = [...reader.results()].map(({ stdout }) => ({
      length: stdout.bytes.length,
      total: stdout.total,
      truncated: stdout.truncated,
      starts: stdout.text().startsWith('0123') || stdout.text() === 'short',
      hash: outputs === 'none' ? '' : (stdout as JournaledOutput).sha256.length,
    }));
    reader.close();
    const size = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
    return { found, size };
  }

  const large = { total: 1_600_000, starts: true, hash: 64 };
  const short = { length: 5, total: 5, truncated: false, starts: true, hash: 64 };

  it.each([false, true])(
    'all of them, large ones beside the file and equal ones once (streamed: %s)',
    async (streamed) => {
      const { found, size } = await kept('all', streamed);
      const whole = { ...large, length: 1_600_000, truncated: false };
      expect(found).toEqual([whole, whole, whole, short]);
      expect(size).toBeGreaterThan(1_600_000);
      expect(size).toBeLessThan(1_800_000);
    },
  );

  it.each([false, true])('their first 16 KiB and a hash of all (streamed: %s)', async (streamed) => {
    const { found, size } = await kept('head', streamed);
    const head = { ...large, length: 16_384, truncated: true };
    expect(found).toEqual([head, head, head, short]);
    expect(size).toBeLessThan(200_000);
  });

  it.each([false, true])('none of them, but how much they were (streamed: %s)', async (streamed) => {
    const { found, size } = await kept('none', streamed);
    const none = { length: 0, total: 1_600_000, truncated: true, starts: false, hash: '' };
    expect(found).toEqual([none, none, none, { ...none, total: 5 }]);
    expect(size).toBeLessThan(150_000);
  });
});

describe('a run that was left', () => {
  async function left(folder: string) {
    const { journal, record, plan } = made(folder, { count: 6 });
    const writer = await journal.create(record, plan);
    await Promise.all([0, 1, 2, 3].map((index) => writer.claim(index, 1)));
    await writer.result(result('run-1', 0));
    await writer.result(result('run-1', 1, { outcome: { kind: 'cancelled', began: 'no', remote: 'none' } }));
    await writer.result(result('run-1', 5, { outcome: OUTCOMES[3]! }));
    await writer.close();
    return journal;
  }

  it('counts what was claimed as lost, and the rest as not run', async () => {
    const reader = (await left(temporary())).read('last');
    expect(reader.info.state).toBe('crashed');
    const kinds = [...reader.tasks()].map(({ outcome }) => outcome.kind);
    expect(kinds).toEqual(['ok', 'cancelled', 'lost', 'lost', 'not-run', 'unreachable']);
    const { round, done, lost } = reader.resumeState();
    // The second was claimed, and did not begin.
    expect([round, [...done], [...lost]]).toEqual([0, [0, 5], [2, 3]]);
    reader.close();
  });

  it('what had not begun may have once it is claimed again', async () => {
    const journal = await left(temporary());
    const again = await journal.resume('last', WHO);
    const reached = { transport: 'native', address: '10.0.0.1', port: 22, fingerprint: '', software: '' } as const;
    await Promise.all([1, 4].map((index) => again.claim(index, 1)));
    await again.result(result('run-1', 4, { outcome: NOT_RUN, reached }));
    await again.close();
    const reader = journal.read('last');
    expect([...reader.resumeState().lost]).toEqual([1, 2, 3]);
    expect(reader.info.outcomes).toEqual({ ok: 1, cancelled: 0, unreachable: 1, 'not-run': 1 });
    reader.close();
  });

  it.each([
    [{ by: 'all' }, [0, 1, 2, 3, 4, 5]],
    [{ by: 'bad' }, [1, 2, 3, 4, 5]],
    [{ by: 'unreached' }, [1, 4, 5]],
    [{ by: 'uncertain' }, [2, 3]],
    [{ by: 'outcome', kind: 'not-run' }, [4]],
    [{ by: 'outcome', kind: 'lost' }, [2, 3]],
    [{ by: 'status', status: 0 }, [0]],
    [{ by: 'status', status: 1 }, []],
  ] as const)('selects %j', async (selection, indices) => {
    const reader = (await left(temporary())).read('last');
    expect([...reader.select(selection)].map(({ index, label }) => [index, label])).toEqual(
      indices.map((index) => [index, `h${index + 1}`]),
    );
    reader.close();
  });

  it('is gone on with: what gives way is replaced, what stands is not', async () => {
    const journal = await left(temporary());
    const again = await journal.resume('last', { ...WHO, loginUser: 'bob' });
    await again.result(result('run-1', 0, { outcome: OUTCOMES[1]! }));
    for (const index of [2, 3]) await again.result(result('run-1', index, { outcome: LOST_IN_CRASH }));
    await again.flush();
    for (const index of [1, 3, 4]) await again.result(result('run-1', index, { outcome: OUTCOMES[1]! }));
    await again.result(result('run-1', 4, { outcome: NOT_RUN }));
    await again.end(made(journal.folder, { count: 6 }).summary);
    await again.close();
    const reader = journal.read('last');
    const kinds = [...reader.tasks()].map(({ outcome }) => outcome.kind);
    expect(kinds).toEqual(['ok', 'failed', 'lost', 'failed', 'failed', 'unreachable']);
    expect(reader.info.outcomes).toEqual({ ok: 1, failed: 3, lost: 1, unreachable: 1, cancelled: 0 });
    reader.close();
  });

  it('is not gone on with while it lives, and the sentence names who has it', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder);
    const writer = await journal.create(record, plan);
    const refused = await sentence(() => journal.resume('last', WHO));
    expect(refused).toMatch(new RegExp(`in progress: process ${process.pid} of ada on desk, since 20\\d\\d-.*Z`));
    await writer.claim(0, 1);
    await writer.close();
    await (await journal.resume('last', WHO)).close();
  });
});

describe('rounds', () => {
  it('have a result per task each', async () => {
    const { journal, record, plan } = made(temporary(), { count: 3 });
    const writer = await journal.create(record, plan);
    for (const round of [0, 1]) {
      for (let index = 0; index < 3; index++) {
        void writer.claim(index, 1, round);
        if (index < 3 - round) await writer.result(result('run-1', index, { round, attempt: round + 1 }));
      }
      await writer.roundEnd(round);
    }
    await writer.close();
    const reader = journal.read('last');
    expect(reader.lastRound).toBe(1);
    expect([...reader.tasks(0)].map(({ outcome }) => outcome.kind)).toEqual(['ok', 'ok', 'ok']);
    expect([...reader.tasks()].map(({ outcome, attempt }) => [outcome.kind, attempt])).toEqual([
      ['ok', 2],
      ['ok', 2],
      ['lost', 1],
    ]);
    reader.close();
  });
});

describe('starts that nobody waits for', () => {
  it('are claims as soon as they are committed', async () => {
    const { journal, record, plan } = made(temporary(), { count: 3 });
    const writer = await journal.create(record, plan);
    writer.note(0, 1);
    writer.note(2, 1);
    await writer.result(result('run-1', 0));
    await writer.flush();
    await writer.close();
    const reader = journal.read('last');
    expect([...reader.tasks()].map(({ outcome }) => outcome.kind)).toEqual(['ok', 'not-run', 'lost']);
    reader.close();
  });

  it('are nothing once the journal is closed', async () => {
    const { journal, record, plan } = made(temporary(), { count: 1 });
    const writer = await journal.create(record, plan);
    await writer.close();
    writer.note(0, 1);
    const reader = journal.read('last');
    expect([...reader.tasks()].map(({ outcome }) => outcome.kind)).toEqual(['not-run']);
    reader.close();
  });
});

describe('the folder', () => {
  it('lists newest first, and names runs by id, last and -N', async () => {
    const folder = temporary();
    for (const [i, id] of ['b', 'c', 'a'].entries()) await endedRun(folder, id, 1, 1_790_000_000_000 + i);
    const { journal } = made(folder);
    expect([...journal.list()].map(({ id }) => id)).toEqual(['a', 'c', 'b']);
    const idOf = (ref: string) => {
      const reader = journal.read(ref);
      reader.close();
      return reader.info.id;
    };
    expect(['last', '-1', '-3', 'c'].map(idOf)).toEqual(['a', 'a', 'b', 'c']);
    expect(await sentence(() => journal.read('-4'))).toBe(
      `run "-4" is not in the journal ${folder}: it holds 3, the last is a`,
    );
    expect(await sentence(() => journal.create(made(folder, { id: 'a' }).record, made(folder).plan))).toContain(
      'already',
    );
  });

  it('holds no secret that the caller has taken out, and nothing that was never given', async () => {
    const folder = temporary();
    const secret = 'MARKED-hunter2-SECRET';
    const { journal, record, plan, summary } = made(folder);
    const writer = await journal.create({ ...record, argv: ['myriad', '--password', '***'] }, plan, { outputs: 'all' });
    const redacted = `token=${secret} end\n`.replaceAll(secret, '[redacted]');
    await writer.claim(0, 1);
    await writer.result(result('run-1', 0, { stdout: output(redacted), stderr: output(redacted.repeat(100_000)) }));
    await writer.flush();
    const holds = (needle: string) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(needle));
    expect([holds('[redacted]'), holds(secret), holds(process.env.PATH!)]).toEqual([true, false, false]);
    await writer.end(summary);
    await writer.close();
    expect([holds('[redacted]'), holds(secret)]).toEqual([true, false]);
  });
});
