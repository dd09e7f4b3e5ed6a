/** A look at host keys: only what a server has signed for counts. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_PREFERENCES, Offer } from '../../../src/ssh/algorithms.ts';
import { Arena } from '../../../src/ssh/arena.ts';
import { SshError } from '../../../src/ssh/errors.ts';
import type { ServerKeys } from '../../../src/ssh/exchange.ts';
import { createHostKeyVerifier } from '../../../src/ssh/host_key_policy.ts';
import { KnownHosts } from '../../../src/ssh/known_hosts.ts';
import { SshServerConnection } from '../../../src/ssh/server.ts';
import type { SshfpAnswer } from '../../../src/ssh/sshfp.ts';
import { Writer } from '../../../src/ssh/wire.ts';
import type { Scanned } from '../../../src/transport/native/key_scan.ts';
import { NativeTransport } from '../../../src/transport/native/native_transport.ts';
import type { Route } from '../../../src/transport/native/route.ts';
import type { Watch } from '../../../src/transport/transport.ts';

type HostKey = NonNullable<ReturnType<ServerKeys['hostKeys']['get']>>;

/** An ed25519 key that signs with `signer`, which ought to be itself. */
function ed25519(signer?: KeyObject): HostKey & { readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' }) as { x: string };
  const blob = new Writer(64).text('ssh-ed25519').string(Buffer.from(x, 'base64url')).copy();
  const signature = (data: Uint8Array) => sign(null, data, signer ?? privateKey);
  return { blob, privateKey, sign: (data) => new Writer(128).text('ssh-ed25519').string(signature(data)).copy() };
}

/** A point on the curve, and nothing that could sign for it. */
function ecdsaWithoutSecret(): HostKey {
  const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
  const blob = new Writer(128).text('ecdsa-sha2-nistp256').text('nistp256').string(point).copy();
  const numbers = new Writer(80).mpint(Buffer.alloc(32, 7)).mpint(Buffer.alloc(32, 9)).copy();
  return { blob, sign: () => new Writer(128).text('ecdsa-sha2-nistp256').string(numbers).copy() };
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    closing.push(() => socket.destroy());
    socket.on('error', () => {});
    onSocket(socket);
  });
  closing.push(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
}

/** A server that offers these algorithms, with the keys that it has for them. */
function serve(offered: readonly string[], keys: Readonly<Record<string, HostKey>>): Promise<number> {
  const offer = new Offer('server', { ...DEFAULT_PREFERENCES, hostKey: offered });
  return listen((socket) => {
    const stream = {
      write: (bytes: Buffer) => void socket.write(Buffer.from(bytes)),
      waiting: 0,
      end: () => void socket.end(),
      destroy: () => void socket.destroy(),
    };
    const options = {
      arena: new Arena(),
      offer,
      keys: { hostKeys: new Map(Object.entries(keys)), userSignatures: ['ssh-ed25519'] },
    };
    const connection = new SshServerConnection(stream, options, {
      authenticate: () => {
        throw new Error('nobody logs in');
      },
      openSession: () => false,
      startCommand: () => {
        throw new Error('nobody runs anything');
      },
      closed() {},
    });
    connection.start();
    socket.on('data', (chunk) => connection.receive(chunk as Buffer));
    socket.on('end', () => socket.end());
  });
}

const clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

interface ScanParts {
  readonly sshfp?: () => Promise<SshfpAnswer>;
  readonly watch?: Watch;
  readonly known?: string;
  readonly name?: string;
}

async function scan(
  port: number,
  { sshfp, watch, known = '', name = 'host.example' }: ScanParts = {},
): Promise<Scanned> {
  const verifier = createHostKeyVerifier({
    policy: 'strict',
    known: KnownHosts.parse([{ file: 'known', text: Buffer.from(known) }]),
    file: 'known',
  });
  const resolver = { resolve: () => ['127.0.0.1'], close() {} };
  const transport = new NativeTransport({ resolver, clock });
  closing.push(() => void transport.close());
  const route: Route = {
    label: 'host',
    name,
    port,
    credentials: { user: 'nobody', keys: [] },
    keyHost: { name: 'host', port: 22 },
    profile: { hostKeys: verifier, preferences: DEFAULT_PREFERENCES, family: 'any' },
    via: [],
  };
  return transport.scan(route, watch ?? { enter: () => undefined, stop: undefined }, { verifier, sshfp });
}

const ED25519 = ['ssh-ed25519'];

describe('a look at host keys', () => {
  it('gives the key that was signed for', async () => {
    const key = ed25519();
    const { shown, address } = await scan(await serve(ED25519, { 'ssh-ed25519': key }));
    expect(address).toBe('127.0.0.1');
    expect(shown).toEqual({
      trusted: 'no',
      keys: [{ type: 'ssh-ed25519', blob: key.blob.toString('base64') }],
      sshfp: 'none',
    });
  });

  it('gives none of a server that shows the key of another', async () => {
    const thief = ed25519(ed25519().privateKey);
    const error = await scan(await serve(ED25519, { 'ssh-ed25519': thief })).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ reason: 'protocol', message: expect.stringContaining('signature') });
  });

  it('gives none of a server that proves one key and shows another', async () => {
    const keys = { 'ssh-ed25519': ed25519(), 'ecdsa-sha2-nistp256': ecdsaWithoutSecret() };
    const error = await scan(await serve(Object.keys(keys), keys)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ reason: 'protocol' });
  });

  it('passes over a type that the server offers and has no key for', async () => {
    const { shown } = await scan(await serve([...ED25519, 'rsa-sha2-512'], { 'ssh-ed25519': ed25519() }));
    expect(shown.keys.map(({ type }) => type)).toEqual(ED25519);
  });

  it('tells a key that is known, and one that should be another', async () => {
    const key = ed25519();
    const port = await serve(ED25519, { 'ssh-ed25519': key });
    const line = (blob: Buffer) => `host ssh-ed25519 ${blob.toString('base64')}\n`;
    expect((await scan(port, { known: line(key.blob) })).shown).toEqual({ trusted: 'known', keys: [], sshfp: 'none' });
    await expect(scan(port, { known: line(ed25519().blob) })).rejects.toMatchObject({
      reason: 'host-key',
      detail: { hostKey: { cause: 'changed' } },
    });
    const revoked = `@revoked * ssh-ed25519 ${key.blob.toString('base64')}\n`;
    await expect(scan(port, { known: revoked })).rejects.toMatchObject({ detail: { hostKey: { cause: 'revoked' } } });
  });

  it('ends when it is stopped', async () => {
    const port = await listen((socket) => void socket.write('SSH-2.0-Silent\r\n'));
    const watch: Watch = {
      enter(phase) {
        // The server has said who it is, and will say nothing more.
        if (phase === 'handshake') setImmediate(() => watch.stop?.(new Error('enough')));
        return undefined;
      },
      stop: undefined,
    };
    await expect(scan(port, { watch })).rejects.toMatchObject({ reason: 'stopped', message: 'enough' });
  });
});

describe('SSHFP records', () => {
  const recordOf = (blob: Buffer) => ({
    algorithm: 4,
    type: 2,
    fingerprint: createHash('sha256').update(blob).digest(),
  });

  it.each([
    ['none', true, 'none'],
    ['its own', true, 'secure'],
    ['its own', false, 'match'],
    ['its own and another', false, 'match'],
    ['a failure', true, 'none'],
  ] as const)('%s, validated %s: %s', async (records, secure, verdict) => {
    const key = ed25519();
    const own = recordOf(key.blob);
    const answers = {
      none: async () => [],
      'its own': async () => [own],
      'its own and another': async () => [recordOf(Buffer.from('another')), own],
      'a failure': () => Promise.reject(new Error('no name server')),
    };
    const port = await serve(ED25519, { 'ssh-ed25519': key });
    const { shown } = await scan(port, { sshfp: async () => ({ records: await answers[records](), secure }) });
    expect(shown.sshfp).toBe(verdict);
    expect(shown.keys).toHaveLength(1);
  });

  it('are not asked for of an address', async () => {
    const port = await serve(ED25519, { 'ssh-ed25519': ed25519() });
    const sshfp = () => {
      throw new Error('asked');
    };
    expect((await scan(port, { sshfp, name: '127.0.0.1' })).shown.sshfp).toBe('none');
  });

  it('of other keys stop the host', async () => {
    const port = await serve(ED25519, { 'ssh-ed25519': ed25519() });
    const sshfp = async () => ({ records: [recordOf(Buffer.from('another'))], secure: false });
    const error = await scan(port, { sshfp }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SshError);
    expect(error).toMatchObject({
      reason: 'host-key',
      detail: { hostKey: { advice: expect.stringContaining('name other keys: find out which') } },
    });
  });
});
