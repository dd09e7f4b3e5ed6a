import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import type { RunEvent } from '../../src/contracts/events.ts';
import { OUTCOME_KINDS } from '../../src/contracts/outcome.ts';
import { eventLine } from '../../src/output/ndjson.ts';
import { ended, fold, label, OUTCOMES, piece, roundEnd, summaryOf } from '../output/helpers.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
const validate: ValidateFunction = ajv.compile(schema);

const identity = { run: 'r1', round: 0, index: 0, attempt: 1 };
const host = { label: 'deploy@web1:2222', name: 'web1', user: 'deploy', port: 2222 };
const span = { start: 0.5, end: 1.25 };
const full = {
  reached: { transport: 'native' as const, address: '::1', port: 22, fingerprint: '', software: '' },
  phases: { dns: span, connect: span, handshake: span, auth: span, open: span, command: span },
  notes: ['output left open', 'stdout truncated', 'stderr truncated'] as const,
  host,
};

const WAVE = {
  wave: 3,
  waves: 7,
  tasks: 20,
  indices: () => Array.from({ length: 20 }, (_, i) => i + 2),
  outcomes: { ...summaryOf([]).outcomes, ok: 20 },
  passed: true,
  reason: '',
  output: '',
};

const POLLED = { rounds: 3, overruns: 1, changes: 2, hosts: roundEnd(2).hosts };

const EVENTS: readonly (readonly [string, RunEvent])[] = [
  ['run:start', { type: 'run:start', time: 1, run: 'r1', job: 'command', title: 'uptime', planned: 1 }],
  ['task:start', { type: 'task:start', time: 1, ...identity, host }],
  ['task:output text', piece(0, 'stdout', Buffer.from('é'))],
  ['task:output base64', piece(0, 'stderr', Buffer.from([0xff, 0xfe]))],
  ['task:end full', ended(0, { stdout: 'a', stderr: Buffer.from([0xff]), cut: 1, changes: full })],
  ...OUTCOMES.map((outcome) => [`task:end ${outcome.kind}`, ended(0, { outcome })] as const),
  ['change', { type: 'change', time: 1, change: 'down', value: null, result: ended(0).result }],
  ['round:end', roundEnd(2)],
  ['run:end polled', { type: 'run:end', time: 1, summary: { ...summaryOf([[OUTCOMES[0]!, 2]]), polling: POLLED } }],
  ['wave:end', { type: 'wave:end', time: 1, run: 'r1', round: 0, ...WAVE }],
  ['run:end', { type: 'run:end', time: 1, summary: summaryOf(OUTCOMES.map((outcome) => [outcome, 2] as const)) }],
];

const toJson = (event: RunEvent): { [key: string]: Json } => JSON.parse(eventLine(event, { label, fold }));

/** Every copy of a value in which one key is missing, one is added, or one scalar has another type. */
function* mutations(value: Json): Generator<Json, void, undefined> {
  if (value === null || typeof value !== 'object') {
    yield typeof value === 'boolean' ? 'x' : true;
    return;
  }
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) for (const changed of mutations(item)) yield value.with(at, changed);
    return;
  }
  yield { ...value, extraField: 1 };
  for (const [key, item] of Object.entries(value)) {
    if (!OPTIONAL.has(key)) yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
    for (const changed of mutations(item)) yield { ...value, [key]: changed };
  }
}

/** A phase that did not take place has no span. */
const OPTIONAL = new Set(['dns', 'connect', 'handshake', 'auth', 'open', 'command']);

describe('events.schema.json', () => {
  it('covers every outcome kind with these events', () => {
    expect(new Set(OUTCOMES.map((outcome) => outcome.kind))).toEqual(new Set(OUTCOME_KINDS));
  });

  it.each(EVENTS)('takes %s', (_, event) => {
    const taken = validate(toJson(event));
    expect(validate.errors ?? []).toEqual([]);
    expect(taken).toBe(true);
  });

  it.each(EVENTS)('refuses %s with any key gone, added or of another type', (_, event) => {
    let tried = 0;
    for (const changed of mutations(toJson(event))) {
      tried++;
      if (validate(changed)) throw new Error(`taken: ${JSON.stringify(changed)}`);
    }
    expect(tried).toBeGreaterThan(8);
  });

  it.each<[string, (line: { [key: string]: Json }) => Json]>([
    ['another version', (line) => ({ ...line, v: 2 })],
    ['an unknown type', (line) => ({ ...line, type: 'task:done' })],
    ['an unknown kind', (line) => ({ ...line, outcome: { kind: 'fine', began: 'yes' } })],
    ['a status on a timeout', (line) => ({ ...line, outcome: { kind: 'failed', began: 'no', status: 1 } })],
    ['base64 that is none', (line) => ({ ...line, stdout: { base64: '/w', total: 1, truncated: false } })],
    ['text and base64', (line) => ({ ...line, stdout: { text: '', base64: '', total: 0, truncated: false } })],
    ['attempt 0', (line) => ({ ...line, attempt: 0 })],
  ])('refuses %s', (_, change) => {
    const line = toJson(ended(0));
    expect(validate(line)).toBe(true);
    expect(validate(change(line))).toBe(false);
  });

  it('has an id of its own, and no open object', () => {
    expect(schema.$id).toMatch(/^urn:/);
    const open: string[] = [];
    const walk = (value: unknown, path: string): void => {
      if (value === null || typeof value !== 'object') return;
      if ('type' in value && value.type === 'object' && !('additionalProperties' in value)) open.push(path);
      for (const [key, item] of Object.entries(value)) walk(item, `${path}/${key}`);
    };
    walk(schema, '');
    expect(open).toEqual([]);
  });
});
