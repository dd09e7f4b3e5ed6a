import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamName } from '../../src/contracts/task.ts';
import { LineBuffer, prefixLines } from '../../src/output/lines.ts';
import { TextRenderer } from '../../src/output/text.ts';
import { ended, label, OUTCOMES, piece, roundEnd, sinks } from './helpers.ts';

const FAILED = { kind: 'failed', began: 'yes', status: 1 } as const;

describe('prefixLines', () => {
  it.each([
    ['', 'p: ', ''],
    ['a', 'p: ', 'p: a\n'],
    ['a\n', 'p: ', 'p: a\n'],
    ['a\n\nb', 'p: ', 'p: a\np: \np: b\n'],
    ['\n', 'p: ', 'p: \n'],
    ['a\nb', '', 'a\nb\n'],
    ['a\nb\n', '', 'a\nb\n'],
  ])('%j with %j', (text, prefix, lines) => {
    expect(prefixLines(Buffer.from(text), Buffer.from(prefix)).toString()).toBe(lines);
  });
});

describe('LineBuffer', () => {
  it('gives whole lines whatever the pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ max: 12, maxLength: 6 })), (pieces) => {
        const lines = new LineBuffer();
        const out: Buffer[] = [];
        for (const given of pieces) {
          const whole = Buffer.from(lines.push(given));
          if (whole.length > 0) expect(whole.at(-1)).toBe(10);
          out.push(whole);
        }
        const rest = lines.take();
        expect(rest.includes(10)).toBe(false);
        expect(lines.held).toBe(0);
        expect(Buffer.concat([...out, rest])).toEqual(Buffer.concat(pieces));
      }),
    );
  });
});

describe('TextRenderer, gathered results', () => {
  it('prefixes lines and sends each stream where it belongs', () => {
    const to = sinks();
    new TextRenderer(to).listener(ended(0, { stdout: 'a\nb', stderr: 'e\n' }));
    expect(to.stdout.text).toBe('web1: a\nweb1: b\n');
    expect(to.stderr.text).toBe('web1: e\n');
  });

  it('-N prints no prefix', () => {
    const to = sinks();
    new TextRenderer(to, { prefix: false }).listener(ended(0, { stdout: 'a\nb', outcome: FAILED }));
    expect(to.stdout.text).toBe('a\nb\n');
    expect(to.stderr.text).toBe('web1: failed: exit status 1\n');
  });

  it('-b leaves stdout to the folder', () => {
    const to = sinks();
    new TextRenderer(to, { streams: ['stderr'] }).listener(ended(0, { stdout: 'a', stderr: 'e' }));
    expect(to.stdout.text).toBe('');
    expect(to.stderr.text).toBe('web1: e\n');
  });

  it.each(OUTCOMES.map((outcome) => [outcome.kind, outcome] as const))('%s has its line on stderr', (kind, outcome) => {
    const to = sinks();
    new TextRenderer(to).listener(ended(6, { outcome }));
    expect(to.stdout.text).toBe('');
    if (['ok', 'skipped', 'not-run'].includes(kind)) expect(to.stderr.text).toBe('');
    else expect(to.stderr.text).toMatch(new RegExp(`^web7: ${kind}: .+\n$`));
    const told = sinks();
    new TextRenderer(told, { failures: false }).listener(ended(6, { outcome }));
    expect(told.stderr.text).toBe('');
    const quiet = sinks();
    new TextRenderer(quiet, { quiet: true }).listener(ended(6, { outcome }));
    expect(quiet.stderr.text).toBe('');
  });

  it('keeps what the peer said on one line, on any sink', () => {
    const to = sinks();
    const message = 'closed: "go\naway\x1b[2J"';
    new TextRenderer(to).listener(ended(0, { outcome: { kind: 'protocol', began: 'no', message } }));
    expect(to.stderr.text).toBe('web1: protocol: closed: "go^Jaway^[[2J"\n');
  });

  it('marks a cut output', () => {
    const to = sinks();
    new TextRenderer(to).listener(ended(0, { stdout: 'x'.repeat(1024), cut: 2048 }));
    expect(to.stderr.text).toBe('web1: stdout truncated: 1 KiB of 3 KiB kept\n');
  });

  it.each([
    [true, false, 'web1: ^[[2Ja\\xc3\n'.replace('\\xc3', '\xc3')],
    [true, true, 'web1: \x1b[2Ja\xc3\n'],
    [false, false, 'web1: \x1b[2Ja\xc3\n'],
  ])('terminal %s, raw %s', (terminal, raw, shown) => {
    const to = sinks(terminal);
    new TextRenderer(to, { raw }).listener(ended(0, { stdout: Buffer.from('\x1b[2Ja\xc3', 'latin1') }));
    expect(to.stdout.bytes.toString('latin1')).toBe(shown);
  });
});

describe('TextRenderer, order', () => {
  const print = (order: 'done' | 'input', indices: readonly number[], maxHeld = 2 ** 30): [string, string] => {
    const to = sinks();
    const text = new TextRenderer(to, { order, maxHeld });
    for (const index of indices) text.listener(ended(index, { stdout: 'x' }));
    text.finish();
    expect(text.held).toBe(0);
    return [to.stdout.text.replaceAll(': x', '').trim().split('\n').join(' '), to.stderr.text];
  };

  it('done: as they end', () => expect(print('done', [2, 0, 1])[0]).toBe('web3 web1 web2'));
  it('input: as planned', () => expect(print('input', [2, 0, 1])[0]).toBe('web1 web2 web3'));
  it('input: what never came is left out at the end', () =>
    expect(print('input', [5, 1, 3])[0]).toBe('web2 web4 web6'));

  it('input: prints in order for every order of arrival, as soon as it can', () => {
    const order = fc.nat(30).chain((length) =>
      fc.shuffledSubarray(
        Array.from({ length }, (_, i) => i),
        { minLength: length },
      ),
    );
    fc.assert(
      fc.property(order, (indices) => {
        const to = sinks();
        const text = new TextRenderer(to, { order: 'input' });
        const seen = new Set<number>();
        for (const index of indices) {
          text.listener(ended(index, { stdout: 'x' }));
          seen.add(index);
          let ready = 0;
          while (seen.has(ready)) ready++;
          const expected = Array.from({ length: ready }, (_, i) => `${label(i)}: x\n`).join('');
          expect(to.stdout.text).toBe(expected);
        }
        expect(text.held).toBe(0);
      }),
    );
  });

  it('input: beyond the bound it goes on, says so once, and loses nothing', () => {
    const [printed, said] = print('input', [1, 2, 5, 6, 7, 3, 0, 4], 3500);
    expect(printed).toBe('web2 web3 web4 web1 web5 web6 web7 web8');
    expect(said).toBe('order of the plan given up: more than 3.4 KiB of results waited for task 0\n');
  });

  it('input: every round has its own order', () => {
    const to = sinks();
    const text = new TextRenderer(to, { order: 'input' });
    text.listener(ended(1, { stdout: 'x' }));
    text.listener(roundEnd(0));
    text.listener(ended(1, { stdout: 'y' }));
    text.listener(ended(0, { stdout: 'y' }));
    expect(to.stdout.text).toBe('web2: x\nweb1: y\nweb2: y\n');
  });
});

describe('TextRenderer, live output', () => {
  /** Pieces of several hosts on both streams, in any order and of any bytes. */
  const step = fc.record({
    host: fc.nat(3),
    stream: fc.constantFrom<StreamName>('stdout', 'stderr'),
    data: fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.constantFrom('a\nb', '\n', 'x', '\r\n').map((t) => Buffer.from(t)),
    ),
  });

  it('every line of every host comes out whole and in order, for any pieces', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const to = sinks();
        const text = new TextRenderer(to);
        for (const { host, stream, data } of steps) {
          const lent = Buffer.from(data);
          text.listener(piece(host, stream, lent));
          lent.fill(0x21);
        }
        for (let host = 0; host < 4; host++) text.listener(ended(host));
        expect(text.unfinished).toBe(0);
        for (const stream of ['stdout', 'stderr'] as const) {
          const lines = to[stream].bytes.toString('latin1').split('\n');
          expect(lines.pop()).toBe('');
          for (let host = 0; host < 4; host++) {
            const sent = steps
              .filter((one) => one.host === host && one.stream === stream)
              .map((one) => Buffer.from(one.data));
            const prefix = `${label(host)}: `;
            const got = lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
            const expected = Buffer.concat(sent).toString('latin1').split('\n');
            if (expected.at(-1) === '') expected.pop();
            expect(got).toEqual(expected);
          }
        }
      }),
    );
  });

  it('what has been printed live is not printed again at the end', () => {
    const to = sinks();
    const text = new TextRenderer(to);
    text.listener(piece(0, 'stdout', Buffer.from('a\nb')));
    expect(to.stdout.text).toBe('web1: a\n');
    text.listener(ended(0, { stdout: 'a\nb', outcome: FAILED }));
    expect(to.stdout.text).toBe('web1: a\nweb1: b\n');
    expect(to.stderr.text).toBe('web1: failed: exit status 1\n');
  });

  it('a second attempt does not continue the line of the first', () => {
    const to = sinks();
    const text = new TextRenderer(to);
    text.listener(piece(0, 'stdout', Buffer.from('half'), 1));
    text.listener(piece(0, 'stdout', Buffer.from('whole\n'), 2));
    expect(to.stdout.text).toBe('web1: half\nweb1: whole\n');
  });

  it('breaks a line that never ends, of one host and over all', () => {
    const to = sinks();
    const text = new TextRenderer(to, { maxLine: 10, maxLines: 15 });
    text.listener(piece(0, 'stdout', Buffer.alloc(11, 'a')));
    expect(text.unfinished).toBe(0);
    text.listener(piece(0, 'stdout', Buffer.alloc(10, 'b')));
    expect(text.unfinished).toBe(10);
    text.listener(piece(1, 'stdout', Buffer.alloc(6, 'c')));
    expect(text.unfinished).toBe(10);
    expect(to.stdout.text).toBe(`web1: ${'a'.repeat(11)}\nweb2: cccccc\n`);
    text.finish();
    expect(to.stdout.text).toContain(`web1: ${'b'.repeat(10)}\n`);
    expect(text.unfinished).toBe(0);
  });

  it('escapes over the edges of pieces on a terminal', () => {
    const to = sinks(true);
    const text = new TextRenderer(to);
    for (const part of ['\x1b', '[31mred', '\x1b[', '2J\n']) text.listener(piece(0, 'stdout', Buffer.from(part)));
    expect(to.stdout.text).toBe('web1: \x1b[31mred^[[2J\x1b[0m\n');
  });
});
