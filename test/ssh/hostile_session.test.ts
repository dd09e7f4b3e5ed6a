/** Servers that break the rules once the keys are exchanged: in authentication and on channels. */
import { describe, expect, it } from 'vitest';
import { MSG } from '../../src/ssh/messages.ts';
import { dial, run } from '../kit/client.ts';
import { bool, msg, str, u32 } from './bytes.ts';
import {
  ACCEPT,
  asked,
  type Case,
  check,
  close,
  data,
  eof,
  hostileServer,
  meetScript,
  type OnChannel,
  opening,
  type Script,
  SUCCESS,
  started,
} from './hostile.ts';
import { confirmation, exitStatus, type Puppet } from './puppet.ts';

const stderr = (channel: number, bytes: Uint8Array) => msg(MSG.CHANNEL_EXTENDED_DATA, u32(channel), u32(1), str(bytes));
const adjust = (channel: number, bytes: number) => msg(MSG.CHANNEL_WINDOW_ADJUST, u32(channel), u32(bytes));
const request = (channel: number, name: string, ...fields: Uint8Array[]) =>
  msg(MSG.CHANNEL_REQUEST, u32(channel), str(name), bool(false), ...fields);

describe('authentication', () => {
  const failure = (methods: string) => msg(MSG.USERAUTH_FAILURE, str(methods), bool(false));
  const cases: readonly Case[] = [
    { name: 'the password is refused', script: asked(ACCEPT, failure('password')), reason: 'auth' },
    {
      name: 'another service is accepted',
      script: asked(msg(MSG.SERVICE_ACCEPT, str('ssh-connection'))),
      says: 'ssh-userauth',
    },
    { name: 'FAILURE is cut short', script: asked(ACCEPT, msg(MSG.USERAUTH_FAILURE, u32(8), Buffer.from('pass'))) },
    {
      name: 'the password must be changed',
      script: asked(ACCEPT, msg(MSG.USERAUTH_60, str('too old'), str(''))),
      reason: 'auth',
      says: 'expired',
    },
    { name: 'a message that nobody knows', script: asked(ACCEPT, msg(79, str('x'))), says: 'message 79' },
    { name: 'a request of its own', script: asked(ACCEPT, msg(MSG.USERAUTH_REQUEST, str('root'))), says: 'message 50' },
    { name: 'SUCCESS twice', script: asked(ACCEPT, SUCCESS, SUCCESS), says: 'unexpected authentication message 52' },
    { name: 'FAILURE after SUCCESS', script: asked(ACCEPT, SUCCESS, failure('password')), says: 'message 51' },
    { name: 'a SERVICE_REQUEST', script: asked(msg(MSG.SERVICE_REQUEST, str('ssh-userauth'))) },
    { name: '65 extensions', script: asked(msg(MSG.EXT_INFO, u32(65))), says: 'at most 64 extensions' },
    { name: '4 billion extensions', script: asked(msg(MSG.EXT_INFO, u32(0xffffffff))), says: 'at most 64 extensions' },
    { name: 'extensions cut short', script: asked(msg(MSG.EXT_INFO, u32(2), str('server-sig-algs'), str('x'))) },
  ];
  it.each(cases)('$name', check);

  it('banners before SUCCESS are passed over, however many', async () => {
    const banner = msg(MSG.USERAUTH_BANNER, str('Authorised use only.\r\n'.repeat(1000)), str('en'));
    const met = await meetScript(async (peer) => {
      await peer.handshake();
      await peer.expect(MSG.SERVICE_REQUEST);
      await peer.expect(MSG.USERAUTH_REQUEST);
      for (let i = 0; i < 200; i++) peer.send(banner);
      peer.send(ACCEPT, SUCCESS);
      await finish(peer);
    });
    expect(met).toMatchObject({ status: 0 });
  });
});

/** Takes CHANNEL_OPEN and the command, and ends it well. */
async function finish(peer: Puppet): Promise<void> {
  const open = await peer.expect(MSG.CHANNEL_OPEN);
  const channel = open.readUInt32BE(5 + open.readUInt32BE(1));
  peer.send(confirmation(channel));
  await peer.expect(MSG.CHANNEL_REQUEST);
  peer.send(msg(MSG.CHANNEL_SUCCESS, u32(channel)), exitStatus(channel, 0), close(channel));
}

describe('opening a channel', () => {
  const cases: readonly Case[] = [
    { name: 'a confirmation of another one', script: opening((id) => [confirmation(id + 1)]), says: 'channel 1' },
    {
      name: 'a confirmation cut short',
      script: opening((id) => [msg(MSG.CHANNEL_OPEN_CONFIRMATION, u32(id), u32(9), u32(1))]),
    },
    {
      name: 'packets of at most 0 bytes',
      script: opening((id) => [confirmation(id, 1000, 0)]),
      says: 'maximum packet size',
    },
    {
      name: 'a confirmation twice',
      script: opening((id) => [confirmation(id), confirmation(id)]),
      says: 'channel message 91',
    },
    { name: 'data before the confirmation', script: opening((id) => [data(id, 'x')]), says: 'answer to CHANNEL_OPEN' },
    { name: 'CLOSE before the confirmation', script: opening((id) => [close(id)]), says: 'answer to CHANNEL_OPEN' },
    {
      name: 'a refusal',
      script: opening((id) => [msg(MSG.CHANNEL_OPEN_FAILURE, u32(id), u32(4), str('no \x1b[2Jroom'), str(''))]),
      reason: 'open-refused',
      says: 'resource shortage: no ',
    },
    { name: 'a refusal cut short', script: opening((id) => [msg(MSG.CHANNEL_OPEN_FAILURE, u32(id), u32(4))]) },
    {
      name: 'a confirmation and a refusal',
      script: opening((id) => [confirmation(id), msg(MSG.CHANNEL_OPEN_FAILURE, u32(id), u32(4), str(''), str(''))]),
      says: 'channel message 92',
    },
  ];
  it.each(cases)('$name', check);
});

describe('a channel', () => {
  const TOTAL = 2 * 1024 * 1024;
  const big = Buffer.alloc(32 * 1024 + 1);
  const cases: readonly Case[] = [
    { name: 'data for a channel that is not there', script: started((id) => [data(id + 7, 'x')]), says: 'channel 7' },
    { name: 'data for no channel', script: started(() => [msg(MSG.CHANNEL_DATA)]) },
    { name: 'data cut short', script: started((id) => [msg(MSG.CHANNEL_DATA, u32(id), u32(100), Buffer.alloc(50))]) },
    {
      name: 'more data than the window',
      script: started((id) => [data(id, big)]),
      says: 'at most 32768 bytes of data, got 32769',
    },
    { name: 'more stderr than the window', script: started((id) => [stderr(id, big)]), says: 'at most 32768' },
    {
      name: 'data after EOF',
      script: started((id) => [data(id, 'x'), eof(id), data(id, 'y')]),
      says: 'no data after EOF',
    },
    {
      name: 'stderr after EOF',
      script: started((id) => [eof(id), stderr(id, big.subarray(0, 1))]),
      says: 'no data after EOF',
    },
    { name: 'two EOFs', script: started((id) => [eof(id), eof(id)]), says: 'one EOF' },
    { name: 'a window of 2^32', script: started((id) => [adjust(id, 1)], 0xffffffff), says: 'window below 2^32' },
    {
      name: 'a window beyond 2^32 by steps',
      script: started((id) => [adjust(id, 0xf0000000), adjust(id, 0xf0000000)]),
      says: 'window below 2^32',
    },
    {
      name: 'SUCCESS that nobody asked for',
      script: started((id) => [msg(MSG.CHANNEL_SUCCESS, u32(id))]),
      says: 'none was asked for',
    },
    {
      name: 'FAILURE that nobody asked for',
      script: started((id) => [msg(MSG.CHANNEL_FAILURE, u32(id))]),
      says: 'none was asked for',
    },
    { name: 'exit-status cut short', script: started((id) => [request(id, 'exit-status', Buffer.of(0, 0))]) },
    { name: 'exit-status of nothing', script: started((id) => [request(id, 'exit-status')]) },
    { name: 'exit-signal cut short', script: started((id) => [request(id, 'exit-signal', u32(9), Buffer.from('KI'))]) },
    { name: 'a request cut short', script: started((id) => [msg(MSG.CHANNEL_REQUEST, u32(id), str('exit-status'))]) },
    { name: 'a confirmation once more', script: started((id) => [confirmation(id)]), says: 'channel message 91' },
    { name: 'message 101', script: started((id) => [msg(101, u32(id))]), says: 'got 101' },
    { name: 'message 127', script: started((id) => [msg(127, u32(id))]), says: 'got 127' },
    { name: 'message 255', script: started((id) => [msg(255, u32(id))]), says: 'got 255' },
    { name: 'USERAUTH_SUCCESS in mid-command', script: started(() => [SUCCESS]), says: 'message 52' },
    { name: 'a global request cut short', script: started(() => [msg(MSG.GLOBAL_REQUEST, u32(50), Buffer.from('x'))]) },
    { name: 'CHANNEL_OPEN cut short', script: started(() => [msg(MSG.CHANNEL_OPEN, str('session'), u32(0))]) },
    {
      name: 'the command refused',
      script: open((id) => [msg(MSG.CHANNEL_FAILURE, u32(id))]),
      reason: 'request-refused',
    },
    {
      name: 'SUCCESS for the command twice',
      script: open((id) => [msg(MSG.CHANNEL_SUCCESS, u32(id)), msg(MSG.CHANNEL_SUCCESS, u32(id))]),
    },
  ];
  it.each(cases)('$name', check);

  function open(payloads: OnChannel): Script {
    return async (peer) => {
      const channel = await peer.open();
      await peer.expect(MSG.CHANNEL_REQUEST);
      peer.send(...payloads(channel));
    };
  }

  it('that fills the window again and again is no fault', async () => {
    const met = await meetScript(async (peer) => {
      const channel = await peer.started();
      for (let left = TOTAL, window = 32 * 1024; left > 0; ) {
        const count = Math.min(left, window, 32 * 1024);
        peer.send(data(channel, big.subarray(0, count)));
        left -= count;
        window -= count;
        if (window === 0 && left > 0) window += await nextAdjust(peer);
      }
      peer.send(exitStatus(channel, 0), close(channel));
    });
    expect(met).toMatchObject({ status: 0, stdout: Buffer.alloc(TOTAL) });
  });

  it('closed twice keeps its result, and ends the connection', async () => {
    await using server = await hostileServer(async (peer) => {
      const channel = await peer.started();
      peer.send(exitStatus(channel, 4), close(channel), close(channel));
    });
    const client = await dial({ port: server.port, user: 'tester', password: 'secret' });
    expect(await run(client, 'a command')).toMatchObject({ status: 4 });
    await expect(run(client, 'another')).rejects.toMatchObject({
      reason: 'protocol',
      message: 'expected a channel that is open, got channel 0',
    });
    expect(client.closed).toBe(true);
  });

  it('of the server’s own wish is refused, and nothing else comes of it', async () => {
    const met = await meetScript(async (peer) => {
      const channel = await peer.started();
      peer.send(msg(MSG.CHANNEL_OPEN, str('x11'), u32(3), u32(1000), u32(1000)));
      await peer.expect(MSG.CHANNEL_EOF);
      const refused = await peer.expect(MSG.CHANNEL_OPEN_FAILURE);
      expect(refused.subarray(0, 9)).toEqual(msg(MSG.CHANNEL_OPEN_FAILURE, u32(3), u32(1)));
      peer.send(exitStatus(channel, 0), close(channel));
    });
    expect(met).toMatchObject({ status: 0 });
  });
});

/** How much more may be sent. */
async function nextAdjust(peer: Puppet): Promise<number> {
  for (;;) {
    const payload = await peer.next();
    if (payload[0] === MSG.CHANNEL_WINDOW_ADJUST) return payload.readUInt32BE(5);
  }
}
