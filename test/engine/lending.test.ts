import { describe, expect, it } from 'vitest';
import { Lending, type Loan } from '../../src/engine/lending.ts';

function made() {
  const time = { now: 0, busy: 0 };
  const lending = new Lending(
    () => time.now,
    () => time.busy,
  );
  /** Time goes by; `share` of it is computing. */
  const pass = (ms: number, share: number): void => {
    time.now += ms;
    time.busy += ms * share;
  };
  const take = (count: number): Loan[] => Array.from({ length: count }, () => lending.take()!);
  return { lending, pass, take };
}

describe('places that are lent', () => {
  it('are 512 at first, and no more until some come back', () => {
    const { lending, take } = made();
    const loans = take(512);
    expect(lending.take()).toBeUndefined();
    lending.answered(loans[0]!);
    expect(lending.take()).toBeDefined();
    expect(lending.take()).toBeUndefined();
  });

  it('are two more for each host that stayed silent to its end', () => {
    const { lending, pass, take } = made();
    take(512);
    pass(10_000, 1);
    for (let i = 0; i < 512; i++) lending.ended();
    expect(lending.allowed).toBe(512 + 2 * 512);
  });

  it.each([
    ['late, and this loop had no time left', 1500, 1, 448],
    ['late, and the loop had time', 1500, 0.5, 512],
    ['soon, and the loop had no time', 900, 1, 512],
  ])('after a host that answered %s', (_what, ms, share, allowed) => {
    const { lending, pass, take } = made();
    const [loan] = take(1);
    pass(ms, share);
    lending.answered(loan!);
    expect(lending.allowed).toBe(allowed);
  });

  it('are for tasks between two attempts, too, which no lateness is put down to', () => {
    const { lending, pass } = made();
    const loan = lending.take('waits')!;
    pass(1500, 1);
    lending.answered(loan);
    expect(lending.allowed).toBe(512);
  });

  it('stay lent from one attempt to the next, each of which that fails makes it two more', () => {
    const { lending, pass, take } = made();
    take(512);
    const loan = lending.goesOn();
    expect(lending.allowed).toBe(514);
    take(2);
    expect(lending.take()).toBeUndefined();
    pass(1500, 1);
    lending.answered(loan);
    expect(lending.allowed).toBe(514);
    expect(lending.take()).toBeDefined();
  });

  it('are 16 at least', () => {
    const { lending, pass } = made();
    for (let i = 0; i < 100; i++) {
      const loan = lending.take()!;
      pass(2000, 1);
      lending.answered(loan);
    }
    expect(lending.allowed).toBe(16);
  });
});
