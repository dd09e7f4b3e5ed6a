/** Messages by hand: RFC 4251 §5 written a second time, so that tests do not check the code under test with itself. */

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function str(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([u32(bytes.length), bytes]);
}

/** A positive integer as RFC 4251 wants it: no leading zeros but one where the first bit is set. */
export function mpint(value: Uint8Array): Buffer {
  const first = value.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Buffer.alloc(0) : value.subarray(first);
  return str(digits.length > 0 && digits[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

export const bool = (value: boolean) => Buffer.of(value ? 1 : 0);

/** A payload: its message number, then its fields. */
export function msg(type: number, ...fields: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.of(type), ...fields]);
}

/** A packet without protection; `padding` and `length` may lie. */
export function plainPacket(payload: Uint8Array, lie: { padding?: number; length?: number } = {}): Buffer {
  let padding = 8 - ((5 + payload.length) % 8);
  if (padding < 4) padding += 8;
  const head = Buffer.concat([u32(lie.length ?? 1 + payload.length + padding), Buffer.of(lie.padding ?? padding)]);
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}

export interface Random {
  /** 0 to below `limit`. */
  below(limit: number): number;
  bytes(count: number): Buffer;
  /** True in `percent` of the calls. */
  chance(percent: number): boolean;
}

/** The same numbers again for the same seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (limit: number) => next() % limit;
  return {
    below,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => below(256))),
    chance: (percent) => below(100) < percent,
  };
}
