/** Both halves in memory, in whatever pieces the bytes arrive. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startCommand } from '../../src/simulator/commands.ts';
import { CIPHERS, KEX_ALGORITHMS, MACS } from '../../src/ssh/algorithms.ts';
import type { SshError } from '../../src/ssh/errors.ts';
import { poolBusy } from '../../src/ssh/kex/pool.ts';
import { MSG } from '../../src/ssh/messages.ts';
import { parsePrivateKey } from '../../src/ssh/private_key.ts';
import type { StartCommand } from '../../src/ssh/server_session.ts';
import { seededRandom } from './bytes.ts';
import { type ClientHalf, type HalvesOptions, join } from './halves.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The simulator's commands: `echo`, `cat`, `sha256sum`, `yes N`, `exit N`. */
const commands: StartCommand = (line, session) => {
  const host = { index: 1, address: '127.0.0.1', killOthers: () => 0 };
  return startCommand(line, session, host, undefined, { setTimer: () => ({ cancel() {} }), cut() {} });
};

/** Pieces of these sizes, over and over; `at(n)` is called before the n-th. */
function pieces(sizes: readonly number[], at: (n: number) => void = () => {}) {
  let n = 0;
  return () => {
    at(n);
    return sizes[n++ % sizes.length]!;
  };
}

async function loggedIn(options: HalvesOptions = {}, size?: () => number) {
  const joined = join(commands, options);
  await joined.link.settle(size);
  await joined.client.ready;
  return joined;
}

describe('a conversation', () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3000 })), {
    minLength: 1,
    maxLength: 6,
  });

  it('of login, stdin, stdout and status is the same in any pieces', async () => {
    const suites = {
      ciphers: fc.constantFrom(...CIPHERS.map(({ name }) => [name])),
      macs: fc.constantFrom(...MACS.map(({ name }) => [name])),
      kex: fc.constantFrom(...KEX_ALGORITHMS.map((name) => [name])),
    };
    const stdin = fc.uint8Array({ maxLength: 4000, size: 'max' });
    await fc.assert(
      fc.asyncProperty(sizes, fc.record(suites), stdin, async (cut, preferences, sent) => {
        const { link, client, server } = await loggedIn({ preferences }, pieces(cut));
        const answer = client.run('cat', sent);
        await link.settle(pieces(cut));
        expect(await answer).toMatchObject({ status: 0, signal: null, outputLeftOpen: false, outputCut: false });
        expect((await answer).stdout).toEqual(Buffer.from(sent));
        expect([client.closed, server.closed]).toEqual([undefined, undefined]);
        expect(client.timers.count).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('survives one byte at a time', async () => {
    const { link, client } = await loggedIn({}, () => 1);
    const answer = client.run('echo out; echo err >&2; exit 3');
    await link.settle(() => 1);
    const { stdout, stderr, status } = await answer;
    expect([stdout.toString(), stderr.toString(), status]).toEqual(['out\n', 'err\n', 3]);
  });

  it('carries a MiB both ways through windows of 32 KiB', async () => {
    const { link, client } = await loggedIn();
    const sent = seededRandom(3).bytes(1024 * 1024);
    const answer = client.run('cat', sent);
    await link.settle(pieces([1, 70_000, 1400]));
    expect(sha256((await answer).stdout)).toBe(sha256(sent));
  });

  it('keeps several channels apart', async () => {
    const { link, client } = await loggedIn();
    const random = seededRandom(8);
    const sent = Array.from({ length: 8 }, (_, i) => random.bytes(40_000 + i));
    const answers = sent.map((bytes) => client.run('cat', bytes));
    await link.settle(pieces([997, 64_000]));
    const got = await Promise.all(answers);
    expect(got.map(({ stdout }) => sha256(stdout))).toEqual(sent.map(sha256));
    expect(client.mux.channels).toBe(0);
  });

  it('tells of refused sessions and goes on', async () => {
    const { link, client } = await loggedIn();
    const answers = Array.from({ length: 12 }, () => client.run('cat', Buffer.from('x')));
    const settled = Promise.allSettled(answers);
    await link.settle();
    const kinds = (await settled).map((one) => (one.status === 'fulfilled' ? 'ok' : one.reason.reason));
    expect(kinds.filter((kind) => kind === 'ok').length).toBe(10);
    expect(kinds.filter((kind) => kind === 'open-refused').length).toBe(2);
    const later = client.run('exit 7');
    await link.settle();
    expect((await later).status).toBe(7);
  });

  it('ends for both when either side hangs up', async () => {
    for (const way of ['toClient', 'toServer'] as const) {
      const { link, client, server } = await loggedIn();
      const answer = client.run('cat', Buffer.alloc(100_000)).catch((error) => error.reason);
      link.hangUp(way);
      if (way === 'toClient') link.hangUp('toServer');
      await link.settle();
      if (way === 'toClient') expect(await answer).toBe('closed');
      expect(server.closed?.reason).toBe('closed');
      if (way === 'toClient') expect(client.closed?.reason).toBe('closed');
    }
  });
});

describe('back-pressure', () => {
  it('a reader that stops takes no more than the window, and gets the rest when it goes on', async () => {
    const { link, client } = await loggedIn();
    const session = client.session();
    let taken = 0;
    let open = true;
    session.exec('yes 100000', {
      data: (_extended, chunk) => {
        taken += chunk.length;
        return open;
      },
      begin: () => undefined,
      started() {
        open = false;
      },
      lingerMs: 1,
    });
    await link.settle();
    const held = taken;
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(32 * 1024);
    open = true;
    session.resume();
    await link.settle();
    expect(taken).toBe(200_000);
    expect((await session.ended).status).toBe(0);
  });
});

describe('a rekey', () => {
  const bytes = seededRandom(9).bytes(300_000);

  async function echoThrough(client: ClientHalf, settle: () => Promise<void>): Promise<void> {
    const answers = [client.run('cat', bytes), client.run('cat', bytes.subarray(7))];
    await settle();
    const got = await Promise.all(answers);
    expect(got.map(({ stdout }) => sha256(stdout))).toEqual([sha256(bytes), sha256(bytes.subarray(7))]);
    expect(got.map(({ status }) => status)).toEqual([0, 0]);
  }

  it('in mid-data, by either side or both at once, loses nothing', async () => {
    const side = fc.constantFrom('client', 'server', 'both');
    const moment = fc.integer({ min: 0, max: 60 });
    const moments = fc.array(fc.tuple(moment, side), {
      minLength: 0,
      maxLength: 4,
    });
    // So early that every conversation gets there.
    const first = fc.tuple(fc.integer({ min: 0, max: 6 }), side);
    const cut = fc.array(fc.integer({ min: 700, max: 40_000 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(first, moments, cut, async (early, later, sizes) => {
        const { link, client, server } = await loggedIn();
        const rekey = (n: number) => {
          for (const [at, side] of [early, ...later]) {
            if (at !== n) continue;
            if (side !== 'server') {
              client.transport.rekey();
              client.transport.flush();
            }
            if (side !== 'client') server.connection.rekey();
          }
        };
        await echoThrough(client, () => link.settle(pieces(sizes, rekey)));
        expect(client.hostKeys).toBeGreaterThan(1);
        expect([client.closed, server.closed]).toEqual([undefined, undefined]);
      }),
      { numRuns: 40 },
    );
  });

  it('starts by itself after so many bytes', async () => {
    const { link, client } = await loggedIn({ clientRekeyBytes: 64 * 1024 });
    await echoThrough(client, () => link.settle(pieces([16_000])));
    expect(client.hostKeys).toBeGreaterThan(2);
  });

  it('that the peer never answers holds back a MiB of messages, and no more', async () => {
    const { client } = await loggedIn();
    client.transport.rekey();
    for (let sent = 0; sent < 100 && !client.closed; sent++) {
      client.transport.packet(MSG.IGNORE).string(Buffer.alloc(30_000));
      client.transport.send();
    }
    expect(client.closed).toMatchObject({ reason: 'protocol', message: expect.stringContaining('1048576 bytes') });
  });

  it.each(CIPHERS.map(({ name }) => name))('under %s', async (cipher) => {
    const { link, client } = await loggedIn({ preferences: { ciphers: [cipher] }, clientRekeyBytes: 100_000 });
    await echoThrough(client, () => link.settle(pieces([5000])));
    expect(client.hostKeys).toBeGreaterThan(2);
  });

  it.each(KEX_ALGORITHMS)('by %s', async (kex) => {
    const { link, client } = await loggedIn({ preferences: { kex: [kex] }, clientRekeyBytes: 200_000 });
    await echoThrough(client, () => link.settle(pieces([5000])));
    expect(client.hostKeys).toBeGreaterThan(2);
  });
});

describe('a key exchange on the thread pool', () => {
  it.each(['client', 'server'] as const)('whose connection ends at its %s meanwhile is forgotten', async (side) => {
    const { link, client, server } = join(commands, { preferences: { kex: ['diffie-hellman-group16-sha512'] } });
    const half = side === 'client' ? client : server;
    let ended = false;
    // The first piece after which somebody is at work.
    await link.settle(() => {
      if (!ended && poolBusy() > 0) {
        ended = true;
        half.ended();
      }
      return 100;
    });
    expect(ended).toBe(true);
    expect(poolBusy()).toBe(0);
    expect(half.closed?.reason).toBe('closed');
  });
});

it('our server half takes no signature by SHA-1', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const key = parsePrivateKey(pem, { source: 'a test' });
  const login = async (signatureAlgorithms: readonly string[]) => {
    const { publicBlob, fingerprint } = key;
    const named = { publicBlob, fingerprint, signatureAlgorithms, sign: key.sign.bind(key) };
    const { link, client } = join(commands, { credentials: { user: 'tester', keys: [named] } });
    await link.settle();
    return client.ready.then(
      () => 'in',
      (error: SshError) => error.reason,
    );
  };
  expect([await login(['rsa-sha2-256']), await login(['ssh-rsa'])]).toEqual(['in', 'auth']);
});
