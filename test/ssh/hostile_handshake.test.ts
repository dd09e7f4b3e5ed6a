/** Servers that break the rules before anybody is logged in. Each ends in a typed error, and by the client's own doing. */
import { getDiffieHellman } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MSG } from '../../src/ssh/messages.ts';
import { bool, mpint, msg, plainPacket, seededRandom, str, u32 } from './bytes.ts';
import { type Case, check, meetScript, type Script } from './hostile.ts';
import { PUPPET_KEY, type Puppet, type ReplyLies } from './puppet.ts';

const bytes =
  (...pieces: readonly (string | Uint8Array)[]): Script =>
  async (peer) => {
    for (const piece of pieces) peer.sendRaw(Buffer.from(piece));
  };

/** After the identification: these payloads. */
const greeted =
  (...payloads: readonly Uint8Array[]): Script =>
  async (peer) => {
    await peer.greet();
    peer.send(...payloads);
  };

/** After both KEXINITs. */
const agreed =
  (...payloads: readonly Uint8Array[]): Script =>
  async (peer) => {
    await peer.greet();
    await peer.exchangeInits();
    peer.send(...payloads);
  };

/** A reply with lies in it. */
const lying =
  (lies: ReplyLies | ((peer: Puppet) => ReplyLies)): Script =>
  async (peer) => {
    await peer.greet();
    await peer.exchangeInits();
    peer.send(await peer.reply(typeof lies === 'function' ? lies(peer) : lies));
  };

const flipLast = (blob: Buffer) => {
  const changed = Buffer.from(blob);
  changed[changed.length - 1]! ^= 1;
  return changed;
};

describe('identification', () => {
  const cases: readonly Case[] = [
    { name: '8 KiB without one', script: bytes('x'.repeat(9000)), says: 'within 8192 bytes' },
    { name: '8 KiB of other lines', script: bytes('hello there\r\n'.repeat(800)), says: 'within 8192 bytes' },
    { name: 'a MiB of empty lines', script: bytes(Buffer.alloc(1024 * 1024, '\n')), says: 'within 8192 bytes' },
    { name: 'binary garbage', script: bytes(seededRandom(1).bytes(20_000)) },
    { name: 'version 1.5', script: bytes('SSH-1.5-old\r\n'), says: 'expected protocol version 2.0, got "SSH-1.5-old"' },
    { name: 'a line of 300 characters', script: bytes(`SSH-2.0-${'x'.repeat(300)}\r\n`), says: '255 characters' },
    { name: 'a NUL in it', script: bytes('SSH-2.0-a\0b\r\n') },
    { name: 'a packet at once', script: bytes(plainPacket(msg(MSG.KEXINIT, Buffer.alloc(9000)))) },
  ];
  it.each(cases)('$name', check);

  it.each([
    ['nothing', '', 'without a word'],
    ['a refusal', 'Exceeded MaxStartups\r\n', 'saying "Exceeded MaxStartups"'],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'saying "HTTP/1.1 400 Bad Request"'],
    ['half of one', 'SSH-2.0-Open', 'saying "SSH-2.0-Open"'],
    ['terminal control', '\x1b]0;title\x07\x1b[2J', 'saying "]0;title [2J"'],
  ])('a server that says %s and hangs up', async (_what, text, says) => {
    const met = await meetScript(async (_peer, socket) => void socket.end(text));
    expect(met).toMatchObject({ reason: 'banner-closed', message: expect.stringContaining(says) });
  });
});

describe('packets before the keys', () => {
  const cases: readonly Case[] = [
    { name: 'a length of 0', script: greetedRaw(u32(0)) },
    { name: 'a length of 1', script: greetedRaw(u32(1)) },
    { name: 'a length of 2 GiB', script: greetedRaw(u32(0x7fffffff)), says: 'packet length' },
    { name: 'a length of 4 GiB', script: greetedRaw(u32(0xffffffff)), says: 'packet length' },
    { name: 'a length of 256 KiB and more', script: greetedRaw(u32(256 * 1024 + 4)), says: 'packet length' },
    { name: 'a length out of step with the blocks', script: greetedRaw(u32(13)) },
    { name: 'no padding', script: greetedRaw(plainPacket(msg(MSG.IGNORE, str('x')), { padding: 0 })), says: 'padding' },
    {
      name: 'nothing but padding',
      script: greetedRaw(plainPacket(msg(MSG.IGNORE), { padding: 250 })),
      says: 'padding',
    },
    { name: 'garbage', script: greetedRaw(seededRandom(2).bytes(300_000)) },
  ];
  it.each(cases)('$name', check);
});

function greetedRaw(...pieces: readonly Uint8Array[]): Script {
  return async (peer) => {
    await peer.greet();
    for (const piece of pieces) peer.sendRaw(piece);
  };
}

describe('KEXINIT', () => {
  const cookie = Buffer.alloc(16);
  const tenLists = (first: string) => [first, ...Array.from({ length: 9 }, () => 'x')].map(str);
  const cases: readonly Case[] = [
    { name: 'of one byte', script: greeted(msg(MSG.KEXINIT)) },
    { name: 'of half a cookie', script: greeted(msg(MSG.KEXINIT, Buffer.alloc(8))) },
    { name: 'that ends in its first list', script: greeted(msg(MSG.KEXINIT, cookie, u32(100), Buffer.from('curve'))) },
    { name: 'with a list of 4 GiB', script: greeted(msg(MSG.KEXINIT, cookie, u32(0xffffffff), Buffer.alloc(50))) },
    { name: 'of three lists', script: greeted(msg(MSG.KEXINIT, cookie, str('a'), str('b'), str('c'))) },
    { name: 'without its last field', script: greeted(msg(MSG.KEXINIT, cookie, ...tenLists('x'), bool(false))) },
    {
      name: 'with a list of 100,000 names',
      script: greeted(msg(MSG.KEXINIT, cookie, ...tenLists('x,'.repeat(100_000)), bool(false), u32(0))),
      reason: 'algorithm',
      says: 'no common key exchange',
    },
    {
      name: 'with nothing in common',
      script: async (peer) => {
        await peer.greet();
        peer.send(peer.kexInit({ 2: '3des-cbc' }));
      },
      reason: 'algorithm',
      says: 'no common cipher to the server; server: 3des-cbc; client: aes128-ctr,aes128-gcm@openssh.com,',
    },
    {
      name: 'twice',
      script: async (peer) => {
        await peer.greet();
        peer.send(peer.kexInit(), peer.kexInit());
      },
    },
  ];
  it.each(cases)('$name', check);
});

describe('the answer to the key exchange', () => {
  const other = Buffer.concat([str('ssh-ed25519'), str(seededRandom(3).bytes(32))]);
  const rsa = Buffer.concat([str('ssh-rsa'), mpint(Buffer.of(1, 0, 1)), mpint(Buffer.alloc(256, 0xff))]);
  const nist = { options: { kex: 'ecdh-sha2-nistp256' } } as const;
  const cases: readonly Case[] = [
    { name: 'with a wrong signature', script: lying({ signature: flipLast }), says: 'valid signature' },
    { name: 'with an empty signature', script: lying({ signature: () => Buffer.alloc(0) }) },
    {
      name: 'with a signature of nothing',
      script: lying({ signature: () => Buffer.concat([str('ssh-ed25519'), str('')]) }),
    },
    {
      name: 'signed by another algorithm',
      script: lying({ signature: () => Buffer.concat([str('rsa-sha2-512'), str('x')]) }),
      says: 'expected a signature by ssh-ed25519',
    },
    { name: 'with the key of somebody else', script: lying({ hostKey: other }), says: 'valid signature' },
    { name: 'with a key of another type', script: lying({ hostKey: rsa }), says: 'expected a ssh-ed25519 key' },
    {
      name: 'with a key of no known type',
      script: lying({ hostKey: Buffer.concat([str('ssh-dss'), str('x')]) }),
      says: 'known type',
    },
    { name: 'with a key of 31 bytes', script: lying({ hostKey: PUPPET_KEY.subarray(0, 50) }) },
    { name: 'with an empty key', script: lying({ hostKey: Buffer.alloc(0) }) },
    { name: 'with an all-zero public value', script: lying({ value: Buffer.alloc(32) }), says: 'full order' },
    { name: 'with a short public value', script: lying({ value: Buffer.alloc(31, 1) }), says: 'of 32 bytes, got 31' },
    { name: 'with a long public value', script: lying({ value: Buffer.alloc(33, 1) }), says: 'of 32 bytes, got 33' },
    { name: 'with an empty public value', script: lying({ value: Buffer.alloc(0) }) },
    {
      name: 'with another public value than was signed',
      script: lying({ value: Buffer.alloc(32, 9) }),
      says: 'valid signature',
    },
    {
      name: 'with no point of nistp256',
      script: lying({ value: Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]) }),
      ...nist,
    },
    { name: 'with the point at infinity', script: lying({ value: Buffer.of(0) }), ...nist },
    { name: 'cut short', script: agreed(msg(MSG.KEX_ECDH_REPLY, str(PUPPET_KEY), u32(32))) },
    { name: 'of another number', script: agreed(msg(33, str(PUPPET_KEY))) },
    {
      name: 'twice',
      script: async (peer) => {
        await peer.greet();
        await peer.exchangeInits();
        const reply = await peer.reply();
        peer.send(reply, reply);
      },
    },
  ];
  it.each(cases)('$name', check);
});

/** A reply that gets no further than its public value. */
const replying = (type: number, value: Uint8Array) => msg(type, str(PUPPET_KEY), mpint(value), str('a signature'));

/** As an mpint may not be: with zeros that it does not need, or negative. */
const badMpint = (value: Uint8Array) => msg(MSG.KEX_ECDH_REPLY, str(PUPPET_KEY), str(value), str('a signature'));

describe('the answer to the key exchange, on the thread pool', () => {
  const group14 = { options: { kex: 'diffie-hellman-group14-sha256' } } as const;
  const nistp521 = { options: { kex: 'ecdh-sha2-nistp521' } } as const;
  const prime = getDiffieHellman('modp14').getPrime();
  const below = Buffer.from(prime);
  below[below.length - 1]! -= 1;
  const { KEX_ECDH_REPLY } = MSG;
  const small = Buffer.alloc(256, 0x11);
  const cases: readonly Case[] = [
    { name: '0', script: agreed(replying(KEX_ECDH_REPLY, Buffer.of(0))), says: 'positive mpint', ...group14 },
    { name: '1', script: agreed(replying(KEX_ECDH_REPLY, Buffer.of(1))), says: 'between 1 and p-1', ...group14 },
    { name: 'p-1', script: agreed(replying(KEX_ECDH_REPLY, below)), says: 'between 1 and p-1', ...group14 },
    { name: 'p', script: agreed(replying(KEX_ECDH_REPLY, prime)), says: 'between 1 and p-1', ...group14 },
    { name: 'a negative number', script: agreed(badMpint(Buffer.alloc(256, 0xff))), says: 'positive', ...group14 },
    { name: 'with zeros before it', script: agreed(badMpint(Buffer.alloc(256))), says: 'positive', ...group14 },
    {
      name: 'a number that somebody else signed',
      script: agreed(
        msg(
          KEX_ECDH_REPLY,
          str(PUPPET_KEY),
          mpint(small),
          str(Buffer.concat([str('ssh-ed25519'), str(Buffer.alloc(64))])),
        ),
      ),
      says: 'valid signature',
      ...group14,
    },
    { name: 'cut short', script: agreed(msg(KEX_ECDH_REPLY, str(PUPPET_KEY), u32(32))), ...group14 },
    { name: 'of another number', script: agreed(msg(33, str(PUPPET_KEY))), says: 'got message 33', ...group14 },
    {
      name: 'twice, while the first is worked at',
      script: agreed(replying(KEX_ECDH_REPLY, small), replying(KEX_ECDH_REPLY, small)),
      ...group14,
    },
    {
      name: 'and a MiB behind it',
      script: async (peer) => {
        await agreed(replying(KEX_ECDH_REPLY, small))(peer, undefined as never);
        for (let i = 0; i < 40; i++) peer.send(msg(MSG.IGNORE, str(Buffer.alloc(30_000))));
      },
      ...group14,
    },
    { name: 'NEWKEYS instead of it', script: agreed(msg(MSG.NEWKEYS)), ...group14 },
    {
      name: 'no point of nistp521',
      script: agreed(msg(KEX_ECDH_REPLY, str(PUPPET_KEY), str(Buffer.alloc(133, 4)), str('a signature'))),
      says: 'point on nistp521',
      ...nistp521,
    },
  ];
  it.each(cases)('$name', check);
});

describe('a group that the server brings along', () => {
  const grouped = { options: { kex: 'diffie-hellman-group-exchange-sha256' } } as const;
  const group = (prime: Uint8Array, generator: Uint8Array) => msg(MSG.KEX_DH_GEX_GROUP, mpint(prime), mpint(generator));
  const prime = (name: string) => getDiffieHellman(name).getPrime();
  const even = Buffer.from(prime('modp14'));
  even[even.length - 1]! -= 1;
  const two = Buffer.of(2);
  const good = group(prime('modp14'), two);
  /** Takes our value in a good group, and answers. */
  const inGroup =
    (value: Uint8Array): Script =>
    async (peer, socket) => {
      await agreed(good)(peer, socket);
      await peer.expect(MSG.KEX_DH_GEX_REQUEST);
      await peer.expect(MSG.KEX_DH_GEX_INIT);
      peer.send(replying(MSG.KEX_DH_GEX_REPLY, value));
    };
  const cases: readonly Case[] = [
    { name: 'too small', script: agreed(group(prime('modp5'), two)), says: '2048 to 4096 bits, got 1536' },
    { name: 'too large', script: agreed(group(prime('modp18'), two)), says: '2048 to 4096 bits' },
    { name: 'even', script: agreed(group(even, two)), says: 'safe prime' },
    { name: 'no prime', script: agreed(group(Buffer.alloc(256, 0xff), two)), says: 'safe prime' },
    { name: 'nothing', script: agreed(group(Buffer.alloc(0), Buffer.alloc(0))) },
    { name: 'of 200 KB', script: agreed(group(Buffer.alloc(200_000, 0x7f), two)), says: '2048 to 4096 bits' },
    { name: 'negative', script: agreed(msg(MSG.KEX_DH_GEX_GROUP, str(prime('modp14')), str(two))) },
    { name: 'with the generator 1', script: agreed(group(prime('modp14'), Buffer.of(1))), says: 'generator' },
    {
      name: 'with a generator of 2048 bits',
      script: agreed(group(prime('modp14'), prime('modp14'))),
      says: 'generator',
    },
    { name: 'cut short', script: agreed(msg(MSG.KEX_DH_GEX_GROUP, u32(256))) },
    { name: 'as a reply at once', script: agreed(replying(MSG.KEX_DH_GEX_REPLY, two)), says: 'KEX_DH_GEX_GROUP' },
    { name: 'twice', script: agreed(good, good), says: 'KEX_DH_GEX_REPLY, got message 31' },
    { name: 'then 0', script: inGroup(Buffer.of(0)), says: 'positive mpint' },
    { name: 'then 1', script: inGroup(Buffer.of(1)), says: 'between 1 and p-1' },
    { name: 'then p', script: inGroup(prime('modp14')), says: 'between 1 and p-1' },
  ];
  it.each(cases)('$name', async (one) => check({ ...one, ...grouped }));
});

describe('messages out of order', () => {
  const early = [
    ['NEWKEYS', msg(MSG.NEWKEYS)],
    ['KEX_ECDH_INIT', msg(MSG.KEX_ECDH_INIT, str(Buffer.alloc(32, 9)))],
    ['SERVICE_ACCEPT', msg(MSG.SERVICE_ACCEPT, str('ssh-userauth'))],
    ['USERAUTH_SUCCESS', msg(MSG.USERAUTH_SUCCESS)],
    ['USERAUTH_FAILURE', msg(MSG.USERAUTH_FAILURE, str('password'), bool(false))],
    ['USERAUTH_BANNER', msg(MSG.USERAUTH_BANNER, str('hello'), str(''))],
    ['GLOBAL_REQUEST', msg(MSG.GLOBAL_REQUEST, str('x'), bool(true))],
    ['CHANNEL_OPEN_CONFIRMATION', msg(MSG.CHANNEL_OPEN_CONFIRMATION, u32(0), u32(0), u32(1), u32(1))],
    ['CHANNEL_DATA', msg(MSG.CHANNEL_DATA, u32(0), str('x'))],
    ['message 255', msg(255)],
  ] as const;
  it.each(early)('%s before KEXINIT', async (_name, payload) => check({ name: '', script: greeted(payload) }));
  it.each(early)('%s before the reply', async (_name, payload) => check({ name: '', script: agreed(payload) }));
  it.each(early.slice(1))('%s between the reply and NEWKEYS', async (_name, payload) => {
    const script: Script = async (peer) => {
      await peer.greet();
      await peer.exchangeInits();
      peer.send(await peer.reply(), payload);
    };
    await check({ name: '', script });
  });

  it('plain text after NEWKEYS', () =>
    check({
      name: '',
      script: async (peer) => {
        await peer.greet();
        await peer.exchangeInits();
        peer.send(await peer.reply(), msg(MSG.NEWKEYS));
        peer.sendRaw(plainPacket(msg(MSG.SERVICE_ACCEPT, str('ssh-userauth'))));
      },
    }));

  it('new keys without NEWKEYS', () =>
    check({
      name: '',
      script: async (peer) => {
        await peer.greet();
        await peer.exchangeInits();
        peer.send(await peer.reply());
        peer.useNewKeys();
        peer.send(msg(MSG.SERVICE_ACCEPT, str('ssh-userauth')), msg(MSG.IGNORE, str(Buffer.alloc(1000))));
      },
    }));
});

describe('strict key exchange', () => {
  const extra = [
    ['IGNORE', msg(MSG.IGNORE, str('x'))],
    ['DEBUG', msg(MSG.DEBUG, bool(false), str('x'), str(''))],
    ['UNIMPLEMENTED', msg(MSG.UNIMPLEMENTED, u32(0))],
    ['EXT_INFO', msg(MSG.EXT_INFO, u32(0))],
    ['message 19', msg(19)],
  ] as const;

  /** A handshake with `payload` at one place. */
  const withExtra = (payload: Uint8Array, place: 'before KEXINIT' | 'after KEXINIT' | 'before NEWKEYS'): Script => {
    return async (peer) => {
      await peer.greet();
      if (place === 'before KEXINIT') peer.send(payload);
      await peer.exchangeInits();
      if (place === 'after KEXINIT') peer.send(payload);
      peer.send(await peer.reply());
      if (place === 'before NEWKEYS') peer.send(payload);
      peer.sendNewKeys();
      await peer.takeNewKeys();
      await peer.expect(MSG.SERVICE_REQUEST);
      peer.send(msg(MSG.DISCONNECT, u32(11), str('well done'), str('')));
    };
  };

  for (const place of ['before KEXINIT', 'after KEXINIT', 'before NEWKEYS'] as const) {
    it.each(extra)(`%s ${place} ends it`, async (_name, payload) =>
      check({ name: '', script: withExtra(payload, place), says: 'strict KEX' }),
    );

    it.each(extra)(`%s ${place} is taken where it is not strict`, async (_name, payload) =>
      check({
        name: '',
        script: withExtra(payload, place),
        reason: 'disconnected',
        says: 'well done',
        options: { strict: false },
      }),
    );
  }

  it('sequence numbers start anew, so keys that do not fit them are refused', () =>
    check({
      name: '',
      options: { cipher: 'aes128-ctr', mac: 'hmac-sha2-256-etm@openssh.com', strict: false },
      script: async (peer) => {
        // Says that it is strict, and counts on.
        await peer.greet();
        const strict = peer.kexInit({ 0: 'curve25519-sha256,kex-strict-s-v00@openssh.com' });
        await peer.exchangeInits(strict);
        await peer.exchangeKeys();
        peer.send(msg(MSG.SERVICE_ACCEPT, str('ssh-userauth')), msg(MSG.USERAUTH_SUCCESS));
      },
      says: 'MAC',
    }));
});
