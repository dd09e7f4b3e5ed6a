/** Peers that do not read: what waits for them is bounded, and goes on when they read again. */
import { describe, expect, it } from 'vitest';
import { ForwardedStream } from '../../src/ssh/forward.ts';
import { MSG } from '../../src/ssh/messages.ts';
import type { ServerSession } from '../../src/ssh/server_session.ts';
import type { Session } from '../../src/ssh/session.ts';
import { dial } from '../kit/client.ts';
import { bool, msg, str, u32 } from './bytes.ts';
import { ClientHalf, Link, ServerHalf } from './halves.ts';
import { hostileServer } from './hostile.ts';
import { confirmation, Puppet } from './puppet.ts';
import { StalledStream } from './stalled_stream.ts';

const KIB = 1024;
/** 1.25 MiB, the bound, which nothing that is written may pass. */
const MOST_UNSENT = 1280 * KIB;
/** Of data that waits in the stream, and one packet more. */
const MOST_DATA = 256 * KIB + 33 * KIB;

/** A client that talks to a puppet over a stream that can stall. */
function clientAndPuppet() {
  const link = new Link();
  const stream = new StalledStream(link.stream('toServer'));
  const client = new ClientHalf(stream);
  stream.onDrained = () => client.transport.drained();
  const back = link.stream('toClient');
  const puppet = new Puppet((bytes) => back.write(bytes), { role: 'server' });
  link.client = client;
  link.server = puppet;
  client.transport.start();
  return { link, stream, client, puppet };
}

function exec(session: Session): void {
  session.exec('a command', { data: () => true, begin: () => undefined, started() {}, lingerMs: 2000 });
}

/** A client with a command that reads its stdin as fast as `window` allows. */
async function running(window = 0xffff_ffff) {
  const all = clientAndPuppet();
  const started = all.puppet.started(window);
  await all.link.settle();
  const session = all.client.session();
  exec(session);
  await all.link.settle();
  await started;
  return { ...all, session };
}

/** As many times the same payload as the peer answers before it gives up, at most 100,000. */
async function flood(link: Link, puppet: Puppet, payload: Buffer, over: () => boolean): Promise<void> {
  for (let sent = 0; sent < 100_000 && !over(); sent += 500) {
    puppet.send(...Array.from({ length: 500 }, () => payload));
    await link.settle();
  }
}

const QUESTIONS: readonly [string, Buffer][] = [
  ['GLOBAL_REQUEST', msg(MSG.GLOBAL_REQUEST, str('keepalive@openssh.com'), bool(true))],
  ['CHANNEL_OPEN', msg(MSG.CHANNEL_OPEN, str('x11'), u32(3), u32(1000), u32(1000))],
  ['message 19', msg(19)],
];

describe('a peer that asks and never reads', () => {
  it.each([...QUESTIONS, ['CHANNEL_REQUEST', msg(MSG.CHANNEL_REQUEST, u32(0), str('x'), bool(true))]])(
    'ends its connection to the client: %s',
    async (_name, question) => {
      const { link, stream, client, puppet, session } = await running();
      session.ended.catch(() => {});
      stream.stall();
      await flood(link, puppet, question as Buffer, () => client.closed !== undefined);
      expect(client.closed).toMatchObject({ reason: 'protocol', message: 'expected the peer to read its answers' });
      expect(stream.destroyed).toBe(true);
      expect(stream.most).toBeGreaterThan(MOST_UNSENT - 64 * KIB);
      expect(stream.most).toBeLessThanOrEqual(MOST_UNSENT);
      await expect(session.ended).rejects.toMatchObject({ reason: 'protocol' });
    },
  );

  it.each([
    ...QUESTIONS,
    ['USERAUTH_REQUEST', msg(MSG.USERAUTH_REQUEST, str('tester'), str('ssh-connection'), str('none'))],
  ])('ends its connection to the server half: %s', async (name, question) => {
    const link = new Link();
    const stream = new StalledStream(link.stream('toClient'));
    const server = new ServerHalf(stream, () => undefined);
    const back = link.stream('toServer');
    const puppet = new Puppet((bytes) => back.write(bytes), { role: 'client' });
    link.client = puppet;
    link.server = server;
    server.connection.start();
    const password = msg(
      MSG.USERAUTH_REQUEST,
      ...['tester', 'ssh-connection', 'password'].map((word) => str(word)),
      bool(false),
      str('secret'),
    );
    const secured = puppet.handshake();
    await link.settle();
    await secured;
    if (name !== 'USERAUTH_REQUEST') puppet.send(password);
    await link.settle();
    stream.stall();
    await flood(link, puppet, question as Buffer, () => server.closed !== undefined);
    expect(server.closed).toMatchObject({ reason: 'protocol', message: 'expected the peer to read its answers' });
    expect(stream.destroyed).toBe(true);
    expect(stream.most).toBeLessThanOrEqual(MOST_UNSENT);
  });

  it('behind a jump host ends its connection, not that of the jump host', async () => {
    const { link, client, puppet } = clientAndPuppet();
    const login = puppet.login();
    await link.settle();
    await login;
    const forwarded = new ForwardedStream(client.transport, client.timers.set);
    const inner = new ClientHalf(forwarded);
    const channel = client.mux.open('direct-tcpip', forwarded);
    forwarded.attach(channel, {
      connected: () => inner.transport.start(),
      received: (chunk) => inner.receive(chunk),
      drained: () => inner.transport.drained(),
      ended: () => inner.ended(),
    });
    client.transport.flush();
    await link.settle();
    await puppet.expect(MSG.CHANNEL_OPEN);
    // Enough for a login, and never more.
    puppet.send(confirmation(channel.id, 8 * KIB));
    const target = new Puppet(
      (bytes) => {
        for (let at = 0; at < bytes.length; at += 8 * KIB) {
          puppet.send(msg(MSG.CHANNEL_DATA, u32(channel.id), str(bytes.subarray(at, at + 8 * KIB))));
        }
      },
      { role: 'server' },
    );
    const carry = (async () => {
      for (;;) {
        const payload = await puppet.next();
        if (payload[0] === MSG.CHANNEL_DATA) target.receive(payload.subarray(9));
      }
    })();
    carry.catch(() => {});
    const inside = target.login();
    await link.settle();
    await inside;
    const question = msg(MSG.GLOBAL_REQUEST, str('x'), bool(true));
    // In pieces that the jump host's window takes.
    for (let sent = 0; sent < 100_000 && !inner.closed; sent += 200) {
      target.send(...Array.from({ length: 200 }, () => question));
      await link.settle();
    }
    expect(inner.closed).toMatchObject({ reason: 'protocol', message: 'expected the peer to read its answers' });
    expect(client.closed).toBeUndefined();
    expect(channel.mode).not.toBe('open');
    expect(channel.waiting).toBe(0);
  });
});

describe('a peer that opens its window and never reads', () => {
  it('takes no more stdin than the bound, and all of it once it reads', async () => {
    const { link, stream, session, puppet } = await running();
    stream.stall();
    const chunk = Buffer.alloc(32 * KIB, 7);
    let written = 0;
    do written += chunk.length;
    while (session.write(chunk) && written < 64 * KIB * KIB);
    expect(written).toBeLessThanOrEqual(512 * KIB);
    expect(stream.most).toBeLessThanOrEqual(MOST_DATA);
    let drained = false;
    const wait = session.whenDrained().then(() => {
      drained = true;
    });
    await link.settle();
    expect(drained).toBe(false);
    stream.release();
    await link.settle();
    await wait;
    let arrived = 0;
    while (arrived < written) arrived += (await puppet.expect(MSG.CHANNEL_DATA)).readUInt32BE(5);
    expect(arrived).toBe(written);
  });

  it('is told of as drained also where the last of it left with something else', async () => {
    const { link, stream, session } = await running();
    stream.stall();
    while (session.write(Buffer.alloc(64 * KIB))) {}
    // The stream is empty, but says so only later.
    stream.release({ told: false });
    const wait = session.whenDrained();
    expect(session.write(Buffer.alloc(1))).toBe(true);
    stream.onDrained();
    await link.settle();
    await wait;
  });

  it('gives several channels their turns, though each always has more', async () => {
    const { link, stream, client, puppet } = await running();
    const fed = [0, 0];
    for (const index of [0, 1]) {
      const feed = () => {
        while (channel.write(Buffer.alloc(64 * KIB))) fed[index]!++;
        client.transport.flush();
      };
      const nothing = { openFailed() {}, data: () => true, eof() {}, request() {}, reply() {}, closed() {} };
      const channel = client.mux.open('session', { ...nothing, opened: feed, drained: feed });
      stream.stall();
      client.transport.flush();
      stream.release({ stalled: true });
      await link.settle();
      puppet.send(confirmation(channel.id, 0xffff_ffff));
      await link.settle();
    }
    const before = [...fed];
    for (let round = 0; round < 20; round++) {
      stream.release({ stalled: true });
      await link.settle();
    }
    // 20 times 256 KiB between the two of them.
    expect(fed[0]! - before[0]!).toBeGreaterThan(20);
    expect(fed[1]! - before[1]!).toBeGreaterThan(20);
  });

  it('holds the output of the server half back, and has all of it once it reads', async () => {
    const link = new Link();
    const stream = new StalledStream(link.stream('toClient'));
    const output = { written: 0, session: undefined as ServerSession | undefined };
    const TOTAL = 4 * KIB * KIB;
    const pump = () => {
      while (output.written < TOTAL) {
        output.written += 32 * KIB;
        if (!output.session!.write(Buffer.alloc(32 * KIB))) return;
      }
      output.session!.exit(0);
    };
    const nothing = { stdin: () => true, stdinEnd() {}, signal() {}, gone() {} };
    const server = new ServerHalf(stream, (_line, session) => {
      output.session = session;
      return { ...nothing, run: pump, drained: pump };
    });
    stream.onDrained = () => server.connection.drained();
    const back = link.stream('toServer');
    const puppet = new Puppet((bytes) => back.write(bytes), { role: 'client' });
    link.client = puppet;
    link.server = server;
    server.connection.start();
    const secured = puppet.handshake();
    await link.settle();
    await secured;
    const words = ['tester', 'ssh-connection', 'password'].map((word) => str(word));
    puppet.send(
      msg(MSG.USERAUTH_REQUEST, ...words, bool(false), str('secret')),
      msg(MSG.CHANNEL_OPEN, str('session'), u32(4), u32(0xffff_ffff), u32(32 * KIB)),
    );
    await link.settle();
    stream.stall();
    puppet.send(msg(MSG.CHANNEL_REQUEST, u32(0), str('exec'), bool(true), str('a command')));
    await link.settle();
    expect(output.written).toBeLessThanOrEqual(512 * KIB);
    expect(stream.most).toBeLessThanOrEqual(MOST_DATA);
    for (let round = 0; round < 40 && output.written < TOTAL; round++) {
      stream.release({ stalled: true });
      await link.settle();
    }
    expect(stream.most).toBeLessThanOrEqual(MOST_DATA);
    stream.release();
    await link.settle();
    expect(output.written).toBe(TOTAL);
    await puppet.expect(MSG.USERAUTH_SUCCESS);
    await puppet.expect(MSG.CHANNEL_OPEN_CONFIRMATION);
    await puppet.expect(MSG.CHANNEL_SUCCESS);
    let arrived = 0;
    while (arrived < TOTAL) arrived += (await puppet.expect(MSG.CHANNEL_DATA)).readUInt32BE(5);
    await puppet.expect(MSG.CHANNEL_EOF);
  });

  it('does so over a real socket, too', async () => {
    const resume = Promise.withResolvers<void>();
    const paused = Promise.withResolvers<void>();
    const counted = Promise.withResolvers<number>();
    await using server = await hostileServer(async (peer, socket) => {
      await peer.started(0xffff_ffff);
      socket.pause();
      paused.resolve();
      await resume.promise;
      socket.resume();
      let arrived = 0;
      for (;;) {
        const payload = await peer.next();
        if (payload[0] === MSG.CHANNEL_EOF) break;
        if (payload[0] === MSG.CHANNEL_DATA) arrived += payload.readUInt32BE(5);
      }
      counted.resolve(arrived);
    });
    const client = await dial({ port: server.port, user: 'tester', password: 'secret' });
    const session = client.session();
    session.ended.catch(() => {});
    exec(session);
    await paused.promise;
    const chunk = Buffer.alloc(256 * KIB);
    // What the kernel's buffers hold comes before our own: some MiB on loopback.
    let written = 0;
    do {
      written += chunk.length;
    } while (session.write(chunk) && written < 64 * KIB * KIB);
    expect(written).toBeLessThan(64 * KIB * KIB);
    const drained = session.whenDrained();
    resume.resolve();
    await drained;
    session.end();
    expect(await counted.promise).toBe(written);
    client.close();
  });
});
