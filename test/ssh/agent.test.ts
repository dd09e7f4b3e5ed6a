import { spawn } from 'node:child_process';
import { unlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Agent } from '../../src/ssh/agent.ts';
import {
  client,
  failure,
  fakeAgent,
  framed,
  honest,
  key,
  listed,
  signatureOver,
  signed,
  temporaryFolder,
  until,
} from './agent_fake.ts';
import { msg, str, u32 } from './bytes.ts';

const data = (name: number | string) => Buffer.from(`data ${name}`);
const blob = key();

describe('an honest agent', () => {
  it('lists its keys in its order', async () => {
    const { socketPath } = await fakeAgent(honest);
    const { agent } = client(socketPath);
    expect(await agent.identities()).toMatchObject([
      { keyType: 'ssh-ed25519', blob: key('a'), comment: 'first', isCertificate: false, plainKeyType: 'ssh-ed25519' },
      { keyType: 'ssh-ed25519', blob: key('b'), comment: 'second', isCertificate: false, plainKeyType: 'ssh-ed25519' },
    ]);
  });

  it('is asked for each signature with the key, the data and the flags', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath);
    expect(await agent.sign(blob, data(1), 4)).toEqual(signatureOver(data(1)));
    expect(fake.asked).toMatchObject([{ type: 13, blob, data: data(1), flags: 4 }]);
  });

  it('gives each of 1,000 its own signature, over at most 4 connections', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath);
    await agent.identities();
    const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => agent.sign(blob, data(i), 0)));
    expect(all).toEqual(Array.from({ length: 1000 }, (_, i) => signatureOver(data(i))));
    expect(fake.sockets.size).toBeLessThanOrEqual(4);
  });

  it('copies what is to be signed: the buffer may be used again at once', async () => {
    const { socketPath } = await fakeAgent(honest);
    const { agent } = client(socketPath);
    const buffer = data(1);
    const signature = agent.sign(blob, buffer, 0);
    buffer.fill(0);
    expect(await signature).toEqual(signatureOver(data(1)));
  });

  it('may take its answers apart and glue them together', async () => {
    const { socketPath } = await fakeAgent(({ type, data: asked }, socket) => {
      const answer = type === 11 ? listed([key('a'), '']) : signed(asked);
      for (const byte of answer) socket.write(Buffer.of(byte));
    });
    const { agent } = client(socketPath, { connections: 1 });
    await agent.identities();
    const all = await Promise.all([1, 2, 3].map((i) => agent.sign(blob, data(i), 0)));
    expect(all).toEqual([1, 2, 3].map((i) => signatureOver(data(i))));
  });
});

describe('pipelining', () => {
  /** Answers when told to, and knows how much waits on each connection. */
  async function heldAgent() {
    const waiting = new Map<Socket, (() => void)[]>();
    let holding = false;
    const fake = await fakeAgent((asked, socket, at, connection) => {
      if (!holding) return honest(asked, socket, at, connection);
      const queue = waiting.get(socket) ?? [];
      queue.push(() => honest(asked, socket, at, connection));
      waiting.set(socket, queue);
    });
    const loads = () => [...waiting.values()].map((queue) => queue.length).sort((a, b) => b - a);
    const answer = () => {
      holding = false;
      for (const queue of waiting.values()) for (const go of queue) go();
    };
    const hold = () => {
      holding = true;
    };
    return { fake, loads, answer, hold, total: () => loads().reduce((a, b) => a + b, 0) };
  }

  it('starts when the agent has shown that it answers two requests of one write: 64 a connection', async () => {
    const held = await heldAgent();
    const { agent } = client(held.fake.socketPath);
    await agent.identities();
    await until(() => held.fake.connections === 2 && held.fake.sockets.size === 1);
    held.hold();
    const all = Array.from({ length: 400 }, (_, i) => agent.sign(blob, data(i), 0));
    await until(() => held.total() === 256);
    expect(held.loads()).toEqual([64, 64, 64, 64]);
    held.answer();
    await Promise.all(all);
  });

  it('does not start before: one request a connection', async () => {
    const held = await heldAgent();
    held.hold();
    const { agent } = client(held.fake.socketPath, { connections: 3 });
    const all = Array.from({ length: 9 }, (_, i) => agent.sign(blob, data(i), 0));
    await until(() => held.total() === 3);
    expect(held.loads()).toEqual([1, 1, 1]);
    held.answer();
    await Promise.all(all);
  });

  it('never starts with an agent that looks at one message per read, which would leave the others lying', async () => {
    const { socketPath } = await fakeAgent(honest, true);
    const { agent, clock } = client(socketPath);
    await agent.identities();
    const signatures = () => Promise.all(Array.from({ length: 50 }, (_, i) => agent.sign(blob, data(i), 0)));
    expect(await signatures()).toHaveLength(50);
    await clock.advance(10_000);
    expect(await signatures()).toHaveLength(50);
  });

  it('opens no second connection for requests that come one after the other', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath);
    for (let i = 0; i < 5; i++) await agent.sign(blob, data(i), 0);
    expect(fake.connections).toBe(1);
  });
});

describe('nobody there', () => {
  const places: readonly (readonly [string, (dir: string) => string])[] = [
    ['no such socket', (dir) => join(dir, 'none')],
    ['a path that is too long for a socket', (dir) => join(dir, 'x'.repeat(200))],
    ['no path', () => ''],
    [
      'a file that is no socket',
      (dir) => {
        writeFileSync(join(dir, 'file'), '');
        return join(dir, 'file');
      },
    ],
    ['a directory', (dir) => dir],
  ];
  it.each(places)('%s: unreachable', async (_name, place) => {
    const socketPath = place(temporaryFolder());
    const { agent, clock } = client(socketPath);
    const errors = await Promise.all([failure(agent.identities()), failure(agent.sign(blob, data(1), 0))]);
    for (const error of errors) {
      expect(error.reason).toBe('unreachable');
      expect(error.message).toContain(JSON.stringify(socketPath));
    }
    expect(clock.timers).toBe(0);
  });

  it('no path is not taken for a TCP port', async () => {
    expect((await failure(client('').agent.identities())).message).toContain('(no socket is named)');
  });

  it('the socket is gone, but a connection is open: it does for all', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath);
    await agent.sign(blob, data(0), 0);
    unlinkSync(fake.socketPath);
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => agent.sign(blob, data(i), 0)));
    expect(all).toEqual(Array.from({ length: 100 }, (_, i) => signatureOver(data(i))));
    expect(fake.connections).toBe(1);
  });

  it('a backlog that is full is waited for', async () => {
    const socketPath = join(temporaryFolder(), 'agent.sock');
    const child = spawn(process.execPath, ['-e', BUSY_AGENT, socketPath], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill());
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const fillers: Socket[] = [];
    for (let full = false; !full; ) {
      const filler = connect(socketPath);
      fillers.push(filler);
      full = await new Promise<boolean>((resolve) => {
        filler.once('connect', () => resolve(false));
        filler.once('error', () => resolve(true));
      });
    }
    let tries = 0;
    const agent = new Agent({
      socketPath,
      setTimer: (delayMs, callback) => {
        // The second time that it comes round, the agent wakes up.
        if (delayMs < 1000 && ++tries === 2) {
          child.stdin.end('\n');
          for (const filler of fillers) filler.destroy();
        }
        const timer = setTimeout(callback, delayMs);
        return { cancel: () => clearTimeout(timer) };
      },
    });
    expect(await agent.identities()).toEqual([]);
    expect(tries).toBeGreaterThanOrEqual(2);
    agent.close();
  });

  /** Takes no connections before it gets a line; answers every list with no keys. */
  const BUSY_AGENT = `
    const { readSync } = require('node:fs');
    const answer = Buffer.from([0, 0, 0, 5, 12, 0, 0, 0, 0]);
    const server = require('node:net').createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => { for (let i = 0; i < chunk.length / 5; i++) socket.write(answer); });
    });
    server.listen({ path: process.argv[1], backlog: 1 }, () => {
      require('node:fs').writeSync(1, 'ready');
      readSync(0, Buffer.alloc(1));
    });`;
});

describe('agents that refuse', () => {
  it.each([5, 30, 102])('by message %i', async (failureType) => {
    const { socketPath } = await fakeAgent((_asked, socket) => void socket.write(framed(failureType)));
    const { agent } = client(socketPath);
    const list = await failure(agent.identities());
    expect(list.reason).toBe('refused');
    const sign = await failure(agent.sign(blob, data('secret'), 0));
    expect(sign.reason).toBe('refused');
    expect(sign.message).toMatch(/refused to sign with the key SHA256:\S{43}: /);
    expect(sign.message).toContain(socketPath);
    expect(sign.message).not.toContain('secret');
  });

  it('and go on being asked', async () => {
    const { socketPath } = await fakeAgent((asked, socket, at, connection) => {
      if (at === 0) socket.write(framed(5));
      else honest(asked, socket, at, connection);
    });
    const { agent } = client(socketPath);
    expect((await failure(agent.sign(blob, data(1), 0))).reason).toBe('refused');
    expect(await agent.sign(blob, data(2), 0)).toEqual(signatureOver(data(2)));
  });
});

describe('agents that break the protocol', () => {
  const oneKey = msg(12, u32(1), str(blob), str('comment'));
  const lies: readonly (readonly [string, Buffer])[] = [
    ['a frame without contents', u32(0)],
    ['a frame of 256 KiB and a byte', Buffer.concat([u32(256 * 1024 + 1), Buffer.of(12)])],
    ['a frame of 4 GiB', Buffer.concat([u32(0xffff_ffff), Buffer.of(12)])],
    ['text', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['the answer to something else', signed(data(1))],
    ['a message nobody knows', framed(200)],
    ['success instead of a list', framed(6)],
    ['more keys than follow', framed(12, u32(2), str(blob), str('comment'))],
    ['a count of 4 billion', framed(12, u32(0xffff_ffff))],
    ['2,049 keys', framed(12, u32(2049), ...Array.from({ length: 2049 }, () => [str(blob), str('')]).flat())],
    ['a key that is longer than the message', framed(12, u32(1), u32(1_000_000), blob)],
    ['a comment that is longer than the message', framed(12, u32(1), str(blob), u32(9))],
    ['bytes after the list', str(Buffer.concat([oneKey, Buffer.of(0)]))],
    ['a list without a count', framed(12)],
  ];
  it.each(lies)('%s', async (_name, answer) => {
    const { socketPath, sockets, asked } = await fakeAgent((_asked, socket) => void socket.write(answer));
    const { agent, clock } = client(socketPath);
    const error = await failure(agent.identities());
    expect(error.reason).toBe('protocol');
    expect(asked).toHaveLength(1);
    expect(error.message).toMatch(/^the SSH agent at "[^"]+" broke the agent protocol: [^\n]+$/);
    await until(() => sockets.size === 0);
    expect(clock.timers).toBe(0);
  });

  it.each([
    ['a list instead of a signature', listed([blob, ''])],
    ['no signature', framed(14)],
    ['a signature longer than its message', framed(14, u32(100), Buffer.alloc(10))],
    ['bytes after the signature', framed(14, str(signatureOver(data(1))), Buffer.of(0))],
  ])('%s', async (_name, answer) => {
    const { socketPath } = await fakeAgent((_asked, socket) => void socket.write(answer));
    const { agent } = client(socketPath);
    expect((await failure(agent.sign(blob, data(1), 0))).reason).toBe('protocol');
  });

  it('an answer too many ends the connection, not the next request', async () => {
    const fake = await fakeAgent(
      ({ data: asked }, socket) => void socket.write(Buffer.concat([signed(asked), signed(asked)])),
    );
    const { agent } = client(fake.socketPath, { connections: 1 });
    expect(await agent.sign(blob, data(1), 0)).toEqual(signatureOver(data(1)));
    await until(() => fake.sockets.size === 0);
    expect(await agent.sign(blob, data(2), 0)).toEqual(signatureOver(data(2)));
  });

  it('keys of unknown kinds are listed, what is no key is passed over', async () => {
    const odd = Buffer.concat([str('ssh-unheard-of'), str('x')]);
    const { socketPath } = await fakeAgent((_asked, socket) => {
      socket.write(listed([odd, 'odd'], [Buffer.of(1, 2), 'no key'], [str('two words'), ''], [blob, 'good']));
    });
    const { agent } = client(socketPath);
    expect((await agent.identities()).map(({ comment }) => comment)).toEqual(['odd', 'good']);
  });

  it('garbage to everybody ends all that wait, after a bounded number of connections', async () => {
    const fake = await fakeAgent((_asked, socket) => void socket.write(u32(0)));
    const { agent, clock } = client(fake.socketPath);
    const errors = await Promise.all(Array.from({ length: 500 }, (_, i) => failure(agent.sign(blob, data(i), 0))));
    expect(new Set(errors.map(({ reason }) => reason))).toEqual(new Set(['protocol']));
    expect(fake.connections).toBeLessThanOrEqual(16);
    expect(clock.timers).toBe(0);
  });
});

describe('agents that hang up', () => {
  it('once: what was under way is sent again on a new connection', async () => {
    const fake = await fakeAgent((asked, socket, at, connection) => {
      if (connection < 1) socket.destroy();
      else honest(asked, socket, at, connection);
    });
    const { agent } = client(fake.socketPath, { connections: 1 });
    expect(await agent.sign(blob, data(1), 0)).toEqual(signatureOver(data(1)));
    expect(fake.asked).toHaveLength(2);
  });

  it('in the middle of many: every signature comes, each under its own request', async () => {
    let cut = 0;
    const fake = await fakeAgent((asked, socket, at, connection) => {
      if (asked.type === 13 && at >= 100 && cut++ === 0) socket.destroy();
      else honest(asked, socket, at, connection);
    });
    const { agent } = client(fake.socketPath);
    await agent.identities();
    await until(() => fake.connections === 2 && fake.sockets.size === 1);
    const all = await Promise.all(Array.from({ length: 300 }, (_, i) => agent.sign(blob, data(i), 0)));
    expect(all).toEqual(Array.from({ length: 300 }, (_, i) => signatureOver(data(i))));
    expect(cut).toBeGreaterThan(0);
  });

  it('in the middle of an answer', async () => {
    const { socketPath } = await fakeAgent(({ data: asked }, socket) => void socket.end(signed(asked).subarray(0, 20)));
    const { agent } = client(socketPath);
    expect((await failure(agent.sign(blob, data(1), 0))).reason).toBe('closed');
  });

  it('every time: a request goes twice, and all that wait are ended after a bounded number of connections', async () => {
    const fake = await fakeAgent((_asked, socket) => void socket.destroy());
    const { agent, clock } = client(fake.socketPath);
    const errors = await Promise.all(Array.from({ length: 500 }, (_, i) => failure(agent.sign(blob, data(i), 0))));
    expect(new Set(errors.map(({ reason }) => reason))).toEqual(new Set(['closed']));
    expect(fake.connections).toBeLessThanOrEqual(16);
    expect(clock.timers).toBe(0);
    const one = await fakeAgent((_asked, socket) => void socket.destroy());
    expect((await failure(client(one.socketPath).agent.identities())).reason).toBe('closed');
    expect(one.asked).toHaveLength(2);
  });

  it('between requests: the next one gets a new connection', async () => {
    const fake = await fakeAgent(honest);
    const { agent } = client(fake.socketPath, { connections: 1 });
    for (let i = 0; i < 20; i++) {
      expect(await agent.sign(blob, data(i), 0)).toEqual(signatureOver(data(i)));
      for (const socket of fake.sockets) socket.end();
      await until(() => fake.sockets.size === 0);
    }
    expect(fake.connections).toBe(20);
  });
});

describe('agents that hang', () => {
  const silent = () => fakeAgent(() => {});

  it('end the wait for keys after 10 s, for a signature after 30 s', async () => {
    const { socketPath } = await silent();
    const list = client(socketPath);
    const sign = client(socketPath);
    const errors = [failure(list.agent.identities()), failure(sign.agent.sign(blob, data(1), 0))];
    await list.clock.advance(9_999);
    await sign.clock.advance(29_999);
    expect([list.clock.timers, sign.clock.timers]).toEqual([1, 1]);
    await list.clock.advance(1);
    await sign.clock.advance(1);
    const [noKeys, noSignature] = await Promise.all(errors);
    expect(noKeys).toMatchObject({
      reason: 'timeout',
      message: `the SSH agent at "${socketPath}" did not answer within 10 s`,
    });
    expect(noSignature).toMatchObject({ reason: 'timeout', message: expect.stringContaining('within 30 s') });
  });

  it('end everything that waits, not only what was sent', async () => {
    const fake = await silent();
    const { agent, clock } = client(fake.socketPath, { signTimeoutMs: 500 });
    const errors = Promise.all(Array.from({ length: 100 }, (_, i) => failure(agent.sign(blob, data(i), 0))));
    await clock.advance(500);
    expect(new Set((await errors).map(({ reason }) => reason))).toEqual(new Set(['timeout']));
    expect(fake.connections).toBe(4);
    expect(clock.timers).toBe(0);
  });

  it('are told from slow ones: each answer starts the time again', async () => {
    const answers: (() => void)[] = [];
    const fake = await fakeAgent(({ data: asked }, socket) => void answers.push(() => socket.write(signed(asked))));
    const { agent, clock } = client(fake.socketPath, { connections: 1, signTimeoutMs: 1000 });
    const all = Promise.all(Array.from({ length: 20 }, (_, i) => agent.sign(blob, data(i), 0)));
    for (let i = 0; i < 20; i++) {
      await until(() => answers.length > i);
      await clock.advance(900);
      answers[i]!();
    }
    expect(await all).toHaveLength(20);
    expect(clock.now()).toBe(18_000);
  });

  it('are waited for while a security key is touched; then the time counts for the others', async () => {
    const touch = key('t', 'sk-ssh-ed25519@openssh.com');
    const { socketPath } = await silent();
    const { agent, clock } = client(socketPath);
    const caller = new AbortController();
    const touched = agent.sign(touch, data(1), 0, { signal: caller.signal });
    const behind = failure(agent.sign(blob, data(2), 0));
    await clock.advance(600_000);
    caller.abort();
    await expect(touched).rejects.toMatchObject({ code: 'aborted' });
    await clock.advance(30_000);
    expect((await behind).reason).toBe('timeout');
  });
});

describe('security keys', () => {
  it('are waited for again after one whose touch came too late', async () => {
    const touch = key('t', 'sk-ssh-ed25519@openssh.com');
    const answers: (() => void)[] = [];
    const fake = await fakeAgent(({ data: asked }, socket) => void answers.push(() => socket.write(signed(asked))));
    const { agent, clock } = client(fake.socketPath, { connections: 1 });
    const caller = new AbortController();
    const late = agent.sign(touch, data(1), 0, { signal: caller.signal });
    await until(() => answers.length === 1);
    caller.abort();
    await expect(late).rejects.toMatchObject({ code: 'aborted' });
    answers[0]!();
    const next = agent.sign(touch, data(2), 0);
    await until(() => answers.length === 2);
    await clock.advance(600_000);
    answers[1]!();
    expect(await next).toEqual(signatureOver(data(2)));
  });
});

describe('the caller', () => {
  it('stops a wait: before it begins, in the queue, under way', async () => {
    const fake = await fakeAgent(() => {});
    const { agent } = client(fake.socketPath, { connections: 1 });
    const caller = new AbortController();
    const sent = agent.sign(blob, data(1), 0, { signal: caller.signal });
    const queued = agent.identities({ signal: caller.signal });
    await until(() => fake.asked.length === 1);
    caller.abort(new Error('deadline'));
    for (const wait of [sent, queued, agent.sign(blob, data(3), 0, { signal: caller.signal })]) {
      await expect(wait).rejects.toMatchObject({ code: 'aborted', cause: { message: 'deadline' } });
    }
    expect(fake.asked).toHaveLength(1);
  });

  it('gets no answer that was for a request that was stopped', async () => {
    const answers: (() => void)[] = [];
    const fake = await fakeAgent(({ data: asked }, socket) => void answers.push(() => socket.write(signed(asked))));
    const { agent } = client(fake.socketPath, { connections: 1 });
    const caller = new AbortController();
    const stopped = agent.sign(blob, data(1), 0, { signal: caller.signal });
    const queued = agent.sign(blob, data('never sent'), 0, { signal: caller.signal });
    const wanted = agent.sign(blob, data(2), 0);
    await until(() => answers.length === 1);
    caller.abort();
    for (const wait of [stopped, queued]) await expect(wait).rejects.toMatchObject({ code: 'aborted' });
    answers[0]!();
    await until(() => answers.length === 2);
    answers[1]!();
    expect(await wanted).toEqual(signatureOver(data(2)));
  });

  it('closes it: what waits is ended, and so is what comes later', async () => {
    const fake = await fakeAgent(() => {});
    const { agent, clock } = client(fake.socketPath);
    const errors = Array.from({ length: 20 }, (_, i) => failure(agent.sign(blob, data(i), 0)));
    await until(() => fake.asked.length === 4);
    agent.close();
    for (const error of await Promise.all(errors)) expect(error.reason).toBe('closed');
    expect((await failure(agent.identities())).reason).toBe('closed');
    await until(() => fake.sockets.size === 0);
    expect(clock.timers).toBe(0);
  });

  it('cannot make it hold more than 32 MiB of requests', async () => {
    const { socketPath } = await fakeAgent(() => {});
    const { agent } = client(socketPath);
    const large = Buffer.alloc(255 * 1024);
    const waits = Array.from({ length: 129 }, () => agent.sign(blob, large, 0));
    const overfull = failure(waits.pop()!);
    const rest = waits.map(failure);
    expect(await overfull).toMatchObject({ reason: 'refused', message: expect.stringContaining('32 MiB') });
    agent.close();
    expect((await Promise.all(rest)).every(({ reason }) => reason === 'closed')).toBe(true);
  });

  it('may send more than that one after the other', async () => {
    const { socketPath } = await fakeAgent((_asked, socket) => void socket.write(signed(data('short'))));
    const { agent } = client(socketPath);
    const large = Buffer.alloc(255 * 1024);
    for (let i = 0; i < 140; i++) await agent.sign(blob, large, 0);
    expect(await agent.sign(blob, large, 0)).toEqual(signatureOver(data('short')));
  });

  it('cannot ask for more than an agent takes', async () => {
    const { agent } = client('/nowhere');
    await expect(agent.sign(blob, Buffer.alloc(256 * 1024), 0)).rejects.toMatchObject({ code: 'internal' });
  });
});
