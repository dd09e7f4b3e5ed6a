/** A second command on the same hosts: connections that are there are used, and what may go wrong with them is nobody's failure. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, outcomeLabel } from '../../src/index.ts';
import { simulate } from '../kit/fleet.ts';
import { sessionHost } from '../kit/session_host.ts';

/** Waits for what a peer does; the test's own deadline is its bound. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const PHASES_OF_LOGIN = ['connect', 'handshake', 'auth'] as const;

describe('a second run', () => {
  it('on 500 hosts makes no connection and no login', async () => {
    await using simulated = await simulate({ hosts: 500 });
    await using hosts = fleet(simulated.options);
    const first = await hosts.run('echo one').all({ order: 'input' });
    expect(simulated.simulator.stats).toEqual({ connections: 500, logins: 500, commands: 500 });
    const second = await hosts.run('echo two').all({ order: 'input' });
    expect(simulated.simulator.stats).toEqual({ connections: 500, logins: 500, commands: 1000 });
    for (const [index, result] of second.entries()) {
      expect([outcomeLabel(result.outcome), result.stdout.text(), result.attempt]).toEqual(['ok', 'two\n', 1]);
      expect(Object.keys(result.phases)).toEqual(['open', 'command']);
      expect(result.reached).toEqual(first[index]!.reached);
    }
    expect(Object.keys(first[0]!.phases)).toEqual(expect.arrayContaining([...PHASES_OF_LOGIN, 'open', 'command']));
  });

  it('keeps a connection whose command failed, and none whose command was ended', async () => {
    await using host = await sessionHost();
    await using hosts = fleet(host.options);
    const failed = await hosts.run('true', { okStatus: [3] }).all();
    expect(outcomeLabel(failed[0]!.outcome)).toBe('failed(0)');
    await hosts.run('true').all();
    expect(host.logins).toBe(1);
    const [ended] = await hosts.run('hang', { commandMs: 20, graceMs: 100 }).all();
    expect(outcomeLabel(ended!.outcome)).toBe('timeout(command)');
    await hosts.run('true').all();
    expect(host.logins).toBe(2);
  });

  it('has one connection for each task at once', async () => {
    await using host = await sessionHost();
    await using hosts = fleet({ ...host.options, perAddress: 3 });
    const together = async () => {
      const run = hosts.run('hang', { repeat: 3, gather: 'stream', onStop: 'leave', commandMs: 50 });
      return run.summary();
    };
    await hosts.run('true', { repeat: 3 }).all();
    const before = host.logins;
    expect((await together()).outcomes.timeout).toBe(3);
    // Those that were there, and one more for each that was missing.
    expect(host.logins).toBe(3);
    expect(before).toBeLessThanOrEqual(3);
  });

  it('check always logs in, and what it leaves serves the next command', async () => {
    await using host = await sessionHost();
    await using hosts = fleet(host.options);
    await hosts.check().all();
    await hosts.check().all();
    expect(host.logins).toBe(2);
    const [result] = await hosts.run('true').all();
    expect([outcomeLabel(result!.outcome), host.logins]).toEqual(['ok', 2]);
  });

  it('counts for no rate of logins', async () => {
    await using host = await sessionHost();
    // A second login would come after a quarter of an hour.
    await using hosts = fleet({ ...host.options, rate: 0.001, fanout: 1 });
    expect((await hosts.run('true').summary()).outcomes.ok).toBe(1);
    expect((await hosts.run('true', { repeat: 5 }).summary()).outcomes.ok).toBe(5);
    expect(host.logins).toBe(1);
  });

  it('warm 0 keeps none, and a number no more than that', async () => {
    await using simulated = await simulate({ hosts: 20 });
    const logins = async (warm: number) => {
      const before = simulated.simulator.stats.logins;
      await using hosts = fleet({ ...simulated.options, warm, fanout: 1 });
      await hosts.run('true').all();
      await hosts.run('true').all();
      return simulated.simulator.stats.logins - before;
    };
    expect(await logins(0)).toBe(40);
    expect(await logins(5)).toBe(35);
  });

  it('refuses bounds that cannot be', () => {
    const make = (more: FleetOptions) => () => fleet({ hosts: 'a', ...more });
    for (const warm of [-1, 1.5, 1e9]) expect(make({ warm })).toThrow(/^warm: expected auto, or a whole number/);
    expect(make({ warmMs: 0 })).toThrow('warmMs: expected milliseconds above 0, got 0');
  });
});

describe('a connection that is dead when it is used', () => {
  it('was ended by the host: noticed at once, and another one takes its place', async () => {
    await using host = await sessionHost();
    await using hosts = fleet(host.options);
    await hosts.run('true').all();
    await host.hangUp();
    const [result] = await hosts.run('true').all();
    expect([outcomeLabel(result!.outcome), result!.attempt, host.logins]).toEqual(['ok', 1, 2]);
  });

  for (const how of ['reset', 'silent'] as const) {
    it(`is ${how}: another one takes its place, and no attempt has failed`, async () => {
      await using host = await sessionHost();
      await using hosts = fleet({ ...host.options, retries: 0 });
      await hosts.run('first').all();
      host.fail(how);
      const run = hosts.run('second');
      const [result] = await run.all();
      expect([outcomeLabel(result!.outcome), result!.attempt, host.logins]).toEqual(['ok', 1, 2]);
      expect((await run.summary()).retries).toBe(0);
      expect(host.ran).toEqual(['first', 'second']);
      expect(Object.keys(result!.phases)).toEqual([...PHASES_OF_LOGIN, 'open', 'command']);
    });
  }

  it('opens no second session: a connection each, and it is not asked again', async () => {
    await using host = await sessionHost();
    const asked: number[] = [];
    host.opens = (count) => {
      asked.push(count);
      return false;
    };
    await using hosts = fleet({ ...host.options, retries: 0 });
    for (const _ of [1, 2, 3]) expect(outcomeLabel((await hosts.run('true').all())[0]!.outcome)).toBe('ok');
    expect(host.logins).toBe(3);
    expect(asked).toEqual([2, 3]);
  });

  it('counts the session before for a moment: asked again, it opens', async () => {
    await using host = await sessionHost();
    host.opens = (count) => count % 2 === 1;
    await using hosts = fleet(host.options);
    await hosts.run('true').all();
    await hosts.run('true').all();
    await hosts.run('true').all();
    expect(host.logins).toBe(1);
  });

  it('a task that is stopped while it waits for one has not begun', async () => {
    await using host = await sessionHost();
    await using hosts = fleet(host.options);
    await hosts.run('first').all();
    host.fail('silent');
    const stop = new AbortController();
    const run = hosts.run('second', { signal: stop.signal });
    const all = run.all();
    await until(() => run.status(1).running === 1);
    stop.abort();
    const [result] = await all;
    expect(result!.outcome).toMatchObject({ kind: 'cancelled', began: 'no' });
    expect(host.ran).toEqual(['first']);
  });
});

describe('the end', () => {
  it('close says DISCONNECT to all', async () => {
    await using host = await sessionHost();
    {
      await using hosts = fleet(host.options);
      await hosts.run('true', { repeat: 3 }).all();
      expect(host.open).toBeGreaterThan(0);
      expect(host.goodbyes + host.open).toBe(host.logins);
    }
    await until(() => host.open === 0);
    expect(host.goodbyes).toBe(host.logins);
  });

  it('comes by itself where no task takes it', async () => {
    await using host = await sessionHost();
    await using hosts = fleet({ ...host.options, warmMs: 100 });
    await hosts.run('true').all();
    expect(host.open).toBe(1);
    await until(() => host.open === 0);
    expect(host.goodbyes).toBe(1);
  });

  it('does not wait for a fleet that is not closed', async () => {
    await using host = await sessionHost();
    const script = `
      import { fleet } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
      const hosts = fleet({ ...${JSON.stringify(host.options)}, warmMs: 600_000 });
      const { outcomes } = await hosts.run('true').summary();
      console.log(outcomes.ok);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [status] = await once(child, 'close');
    expect([status, said]).toEqual([0, '1\n']);
  });
});
