/** Servers that say goodbye in any state, and servers that break the rules in a rekey. */
import { describe, expect, it } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { MSG } from '../../src/ssh/messages.ts';
import { dial, run } from '../kit/client.ts';
import { msg, str, u32 } from './bytes.ts';
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
  opening,
  type Script,
  started,
} from './hostile.ts';
import { exitStatus, type Puppet } from './puppet.ts';

describe('DISCONNECT', () => {
  const goodbye = msg(MSG.DISCONNECT, u32(2), str('enough \x1b[31m'), str(''));
  const states: readonly [string, Script][] = [
    [
      'after the identification',
      async (peer) => {
        await peer.greet();
        peer.send(goodbye);
      },
    ],
    [
      'in the key exchange',
      async (peer) => {
        await peer.greet();
        await peer.exchangeInits();
        peer.send(goodbye);
      },
    ],
    [
      'after the reply',
      async (peer) => {
        await peer.greet();
        await peer.exchangeInits();
        peer.send(await peer.reply(), goodbye);
      },
    ],
    [
      'after NEWKEYS',
      async (peer) => {
        await peer.handshake();
        peer.send(goodbye);
      },
    ],
    ['in authentication', asked(ACCEPT, goodbye)],
    [
      'after SUCCESS',
      async (peer) => {
        await peer.login();
        peer.send(goodbye);
      },
    ],
    ['in answer to CHANNEL_OPEN', opening(() => [goodbye])],
    ['in mid-command', started(() => [goodbye])],
    [
      'in a rekey',
      async (peer) => {
        await peer.started();
        await peer.expect(MSG.CHANNEL_EOF);
        await peer.exchangeInits();
        peer.send(goodbye);
      },
    ],
  ];
  it.each(states)('%s', (_name, script) =>
    check({ name: '', script, reason: 'disconnected', says: 'the peer disconnected: enough ' }),
  );

  it('for authentication is a refusal', () =>
    check({
      name: '',
      script: asked(ACCEPT, msg(MSG.DISCONNECT, u32(2), str('Too many authentication failures'), str(''))),
      reason: 'auth',
    }));

  it('cut short', () => check({ name: '', script: started(() => [msg(MSG.DISCONNECT, u32(2), u32(90))]) }));

  it('is what a server gets that breaks the rules', async () => {
    let code = 0;
    const said = Promise.withResolvers<void>();
    await using server = await hostileServer(async (peer) => {
      const channel = await peer.started();
      peer.send(eof(channel), eof(channel));
      for (let payload = await peer.next(); ; payload = await peer.next()) {
        if (payload[0] !== MSG.DISCONNECT) continue;
        code = payload.readUInt32BE(1);
        said.resolve();
        return;
      }
    });
    const client = await dial({ port: server.port, user: 'tester', password: 'secret' });
    await expect(run(client, 'a command')).rejects.toMatchObject({ reason: 'protocol' });
    await said.promise;
    expect(code).toBe(2);
  });
});

describe('a rekey', () => {
  it('by the server, in mid-command, with the same key is no fault', async () => {
    const met = await meetScript(async (peer) => {
      const channel = await peer.started();
      peer.send(data(channel, 'before '));
      await peer.expect(MSG.CHANNEL_EOF);
      await peer.rekey();
      peer.send(data(channel, 'after'), exitStatus(channel, 0), close(channel));
    });
    expect(met).toMatchObject({ status: 0, stdout: Buffer.from('before after') });
  });

  const rekeying =
    (misbehave: (peer: Puppet, channel: number) => Promise<void>): Script =>
    async (peer) => {
      const channel = await peer.started();
      await peer.expect(MSG.CHANNEL_EOF);
      await misbehave(peer, channel);
    };
  const cases: readonly Case[] = [
    {
      name: 'with data after KEXINIT',
      script: rekeying(async (peer, channel) => {
        await peer.exchangeInits();
        peer.send(data(channel, 'x'));
      }),
      says: 'only key exchange messages',
    },
    {
      name: 'with data before NEWKEYS',
      script: rekeying(async (peer, channel) => {
        await peer.exchangeInits();
        peer.send(await peer.reply(), data(channel, 'x'));
      }),
      says: 'only key exchange messages',
    },
    {
      name: 'with a wrong signature',
      script: rekeying((peer) =>
        peer.rekey({ signature: () => Buffer.concat([str('ssh-ed25519'), str(Buffer.alloc(64))]) }),
      ),
      says: 'valid signature',
    },
    {
      name: 'with KEXINIT twice',
      script: rekeying(async (peer) => {
        await peer.exchangeInits();
        peer.send(peer.kexInit());
      }),
      says: 'unexpected KEXINIT',
    },
    {
      name: 'with nothing in common any more',
      script: rekeying(async (peer) => peer.send(peer.kexInit({ 0: 'x' }))),
      reason: 'algorithm',
    },
    {
      name: 'with NEWKEYS at once',
      script: rekeying(async (peer) => peer.send(msg(MSG.NEWKEYS))),
      says: 'unexpected key exchange message 21',
    },
    {
      name: 'that stops in the middle, and hangs up',
      script: async (peer, socket) => {
        await peer.started();
        await peer.expect(MSG.CHANNEL_EOF);
        await peer.exchangeInits();
        socket.end();
      },
      reason: 'closed',
    },
  ];
  it.each(cases)('$name', check);

  it('shows the host key again: it can be refused then', async () => {
    let shown = 0;
    const hostKey = () => {
      shown++;
      if (shown === 2) throw new SshError('host-key', 'not the one of before');
      return undefined;
    };
    const script: Script = async (peer) => {
      await peer.started();
      await peer.expect(MSG.CHANNEL_EOF);
      await peer.rekey();
    };
    expect(await meetScript(script, {}, { observer: { hostKey } })).toMatchObject({ reason: 'host-key' });
    expect(shown).toBe(2);
  });
});
