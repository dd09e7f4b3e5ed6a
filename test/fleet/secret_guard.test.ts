/** Who may try a secret when: tables of what happens, and random fleets that must never lock an account. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretGuard, SecretSpentError } from '../../src/fleet/secret_guard.ts';
import type { SecretTry } from '../../src/ssh/client_auth_secret.ts';
import { ManualClock } from '../util/manual_clock.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One host that logs in with the secret. */
class Login {
  readonly #stop = new AbortController();
  got: SecretTry | undefined;
  error: unknown;
  /** It was refused or gone, or has its verdict. */
  over = false;

  constructor(guard: SecretGuard, account = 'deploy', value = 'xyzzy') {
    void this.#take(guard, account, value);
  }

  async #take(guard: SecretGuard, account: string, value: string): Promise<void> {
    try {
      const got = (await guard.secret(account, value).take(this.#stop.signal))!;
      if (this.over) got.gone();
      else this.got = got;
    } catch (error) {
      this.error = error;
      this.over = true;
    }
  }

  get waits(): boolean {
    return !this.over && this.got === undefined;
  }

  get trying(): boolean {
    return !this.over && this.got !== undefined;
  }

  end(how: 'accepted' | 'refused' | 'gone'): void {
    if (this.over) return;
    this.over = true;
    if (this.got) this.got[how]();
    else this.#stop.abort(new Error('the connection is over'));
  }
}

function setUp() {
  const clock = new ManualClock();
  const spent: string[] = [];
  const guard = new SecretGuard({ clock, onSpent: (reason) => void spent.push(reason) });
  return { clock, spent, guard, logins: (count: number) => Array.from({ length: count }, () => new Login(guard)) };
}

/** `t` tries, `w` waits, `x` was rejected, `.` is over. */
async function look(logins: readonly Login[]): Promise<string> {
  await turn();
  return logins
    .map((login) => (login.error instanceof SecretSpentError ? 'x' : login.over ? '.' : login.trying ? 't' : 'w'))
    .join('');
}

type Step = readonly [what: 'accepted' | 'refused' | 'gone' | 'wait', which: number, then: string];

const TABLE: readonly (readonly [name: string, steps: readonly Step[], spent: number])[] = [
  ['one is first, and once accepted all may', [['accepted', 0, '.ttttt']], 0],
  [
    'three refusals in a row spend it: the rest is rejected',
    [
      ['refused', 0, '.twwww'],
      ['refused', 1, '..twww'],
      ['refused', 2, '...www'],
      ['wait', 0, '...xxx'],
    ],
    1,
  ],
  [
    'after two refusals a success frees the rest',
    [
      ['refused', 0, '.twwww'],
      ['refused', 1, '..twww'],
      ['accepted', 2, '...ttt'],
      ['refused', 3, '....tt'],
      ['refused', 4, '.....t'],
      ['refused', 5, '......'],
      ['wait', 60_000, '......'],
    ],
    0,
  ],
  [
    'a silent host lets one more try after 5 s, three at most',
    [
      ['wait', 4_999, 'twwwww'],
      ['wait', 1, 'ttwwww'],
      ['wait', 5_000, 'tttwww'],
      ['wait', 600_000, 'tttwww'],
      ['gone', 1, 't.ttww'],
      ['accepted', 0, '..tttt'],
    ],
    0,
  ],
  [
    'refusals take from the three that may be in flight',
    [
      ['refused', 0, '.twwww'],
      ['wait', 5_000, '.ttwww'],
      ['wait', 600_000, '.ttwww'],
      ['refused', 1, '..twww'],
      ['wait', 600_000, '..twww'],
      ['refused', 2, '...www'],
      ['wait', 0, '...xxx'],
    ],
    1,
  ],
  [
    'where the older one refuses, the younger one is still waited for',
    [
      ['wait', 5_000, 'ttwwww'],
      ['wait', 1_000, 'ttwwww'],
      ['refused', 0, '.twwww'],
      ['wait', 3_999, '.twwww'],
      ['wait', 1, '.ttwww'],
    ],
    0,
  ],
  [
    'a host that goes away hands it on, and counts for nothing',
    [
      ['gone', 0, '.twwww'],
      ['gone', 1, '..twww'],
      ['gone', 2, '...tww'],
      ['gone', 4, '...t.w'],
      ['gone', 3, '.....t'],
    ],
    0,
  ],
];

describe('the lock-out guard', () => {
  it.each(TABLE)('%s', async (_, steps, spent) => {
    const world = setUp();
    const logins = world.logins(6);
    expect(await look(logins)).toBe('twwwww');
    for (const [what, which, then] of steps) {
      if (what === 'wait') world.clock.advanceSync(which);
      else logins[which]!.end(what);
      expect(await look(logins), `${what} ${which}`).toBe(then);
    }
    expect(world.spent).toHaveLength(spent);
  });

  it('stops the run before anyone who waits is rejected, once, in a sentence without the secret', async () => {
    const { clock, spent, guard, logins } = setUp();
    const first = logins(4);
    for (const login of first.slice(0, 3)) {
      await turn();
      login.end('refused');
    }
    expect(await look(first)).toBe('...w');
    const late = new Login(guard);
    expect(await look([late])).toBe('w');
    expect(spent).toEqual([]);
    clock.advanceSync(0);
    expect(spent).toEqual([
      'the password of "deploy" was refused three times and never accepted; the rest was not tried, so that no account is locked',
    ]);
    const later = new Login(guard);
    expect(await look([first[3]!, late, later])).toBe('xxx');
    for (const { error } of [late, later]) expect(error).toBeInstanceOf(SecretSpentError);
    expect(spent).toHaveLength(1);
    expect(`${spent} ${(late.error as Error).message}`).not.toContain('xyzzy');
    expect(clock.timers).toBe(0);
  });

  it('keeps accounts and passwords apart: what is true of one says nothing of another', async () => {
    const { guard } = setUp();
    const proven = new Login(guard, 'a', 'one');
    await turn();
    proven.end('accepted');
    const rest = [new Login(guard, 'a', 'one'), new Login(guard, 'a', 'one')];
    expect(await look(rest)).toBe('tt');
    const others = [new Login(guard, 'b', 'one'), new Login(guard, 'b', 'one'), new Login(guard, 'a', 'two')];
    expect(await look(others)).toBe('twt');
  });

  it('keeps at most 10,000 secrets, and those that someone tries', async () => {
    const { guard } = setUp();
    const held = new Login(guard, 'first', 'xyzzy');
    await turn();
    for (let i = 0; i < 20_000; i++) guard.secret(`user${i}`, 'xyzzy');
    expect(await look([held, new Login(guard, 'first', 'xyzzy')])).toBe('tw');
  });

  it('never has more in flight than may refuse, and lets nobody wait for ever', async () => {
    const which = fc.nat(1000);
    const verdict = fc.constantFrom('accepted' as const, 'refused' as const, 'gone' as const);
    const action: fc.Arbitrary<Action> = fc.oneof(
      { weight: 3, arbitrary: fc.constant(['take', 0] as const) },
      { weight: 5, arbitrary: fc.tuple(verdict, which) },
      { weight: 2, arbitrary: fc.tuple(fc.constant('leave' as const), which) },
      { weight: 2, arbitrary: fc.tuple(fc.constant('time' as const), fc.integer({ min: 0, max: 12_000 })) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), fc.boolean(), async (actions, wrong) => {
        const trial = new RandomTrial(wrong);
        for (const one of actions) {
          trial.act(one);
          await turn();
          trial.check();
        }
        await trial.end();
      }),
      { numRuns: 300 },
    );
  });
});

type Action = readonly [what: 'take' | 'accepted' | 'refused' | 'gone' | 'leave' | 'time', which: number];

class RandomTrial {
  readonly #world = setUp();
  readonly #all: Login[] = [];
  readonly #wrong: boolean;
  #refusals = 0;
  #proven = false;

  /** `wrong`: the password is, so nobody accepts it. */
  constructor(wrong: boolean) {
    this.#wrong = wrong;
  }

  act([what, which]: Action): void {
    if (what === 'take') this.#all.push(new Login(this.#world.guard));
    else if (what === 'time') this.#world.clock.advanceSync(which);
    else if (what === 'leave') this.#pick('waits', which)?.end('gone');
    else this.#answer(this.#pick('trying', which), what === 'accepted' && this.#wrong ? 'refused' : what);
  }

  /** Refusals and tries in flight are three at most; whoever waits, waits for somebody. */
  check(): void {
    const inFlight = this.#all.filter((login) => login.trying).length;
    if (!this.#proven) expect(inFlight + this.#refusals).toBeLessThanOrEqual(3);
    const waits = this.#all.some((login) => login.waits);
    if (waits && this.#refusals < 3) expect(inFlight).toBeGreaterThan(0);
  }

  /** Everyone who tries goes away, until nobody is left. */
  async end(): Promise<void> {
    for (let i = 0; i <= this.#all.length; i++) {
      for (const login of this.#all) if (login.trying) login.end('gone');
      this.#world.clock.advanceSync(1);
      await turn();
    }
    expect(this.#all.filter((login) => !login.over)).toEqual([]);
    expect(this.#world.spent).toHaveLength(!this.#proven && this.#refusals === 3 ? 1 : 0);
    expect(this.#world.clock.timers).toBe(0);
  }

  #pick(what: 'trying' | 'waits', which: number): Login | undefined {
    const some = this.#all.filter((login) => login[what]);
    return some[which % Math.max(1, some.length)];
  }

  #answer(login: Login | undefined, how: 'accepted' | 'refused' | 'gone'): void {
    if (login === undefined) return;
    if (how === 'refused' && !this.#proven) this.#refusals++;
    if (how === 'accepted') this.#proven = true;
    login.end(how);
  }
}
