/** The guard and a run, over our own client and simulated hosts: who was refused says so, who was not tried is not run. */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/contracts/limits.ts';
import type { Target } from '../../src/contracts/task.ts';
import { startRun } from '../../src/engine/engine.ts';
import { HostPlan } from '../../src/engine/host_plan.ts';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { type LoginHost, Passwords } from '../../src/fleet/passwords.ts';
import { parseHostSet } from '../../src/hostset/hostset.ts';
import { exitCode } from '../../src/output/exit_code.ts';
import { renderSummary } from '../../src/output/summary.ts';
import { Simulator, type SimulatorOptions } from '../../src/simulator/simulator.ts';
import { DEFAULT_PREFERENCES } from '../../src/ssh/algorithms.ts';
import { DnsResolver } from '../../src/transport/native/dns_resolver.ts';
import { NativeTransport } from '../../src/transport/native/native_transport.ts';
import type { Route } from '../../src/transport/native/route.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { KINDS, requestOf } from '../engine/support.ts';
import { fold, label } from '../output/helpers.ts';

const CLOCK: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

const nothing = () => undefined;
const hostKeys = { typesFor: () => [], prepare: nothing, verify: nothing, accepted: 0, close: async () => {} };

/** Routes with the password, and nothing else, as a fleet makes them. */
class PasswordTransport implements Transport {
  readonly name = 'native';
  readonly #native = new NativeTransport({ resolver: new DnsResolver({ clock: CLOCK }), clock: CLOCK });
  readonly #passwords: Passwords;
  readonly #port: number;
  readonly classify: Transport['classify'] = (error, began) => this.#native.classify(error, began);

  constructor(passwords: Passwords, port: number) {
    this.#passwords = passwords;
    this.#port = port;
  }

  connect(target: Target, ...rest: Parameters<NativeTransport['connect']> extends [unknown, ...infer R] ? R : never) {
    const host: LoginHost = { ...target, user: 'root', port: this.#port };
    const route: Route = {
      label: target.label,
      name: target.name,
      port: host.port,
      credentials: { user: host.user, keys: [], password: this.#passwords.secretFor(host) },
      keyHost: host,
      profile: { hostKeys, preferences: DEFAULT_PREFERENCES, family: 'any' },
      via: [],
    };
    return this.#native.connect(route, ...rest);
  }

  close(): Promise<void> {
    return this.#native.close();
  }
}

/** Runs `true` on all simulated hosts with one password. */
async function run(options: SimulatorOptions) {
  const simulator = await Simulator.start(options);
  let stop: (reason: string) => void = () => {};
  const passwords = new Passwords({ source: 'xyzzy', clock: CLOCK, onSpent: (reason) => stop(reason) });
  const transport = new PasswordTransport(passwords, simulator.port);
  const executor = new InlineExecutor({
    kinds: KINDS,
    transports: new Map([['native', transport]]),
    clock: CLOCK,
    random: () => 0.5,
  });
  try {
    const plan = new HostPlan(parseHostSet([...simulator.labels()].join(',')), 1);
    const started = await startRun(executor, requestOf(plan), () => {}, { title: 'true', clock: CLOCK });
    stop = (reason) => started.stop(reason);
    return await started.summary;
  } finally {
    await executor.close();
    await transport.close();
    await simulator.close();
  }
}

describe('a password that', () => {
  it('three hosts refuse stops the run: 3 auth-failed, the rest not-run, exit 6, and a sentence', async () => {
    const summary = await run({ hosts: 40, faults: { 'auth-refused': 1 } });
    expect(summary.outcomes).toMatchObject({ 'auth-failed': 3, 'not-run': 37, error: 0, ok: 0 });
    expect(summary.stopped).toBe('guard');
    expect(exitCode(summary)).toBe(6);
    const text = renderSummary(summary, { label, fold, hostKeysVerified: true });
    expect(text).toContain(
      '\nstopped: the password of "root" was refused three times and never accepted; the rest was not tried, so that no account is locked\n',
    );
    expect(text).not.toContain('xyzzy');
  });

  it('all hosts accept delays nobody for long', async () => {
    const summary = await run({ hosts: 40 });
    expect(summary).toMatchObject({ stopped: 'no', stopReason: '', outcomes: { ok: 40 } });
  });

  it('all three of three hosts refuse leaves nothing that was not tried: exit 4', async () => {
    const summary = await run({ hosts: 3, faults: { 'auth-refused': 1 } });
    expect(summary.outcomes['auth-failed']).toBe(3);
    expect(exitCode(summary)).toBe(4);
  });
});
