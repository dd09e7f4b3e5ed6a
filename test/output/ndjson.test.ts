import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventLine, jsonListener, ndjsonListener } from '../../src/output/ndjson.ts';
import { ended, fold, label, MemorySink, OK, piece, roundEnd, summaryOf } from './helpers.ts';

const names = { label, fold };

/** What a reader of these lines does. */
function read(data: { text?: string; base64?: string }): Buffer {
  return data.text === undefined ? Buffer.from(data.base64!, 'base64') : Buffer.from(data.text);
}

describe('eventLine', () => {
  it('is one line of JSON, with its version', () => {
    const line = eventLine(
      { type: 'run:start', time: 5, run: 'r1', job: 'command', title: 'a\n"b"', planned: 3 },
      names,
    );
    expect(line).toBe(
      '{"v":1,"type":"run:start","time":5,"run":"r1","job":"command","title":"a\\n\\"b\\"","planned":3}\n',
    );
  });

  it('task:end carries the whole result', () => {
    const changes = {
      reached: {
        transport: 'native' as const,
        address: '10.0.0.1',
        port: 22,
        fingerprint: 'SHA256:x',
        software: 'OpenSSH_9.9',
      },
      phases: { connect: { start: 0.00012, end: 1.23456 } },
    };
    expect(
      JSON.parse(eventLine(ended(4, { stdout: 'out', stderr: Buffer.from([0xff]), cut: 2, changes }), names)),
    ).toEqual({
      v: 1,
      type: 'task:end',
      time: 1,
      run: 'r1',
      round: 0,
      index: 4,
      attempt: 1,
      iteration: 1,
      host: { label: 'web5', name: 'web5', user: null, port: null },
      outcome: { kind: 'ok', began: 'yes', status: 0 },
      reached: changes.reached,
      startedAt: 1_700_000_000_000,
      durationMs: 12.346,
      phases: { connect: { start: 0, end: 1.235 } },
      executor: 'main',
      stdout: { text: 'out', total: 5, truncated: true },
      stderr: { base64: '/w==', total: 1, truncated: false },
      notes: ['stdout truncated'],
    });
  });

  it('run:end folds the hosts of each cause', () => {
    const summary = summaryOf([
      [OK, 3],
      [{ kind: 'failed', began: 'yes', status: 2 }, 2],
    ]);
    const line = JSON.parse(eventLine({ type: 'run:end', time: 9, summary }, names));
    expect(line.causes[1]).toEqual({
      kind: 'failed',
      label: 'failed(2)',
      count: 2,
      example: { kind: 'failed', began: 'yes', status: 2 },
      hosts: 'web[4-5]',
      hostsOmitted: 0,
    });
    expect(line.outcomes.ok).toBe(3);
  });

  it('brings any bytes back, as text where it can', () => {
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
      fc.constantFrom('', '\ufeffa', '\u2028', '\0').map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        const line = eventLine(piece(0, 'stdout', given), names);
        expect(line.indexOf('\n')).toBe(line.length - 1);
        const { data } = JSON.parse(line);
        expect(read(data).equals(given)).toBe(true);
        const valid = Buffer.from(given).equals(Buffer.from(Buffer.from(given).toString()));
        expect('text' in data).toBe(valid);
        const result = JSON.parse(eventLine(ended(0, { stdout: Buffer.from(given) }), names));
        expect(read(result.stdout).equals(given)).toBe(true);
      }),
    );
  });

  it('leaves nothing in a line that a terminal obeys, and loses nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const line = eventLine(ended(0, { stdout: Buffer.from(text) }), names);
        expect(line).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
        expect(JSON.parse(line).stdout.text).toBe(Buffer.from(text).toString());
      }),
    );
  });

  it('as a list it is whole when the run has ended', () => {
    const sink = new MemorySink();
    const listener = jsonListener(sink, names);
    listener(ended(0));
    listener({ type: 'run:end', time: 2, summary: summaryOf([[OK, 1]]) });
    expect(JSON.parse(sink.text).map(({ type }: { type: string }) => type)).toEqual(['task:end', 'run:end']);
    expect(sink.text.trim().split('\n')).toHaveLength(4);
  });

  it('the listener writes every event', () => {
    const sink = new MemorySink();
    const listener = ndjsonListener(sink, names);
    listener(roundEnd(0));
    const { outcomes } = summaryOf([]);
    const wave = { wave: 1, waves: 2, tasks: 3, outcomes, passed: false, reason: 'why', output: 'out' };
    listener({ type: 'wave:end', time: 2, run: 'r1', round: 0, ...wave, indices: () => [0, 1, 2] });
    const lines = sink.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => line.type)).toEqual(['round:end', 'wave:end']);
    expect(lines[1]).toMatchObject({ ...wave, hosts: 'web[1-3]', hostsOmitted: 0 });
  });
});
