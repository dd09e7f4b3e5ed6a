import { describe, expect, it } from 'vitest';
import { client, failure, fakeAgent, framed, honest, key, signatureOver, until } from './agent_fake.ts';
import { bool, str } from './bytes.ts';

const bind = {
  hostKey: Buffer.from('host key'),
  sessionId: Buffer.from('id'),
  signature: Buffer.from('s'),
  forwarding: false,
};
const data = Buffer.from('data');

describe('bound connections', () => {
  it('say whose session they are for, then sign and list', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath);
    using bound = await agent.openBound({ ...bind, forwarding: true });
    expect(await bound.identities()).toHaveLength(2);
    expect(await bound.sign(key(), data, 0)).toEqual(signatureOver(data));
    expect(fake.asked.map(({ type }) => type)).toEqual([27, 11, 13]);
    const name = str('session-bind@openssh.com');
    expect(fake.asked[0]!.body).toEqual(Buffer.concat([name, str('host key'), str('id'), str('s'), bool(true)]));
    expect(fake.connections).toBe(1);
  });

  it.each([5, 28])('are refused by message %i, and give their place back', async (failureType) => {
    const fake = await fakeAgent((_asked, socket) => void socket.write(framed(failureType)));
    const { agent } = client(fake.socketPath);
    const errors = await Promise.all(Array.from({ length: 100 }, () => failure(agent.openBound(bind))));
    expect(new Set(errors.map(({ reason }) => reason))).toEqual(new Set(['refused']));
    expect(errors[0]!.message).toContain(fake.socketPath);
    await until(() => fake.sockets.size === 0);
  });

  it('are at most 32; who waits gets the place of who leaves, in order', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath);
    const open = await Promise.all(Array.from({ length: 32 }, () => agent.openBound(bind)));
    const caller = new AbortController();
    const first = agent.openBound(bind);
    const stopped = agent.openBound(bind, { signal: caller.signal });
    const second = agent.openBound(bind);
    caller.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    expect(fake.connections).toBe(32);
    open[7]!.close();
    open[7]!.close();
    await first;
    expect(fake.connections).toBe(33);
    open[8]!.close();
    await second;
    expect(fake.connections).toBe(34);
  });

  it('end with the agent: each says so, and none is opened again', async () => {
    const fake = await fakeAgent((asked, socket, at, connection) => {
      if (asked.type === 13) socket.destroy();
      else honest(asked, socket, at, connection);
    });
    const { agent } = client(fake.socketPath);
    const bound = await agent.openBound(bind);
    expect((await failure(bound.sign(key(), data, 0))).reason).toBe('closed');
    expect((await failure(bound.identities())).reason).toBe('closed');
    expect(fake.connections).toBe(1);
    await expect(agent.openBound(bind)).resolves.toBeDefined();
  });

  it.each([
    ['does not answer', 'timeout', 10_000],
    ['is asked for a signature and does not answer', 'timeout', 30_000],
  ] as const)('an agent that %s', async (name, reason, afterMs) => {
    const fake = await fakeAgent((asked, socket) => {
      if (asked.type === 27 && name !== 'does not answer') socket.write(framed(6));
    });
    const { agent, clock } = client(fake.socketPath);
    const wait =
      name === 'does not answer' ? agent.openBound(bind) : (await agent.openBound(bind)).sign(key(), data, 0);
    const error = failure(wait);
    await until(() => fake.asked.length > 0);
    await clock.advance(afterMs);
    expect((await error).reason).toBe(reason);
    expect(clock.timers).toBe(0);
  });

  it('has no deadline of ours while a security key is touched', async () => {
    const fake = await fakeAgent((asked, socket) => void (asked.type === 27 && socket.write(framed(6))));
    const { agent, clock } = client(fake.socketPath);
    const bound = await agent.openBound(bind);
    const caller = new AbortController();
    const touch = bound.sign(key('t', 'sk-ssh-ed25519@openssh.com'), data, 0, { signal: caller.signal });
    await clock.advance(600_000);
    caller.abort();
    await expect(touch).rejects.toMatchObject({ code: 'aborted' });
  });

  it('are closed with the client, also those that wait for a place', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath);
    const open = await Promise.all(Array.from({ length: 32 }, () => agent.openBound(bind)));
    const waiting = failure(agent.openBound(bind));
    agent.close();
    expect((await waiting).reason).toBe('closed');
    expect((await failure(open[0]!.sign(key(), data, 0))).reason).toBe('closed');
    expect((await failure(agent.openBound(bind))).reason).toBe('closed');
    await until(() => fake.sockets.size === 0);
  });

  it('are not opened where nobody is there', async () => {
    const { agent } = client('/nowhere/agent.sock');
    expect((await failure(agent.openBound(bind))).reason).toBe('unreachable');
  });
});
