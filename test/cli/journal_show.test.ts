/** What is read out of a journal: `runs`, `runs prune`, `show`; written by the store itself. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import { Bytes } from '../../src/contracts/task.ts';
import type { JournalWriter } from '../../src/journal/journal.ts';
import { endedRun, made, output, result } from '../journal/runs.ts';
import { type Ended, myriad, shell, totals } from './command.ts';

const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);

const DAY = 86_400_000;
const CRASHED = '3hk2b0-0f3k2l1n';
const WHOLE = '3hk2a9-0f3k2l1m';
const LIVE = '3hk2c1-lives';

let folder: string;
let live: JournalWriter;

/** 8 hosts: h1 with a large output, h2 ok, h3 failed, h4 to h6 begun, h7 not, h8 not reached. */
async function crashedRun(): Promise<void> {
  const startedAt = Date.now() - 2 * DAY;
  const { journal, record, plan } = made(folder, { id: CRASHED, count: 8, startedAt });
  const title = `echo \x1b[2J; ${'uptime; '.repeat(20)}`;
  const writer = await journal.create({ ...record, title }, plan);
  for (let index = 0; index < 6; index++) void writer.claim(index, 1);
  await writer.result(result(CRASHED, 0, { stdout: output(Buffer.alloc(30_000, 'abcdefg\n')) }));
  await writer.result(result(CRASHED, 1, { stdout: output('say "hi", twice\nhi\n') }));
  const failed = { kind: 'failed', began: 'yes', status: 3 } as const;
  await writer.result(
    result(CRASHED, 2, { outcome: failed, stdout: Bytes.empty, stderr: output('oh \x1b]0;x\x07no\n') }),
  );
  const refused = { kind: 'unreachable', began: 'no', cause: 'refused', message: 'connection refused' } as const;
  await writer.result(result(CRASHED, 7, { outcome: refused, stdout: Bytes.empty }));
  await writer.close();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'myriad-show-'));
  await endedRun(folder, WHOLE, 5, Date.now() - 500 * DAY);
  await crashedRun();
  writeFileSync(join(folder, '20200101T000000000-broken.db'), 'no database at all');
  await endedRun(folder, 'future', 1, 1_000);
  const file = readdirSync(folder).find((name) => name.endsWith('-future.db'))!;
  const db = new DatabaseSync(join(folder, file));
  db.exec('PRAGMA user_version = 999');
  db.close();
  const { journal, record, plan } = made(folder, { id: LIVE, count: 4 });
  live = await journal.create(record, plan);
  await live.claim(0, 1);
  await live.result(result(LIVE, 0));
  await live.flush();
});
afterAll(async () => {
  await live.close();
  rmSync(folder, { recursive: true, force: true });
});

const on = (...words: string[]): Promise<Ended> => myriad([...words, '--journal', folder]);

describe.concurrent('myriad runs', () => {
  it('lists the newest first, with what each came to, and says of a file what is wrong with it', async () => {
    const { code, stdout, stderr } = await on('runs');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('RUN             STARTED     WHO          TASKS STATE    JOB');
    expect(lines[1]).toMatch(/^3hk2c1-lives {4}\d\d-\d\d \d\d:\d\d ada {14}4 running {2}uptime$/);
    expect(lines[2]).toBe('                1 ok, 3 without a result');
    expect(lines[3]).toMatch(/^3hk2b0-0f3k2l1n \S+ ?\S* +ada {14}8 crashed {2}echo \^\[\[2J; uptime; /);
    expect(lines[4]).toBe('                2 ok, 1 failed, 1 unreachable, 4 without a result');
    expect(lines[5]).toMatch(/^3hk2a9-0f3k2l1m \d{4}-\d\d-\d\d {2}ada {14}5 ok {7}uptime$/);
    expect(lines[6]).toMatch(/^broken {10}the journal .* is damaged and was left as it is/);
    expect(lines[7]).toMatch(/^future {10}the journal .* was written by a newer Myriad/);
    expect(lines.slice(8)).toEqual(['']);
  });

  it('as data, whole or bounded', async () => {
    const [json, ndjson, two] = await Promise.all([
      on('runs', '--output', 'json'),
      on('runs', '--output', 'ndjson'),
      on('runs', '--limit', '2'),
    ]);
    const listed = JSON.parse(json.stdout) as { id: string; state?: string; problem: string | null }[];
    expect(listed.map(({ id }) => id)).toEqual([LIVE, CRASHED, WHOLE, 'broken', 'future']);
    expect(listed.map(({ problem }) => problem === null)).toEqual([true, true, true, false, false]);
    expect(listed[1]).toMatchObject({ state: 'crashed', planned: 8, endedAt: null, outcomes: { ok: 2, failed: 1 } });
    expect(
      ndjson.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(listed);
    expect(two.stdout).toContain(CRASHED);
    expect(two.stdout).not.toContain(WHOLE);
  });

  it('of a folder that is not there is an error, and makes none', async () => {
    const missing = join(folder, 'missing');
    expect(await myriad(['runs', '--journal', missing])).toEqual({
      code: 2,
      stdout: '',
      stderr: `myriad: journal folder ${missing} is not there\n`,
    });
    expect(readdirSync(folder)).not.toContain('missing');
  });

  it('none at all', async () => {
    const home = mkdtempSync(join(tmpdir(), 'myriad-none-'));
    try {
      const setting = { env: { HOME: home } };
      expect(await myriad(['runs'], setting)).toEqual({ code: 0, stdout: 'no run is recorded\n', stderr: '' });
      const { code, stderr } = await myriad(['show', 'last'], setting);
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: `myriad: no run is recorded in ${home}/.local/state/myriad/runs\n`,
      });
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
});

it('runs prune says what it would remove, removes it, and leaves what lives and what is young', async () => {
  const place = mkdtempSync(join(tmpdir(), 'myriad-prune-'));
  try {
    await endedRun(place, 'old', 1, 1_000);
    const { journal, record, plan } = made(place, { id: 'lives', count: 1 });
    const writer = await journal.create(record, plan);
    const young = await myriad(['runs', 'prune', '--journal', place]);
    expect(young.stdout).toMatch(/^removed 0 runs, 0 B; \d+ KiB left\n1 run in progress: lives\n$/);
    const words = ['runs', 'prune', '--max-size', '1', '--journal', place];
    const asked = await myriad([...words, '--dry-run']);
    expect(asked.stdout).toMatch(/^old {2}\d+ KiB\nwould remove 1 run, \d+ KiB; /);
    expect(readdirSync(place).some((name) => name.includes('old'))).toBe(true);
    const done = await myriad(words);
    expect(done).toEqual({ code: 0, stderr: '', stdout: asked.stdout.replace('would remove', 'removed') });
    expect(readdirSync(place).some((name) => name.includes('old'))).toBe(false);
    await writer.close();
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

describe.concurrent('myriad show', () => {
  it('shows a run that crashed as it would have been shown, every task accounted for', async () => {
    const { code, stdout, stderr } = await on('show', CRASHED);
    expect(code).toBe(0);
    expect(stdout).toBe(`${'h1: abcdefg\n'.repeat(2048)}h2: say "hi", twice\nh2: hi\n`);
    expect(totals(stderr)).toEqual({ ok: 2, failed: 1, unreachable: 1, lost: 3, 'not-run': 1 });
    expect(stderr).toMatch(
      /^run 3hk2b0-0f3k2l1n: CRASHED after 4 of 8 results, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d\n/,
    );
    for (const line of [
      'by ada \\(uid 1000\\) on desk, /dev/pts/7, process \\d+',
      'job: echo \\^\\[\\[2J; uptime; .*',
      'hosts: h\\[1-8\\] \\(8\\)',
      'h1: stdout truncated: 16 KiB of 29.3 KiB kept',
      ' *3 lost\\(crash\\): h\\[4-6\\]',
      '1 output was not kept whole \\(--journal-output\\)',
      `go on with the 1 task that did not run: myriad resume ${CRASHED} --journal ${folder}`,
    ]) {
      expect(stderr).toMatch(new RegExp(`^${line}$`, 'm'));
    }
  });

  it('-v names each task that did not end ok', async () => {
    const { stderr } = await on('show', CRASHED, '-v');
    expect(stderr).toMatch(/^h3: failed: exit status 3$/m);
  });

  it('folds, leaves out labels, and says nothing but outputs where asked', async () => {
    const folded = await on('show', WHOLE, '-b', '-q');
    expect(folded.stderr).toBe('');
    expect(folded.stdout.match(/^h\d$/gm)).toEqual(['h1', 'h2', 'h3', 'h4', 'h5']);
    const plain = await on('show', `${WHOLE}:ok`, '-N', '-q');
    expect(plain).toEqual({ code: 0, stderr: '', stdout: [0, 1, 2, 3, 4].map((at) => `hello from ${at}\n`).join('') });
  });

  it.each([
    ['bad', ['h3', 'h4', 'h5', 'h6', 'h7', 'h8']],
    ['unreached', ['h7', 'h8']],
    ['uncertain', ['h4', 'h5', 'h6']],
    ['failed', ['h3']],
    ['rc=3', ['h3']],
    ['rc=4', []],
  ])('selects %s', async (selection, hosts) => {
    const { code, stdout, stderr } = await on('show', `-2:${selection}`, '--list-hosts');
    expect({ code, stderr, hosts: stdout.split('\n').filter(Boolean) }).toEqual({ code: 0, stderr: '', hosts });
  });

  it('selects hosts by name, and refuses those that the run does not have', async () => {
    expect((await on('show', CRASHED, '-w', 'h[2-3]', '-q')).stdout).toBe('h2: say "hi", twice\nh2: hi\n');
    expect(await on('show', CRASHED, '-w', 'h[1-2]', '-w', 'q[1-2]')).toEqual({
      code: 2,
      stdout: '',
      stderr: `myriad: --hosts (-w): "q[1-2]" matches none of the hosts of run ${CRASHED}\n`,
    });
  });

  it('gives events of the schema, which account for all of it', async () => {
    const { stdout } = await on('show', CRASHED, '--output', 'ndjson');
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const event of events) expect(validate(event), JSON.stringify(validate.errors)).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['run:start', ...Array(8).fill('task:end'), 'run:end']);
    expect(events.slice(1, 9).map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(events[1].stdout).toMatchObject({ total: 30_000, truncated: true });
    expect(events.at(-1)).toMatchObject({ planned: 8, outcomes: { ok: 2, lost: 3, 'not-run': 1 }, uncertain: 3 });
    const json = await on('show', CRASHED, '--output', 'json');
    expect(JSON.parse(json.stdout)).toEqual(events);
  });

  it('of a run in progress shows what there is, and no end', async () => {
    const [text, ndjson] = await Promise.all([on('show', LIVE), on('show', LIVE, '--output', 'ndjson')]);
    expect(text).toMatchObject({ code: 0, stdout: 'h1: hello from 0\n' });
    expect(text.stderr).toMatch(/^run 3hk2c1-lives: in progress, 1 of 4 have ended, /);
    expect(text.stderr).toMatch(/^1 of 4 so far: 1 ok$/m);
    expect(text.stderr).not.toMatch(/resume|INTERNAL/);
    expect(ndjson.stdout.match(/"type":"[a-z:]+"/g)).toEqual(['"type":"run:start"', '"type":"task:end"']);
  });

  it('gives CSV, a line a task', async () => {
    const { stdout } = await on('show', `${CRASHED}:bad`, '--output', 'csv', '-w', 'h[3-4,8]');
    const lines = stdout.split('\r\n');
    expect(lines[0]).toMatch(/^index,host,iteration,outcome,cause,began,status,message,.*,stdout,stdout_bytes,stderr,/);
    expect(lines[1]).toMatch(/^2,h3,1,failed,failed\(3\),yes,3,exit status 3,1,.*,,0,"oh \x1b]0;x\x07no\n",\d+,$/s);
    expect(lines[2]).toMatch(/^3,h4,1,lost,lost\(crash\),maybe,,"it was started, and .*"/);
    expect(lines[3]).toMatch(/^7,h8,1,unreachable,unreachable\(refused\),no,,connection refused,/);
    expect(lines.slice(4)).toEqual(['']);
    const quoted = await on('show', CRASHED, '--output', 'csv', '-w', 'h2');
    expect(quoted.stdout).toContain(',"say ""hi"", twice\nhi\n",');
  });

  it.each([
    [['show'], 'no run was given: its id, "last" or -N comes first'],
    [['show', 'last', 'last'], 'one run is shown at a time: "last" is one more'],
    [
      ['show', '3hk2b0-0f3k2l1x'],
      `run "3hk2b0-0f3k2l1x" is not in the journal FOLDER: it holds 5, the nearest is ${CRASHED}`,
    ],
    [['show', '-6'], `run "-6" is not in the journal FOLDER: it holds 5, the last is ${LIVE}`],
    [
      ['show', 'last:bda'],
      /^"last:bda": "bda" selects nothing; expected one of unreached, uncertain, bad, ok, .*, rc=N$/,
    ],
    [['show', 'broken'], /^the journal \S+ is damaged and was left as it is; use --no-journal, or another run$/],
    [
      ['show', 'future'],
      /^the journal \S+ was written by a newer Myriad \(format 999, this one knows up to \d+\); update Myriad$/,
    ],
    [['show', 'last', '-b', '--output', 'csv'], '--gather-same (-b): it is text; leave out --output csv'],
    [['show', 'last', '--output', 'xml'], '--output: expected one of text, json, ndjson, csv, got "xml"'],
    [['runs', 'last'], /^too many arguments/],
    [['runs', '--limit', '0'], '--limit: expected a whole number of at least 1, got "0"'],
  ] as const)('%j is refused in one sentence', async (words, sentence) => {
    const { code, stdout, stderr } = await on(...words);
    const said = /^myriad: (.*)\n$/.exec(stderr)?.[1]?.replace(folder, 'FOLDER');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    if (typeof sentence === 'string') expect(said).toBe(sentence);
    else expect(said?.replace('FOLDER', folder)).toMatch(sentence);
  });

  it('ends quietly where nobody reads on', async () => {
    const { stderr } = await shell(
      `{ $MYRIAD show ${CRASHED} -q --journal ${folder}; echo "exit $?" >&2; } | head -n 1`,
    ).ended;
    expect(stderr).toContain('exit 0\n');
  });
});
