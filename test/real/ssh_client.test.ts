import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { CIPHERS, HOST_KEY_ALGORITHMS, KEX_ALGORITHMS, MACS } from '../../src/ssh/algorithms.ts';
import { plainName } from '../../src/ssh/certificate.ts';
import { dial, run } from '../kit/client.ts';
import { keygen, present, type RealServer, startDropbear, startProxy, startSshd } from '../kit/servers.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const isRoot = process.getuid?.() === 0;

interface Kind {
  readonly name: string;
  readonly programs: readonly string[];
  start(): Promise<RealServer>;
  /** Dropbear refuses early CHANNEL_OPEN, has no aes-gcm, and no MAC with etm. */
  readonly openssh: boolean;
}

/** What sshd no longer takes by itself. */
const OLD = [
  'KexAlgorithms +diffie-hellman-group14-sha1,diffie-hellman-group1-sha1',
  'Ciphers +aes128-cbc,aes192-cbc,aes256-cbc',
  'HostKeyAlgorithms +ssh-rsa',
];

/** Debian 12's OpenSSH and dropbear came before mlkem768x25519-sha256: test/ssh/kex_hybrid.test.ts has its vectors. */
const LATER = /^mlkem/;
/** What dropbear is built with on Debian. */
const DROPBEAR = /^(curve25519|ecdh-sha2|diffie-hellman-group14-sha256$)|^aes(128|256)-ctr$|^chacha20/;

const KINDS: readonly Kind[] = [
  { name: 'OpenSSH', programs: ['sshd'], start: () => startSshd(['MaxSessions 10', ...OLD]), openssh: true },
  { name: 'dropbear', programs: ['dropbear', 'dropbearconvert'], start: startDropbear, openssh: false },
];

for (const kind of KINDS) {
  const possible = kind.programs.every(present) && (kind.openssh || isRoot);
  describe.skipIf(!possible)(kind.name, () => {
    let server: RealServer;
    const connect = (more: Partial<Parameters<typeof dial>[0]> = {}) =>
      dial({ port: server.port, user: server.user, identities: [server.identity], ...more });

    beforeAll(async () => {
      server = await kind.start();
    });
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
    });

    it('runs a command: status, stdout and stderr apart', async () => {
      const client = await connect();
      const answer = await run(client, 'echo out; echo err >&2; exit 3');
      expect(answer.stdout.toString()).toBe('out\n');
      expect(answer.stderr.toString()).toBe('err\n');
      expect(answer.status).toBe(3);
      client.close();
    });

    it('takes as few round trips as the protocol allows', async () => {
      await using proxy = await startProxy(server.port, 30);
      const client = await connect({ port: proxy.port });
      expect((await run(client, 'echo out')).stdout.toString()).toBe('out\n');
      // OpenSSH: identification, KEXINIT, key exchange, authentication with CHANNEL_OPEN, exec. Dropbear is not proven to
      // take the early CHANNEL_OPEN, which costs one more; its KEXINIT comes with its identification, which saves one.
      expect(proxy.flights).toBe(5);
      client.close();
    });

    it('reports a signal as a signal', async () => {
      const client = await connect();
      const answer = await run(client, 'kill -9 $$');
      expect(answer.status).toBeNull();
      expect(answer.signal?.name).toBe('KILL');
      client.close();
    });

    it('carries 64 MiB of output byte for byte', async () => {
      const client = await connect();
      const size = 64 * 1024 * 1024;
      const answer = await run(client, `yes 0123456789abcde | head -c ${size}`);
      expect(answer.stdout.length).toBe(size);
      expect(sha256(answer.stdout)).toBe(sha256(Buffer.alloc(size, '0123456789abcde\n')));
      client.close();
    });

    it('carries 8 MiB of stdin byte for byte', async () => {
      const client = await connect();
      const bytes = randomBytes(8 * 1024 * 1024);
      const answer = await run(client, 'sha256sum', bytes);
      expect(answer.stdout.toString()).toBe(`${sha256(bytes)}  -\n`);
      client.close();
    });

    it('goes on through rekeys of its own', async () => {
      const client = await connect({ rekeyBytes: 1024 * 1024 });
      const bytes = randomBytes(6 * 1024 * 1024);
      const answer = await run(client, 'cat', bytes);
      expect(sha256(answer.stdout)).toBe(sha256(bytes));
      client.close();
    });

    it('takes new keys by time', async () => {
      let exchanges = 0;
      const hostKey = () => {
        exchanges++;
        return undefined;
      };
      const client = await connect({ rekeyMs: 50, observer: { hostKey } });
      const answer = await run(client, 'sleep 1; echo through');
      expect(answer.stdout.toString()).toBe('through\n');
      expect(exchanges).toBeGreaterThan(1);
      client.close();
    });

    it('ends with the status when the output is left open', async () => {
      const client = await connect();
      const answer = await run(client, 'sleep 5 & echo started', undefined, 300);
      expect(answer.stdout.toString()).toBe('started\n');
      expect(answer.status).toBe(0);
      // Dropbear closes the channel when the command ends, whoever holds its output.
      expect(answer.outputLeftOpen).toBe(kind.openssh);
      client.close();
    });

    const lists = {
      kex: KEX_ALGORITHMS.filter((name) => !LATER.test(name)),
      ciphers: CIPHERS.map((cipher) => cipher.name),
    };
    for (const [list, names] of Object.entries(lists)) {
      const taken = names.filter((name) => kind.openssh || DROPBEAR.test(name));
      it.each(taken)(`agrees on ${list} %s, and on new keys`, async (name) => {
        const client = await connect({ preferences: { [list]: [name] }, rekeyBytes: 100_000 });
        const answer = await run(client, 'head -c 300000 /dev/zero; echo agreed');
        expect(answer.stdout.subarray(300_000).toString()).toBe('agreed\n');
        client.close();
      });
    }

    it.each(MACS.map((mac) => mac.name).filter((name) => kind.openssh || name === 'hmac-sha2-256'))(
      'agrees on MAC %s',
      async (name) => {
        const client = await connect({ preferences: { macs: [name], ciphers: ['aes128-ctr'] } });
        const answer = await run(client, 'head -c 300000 /dev/zero');
        expect(answer.stdout.length).toBe(300_000);
        client.close();
      },
    );
  });
}

describe.skipIf(!present('sshd'))('OpenSSH, keys', () => {
  it.each([
    ['ed25519', ['-t', 'ed25519']],
    ['ecdsa 256', ['-t', 'ecdsa', '-b', '256']],
    ['ecdsa 384', ['-t', 'ecdsa', '-b', '384']],
    ['ecdsa 521', ['-t', 'ecdsa', '-b', '521']],
    ['rsa', ['-t', 'rsa', '-b', '2048']],
    ['rsa in PEM', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
    ['ecdsa in PKCS8', ['-t', 'ecdsa', '-m', 'PKCS8']],
  ])('logs in with %s', async (_name, args) => {
    await using server = await startSshd();
    const identity = keygen(server.dir, 'other', ...args);
    appendFileSync(join(server.dir, 'authorized_keys'), readFileSync(`${identity}.pub`));
    const client = await dial({ port: server.port, user: server.user, identities: [identity] });
    expect((await run(client, 'echo in')).stdout.toString()).toBe('in\n');
    client.close();
  });

  it('asks about each of several keys before it signs', async () => {
    await using server = await startSshd(['MaxAuthTries 3', 'LogLevel VERBOSE']);
    const wrong = [keygen(server.dir, 'wrong1'), keygen(server.dir, 'wrong2', '-t', 'ecdsa')];
    const client = await dial({ port: server.port, user: server.user, identities: [...wrong, server.identity] });
    expect((await run(client, 'echo third')).stdout.toString()).toBe('third\n');
    client.close();
  });

  it('says what was tried when the server hangs up', async () => {
    await using server = await startSshd(['MaxAuthTries 1']);
    const wrong = keygen(server.dir, 'wrong');
    await expect(dial({ port: server.port, user: server.user, identities: [wrong] })).rejects.toMatchObject({
      reason: 'auth',
      detail: { tried: [expect.stringMatching(/^publickey SHA256:/)] },
    });
  });

  it.each(HOST_KEY_ALGORITHMS)('verifies a host key by %s', async (algorithm) => {
    const plain = plainName(algorithm);
    const type = /rsa/.test(plain) ? 'rsa' : plain.startsWith('ecdsa') ? 'ecdsa' : 'ed25519';
    const bits = /nistp(\d+)/.exec(plain)?.[1] ?? '2048';
    const dir = mkdtempSync(join(tmpdir(), 'myriad-host-key-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const hostKey = keygen(dir, 'host', '-t', type, '-b', bits);
    const config = [`HostKey ${hostKey}`];
    if (algorithm === 'ssh-rsa') config.push('HostKeyAlgorithms ssh-rsa');
    if (plain !== algorithm) {
      execFileSync('ssh-keygen', ['-q', '-s', keygen(dir, 'ca'), '-I', 'id', '-h', `${hostKey}.pub`], {
        stdio: 'ignore',
      });
      config.push(`HostCertificate ${hostKey}-cert.pub`);
    }
    await using server = await startSshd(config);
    const client = await dial({
      port: server.port,
      user: server.user,
      identities: [server.identity],
      preferences: { hostKey: [algorithm] },
    });
    expect(client.hostKey?.keyType).toBe(algorithm.replace(/^rsa-sha2-(256|512)/, 'ssh-rsa'));
    client.close();
  });
});
