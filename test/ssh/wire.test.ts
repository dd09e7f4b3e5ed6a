import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { Reader, Writer } from '../../src/ssh/wire.ts';
import { mpint, str, u32 } from './bytes.ts';

type Field =
  | { readonly kind: 'byte'; readonly value: number }
  | { readonly kind: 'uint32'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string' | 'mpint' | 'raw'; readonly value: Uint8Array }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'nameList'; readonly value: readonly string[] };

const name = fc.stringMatching(/^[a-z0-9@.-]{1,20}$/);
const bytes = fc.uint8Array({ maxLength: 300 });
const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('uint32' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('string' as const, 'mpint' as const, 'raw' as const), value: bytes }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'binary', maxLength: 200 }) }),
  fc.record({ kind: fc.constant('nameList' as const), value: fc.array(name, { maxLength: 6 }) }),
);

function write(writer: Writer, { kind, value }: Field): void {
  if (kind === 'nameList') writer.text(value.join(','));
  else if (kind === 'text') writer.text(value);
  else if (kind === 'boolean') writer.boolean(value);
  else if (kind === 'byte') writer.byte(value);
  else if (kind === 'uint32') writer.uint32(value);
  else writer[kind](value);
}

/** What must be read back. */
function expected({ kind, value }: Field): unknown {
  if (kind === 'mpint') return Buffer.from(value.subarray(leadingZeros(value)));
  if (kind === 'string' || kind === 'raw') return Buffer.from(value);
  return value;
}

const leadingZeros = (value: Uint8Array) => {
  const first = value.findIndex((byte) => byte !== 0);
  return first < 0 ? value.length : first;
};

function read(reader: Reader, { kind, value }: Field): unknown {
  return kind === 'raw' ? reader.raw(value.length) : reader[kind]();
}

function protocolErrorOf(action: () => unknown): SshError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(SshError);
    expect((error as SshError).reason).toBe('protocol');
    return error as SshError;
  }
  throw new Error('expected an error');
}

describe('Reader and Writer', () => {
  it('give back what was written, from any capacity', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 12 }), fc.integer({ min: 1, max: 64 }), (fields, capacity) => {
        const writer = new Writer(capacity);
        for (const one of fields) write(writer, one);
        const reader = new Reader(writer.copy());
        for (const one of fields) expect(read(reader, one)).toEqual(expected(one));
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it('throw `protocol` at every truncation', () => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 6 }), (fields) => {
        const writer = new Writer();
        for (const one of fields) write(writer, one);
        const whole = writer.copy();
        for (let length = 0; length < whole.length; length++) {
          const reader = new Reader(whole.subarray(0, length));
          protocolErrorOf(() => {
            for (const one of fields) read(reader, one);
          });
        }
      }),
      { numRuns: 40 },
    );
  });

  it('stop at the end they were given, not at that of the buffer', () => {
    const reader = new Reader(Buffer.concat([u32(4), Buffer.from('four')]), 0, 7);
    expect(protocolErrorOf(() => reader.string()).message).toBe('expected 4 more bytes in the message, got 3');
  });

  it.each([0x7fffffff, 0x80000000, 0xffffffff])('a string that says it has %d bytes costs nothing', (length) => {
    protocolErrorOf(() => new Reader(Buffer.concat([u32(length), Buffer.alloc(8)])).string());
    protocolErrorOf(() => new Reader(Buffer.concat([u32(length), Buffer.alloc(8)])).text());
  });

  it('read uint64', () => {
    expect(new Reader(Buffer.from('fedcba9876543210', 'hex')).uint64()).toBe(0xfedcba9876543210n);
    protocolErrorOf(() => new Reader(Buffer.alloc(7)).uint64());
  });
});

describe('mpint', () => {
  // RFC 4251 §5 gives these three; the negative ones of the table are not positive integers.
  it.each([
    ['00', '00000000'],
    ['09a378f9b2e332a7', '0000000809a378f9b2e332a7'],
    ['80', '000000020080'],
  ])('writes %s as the RFC does', (value, wire) => {
    expect(new Writer().mpint(Buffer.from(value, 'hex')).copy().toString('hex')).toBe(wire);
  });

  it.each(['000000' + '01ed', '000000' + '02edcc', '000000' + '05ff21524111'])('refuses the negative %s', (wire) => {
    protocolErrorOf(() => new Reader(Buffer.from(wire, 'hex')).mpint());
  });

  it('is what a second writing of the rule gives', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(new Writer().mpint(value).copy()).toEqual(mpint(value));
      }),
    );
  });
});

describe('Writer', () => {
  it('starts anew after reset, and its views end with it', () => {
    const writer = new Writer(8).text('first words');
    const copy = writer.copy();
    writer.reset().text('second');
    expect(writer.view()).toEqual(str('second'));
    expect(copy).toEqual(str('first words'));
  });

  it('counts bytes, not characters', () => {
    expect(new Writer(4).text('ü€😀').copy()).toEqual(str(Buffer.from('ü€😀')));
  });
});
