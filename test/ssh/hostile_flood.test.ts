/** Servers that send too much, nonsense, or stop at any byte. */
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { MSG } from '../../src/ssh/messages.ts';
import { dial } from '../kit/client.ts';
import { bool, msg, seededRandom, str, u32 } from './bytes.ts';
import { ServerHalf } from './halves.ts';
import { hostileServer, meet, meetScript, type Script } from './hostile.ts';
import { exitStatus, type Puppet } from './puppet.ts';

const close = (channel: number) => msg(MSG.CHANNEL_CLOSE, u32(channel));

/** `count` times the same payload, a few hundred in one write, as fast as the client takes them. */
async function flood(peer: Puppet, socket: Socket, payload: Uint8Array, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 500) {
    const more = Array.from({ length: Math.min(500, left) }, () => payload);
    const bytes = peer.sealed(...more);
    if (!socket.write(bytes)) await new Promise((resolve) => socket.once('drain', resolve));
  }
}

describe('floods', () => {
  const COUNT = 10_000;

  it.each([
    ['IGNORE', msg(MSG.IGNORE, str('x'.repeat(100)))],
    ['DEBUG', msg(MSG.DEBUG, bool(true), str('x'.repeat(100)), str(''))],
    ['UNIMPLEMENTED', msg(MSG.UNIMPLEMENTED, u32(1))],
    ['GLOBAL_REQUEST', msg(MSG.GLOBAL_REQUEST, str('hostkeys-00@openssh.com'), bool(false), str('x'.repeat(100)))],
    ['EXT_INFO', msg(MSG.EXT_INFO, u32(1), str('server-sig-algs'), str('x'.repeat(100)))],
    ['REQUEST_FAILURE', msg(MSG.REQUEST_FAILURE)],
    ['empty CHANNEL_DATA', msg(MSG.CHANNEL_DATA, u32(0), str(''))],
    ['unknown CHANNEL_REQUEST', msg(MSG.CHANNEL_REQUEST, u32(0), str('x'), bool(false))],
    ['WINDOW_ADJUST of nothing', msg(MSG.CHANNEL_WINDOW_ADJUST, u32(0), u32(0))],
  ])('of %s are sat through', async (_name, payload) => {
    const met = await meetScript(async (peer, socket) => {
      const channel = await peer.started();
      await flood(peer, socket, payload, COUNT);
      peer.send(exitStatus(channel, 6), close(channel));
    });
    expect(met).toMatchObject({ status: 6 });
  });

  it.each([
    ['GLOBAL_REQUEST', msg(MSG.GLOBAL_REQUEST, str('keepalive@openssh.com'), bool(true)), MSG.REQUEST_FAILURE],
    ['CHANNEL_REQUEST', msg(MSG.CHANNEL_REQUEST, u32(0), str('x'), bool(true)), MSG.CHANNEL_FAILURE],
    ['message 19', msg(19), MSG.UNIMPLEMENTED],
  ])('of %s that want an answer get one each', async (_name, payload, answer) => {
    const met = await meetScript(async (peer, socket) => {
      const channel = await peer.started();
      await peer.expect(MSG.CHANNEL_EOF);
      await flood(peer, socket, payload, 5000);
      for (let i = 0; i < 5000; i++) await peer.expect(answer);
      peer.send(exitStatus(channel, 6), close(channel));
    });
    expect(met).toMatchObject({ status: 6 });
  });

  it.each(['identified', 'hostKey'] as const)('while the client thinks (%s) end at a MiB', async (name) => {
    const thinking = Promise.withResolvers<void>();
    const script: Script = async (peer) => {
      await peer.greet();
      if (name === 'hostKey') {
        await peer.exchangeInits();
        peer.send(await peer.reply());
      }
      peer.sendRaw(Buffer.alloc(2 * 1024 * 1024));
    };
    const met = await meetScript(script, {}, { observer: { [name]: () => thinking.promise } });
    expect(met).toMatchObject({ reason: 'protocol', message: expect.stringContaining('expected the peer to wait') });
    thinking.resolve();
  });

  it('of data that nobody takes end at the window', async () => {
    await using server = await hostileServer(async (peer, socket) => {
      const channel = await peer.started();
      await flood(peer, socket, msg(MSG.CHANNEL_DATA, u32(channel), str(Buffer.alloc(1000))), 1000);
    });
    const client = await dial({ port: server.port, user: 'tester', password: 'secret' });
    const session = client.session();
    let taken = 0;
    session.exec('a command', {
      data: (_extended, chunk) => {
        taken += chunk.length;
        return false;
      },
      begin: () => undefined,
      started() {},
      lingerMs: 50,
    });
    await expect(session.ended).rejects.toMatchObject({ reason: 'protocol' });
    expect(taken).toBeLessThanOrEqual(32 * 1024);
  });
});

describe('garbage', () => {
  const states: readonly [string, (peer: Puppet) => Promise<unknown>][] = [
    ['at once', async () => {}],
    ['after the identification', (peer) => peer.greet()],
    [
      'after KEXINIT',
      async (peer) => {
        await peer.greet();
        await peer.exchangeInits();
      },
    ],
    [
      'after the reply',
      async (peer) => {
        await peer.greet();
        await peer.exchangeInits();
        peer.send(await peer.reply());
      },
    ],
    ['after NEWKEYS', (peer) => peer.handshake()],
    ['after SUCCESS', (peer) => peer.login()],
    ['in answer to CHANNEL_OPEN', (peer) => peer.opening()],
    ['in mid-command', (peer) => peer.started()],
    [
      'in a rekey',
      async (peer) => {
        await peer.started();
        await peer.expect(MSG.CHANNEL_EOF);
        await peer.exchangeInits();
      },
    ],
  ];
  for (const cipher of ['aes128-gcm@openssh.com', 'aes256-ctr']) {
    it.each(states)(`%s, ${cipher}`, async (_name, reach) => {
      for (let seed = 0; seed < 4; seed++) {
        // More than the longest packet, so that whatever length it begins with has come.
        const garbage = seededRandom(seed).bytes(300_000);
        const script: Script = async (peer) => {
          await reach(peer);
          peer.sendRaw(garbage);
        };
        const met = await meetScript(script, { cipher });
        expect(met).toMatchObject({ name: 'SshError', reason: 'protocol' });
      }
    });
  }
});

describe('a server that hangs up', () => {
  interface Cutting {
    readonly port: number;
    /** Bytes of one whole conversation, and of its identification. */
    whole: number;
    cutAt: number;
    how: 'end' | 'reset';
    close(): Promise<void>;
  }
  let cutting: Cutting;

  /** A good server, but for the byte at which it stops. */
  beforeAll(async () => {
    const server = createServer((socket) => {
      let sent = 0;
      const { cutAt, how } = cutting;
      const stop = () => (how === 'end' ? socket.end() : socket.resetAndDestroy());
      const write = (bytes: Buffer) => {
        if (sent < cutAt) socket.write(bytes.subarray(0, cutAt - sent));
        sent += bytes.length;
        cutting.whole = Math.max(cutting.whole, sent);
        if (sent >= cutAt) stop();
      };
      const stream = { write, waiting: 0, end: () => socket.end(), destroy: () => socket.destroy() };
      const half = new ServerHalf(stream, (_line, session) => ({
        run() {
          session.write(Buffer.from('some output\n'));
          session.exit(0);
        },
        stdin: () => true,
        stdinEnd() {},
        signal() {},
        drained() {},
        gone() {},
      }));
      socket.on('data', (chunk: Buffer) => half.receive(chunk));
      socket.on('error', () => {});
      socket.once('close', () => half.ended());
      half.connection.start();
      if (cutAt === 0) stop();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cutting = {
      port: (server.address() as { port: number }).port,
      whole: 0,
      cutAt: Number.POSITIVE_INFINITY,
      how: 'end',
      close: () => new Promise((resolve) => server.close(() => resolve())),
    };
  });
  afterAll(() => cutting.close());

  /** Cuts at every `step`th byte; gives what came of each. */
  async function cutEverywhere(how: 'end' | 'reset', step = 1): Promise<string[]> {
    cutting.how = 'end';
    cutting.cutAt = Number.POSITIVE_INFINITY;
    expect(await meet(cutting.port)).toMatchObject({ status: 0 });
    const { whole } = cutting;
    expect(whole).toBeGreaterThan(1000);
    cutting.how = how;
    const met: string[] = [];
    for (let at = 0; at < whole; at += step) {
      cutting.cutAt = at;
      const answer = await meet(cutting.port);
      met.push(answer instanceof SshError ? answer.reason : `status ${answer.status}`);
    }
    return met;
  }

  it('at every byte of a conversation is told apart from a result', async () => {
    const met = await cutEverywhere('end');
    const line = 'SSH-2.0-Myriad_0.1\r\n'.length;
    expect(new Set(met.slice(0, line))).toEqual(new Set(['banner-closed']));
    // After the status has come there is a result; before that there is none.
    const known = met.indexOf('status 0');
    expect(known).toBeGreaterThan(line);
    expect(new Set(met.slice(line, known))).toEqual(new Set(['closed']));
    expect(new Set(met.slice(known))).toEqual(new Set(['status 0']));
  });

  it('with a reset, at every third byte too', async () => {
    const met = new Set(await cutEverywhere('reset', 3));
    met.delete('status 0');
    for (const reason of met) expect(['connect', 'banner-closed', 'closed', 'reset']).toContain(reason);
  });
});
