/** Every fault of the simulator ends in its outcome; what was planned is what is accounted for. */
import { describe, expect, it } from 'vitest';
import { fleet, outcomeLabel } from '../../src/index.ts';
import { assignFaults, FAULT_NAMES, type FaultName, parseFault } from '../../src/simulator/faults.ts';
import { simulate, sumOf } from '../kit/fleet.ts';

interface Case {
  readonly label: string;
  readonly began: 'no' | 'maybe' | 'yes';
  readonly stdout?: string;
  readonly truncated?: boolean;
}

const CASES: Readonly<Record<FaultName, Case>> = {
  refuse: { label: 'unreachable(refused)', began: 'no' },
  silent: { label: 'timeout(connect)', began: 'no' },
  'silent-identification': { label: 'timeout(handshake)', began: 'no' },
  slow: { label: 'ok', began: 'yes', stdout: 'hello\n' },
  reset: { label: 'unreachable(reset)', began: 'no' },
  'wrong-key': { label: 'host-key(changed)', began: 'no' },
  'auth-refused': { label: 'auth-failed', began: 'no' },
  'no-sessions': { label: 'refused(session)', began: 'no' },
  'exec-refused': { label: 'refused(exec)', began: 'no' },
  'exit-1': { label: 'failed(1)', began: 'yes', stdout: 'hello\n' },
  killed: { label: 'signalled(KILL)', began: 'yes', stdout: 'hello\n' },
  'no-status': { label: 'no-status', began: 'yes', stdout: 'hello\n' },
  lost: { label: 'lost(peer-closed)', began: 'yes', stdout: 'half a li' },
  garbage: { label: 'protocol', began: 'no' },
  huge: { label: 'ok', began: 'yes', truncated: true },
};

const DEADLINES = { connectMs: 700, handshakeMs: 700 };

describe('faults', () => {
  it('has a case for every fault', () => {
    expect(Object.keys(CASES).sort()).toEqual([...FAULT_NAMES].sort());
  });

  it.each(FAULT_NAMES)('%s', async (name) => {
    await using simulated = await simulate({ hosts: 3, faults: { [name]: 1 } });
    await using hosts = fleet({ ...simulated.options, deadlines: name === 'slow' ? {} : DEADLINES });
    const run = hosts.run('echo hello', { maxOutput: 1000 });
    const results = await run.all();
    const summary = await run.summary();
    expect(sumOf(summary)).toBe(3);
    for (const { outcome, stdout } of results) {
      expect(outcomeLabel(outcome)).toBe(CASES[name].label);
      expect(outcome.began).toBe(CASES[name].began);
      if (CASES[name].truncated) expect(stdout).toMatchObject({ truncated: true, total: 8 * 1024 * 1024 });
      else expect(stdout.text()).toBe(CASES[name].stdout ?? '');
    }
  });

  it.each(['auth-refused', 'no-sessions', 'exec-refused', 'exit-1', 'killed', 'no-status'] as const)(
    '%s ends alike on hosts far away: what was said last arrives before the end',
    async (name) => {
      await using simulated = await simulate({ hosts: 2, faults: { [name]: 1 }, latencyMs: 5 });
      await using hosts = fleet(simulated.options);
      for (const { outcome } of await hosts.run('echo hello').all()) {
        expect(outcomeLabel(outcome)).toBe(CASES[name].label);
      }
    },
  );

  it('an unknown host key stops the host under strict', async () => {
    await using simulated = await simulate({ hosts: 2 });
    await using hosts = fleet({ ...simulated.options, knownHosts: '/dev/null' });
    const [first] = await hosts.run('echo hello').all();
    expect(outcomeLabel(first!.outcome)).toBe('host-key(unknown)');
    expect(first!.outcome).toMatchObject({ advice: expect.stringContaining('ssh-keyscan') });
  });

  it('accept-new learns keys, and strict takes them afterwards', async () => {
    await using simulated = await simulate({ hosts: 5 });
    const knownHosts = `${simulated.dir}/learnt`;
    for (const hostKeys of ['accept-new', 'strict'] as const) {
      await using hosts = fleet({ ...simulated.options, knownHosts, hostKeys });
      expect((await hosts.run('true').summary()).outcomes.ok).toBe(5);
    }
  });

  it('MaxStartups drops are retried until all are ok', async () => {
    await using simulated = await simulate({ hosts: 1, maxStartups: '2:60:4', latencyMs: 5 });
    await using hosts = fleet({ ...simulated.options, perAddress: 16 });
    const run = hosts.run('echo {i}', { repeat: 60, template: true });
    const results = await run.all();
    expect(results.map((result) => result.stdout.text())).toEqual(Array.from({ length: 60 }, (_, i) => `${i + 1}\n`));
    const summary = await run.summary();
    expect(summary.outcomes.ok).toBe(60);
    expect(summary.retries).toBeGreaterThan(0);
    expect(simulated.simulator.stats.commands).toBe(60);
  });

  it('a mixed fleet is accounted for, and no command runs twice', async () => {
    // Without those that end by a deadline, so that it can be long: a loaded machine must not make good hosts late. Nor
    // with `huge`: fleet and client share this thread here, and 8 MiB a host would keep it from everything else.
    const names = FAULT_NAMES.filter((name) => !name.startsWith('silent') && name !== 'huge');
    const faults = Object.fromEntries(names.map((name) => [name, 0.03]));
    const ran = new Map<string, number>();
    const onCommand = (address: string) => void ran.set(address, (ran.get(address) ?? 0) + 1);
    await using simulated = await simulate({ hosts: 300, faults, seed: 7, onCommand });
    await using hosts = fleet({ ...simulated.options, fanout: 50, deadlines: { connectMs: 60_000 } });
    const run = hosts.run('echo hello', { gather: 'discard' });
    const results = await run.all();
    const summary = await run.summary();
    expect(summary.planned).toBe(300);
    expect(sumOf(summary)).toBe(300);
    for (const { index, outcome } of results) {
      const fault = simulated.simulator.fault(index);
      expect(outcomeLabel(outcome)).toBe(fault ? CASES[fault].label : 'ok');
    }
    expect(Math.max(...ran.values())).toBe(1);
  });
});

describe('shares', () => {
  it('are drawn the same way again, and about as often as asked', () => {
    const draw = () => {
      const fault = assignFaults({ silent: 0.1, 'exit-1': 0.2 }, 3);
      return Array.from({ length: 5000 }, (_, index) => fault(index));
    };
    const drawn = draw();
    expect(drawn).toEqual(draw());
    expect(drawn.filter((fault) => fault === 'silent').length / 5000).toBeCloseTo(0.1, 1);
    expect(drawn.filter((fault) => fault === 'exit-1').length / 5000).toBeCloseTo(0.2, 1);
  });

  it('of more than the whole are refused', () => {
    expect(() => assignFaults({ silent: 0.6, killed: 0.5 }, 1)).toThrow('at most 100% together, got 110.0%');
  });

  it.each([
    ['silent=1%', ['silent', 0.01]],
    ['exit-1=0.5', ['exit-1', 0.5]],
  ])('parses %s', (text, expected) => {
    expect(parseFault(text)).toEqual(expected);
  });

  it.each(['silent', 'slient=1%', 'silent=x%', ''])('refuses %j with the names', (text) => {
    expect(() => parseFault(text)).toThrow(/expected NAME=SHARE%, with NAME one of refuse, silent/);
  });
});
