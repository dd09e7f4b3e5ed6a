import { expect, test } from 'vitest';
import { type Dialling, race } from '../../../src/transport/native/race.ts';
import { ManualClock, settle } from '../../util/manual_clock.ts';

class FakeDial implements Dialling<string> {
  readonly #settled = Promise.withResolvers<string>();
  readonly promise = this.#settled.promise;
  readonly address: string;
  cancelled: Error | undefined;

  constructor(address: string) {
    this.address = address;
  }

  cancel(reason: Error): void {
    this.cancelled = reason;
    this.#settled.reject(reason);
  }

  open(): void {
    this.#settled.resolve(this.address);
  }

  fail(code: string): void {
    this.#settled.reject(Object.assign(new Error(`${this.address} ${code}`), { code }));
  }
}

class Track {
  readonly clock = new ManualClock();
  readonly dials: FakeDial[] = [];
  readonly race: Dialling<string>;
  result: string | undefined;

  constructor(addresses: readonly string[]) {
    this.race = race(
      addresses,
      (address) => {
        const dial = new FakeDial(address);
        this.dials.push(dial);
        return dial;
      },
      (delayMs, callback) => this.clock.setTimer(delayMs, callback),
    );
    this.race.promise.then(
      (value) => {
        this.result = value;
      },
      (error: Error) => {
        this.result = error.message;
      },
    );
  }

  get dialled(): string[] {
    return this.dials.map(({ address }) => address);
  }
}

test('one address: its dial itself, no timer', () => {
  const track = new Track(['a']);
  expect(track.race).toBe(track.dials[0]);
  expect(track.clock.timers).toBe(0);
});

test('the first has a head start of 250 ms', async () => {
  const track = new Track(['a', 'b', 'c']);
  await track.clock.advance(249);
  expect(track.dialled).toEqual(['a']);
  await track.clock.advance(1);
  expect(track.dialled).toEqual(['a', 'b']);
  await track.clock.advance(250);
  expect(track.dialled).toEqual(['a', 'b', 'c']);
  expect(track.clock.timers).toBe(0);
});

test('the first success wins; the others are cancelled, and nothing starts any more', async () => {
  const track = new Track(['a', 'b', 'c']);
  await track.clock.advance(250);
  track.dials[0]!.open();
  await settle();
  expect(track.result).toBe('a');
  expect(track.dials[0]!.cancelled).toBeUndefined();
  expect(track.dials[1]!.cancelled?.message).toBe('another address was faster');
  await track.clock.advance(1000);
  expect(track.dialled).toEqual(['a', 'b']);
  expect(track.clock.timers).toBe(0);
});

test('after a failure the next starts at once, with a head start of its own', async () => {
  const track = new Track(['a', 'b', 'c']);
  await track.clock.advance(100);
  track.dials[0]!.fail('ECONNREFUSED');
  await settle();
  expect(track.dialled).toEqual(['a', 'b']);
  await track.clock.advance(249);
  expect(track.dialled).toEqual(['a', 'b']);
  await track.clock.advance(1);
  expect(track.dialled).toEqual(['a', 'b', 'c']);
  track.dials[1]!.open();
  await settle();
  expect(track.result).toBe('b');
});

test.each([
  [['ENETUNREACH', 'ECONNREFUSED'], 'b ECONNREFUSED'],
  [['ECONNREFUSED', 'ENETUNREACH'], 'a ECONNREFUSED'],
  [['ETIMEDOUT', 'EHOSTUNREACH'], 'a ETIMEDOUT'],
  [['ECONNREFUSED', 'ECONNRESET'], 'b ECONNRESET'],
  [['EMFILE', 'ECONNREFUSED'], 'a EMFILE'],
  [['ECONNREFUSED', 'ESTRANGE'], 'b ESTRANGE'],
])('all fail with %j: %s', async (codes, expected) => {
  const track = new Track(['a', 'b']);
  track.dials[0]!.fail(codes[0]!);
  await settle();
  track.dials[1]!.fail(codes[1]!);
  await settle();
  expect(track.result).toBe(expected);
  expect(track.clock.timers).toBe(0);
});

test('the code is looked for in the cause, too', async () => {
  const refused = new Error('refused', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) });
  const noWay = new Error('no way', { cause: Object.assign(new Error(), { code: 'ENETUNREACH' }) });
  const dial = (address: string) => ({ promise: Promise.reject(address === 'a' ? refused : noWay), cancel: () => {} });
  const clock = new ManualClock();
  await expect(race(['a', 'b'], dial, (ms, callback) => clock.setTimer(ms, callback)).promise).rejects.toBe(refused);
});

test('a failure while others are under way is not the end', async () => {
  const track = new Track(['a', 'b']);
  await track.clock.advance(250);
  track.dials[1]!.fail('ECONNREFUSED');
  await settle();
  expect(track.result).toBeUndefined();
  track.dials[0]!.open();
  await settle();
  expect(track.result).toBe('a');
});

test('cancelled while racing: all dials hear the reason, nothing starts, the promise rejects with it', async () => {
  const track = new Track(['a', 'b', 'c']);
  await track.clock.advance(250);
  const reason = new Error('deadline');
  track.race.cancel(reason);
  await settle();
  expect(track.result).toBe('deadline');
  expect(track.dials.map(({ cancelled }) => cancelled)).toEqual([reason, reason]);
  expect(track.clock.timers).toBe(0);
});

test('cancelled after it was won: the winner is given up', async () => {
  const track = new Track(['a', 'b']);
  track.dials[0]!.open();
  await settle();
  const reason = new Error('deadline');
  track.race.cancel(reason);
  expect(track.dials[0]!.cancelled).toBe(reason);
  expect(track.result).toBe('a');
});

test('two successes at the same time: the second is cancelled', async () => {
  const track = new Track(['a', 'b']);
  await track.clock.advance(250);
  track.dials[0]!.open();
  track.dials[1]!.open();
  await settle();
  expect(track.result).toBe('a');
  expect(track.dials[1]!.cancelled).toBeDefined();
});
