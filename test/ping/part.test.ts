/** Parts of a recorded sweep: what goes in comes out, what is settled is not asked again, and what is damaged is not believed. */
import { describe, expect, it } from 'vitest';
import type { PingChunk } from '../../src/ping/chunk.ts';
import { PART, type PartShape, packMicros, SweepPart, unpackMicros } from '../../src/ping/part.ts';
import { Skipped } from '../../src/ping/skipped.ts';
import { type AddressState, STATE } from '../../src/ping/state.ts';

const ONCE: PartShape = { rules: { passes: 1, mode: 'retry' }, banner: false };
const THRICE: PartShape = { rules: { passes: 3, mode: 'count' }, banner: false };
const RETRIED: PartShape = { rules: { passes: 3, mode: 'retry' }, banner: false };
const none = () => {};

/** A chunk whose first addresses ended so. */
function chunkOf(shape: PartShape, base: number, count: number, states: readonly AddressState[]): PingChunk {
  const chunk = SweepPart.blank(base, count, shape);
  states.forEach((state, i) => {
    chunk.state[i] = STATE[state];
    if (state === 'up') chunk.rtt[i] = 1000 + i;
  });
  return chunk;
}

describe('round trips in sixteen bits', () => {
  it('are exact up to 4 ms, and to a two-thousandth up to ten minutes', () => {
    for (let micros = 0; micros < 4096; micros++) expect(unpackMicros(packMicros(micros))).toBe(micros);
    let before = 0;
    for (let micros = 4096; micros <= 600_000_000; micros = Math.ceil(micros * 1.003)) {
      const packed = packMicros(micros);
      expect(packed).toBeGreaterThan(before);
      expect(packed).toBeLessThan(65_536);
      expect(Math.abs(unpackMicros(packed) - micros)).toBeLessThanOrEqual(micros / 2000);
      before = packed;
    }
  });
});

describe('a part', () => {
  it('gives back what it took, through its bytes', () => {
    const part = new SweepPart(1, ONCE);
    const changes: [number, number][] = [];
    // Half of the chunk lies in the part before.
    const states: AddressState[] = ['up', 'no-answer', 'no-route', 'up', 'refused', 'name'];
    const chunk = chunkOf(ONCE, PART - 2, 10, states);
    part.take(chunk, false, (...change) => changes.push(change));
    expect(changes).toEqual([
      [0, STATE['no-route']],
      [0, STATE.up],
      [0, STATE.refused],
      [0, STATE.name],
    ]);
    const again = new SweepPart(1, ONCE, part.encode());
    const filled = SweepPart.blank(PART - 2, 10, ONCE);
    again.give(filled);
    expect([...filled.state]).toEqual([0, 0, STATE['no-route'], STATE.up, STATE.refused, STATE.name, 0, 0, 0, 0]);
    expect([...filled.rtt]).toEqual([0, 0, 0, 1003, 0, 0, 0, 0, 0, 0]);
    expect([...filled.bits]).toEqual([0b1000, 0]);
  });

  it('keeps all of several probes, and who it was', () => {
    const shape: PartShape = { ...THRICE, banner: true };
    const part = new SweepPart(0, shape);
    const chunk = chunkOf(shape, 0, 1, ['up']);
    chunk.many!.sent[0] = 3;
    chunk.many!.received[0] = 2;
    chunk.many!.least[0] = 900;
    chunk.many!.most[0] = 1_100_000;
    chunk.software![0] = 7;
    part.take(chunk, false, none);
    const filled = SweepPart.blank(0, 1, shape);
    new SweepPart(0, shape, part.encode()).give(filled);
    expect([filled.many!.sent[0], filled.many!.received[0], filled.many!.least[0]]).toEqual([3, 2, 900]);
    expect(filled.many!.most[0]).toBeCloseTo(1_100_000, -3);
    expect(filled.software![0]).toBe(7);
  });

  it('does not take what is no part, or of another sweep', () => {
    const bytes = new SweepPart(0, ONCE).encode();
    const changed = Uint8Array.from(bytes);
    changed[changed.length - 1]! ^= 1;
    expect(() => new SweepPart(0, ONCE, changed)).toThrow(RangeError);
    expect(() => new SweepPart(0, ONCE, bytes.subarray(0, 3))).toThrow(RangeError);
    expect(() => new SweepPart(0, THRICE, bytes)).toThrow(RangeError);
  });
});

describe('what is settled', () => {
  it.each<[AddressState, boolean]>([
    ['not-probed', false],
    ['no-answer', true],
    ['up', true],
    ['host-unreachable', true],
    ['no-route', false],
    ['network-down', false],
    ['local-limit', false],
    ['name', true],
  ])('one probe, %s: %s', (state, settled) => {
    const part = new SweepPart(0, ONCE);
    part.take(chunkOf(ONCE, 0, 1, [state]), false, none);
    expect(part.settled(0)).toBe(settled);
  });

  it('count: once all were sent; retry: once it is up, or all were sent', () => {
    for (const [shape, state, sent, settled] of [
      [THRICE, 'up', 2, false],
      [THRICE, 'up', 3, true],
      [RETRIED, 'up', 1, true],
      [RETRIED, 'no-answer', 2, false],
      [RETRIED, 'no-answer', 3, true],
    ] as const) {
      const part = new SweepPart(0, shape);
      const chunk = chunkOf(shape, 0, 1, [state]);
      chunk.many!.sent[0] = sent;
      part.take(chunk, false, none);
      expect(part.settled(0), `${shape.rules.mode} ${state} ${sent}`).toBe(settled);
    }
  });

  it('of a block that is not over only what cannot change counts, and what is settled stays', () => {
    const part = new SweepPart(0, ONCE);
    part.take(chunkOf(ONCE, 0, 3, ['up', 'no-answer', 'host-unreachable']), true, none);
    expect([0, 1, 2].map((i) => part.settled(i))).toEqual([true, false, false]);
    part.take(chunkOf(ONCE, 0, 3, ['no-answer', 'no-answer', 'up']), false, none);
    expect([...part.states.subarray(0, 3)]).toEqual([STATE.up, STATE['no-answer'], STATE.up]);
  });
});

it('addresses that are skipped are told by their place in the whole sweep', () => {
  const bits = new Uint8Array(PART / 8);
  bits[0] = 0b101;
  const skipped = new Skipped(
    new Map<number, Uint8Array | true>([
      [0, true],
      [1, bits],
    ]),
    PART - 2,
  );
  expect([0, 1, 2, 3, 4, 5].map((index) => skipped.has(index))).toEqual([true, true, true, false, true, false]);
  expect([skipped.hasAll(0, 2), skipped.hasAll(0, 3), skipped.hasAll(2, 1)]).toEqual([true, false, false]);
});
