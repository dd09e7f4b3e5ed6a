/** sudo on simulated hosts: how many of them are given a password, and what the run says of it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fleet } from '../../src/index.ts';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';

const PASSWORD = 'corr3ct horse "battery" \'s\' $x';

describe('sudo on a fleet', () => {
  let fleetOf: SimulatedFleet;
  beforeAll(async () => {
    fleetOf = await simulate({ hosts: 50, sudoPassword: PASSWORD });
  });
  afterAll(() => fleetOf[Symbol.asyncDispose]());

  test('a right password is taken everywhere, and seen nowhere', async () => {
    await using hosts = fleet({ ...fleetOf.options, fanout: 20 });
    const results = await hosts.run('echo done', { sudo: { password: PASSWORD }, env: { TOKEN: 'hush-hush' } }).all();
    expect(new Set(results.map(({ outcome }) => outcome.kind))).toEqual(new Set(['ok']));
    expect(results.map(({ stdout, stderr }) => [stdout.text(), stderr.text()])).toEqual(
      results.map(() => ['done\n', '']),
    );
    expect(JSON.stringify(results)).not.toMatch(/corr3ct|hush-hush/);
  });

  test('a wrong one is tried on three hosts, and the rest does not run', async () => {
    await using hosts = fleet({ ...fleetOf.options, fanout: 20 });
    const run = hosts.run('echo done', { sudo: { password: 'wrong' } });
    const results = await run.all();
    const failed = results.map(({ outcome }) => outcome).filter(({ kind }) => kind === 'failed');
    const refused = failed.filter((outcome) => 'message' in outcome && /was refused$/.test(outcome.message));
    expect(refused).toEqual(
      [1, 2, 3].map(() => ({
        kind: 'failed',
        began: 'no',
        status: null,
        cause: 'sudo',
        message: 'sudo refused: the password was refused',
      })),
    );
    const summary = await run.summary();
    expect(summary.stopped).toBe('guard');
    expect(summary.stopReason).toMatch(/refused three times and never accepted/);
    expect(summary.outcomes['not-run'] + summary.outcomes.failed).toBe(50);
    expect(summary.outcomes['not-run']).toBeGreaterThan(20);
    expect(summary.unreached).toBe(summary.outcomes['not-run']);
  });

  test('passwords per host are asked for where sudo asks', async () => {
    const asked: string[] = [];
    const password = (host: { readonly name: string; readonly user: string }) => {
      asked.push(`${host.user}@${host.name}`);
      return host.name.endsWith('.3') ? undefined : PASSWORD;
    };
    await using hosts = fleet({ ...fleetOf.options, fanout: 5 });
    const results = await hosts.run('echo done', { sudo: { password } }).all();
    expect(asked).toHaveLength(50);
    expect(new Set(asked)).toHaveProperty('size', 50);
    const without = results.filter(({ host }) => host.name.endsWith('.3'));
    expect(without.map(({ outcome }) => outcome)).toEqual([
      expect.objectContaining({
        kind: 'failed',
        message: 'sudo refused: it asks for a password, and there is none for this host',
      }),
    ]);
    expect(results.filter(({ outcome }) => outcome.kind === 'ok')).toHaveLength(49);
  });

  test('without a password sudo is told not to ask', async () => {
    await using hosts = fleet({ ...fleetOf.options });
    const results = await hosts.run('cat', { sudo: {}, stdin: Buffer.from('given') }).all();
    expect(new Set(results.map(({ stdout }) => stdout.text()))).toEqual(new Set(['given']));
  });

  test('a stop ends what sudo runs, by way of sudo', async () => {
    const commands: string[] = [];
    await using one = await simulate({
      hosts: 1,
      sudoPassword: PASSWORD,
      onCommand: (_at, line) => commands.push(line),
    });
    await using hosts = fleet(one.options);
    const run = hosts.run('echo up; sleep 100', { sudo: { password: PASSWORD }, gather: 'stream' });
    run.on(({ type }) => {
      if (type === 'task:output') run.cancel();
    });
    const [result] = await run.all();
    expect(result!.outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'killed' });
    expect(commands).toHaveLength(3);
  });
});
