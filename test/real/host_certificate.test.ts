/** Certificates made by ssh-keygen, shown by a real sshd or taken by it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fleet, type Outcome, outcomeLabel, outcomeMessage } from '../../src/index.ts';
import { loadCertificate } from '../../src/ssh/certificate_user.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { createHostKeyVerifier } from '../../src/ssh/host_key_policy.ts';
import { KnownHosts } from '../../src/ssh/known_hosts.ts';
import { parsePrivateKey } from '../../src/ssh/private_key.ts';
import { dial, run } from '../kit/client.ts';
import { keygen, present, type RealServer, startSshd } from '../kit/servers.ts';

const possible = ['sshd', 'ssh-keygen', 'ssh'].every(present);
const NOW_ON = '-1m:+1h';

/** Has `authority` sign KEY.pub under another name; returns the certificate's file. */
function certify(authority: string, key: string, name: string, ...options: readonly string[]): string {
  copyFileSync(`${key}.pub`, `${name}.pub`);
  execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'made for a test', ...options, `${name}.pub`], {
    stdio: 'ignore',
  });
  return `${name}-cert.pub`;
}

const publicKey = (file: string) => readFileSync(`${file}.pub`, 'latin1').split(' ').slice(0, 2).join(' ');

describe.skipIf(!possible)('host certificates', () => {
  /** Makes the authorities and keys; sshd of the cases are started one by one. */
  let keys: RealServer;
  const file = (name: string) => join(keys.dir, name);

  beforeAll(async () => {
    keys = await startSshd();
    for (const name of ['ca', 'stranger', 'certified']) keygen(keys.dir, name);
  });
  afterAll(async () => {
    await keys?.[Symbol.asyncDispose]();
  });

  /** What we and OpenSSH's client say to a server with a certificate by `ca`. */
  async function outcomeOf(
    options: readonly string[],
    knownHosts: (name: string) => string,
  ): Promise<{ outcome: Outcome; openssh: boolean }> {
    const certificate = certify(file('ca'), file('certified'), file('shown'), '-h', ...options);
    await using server = await startSshd([`HostKey ${file('certified')}`, `HostCertificate ${certificate}`]);
    const { port, user, identity } = server;
    const known = join(server.dir, 'known');
    writeFileSync(known, knownHosts(`[127.0.0.1]:${port}`));
    await using hosts = fleet({ hosts: '127.0.0.1', port, user, identity, knownHosts: known });
    const [result] = await hosts.run('true').all();
    return { outcome: result!.outcome, openssh: opensshLogsIn(server, known) };
  }

  function opensshLogsIn({ port, user, identity }: RealServer, known: string): boolean {
    const files = [`UserKnownHostsFile=${known}`, 'GlobalKnownHostsFile=none', `IdentityFile=${identity}`];
    const settings = [...files, 'StrictHostKeyChecking=yes', 'BatchMode=yes', `Port=${port}`, `User=${user}`];
    const args = ['-F', 'none', ...settings.flatMap((setting) => ['-o', setting]), '127.0.0.1', 'true'];
    return spawnSync('ssh', args, { stdio: 'ignore' }).status === 0;
  }

  const trust = (name: string) => `@cert-authority ${name} ${publicKey(file('ca'))}\n`;
  const good = ['-n', 'x,127.0.0.1', '-V', NOW_ON];

  it.each<[string, readonly string[], (name: string) => string]>([
    ['a known authority', good, trust],
    ['a known authority by pattern', good, () => trust('127.0.0.*')],
    ['no limit in time', ['-n', '127.0.0.1'], trust],
    [
      'an unknown authority, where the plain key is known',
      good,
      (name) => `@cert-authority * ${publicKey(file('stranger'))}\n${name} ${publicKey(file('certified'))}\n`,
    ],
    [
      'a known authority and expired, where the plain key is known',
      ['-n', '127.0.0.1', '-V', '20200101:20200102'],
      (name) => `${trust(name)}${name} ${publicKey(file('certified'))}\n`,
    ],
  ])('is taken with %s', async (_what, options, knownHosts) => {
    const { outcome, openssh } = await outcomeOf(options, knownHosts);
    expect(outcomeLabel(outcome)).toBe('ok');
    expect(openssh).toBe(true);
  });

  it.each<[string, readonly string[], (name: string) => string, string, RegExp]>([
    [
      'expired',
      ['-n', '127.0.0.1', '-V', '20200101000000Z:20200102000000Z'],
      trust,
      'host-key(certificate)',
      /^host certificate refused \(.*\); the certificate "made for a test" \(serial 0\) expired at 2020-01-02T00:00:00Z:/,
    ],
    ['not yet valid', ['-n', '127.0.0.1', '-V', '+1h:+2h'], trust, 'host-key(certificate)', /is not valid before 20/],
    [
      'for other hosts',
      ['-n', 'web1,127.0.0.2', '-V', NOW_ON],
      trust,
      'host-key(certificate)',
      /is for \["web1", "127\.0\.0\.2"\] and not for "127\.0\.0\.1"/,
    ],
    ['for no host', ['-V', NOW_ON], trust, 'host-key(certificate)', /names no host/],
    ['with critical options', [...good, '-O', 'critical:x@y=1'], trust, 'host-key(certificate)', /\("x@y"\)/],
    [
      'by an unknown authority',
      good,
      (name) => `@cert-authority ${name} ${publicKey(file('stranger'))}\n`,
      'host-key(unknown)',
      /its certificate is signed by ssh-ed25519 SHA256:.*, and no @cert-authority line for this host has that key/,
    ],
    [
      'by an authority for other hosts',
      good,
      () => trust('*.example.org'),
      'host-key(unknown)',
      /; add it with: ssh-keyscan -p \d+ '127\.0\.0\.1'/,
    ],
    [
      'by a revoked authority',
      good,
      (name) => `${trust(name)}@revoked * ${publicKey(file('ca'))}\n`,
      'host-key(revoked)',
      /the authority of its certificate \(ssh-ed25519 SHA256:.*\) is marked @revoked in .*:2/,
    ],
    [
      'of a revoked key',
      good,
      (name) => `${trust(name)}@revoked * ${publicKey(file('certified'))}\n`,
      'host-key(revoked)',
      /the key is marked @revoked in .*:2/,
    ],
  ])('is refused when it is %s', async (what, options, knownHosts, label, message) => {
    const { outcome, openssh } = await outcomeOf(options, knownHosts);
    expect(outcomeLabel(outcome)).toBe(label);
    expect(outcomeMessage(outcome)).toMatch(message);
    // OpenSSH refuses a certificate without principals from 10.3 on only.
    if (what !== 'for no host') expect(openssh).toBe(false);
  });

  it('survives a rekey', async () => {
    const certificate = certify(file('ca'), file('certified'), file('rekeyed'), '-h', ...good);
    await using server = await startSshd([`HostKey ${file('certified')}`, `HostCertificate ${certificate}`]);
    const known = KnownHosts.parse([{ file: 'f', text: Buffer.from(trust('127.0.0.1')) }]);
    const verifier = createHostKeyVerifier({ policy: 'strict', known, file: undefined });
    let shown = 0;
    const client = await dial({
      port: server.port,
      user: server.user,
      identities: [server.identity],
      preferences: { hostKey: verifier.typesFor({ name: '127.0.0.1', port: server.port }) },
      observer: {
        hostKey: (key) => {
          shown++;
          expect(key.certificate?.keyId).toBe('made for a test');
          const host = { name: '127.0.0.1', port: server.port };
          return verifier.verify(host, key.keyType, key.blob, key.certificate) ?? undefined;
        },
      },
    });
    client.rekey();
    expect((await run(client, 'echo out')).stdout.toString()).toBe('out\n');
    expect(shown).toBe(2);
    client.close();
  });
});

describe.skipIf(!possible)('user certificates', () => {
  let server: RealServer;
  let authorities: string;
  const file = (name: string) => join(server.dir, name);

  beforeAll(async () => {
    authorities = mkdtempSync(join(tmpdir(), 'myriad-authorities-'));
    server = await startSshd([`TrustedUserCAKeys ${keygen(authorities, 'ca')}.pub`]);
    keygen(authorities, 'stranger');
    for (const [name, ...type] of [
      ['ed25519', 'ed25519', '256'],
      ['ecdsa256', 'ecdsa', '256'],
      ['ecdsa521', 'ecdsa', '521'],
      ['rsa', 'rsa', '2048'],
    ] as const) {
      keygen(server.dir, name, '-t', type[0], '-b', type[1]);
    }
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    rmSync(authorities, { recursive: true, force: true });
  });

  const login = (key: string, authority: string, ...options: readonly string[]) => {
    const certificate = certify(join(authorities, authority), file(key), file(`${key}-${authority}`), ...options);
    const plain = parsePrivateKey(readFileSync(file(key)), { source: key });
    const certified = loadCertificate(readFileSync(certificate), certificate, plain);
    return dial({ port: server.port, user: server.user, keys: [certified] });
  };

  it.each(['ed25519', 'ecdsa256', 'ecdsa521', 'rsa'])('%s logs in', async (key) => {
    const client = await login(key, 'ca', '-n', server.user, '-V', NOW_ON);
    expect((await run(client, 'echo in')).stdout.toString()).toBe('in\n');
    client.close();
  });

  it.each([
    ['by an unknown authority', 'stranger', () => ['-n', server.user]],
    ['for another user', 'ca', () => ['-n', 'nobody-else']],
    ['expired', 'ca', () => ['-n', server.user, '-V', '20200101:20200102']],
  ] as const)('one %s does not', async (_what, authority, options) => {
    const error = await login('ed25519', authority, ...options()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SshError);
    expect(error).toMatchObject({ reason: 'auth', detail: { tried: [expect.stringMatching(/^publickey SHA256:/)] } });
  });
});
