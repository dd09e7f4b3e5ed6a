/** `--output ndjson` of whole runs: every line is an event of the published schema, and every planned task ends once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import { type Outcome, outcomeLabel } from '../../src/contracts/outcome.ts';
import { FAULT_NAMES } from '../../src/simulator/faults.ts';
import { launch, myriad, ROOT } from './command.ts';
import { type MixedFleet, mixedFleet } from './mixed_fleet.ts';

const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);

interface Line {
  readonly type: string;
  readonly [key: string]: unknown;
  readonly index: number;
  readonly outcome: Outcome;
  readonly host: { readonly label: string };
  readonly stdout: {
    readonly text?: string;
    readonly base64?: string;
    readonly total: number;
    readonly truncated: boolean;
  };
}

/** The lines, each of them valid, in the order of an account: start first, end last, one end of each task. */
function account(text: string): Line[] {
  expect(text.endsWith('\n')).toBe(true);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  for (const line of lines) {
    if (!validate(line)) throw new Error(`${JSON.stringify(validate.errors)} in ${JSON.stringify(line).slice(0, 400)}`);
  }
  const [first, last] = [lines[0]!, lines.at(-1)!];
  expect([first.type, last.type]).toEqual(['run:start', 'run:end']);
  const ended = lines.filter(({ type }) => type === 'task:end');
  const indices = ended.map(({ index }) => index).sort((a, b) => a - b);
  expect(indices).toEqual(Array.from({ length: first.planned as number }, (_, index) => index));
  const counts: Record<string, number> = {};
  for (const { outcome } of ended) counts[outcome.kind] = (counts[outcome.kind] ?? 0) + 1;
  const { outcomes } = last as unknown as { outcomes: Record<string, number> };
  expect(Object.fromEntries(Object.entries(outcomes).filter(([, count]) => count > 0))).toEqual(counts);
  return lines;
}

const ends = (lines: readonly Line[]) => lines.filter(({ type }) => type === 'task:end');

let fleet: MixedFleet;

beforeAll(async () => {
  fleet = await mixedFleet();
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** What docs/simulate.md says becomes of a fault: the label of the outcome, and whether the command began. */
const DOCUMENTED: ReadonlyMap<string, string> = new Map(
  [
    ...readFileSync(join(ROOT, 'docs/simulate.md'), 'utf8').matchAll(
      /^\| `([a-z0-9-]+)` \| [^|]+ \| `(\S+)`[^|]* \| (no|yes) \|/gm,
    ),
  ].map(([, fault, label, began]) => [fault!, `${label} ${began}`]),
);

describe('ndjson', () => {
  it('of a fleet with every fault', async () => {
    const everyone = ['-w', fleet.labels.join(',')];
    const options = ['--output', 'ndjson', '-t', '5s', '--deadline', '10s', '--max-output', '2000', '-q'];
    const { code, stdout, stderr } = await myriad([
      ...everyone,
      ...fleet.reach,
      ...options,
      '--',
      'echo out; echo err >&2',
    ]);
    const lines = account(stdout);
    expect({ code, stderr }).toEqual({ code: 7, stderr: '' });
    expect([...DOCUMENTED.keys()]).toEqual(FAULT_NAMES);
    for (const { index, host, outcome, stdout: output } of ends(lines)) {
      const kind = fleet.simulated.simulator.fault(index) ?? 'good';
      expect(host.label).toBe(fleet.labels[index]);
      // Its own deadline comes later than that of this run.
      const documented = kind === 'silent-identification' ? 'timeout(run) no' : (DOCUMENTED.get(kind) ?? 'ok yes');
      expect([kind, `${outcomeLabel(outcome)} ${outcome.began}`]).toEqual([kind, documented]);
      if (kind === 'good') expect(output).toEqual({ text: 'out\n', total: 4, truncated: false });
      if (kind === 'huge') expect(output).toMatchObject({ total: 8 * 1024 * 1024, truncated: true });
    }
    const kinds = fleet.labels.map((_, index) => fleet.simulated.simulator.fault(index) ?? 'good');
    expect(new Set(kinds)).toEqual(new Set([...FAULT_NAMES, 'good']));
    // Of each host that ran the command, and only of those, its start is an event, too.
    const started = lines.filter(({ type }) => type === 'task:start').length;
    const asked = fleet.commands.filter((command) => command.includes('echo out')).length;
    expect(started).toBeGreaterThanOrEqual(asked);
    expect(asked).toBeGreaterThan(0);
  });

  it('of live output, piece by piece', async () => {
    const words = [...fleet.pick('good', 'exit-1', 'lost'), ...fleet.reach, '--output', 'ndjson', '--gather', 'stream'];
    const lines = account((await myriad([...words, '--', 'echo a; sleep 0.1; echo b >&2'])).stdout);
    const pieces = lines.filter(({ type }) => type === 'task:output');
    const seen = pieces.map(({ index, stream, data }) => `${index} ${stream} ${(data as { text: string }).text}`);
    expect(seen.sort()).toEqual(['0 stderr b\n', '0 stdout a\n', '1 stderr b\n', '1 stdout a\n', '2 stdout half a li']);
  });

  it('of bytes that are no UTF-8', async () => {
    const { stdout } = await myriad(['run', '--local', '-w', 'a', '--output', 'ndjson', '--', 'printf', '\\377\\000é']);
    const [end] = ends(account(stdout));
    expect(end!.stdout).toEqual({
      base64: Buffer.from([0xff, 0, 0xc3, 0xa9]).toString('base64'),
      total: 4,
      truncated: false,
    });
  });

  it('of faults on this side', async () => {
    const words = ['run', '--local', '-w', 'true,no-such-program', '--output', 'ndjson', '--', '{name}'];
    const lines = account((await myriad(words)).stdout);
    expect(
      ends(lines)
        .map(({ outcome }) => outcome.kind)
        .sort(),
    ).toEqual(['error', 'ok']);
  });

  it.each([
    ['the deadline of the run', ['--deadline', '3s'], 6, 'timeout'],
    ['a signal', [], 130, 'cancelled'],
  ] as const)('of a run ended by %s', async (_, options, code, kind) => {
    const words = [
      ...fleet.pick('good'),
      ...fleet.reach,
      '--output',
      'ndjson',
      '-f',
      '1',
      '--repeat',
      '50',
      ...options,
    ];
    const running = launch([...words, '--', 'sleep 100']);
    await running.shows(/"task:start"/);
    if (code === 130) running.child.kill('SIGTERM');
    const ended = await running.ended;
    const outcomes = ends(account(ended.stdout)).map(({ outcome }) => outcome.kind);
    expect(outcomes).toHaveLength(50);
    expect(new Set(outcomes)).toEqual(new Set([kind, 'not-run']));
    expect(ended.code).toBe(code);
  });

  it('goes on when its reader has gone', async () => {
    const running = launch([...fleet.pick('good', 'good'), ...fleet.reach, '--output', 'ndjson', '--', 'sleep 1']);
    running.child.stdout!.destroy();
    const { code, stderr } = await running.ended;
    expect(stderr).toMatch(/^myriad: stdout is closed \(.*\); the run goes on\n2 planned: 2 ok\n/);
    expect(code).toBe(0);
  });
});
