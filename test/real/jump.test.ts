/** Jump hosts: real sshd in front of a simulated fleet, and chains of real ones. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fleet, outcomeLabel } from '../../src/index.ts';
import { simulate, sumOf } from '../kit/fleet.ts';
import { present, startSshd } from '../kit/servers.ts';

describe.skipIf(!present('sshd'))('jump hosts', () => {
  it('carry 300 targets over a handful of connections at default MaxStartups', async () => {
    await using jump = await startSshd(['LogLevel VERBOSE']);
    await using simulated = await simulate({ hosts: 300 });
    await using hosts = fleet({
      ...simulated.options,
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
      knownHosts: [simulated.knownHosts, jump.knownHosts],
    });
    const run = hosts.run('hostname');
    const names = (await run.all()).map((result) => result.stdout.text());
    expect(names).toEqual(Array.from({ length: 300 }, (_, index) => `sim-${index}\n`));
    expect(sumOf(await run.summary())).toBe(300);
    const logins = jump.log().match(/Accepted publickey/g)?.length ?? 0;
    expect(logins).toBeGreaterThan(0);
    expect(logins).toBeLessThanOrEqual(4);
  });

  it('go three deep', async () => {
    await using first = await startSshd();
    await using second = await startSshd();
    await using third = await startSshd();
    for (const { dir } of [second, third]) copyFileSync(`${first.identity}.pub`, join(dir, 'authorized_keys'));
    await using simulated = await simulate({ hosts: 5 });
    const chain = [first, second, third].map((server) => `${server.user}@127.0.0.1:${server.port}`).join(',');
    const options = { ...simulated.options, identity: first.identity, jump: chain };
    await using hosts = fleet({
      ...options,
      knownHosts: [simulated.knownHosts, first.knownHosts, second.knownHosts, third.knownHosts],
    });
    expect((await hosts.run('true').summary()).outcomes.ok).toBe(5);
  });

  it('that are down are one cause for all hosts behind them', async () => {
    await using simulated = await simulate({ hosts: 20 });
    await using hosts = fleet({ ...simulated.options, jump: '127.0.0.1:1' });
    const summary = await hosts.run('true').summary();
    expect(summary.causes.map((cause) => [cause.label, cause.count])).toEqual([['unreachable(jump)', 20]]);
    expect(summary.causes[0]!.example).toMatchObject({ message: expect.stringContaining('jump host 127.0.0.1:1: ') });
  });

  it('tell a dead target from a living one', async () => {
    await using jump = await startSshd();
    await using simulated = await simulate({ hosts: 2 });
    await using hosts = fleet({
      ...simulated.options,
      hosts: '127.1.0.0,127.1.0.1:1',
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
      knownHosts: [simulated.knownHosts, jump.knownHosts],
    });
    const labels = (await hosts.run('true').all()).map((result) => outcomeLabel(result.outcome));
    expect(labels).toEqual(['ok', 'unreachable(refused)']);
  });

  it('that forbid forwarding are said to', async () => {
    await using jump = await startSshd(['AllowTcpForwarding no']);
    await using simulated = await simulate({ hosts: 1 });
    await using hosts = fleet({
      ...simulated.options,
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
      knownHosts: [simulated.knownHosts, jump.knownHosts],
    });
    const [result] = await hosts.run('true').all();
    expect(outcomeLabel(result!.outcome)).toBe('refused(forwarding)');
  });

  it('are verified by their own host key', async () => {
    await using jump = await startSshd();
    await using simulated = await simulate({ hosts: 3 });
    await using hosts = fleet({
      ...simulated.options,
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
    });
    const summary = await hosts.run('true').summary();
    expect(summary.causes[0]).toMatchObject({ label: 'unreachable(jump)', count: 3 });
    expect(summary.causes[0]!.example).toMatchObject({ message: expect.stringContaining('the host key is unknown') });
  });
});
