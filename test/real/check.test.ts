/** A check of a real server: a login, and no session. */
import { describe, expect, it } from 'vitest';
import { fleet } from '../../src/index.ts';
import { present, startSshd } from '../kit/servers.ts';

describe.skipIf(!present('sshd') || !present('ssh'))('check', () => {
  it.each(['native', 'openssh'] as const)('logs in by the %s client, and starts nothing', async (transport) => {
    await using server = await startSshd(['LogLevel VERBOSE']);
    const { port, user, identity, knownHosts } = server;
    await using hosts = fleet({ hosts: '127.0.0.1', port, user, identity, knownHosts, transport, config: 'none' });
    const [result] = await hosts.check().all();
    expect(result).toMatchObject({ outcome: { kind: 'ok', status: null }, reached: { transport } });
    await hosts.close();
    expect(server.log()).toContain('Accepted publickey');
    expect(server.log()).not.toContain('Starting session');
    // The log would have had it.
    await using others = fleet({ hosts: '127.0.0.1', port, user, identity, knownHosts, transport, config: 'none' });
    await others.run('true').all();
    expect(server.log()).toContain('Starting session');
  });

  it('asks the server alone whether a login is let in', async () => {
    await using server = await startSshd(['DenyUsers *']);
    const { port, user, identity, knownHosts } = server;
    await using hosts = fleet({ hosts: '127.0.0.1', port, user, identity, knownHosts, config: 'none' });
    expect((await hosts.check().summary()).outcomes['auth-failed']).toBe(1);
  });
});
