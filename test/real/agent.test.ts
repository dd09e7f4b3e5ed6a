import { createHash, generateKeyPairSync, randomBytes, sign as signWith } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Agent } from '../../src/ssh/agent.ts';
import { AgentError } from '../../src/ssh/agent_errors.ts';
import { type AgentIdentity, certificateName, identityOf } from '../../src/ssh/agent_identity.ts';
import { agentKey } from '../../src/ssh/agent_key.ts';
import { type CertificateFile, type KeyFile, type OrderedKey, orderKeys } from '../../src/ssh/agent_order.ts';
import { keygen, present, type RealServer, startSshd } from '../kit/servers.ts';
import { failure, fakeAgent, framed, listed } from '../ssh/agent_fake.ts';
import { mpint, seededRandom, str, u32 } from '../ssh/bytes.ts';
import {
  blobOf,
  certify,
  client,
  FLAVOURS,
  folder,
  keysOfOpenssh,
  login,
  makeKeys,
  publicKeyOf,
  type RealAgent,
  startAgent,
  temporaryFolder,
  verifies,
} from './agent_kit.ts';

const possible = ['ssh-agent', 'ssh-add', 'ssh-keygen'].every(present);
const DATA = Buffer.from('what a client signs');

describe.skipIf(!possible)('ssh-agent', () => {
  let dir: string;
  let files: Map<string, string>;
  let real: RealAgent;
  let agent: Agent;
  const file = (name: string) => files.get(name)!;
  const held = async (name: string) => (await agent.identities()).find(({ blob }) => blob.equals(blobOf(name)))!;

  beforeAll(async () => {
    dir = folder();
    files = makeKeys(dir, keygen(dir, 'authority'), 'someone');
    real = await startAgent(dir);
    for (const path of files.values()) await real.add('-q', path);
    agent = client(real.socketPath);
  });
  afterAll(async () => {
    agent?.close();
    await real?.[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  it('lists what ssh-add lists: types, fingerprints, comments, keys and certificates in its order', async () => {
    const lines = (await real.add('-l')).trim().split('\n');
    const ours = (await agent.identities()).map(({ fingerprint, comment, isCertificate }) => {
      return `${fingerprint} ${comment}${isCertificate ? ' CERT' : ''}`;
    });
    expect(ours).toEqual(
      lines.map((line) => {
        const [, fingerprint, comment, type] = line.split(' ');
        return `${fingerprint} ${comment}${type!.includes('CERT') ? ' CERT' : ''}`;
      }),
    );
    expect(ours).toHaveLength(10);
  });

  for (const { name, algorithms } of FLAVOURS) {
    it.each(algorithms)(`signs with ${name} by %s, as the key and as its certificate`, async (algorithm) => {
      const publicKey = publicKeyOf(file(name));
      const plain = agentKey(agent, await held(`${file(name)}.pub`));
      expect(verifies(publicKey, algorithm, DATA, await plain.sign(DATA, algorithm))).toBe(true);
      const certified = agentKey(agent, await held(`${file(name)}-cert.pub`));
      expect(certified.fingerprint).toBe(plain.fingerprint);
      const signature = await certified.sign(DATA, certificateName(algorithm));
      expect(verifies(publicKey, algorithm, DATA, signature)).toBe(true);
      expect(verifies(publicKey, algorithm, Buffer.from('else'), signature)).toBe(false);
    });
  }

  it('makes 1,000 signatures at once', async () => {
    const publicKey = publicKeyOf(file('ed25519'));
    const key = agentKey(agent, await held(`${file('ed25519')}.pub`));
    const data = Array.from({ length: 1000 }, () => randomBytes(300));
    const sign = () => Promise.all(data.map((bytes) => key.sign(bytes, 'ssh-ed25519')));
    await sign();
    const start = performance.now();
    const cpu = process.cpuUsage();
    const signatures = await sign();
    const { user, system } = process.cpuUsage(cpu);
    const rate = Math.round(1_000_000 / (performance.now() - start));
    console.info(`ssh-agent: ${rate} signatures a second, ${Math.round((user + system) / 1000)} µs of our CPU each`);
    expect(signatures.every((blob, i) => verifies(publicKey, 'ssh-ed25519', data[i]!, blob))).toBe(true);
  });

  it('refuses to sign with a key it does not have', async () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const x = Buffer.from((publicKey.export({ format: 'jwk' }) as { x: string }).x, 'base64url');
    const error = await failure(agent.sign(Buffer.concat([str('ssh-ed25519'), str(x)]), DATA, 0));
    expect(error.reason).toBe('refused');
    expect((await failure(agent.sign(Buffer.from('no key at all'), DATA, 0))).reason).toBe('refused');
  });

  it('is locked: it has no keys and refuses to sign; unlocked, it is as before', async () => {
    const key = await held(`${file('ed25519')}.pub`);
    await real.add('-x');
    expect(await agent.identities()).toEqual([]);
    expect((await failure(agentKey(agent, key).sign(DATA, 'ssh-ed25519'))).reason).toBe('refused');
    await real.add('-X');
    expect(await agentKey(agent, key).sign(DATA, 'ssh-ed25519')).toBeInstanceOf(Buffer);
  });

  it('holds a security key: it is listed, and refuses to sign while the device is not there', async () => {
    const { file: path, blob } = securityKeyFile(temporaryFolder());
    await real.add('-q', path);
    const identity = (await agent.identities()).find((one) => one.blob.equals(blob))!;
    expect(identity).toMatchObject({ keyType: 'sk-ssh-ed25519@openssh.com', comment: 'touch me' });
    expect((await failure(agentKey(agent, identity).sign(DATA, identity.keyType))).reason).toBe('refused');
    await real.add('-q', '-d', path);
  });

  it.each([
    ['/bin/false', false],
    ['/bin/true', true],
  ])('asks %s about a key added with -c', async (askpass, allowed) => {
    const place = temporaryFolder();
    const path = keygen(place, 'confirmed');
    await using asking = await startAgent(place, askpass);
    using pool = client(asking.socketPath);
    await asking.add('-q', '-c', path);
    const [identity] = await pool.identities();
    const signature = agentKey(pool, identity!).sign(DATA, 'ssh-ed25519');
    if (allowed) expect(verifies(publicKeyOf(path), 'ssh-ed25519', DATA, await signature)).toBe(true);
    else expect((await failure(signature)).reason).toBe('refused');
  });

  it('is killed in the middle: each signature comes or fails; a new agent on the socket is used again', async () => {
    const place = temporaryFolder();
    const path = keygen(place, 'key');
    const first = await startAgent(place);
    using pool = client(first.socketPath);
    await first.add('-q', path);
    const [identity] = await pool.identities();
    const key = agentKey(pool, identity!);
    let signed = 0;
    const waits = Array.from({ length: 2000 }, async () => {
      await key.sign(DATA, 'ssh-ed25519');
      if (++signed === 100) first.signal('SIGKILL');
    });
    const failures = (await Promise.allSettled(waits)).filter((end) => end.status === 'rejected');
    expect(signed).toBeGreaterThanOrEqual(100);
    expect(failures.length).toBe(2000 - signed);
    for (const { reason } of failures) {
      expect(reason).toBeInstanceOf(AgentError);
      expect((reason as AgentError).reason).toMatch(/^(unreachable|closed)$/);
    }
    expect(failures.length).toBeGreaterThan(0);
    await first.kill();
    await using second = await startAgent(place);
    await second.add('-q', path);
    expect(verifies(publicKeyOf(path), 'ssh-ed25519', DATA, await key.sign(DATA, 'ssh-ed25519'))).toBe(true);
  });

  it('hangs: what waits ends with timeout; when it goes on, it is used again', async () => {
    const place = temporaryFolder();
    const path = keygen(place, 'key');
    await using stopped = await startAgent(place);
    await stopped.add('-q', path);
    using pool = client(stopped.socketPath, { signTimeoutMs: 200, listTimeoutMs: 200 });
    const [identity] = await pool.identities();
    const key = agentKey(pool, identity!);
    stopped.signal('SIGSTOP');
    const waits = Array.from({ length: 300 }, () => failure(key.sign(DATA, 'ssh-ed25519')));
    expect(new Set((await Promise.all(waits)).map(({ reason }) => reason))).toEqual(new Set(['timeout']));
    expect((await failure(pool.identities())).reason).toBe('timeout');
    stopped.signal('SIGCONT');
    using again = client(stopped.socketPath);
    expect(
      verifies(publicKeyOf(path), 'ssh-ed25519', DATA, await agentKey(again, identity!).sign(DATA, 'ssh-ed25519')),
    ).toBe(true);
  });
});

/** A private key file of a security key that nobody has: what ssh-keygen would write, with a made-up handle. */
function securityKeyFile(dir: string): { file: string; blob: Buffer } {
  const type = 'sk-ssh-ed25519@openssh.com';
  const point = randomBytes(32);
  const blob = Buffer.concat([str(type), str(point), str('ssh:')]);
  const numbers = [str(type), str(point), str('ssh:'), Buffer.of(1), str(randomBytes(64)), str(''), str('touch me')];
  const open = Buffer.concat([u32(7), u32(7), ...numbers]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (open.length % 8)) % 8));
  const head = [Buffer.from('openssh-key-v1\0'), str('none'), str('none'), str(''), u32(1), str(blob)];
  const whole = Buffer.concat([...head, str(Buffer.concat([open, padding]))]);
  const file = join(dir, 'security_key');
  const lines = whole.toString('base64').replace(/.{70}/g, '$&\n');
  writeFileSync(file, `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`, {
    mode: 0o600,
  });
  writeFileSync(`${file}.pub`, `${type} ${blob.toString('base64')} touch me\n`);
  return { file, blob };
}

describe.skipIf(!possible)('destination-constrained keys', () => {
  it('sign on a connection bound to their host, for their user, and nowhere else', async () => {
    const dir = temporaryFolder();
    const path = keygen(dir, 'key');
    const hosts = ['right', 'wrong'].map((name) => ({ name, ...hostKey() }));
    const knownHosts = join(dir, 'known_hosts');
    writeFileSync(
      knownHosts,
      hosts.map(({ name, blob }) => `${name} ssh-ed25519 ${blob.toString('base64')}\n`).join(''),
    );
    await using real = await startAgent(dir);
    using agent = client(real.socketPath);
    await real.add('-q', '-H', knownHosts, '-h', 'deploy@right', path);
    const [identity] = await agent.identities();
    const [right, wrong] = hosts.map(({ bind }) => bind(randomBytes(32)));
    const request = (user: string, sessionId: Uint8Array) =>
      Buffer.concat([
        ...[str(sessionId), Buffer.of(50), str(user), str('ssh-connection'), str('publickey'), Buffer.of(1)],
        ...[str('ssh-ed25519'), str(identity!.blob)],
      ]);

    const data = request('deploy', right!.sessionId);
    expect((await failure(agentKey(agent, identity!).sign(data, 'ssh-ed25519'))).reason).toBe('refused');
    using bound = await agent.openBound(right!);
    expect(await bound.identities()).toEqual([identity]);
    const key = agentKey(bound, identity!);
    expect(verifies(publicKeyOf(path), 'ssh-ed25519', data, await key.sign(data, 'ssh-ed25519'))).toBe(true);
    for (const other of [request('root', right!.sessionId), request('deploy', wrong!.sessionId), DATA]) {
      expect((await failure(key.sign(other, 'ssh-ed25519'))).reason).toBe('refused');
    }
    using elsewhere = await agent.openBound(wrong!);
    expect(await elsewhere.identities()).toEqual([]);
    const misplaced = agentKey(elsewhere, identity!).sign(request('deploy', wrong!.sessionId), 'ssh-ed25519');
    expect((await failure(misplaced)).reason).toBe('refused');
    const forged = { ...right!, signature: wrong!.signature };
    expect((await failure(agent.openBound(forged))).reason).toBe('refused');
  });

  it('200 bound connections are opened, a few at a time', async () => {
    const dir = temporaryFolder();
    const path = keygen(dir, 'key');
    const { blob, bind } = hostKey();
    writeFileSync(join(dir, 'known_hosts'), `host ssh-ed25519 ${blob.toString('base64')}\n`);
    await using real = await startAgent(dir);
    using agent = client(real.socketPath);
    await real.add('-q', '-H', join(dir, 'known_hosts'), '-h', 'host', path);
    const session = bind(randomBytes(32));
    const counts = await Promise.all(
      Array.from({ length: 200 }, async () => {
        using bound = await agent.openBound(session);
        return (await bound.identities()).length;
      }),
    );
    expect(counts).toEqual(Array.from({ length: 200 }, () => 1));
  });
});

/** A host's key, and what it proves of a session. */
function hostKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const x = Buffer.from((publicKey.export({ format: 'jwk' }) as { x: string }).x, 'base64url');
  const blob = Buffer.concat([str('ssh-ed25519'), str(x)]);
  const bind = (sessionId: Buffer) => {
    const signature = Buffer.concat([str('ssh-ed25519'), str(signWith(null, sessionId, privateKey))]);
    return { hostKey: blob, sessionId, signature, forwarding: false };
  };
  return { blob, bind };
}

/** An agent whose keys wait for nobody: security keys in software, as sshd checks them. */
async function securityKeyAgent(): Promise<{ socketPath: string; blobs: readonly Buffer[] }> {
  const edKeys = generateKeyPairSync('ed25519');
  const ecKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const coordinate = (jwk: { x?: string; y?: string }, name: 'x' | 'y') => Buffer.from(jwk[name]!, 'base64url');
  const ed = edKeys.publicKey.export({ format: 'jwk' });
  const ec = ecKeys.publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.of(4), coordinate(ec, 'x'), coordinate(ec, 'y')]);
  const types = ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const;
  const blobs = [
    Buffer.concat([str(types[0]), str(coordinate(ed, 'x')), str('ssh:')]),
    Buffer.concat([str(types[1]), str('nistp256'), str(point), str('ssh:')]),
  ];
  const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();
  const touched = Buffer.concat([Buffer.of(1), u32(1)]);
  const { socketPath } = await fakeAgent(({ type, blob, data }, socket) => {
    if (type === 11) return void socket.write(listed(...blobs.map((one) => [one, ''] as const)));
    const signed = Buffer.concat([sha256('ssh:'), touched, sha256(data)]);
    let signature: Buffer;
    if (blob.equals(blobs[0]!)) signature = signWith(null, signed, edKeys.privateKey);
    else {
      const halves = signWith('sha256', signed, { key: ecKeys.privateKey, dsaEncoding: 'ieee-p1363' });
      signature = Buffer.concat([mpint(halves.subarray(0, 32)), mpint(halves.subarray(32))]);
    }
    const name = blob.equals(blobs[0]!) ? types[0] : types[1];
    socket.write(framed(14, str(Buffer.concat([str(name), str(signature), touched]))));
  });
  return { socketPath, blobs };
}

describe.skipIf(!possible || !present('sshd'))('logging in to OpenSSH', () => {
  let dir: string;
  let server: RealServer;
  let files: Map<string, string>;
  let real: RealAgent;
  let agent: Agent;

  beforeAll(async () => {
    dir = folder();
    const authority = keygen(dir, 'authority');
    server = await startSshd([`TrustedUserCAKeys ${authority}.pub`, 'MaxAuthTries 100', 'MaxStartups 100']);
    files = makeKeys(dir, authority, server.user);
    real = await startAgent(dir);
    for (const path of files.values()) await real.add('-q', path);
    agent = client(real.socketPath);
  });
  afterAll(async () => {
    agent?.close();
    await real?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  const authorize = (type: string, blob: Buffer) =>
    appendFileSync(join(server.dir, 'authorized_keys'), `${type} ${blob.toString('base64')}\n`);
  const find = async (blob: Buffer) => (await agent.identities()).find((identity) => identity.blob.equals(blob))!;

  for (const { name, algorithms } of FLAVOURS) {
    it.each(algorithms)(`with a certificate for ${name} by %s: the agent's, and one from a file`, async (algorithm) => {
      const path = files.get(name)!;
      const certificate = blobOf(`${path}-cert.pub`);
      const plain = await find(blobOf(`${path}.pub`));
      const wanted = certificateName(algorithm);
      const refused = login(server.port, server.user, agentKey(agent, plain), algorithm);
      await expect(refused).rejects.toMatchObject({ reason: 'auth' });
      for (const key of [agentKey(agent, await find(certificate)), agentKey(agent, plain, certificate)]) {
        expect(await login(server.port, server.user, key, wanted)).toBe('in\n');
      }
    });
  }

  it.each(FLAVOURS.flatMap(({ name, algorithms }) => algorithms.map((algorithm) => [name, algorithm] as const)))(
    'with the key %s by %s',
    async (name, algorithm) => {
      const identity = await find(blobOf(`${files.get(name)!}.pub`));
      authorize(identity.keyType, identity.blob);
      expect(await login(server.port, server.user, agentKey(agent, identity), algorithm)).toBe('in\n');
    },
  );

  it('with security keys, and with certificates for them', async () => {
    const { socketPath, blobs } = await securityKeyAgent();
    using keys = client(socketPath);
    for (const [i, identity] of (await keys.identities()).entries()) {
      const { keyType, blob } = identity;
      const path = join(dir, `security${i}`);
      writeFileSync(`${path}.pub`, `${keyType} ${blob.toString('base64')}\n`);
      const certificate = blobOf(certify(join(dir, 'authority'), path, server.user));
      const certified = agentKey(keys, identity, certificate);
      expect(await login(server.port, server.user, certified, certificateName(keyType))).toBe('in\n');
      authorize(keyType, blobs[i]!);
      expect(await login(server.port, server.user, agentKey(keys, identity), keyType)).toBe('in\n');
    }
  });

  it('takes keys in the order in which ssh takes them', async () => {
    const random = seededRandom(20_250_101);
    const shuffled = <T>(all: readonly T[]): T[] => {
      const rest = [...all];
      return Array.from({ length: rest.length }, () => rest.splice(random.below(rest.length), 1)[0]!);
    };
    const some = <T>(all: readonly T[], least: number): T[] => {
      return shuffled(all).slice(0, least + random.below(all.length + 1 - least));
    };
    const bare = join(dir, 'bare');
    mkdirSync(bare);
    const paths = [...files.values()].flatMap((path, i) => {
      const copy = join(bare, String(i));
      for (const end of ['', '.pub']) copyFileSync(path + end, copy + end);
      return [path, copy];
    });
    // Encrypted in the old way, and no .pub beside it: nobody knows its public key.
    const secret = keygen(bare, 'secret', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', 'a secret');
    rmSync(`${secret}.pub`);
    for (const { blob, keyType, isCertificate } of await agent.identities()) {
      if (!isCertificate) authorize(keyType, blob);
    }
    const trial = { dir, server, real, agent };
    for (let i = 0; i < 12; i++) {
      await real.add('-q', '-D').catch(() => {});
      for (const path of some([...files.values()], 0)) {
        await real.add('-q', ...(random.chance(30) ? ['-k', path] : [path]));
        if (random.chance(30)) await real.add('-q', '-d', '-k', path).catch(() => {});
      }
      await compareOrder(trial, {
        identityFiles: some([...paths, secret], 1),
        certificateFiles: random.chance(40)
          ? some(
              [...files.values()].map((path) => `${path}-cert.pub`),
              1,
            )
          : [],
        identitiesOnly: random.chance(40),
      });
    }
  });
});

interface Trial {
  readonly dir: string;
  readonly server: RealServer;
  readonly real: RealAgent;
  readonly agent: Agent;
}

interface Configured {
  readonly identityFiles: readonly string[];
  readonly certificateFiles: readonly string[];
  readonly identitiesOnly: boolean;
}

async function compareOrder({ server, real, agent }: Trial, configured: Configured): Promise<void> {
  const { identityFiles, certificateFiles, identitiesOnly } = configured;
  const args = ['-p', String(server.port), '-o', `UserKnownHostsFile=${server.knownHosts}`];
  for (const path of identityFiles) args.push('-i', path);
  for (const path of certificateFiles) args.push('-o', `CertificateFile=${path}`);
  args.push('-o', `IdentitiesOnly=${identitiesOnly ? 'yes' : 'no'}`, `${server.user}@127.0.0.1`, 'true');
  const theirs = await keysOfOpenssh(args, real.socketPath);
  const listed = await agent.identities();
  const order = orderKeys({
    agent: listed,
    files: identityFiles.map(keyFile),
    certificateFiles: certificateFiles.map((path): CertificateFile => ({ path, blob: blobOf(path) })),
    identitiesOnly,
  });
  expect(order.map((key) => lineOf(key, listed))).toEqual(theirs.map(withoutFlags));
}

function keyFile(path: string): KeyFile {
  const read = (name: string) => {
    try {
      readFileSync(name);
      return blobOf(name);
    } catch {
      return undefined;
    }
  };
  return { path, publicBlob: read(`${path}.pub`), certificate: read(`${path}-cert.pub`) };
}

const LABELS: Readonly<Record<string, string>> = { 'ssh-ed25519': 'ED25519', 'ssh-rsa': 'RSA' };

function lineOf(key: OrderedKey, listed: readonly AgentIdentity[]): string {
  const identity = key.publicBlob && identityOf(key.publicBlob);
  if (!identity) return key.path!;
  const { plainKeyType, isCertificate, blob, fingerprint } = identity;
  const label = `${LABELS[plainKeyType] ?? 'ECDSA'}${isCertificate ? '-CERT' : ''}`;
  const name = key.path ?? listed.find((one) => one.blob.equals(blob))!.comment;
  return `${name} ${label} ${fingerprint}${!isCertificate && key.signer?.kind === 'agent' ? ' agent' : ''}`;
}

/** The agent's mark is compared for keys only: the certificate that it marks may be signed for by another entry. */
function withoutFlags(line: string): string {
  const plain = line.replace(' explicit', '').trim();
  return plain.includes('-CERT ') ? plain.replace(/ agent$/, '') : plain;
}
