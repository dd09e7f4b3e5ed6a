/** How hosts are reached: labels, options and ssh_config come together as ssh itself puts them together. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Reach, Router } from '../../../src/fleet/reach/router.ts';
import type { HostParts } from '../../../src/hostset/label.ts';
import { hostOf } from '../../../src/hostset/label.ts';
import { type FleetOptions, MyriadError } from '../../../src/index.ts';
import { rsaBits } from '../../../src/ssh/rsa_bits.ts';
import type { Route } from '../../../src/transport/native/route.ts';
import { keygen } from '../../kit/servers.ts';

let dir: string;
let warned: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'myriad-router-'));
  warned = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const setTimer = (ms: number, callback: () => void) => {
  const timer = setTimeout(callback, ms);
  return { cancel: () => clearTimeout(timer) };
};

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function open(config: string, options: FleetOptions = {}, jump?: readonly HostParts[]): Promise<Router> {
  const deps = { setTimer, warn: (text: string) => void warned.push(text), jump, lookup: async () => true as const };
  return Router.open({ config: file('config', config), agent: false, ...options }, deps);
}

async function routeOf(router: Router, label: string): Promise<Route> {
  const reach: Reach = await router.reach(hostOf(label));
  if (reach.by !== 'native') throw new Error(`${label} is not reached by our own client: ${reach.reasons}`);
  return reach.route;
}

const prints = (route: Route) => route.credentials.keys.map((key) => key.fingerprint);
const printOf = (key: string) => execFileSync('ssh-keygen', ['-lf', `${key}.pub`], { encoding: 'utf8' }).split(' ')[1];

describe('a route', () => {
  it('takes label before options before ssh_config', async () => {
    const router = await open('Host *\n  User conf\n  Port 2200\n  HostName %h.example.org\n', { user: 'opt' });
    const both = await routeOf(router, 'label@web1:2222');
    expect([both.credentials.user, both.name, both.port]).toEqual(['label', 'web1.example.org', 2222]);
    const rest = await routeOf(router, 'web2');
    expect([rest.credentials.user, rest.name, rest.port]).toEqual(['opt', 'web2.example.org', 2200]);
  });

  it('shares all but the names among hosts of the same blocks', async () => {
    const router = await open('Host web*\n  ConnectTimeout 7\n  ConnectionAttempts 3\n  BindAddress 127.0.0.9\n');
    const [one, two] = [await routeOf(router, 'web1'), await routeOf(router, 'web2')];
    expect(two.profile).toBe(one.profile);
    expect(one.profile).toMatchObject({ connectMs: 7000, connectionAttempts: 3, bindAddress: '127.0.0.9' });
    expect((await routeOf(router, 'db1')).profile.connectMs).toBeUndefined();
  });

  it('is there at once for all but the first of its kind', async () => {
    const router = await open('');
    expect(router.reach(hostOf('web1'))).toBeInstanceOf(Promise);
    await router.reach(hostOf('web1'));
    expect(router.reach(hostOf('web2'))).not.toBeInstanceOf(Promise);
  });

  it('lets -t, -4 and -o count before the files', async () => {
    const config = 'Host *\n  ConnectTimeout 7\n  AddressFamily inet6\n  User conf\n';
    const options = { deadlines: { connectMs: 1 }, family: 4, configOptions: ['User=opt', 'port 2200'] } as const;
    const route = await routeOf(await open(config, options), 'web1');
    expect(route.profile).toMatchObject({ connectMs: undefined, family: 4 });
    expect([route.credentials.user, route.port]).toEqual(['opt', 2200]);
  });

  it('applies algorithm lists to what we have', async () => {
    const router = await open(
      'Host a\n  Ciphers -aes128*\n  MACs hmac-sha2-512\nHost b\n  KexAlgorithms nothing-of-ours\nHost c\n  HostKeyAlgorithms ^rsa-sha2-256\n',
    );
    const a = (await routeOf(router, 'a')).profile.preferences;
    expect(a.ciphers.length).toBeGreaterThan(0);
    expect(a.ciphers.filter((name) => name.startsWith('aes128'))).toEqual([]);
    expect(a.macs).toEqual(['hmac-sha2-512']);
    expect((await routeOf(router, 'b')).profile.preferences.kex).toEqual([]);
    expect((await routeOf(router, 'c')).profile.preferences.hostKey[0]).toBe('rsa-sha2-256');
  });

  it('takes new keys as RekeyLimit says, and binds the address of an interface', async () => {
    const router = await open(
      'Host a\n  RekeyLimit 1M 5m\n  BindInterface lo\n  AddressFamily inet\nHost b\n  BindInterface none9\n',
    );
    const { profile } = await routeOf(router, 'a');
    expect(profile).toMatchObject({ rekeyBytes: 2 ** 20, rekeyMs: 300_000, bindAddress: '127.0.0.1' });
    await expect(routeOf(router, 'b')).rejects.toThrow(/BindInterface "none9" has no address/);
  });

  it('knows a host by its HostKeyAlias, without a port', async () => {
    const router = await open('Host a\n  HostKeyAlias Cluster\n  Port 2222\n');
    expect((await routeOf(router, 'a')).keyHost).toEqual({ name: 'cluster', port: 22 });
    expect((await routeOf(router, 'b:2222')).keyHost).toEqual({ name: 'b', port: 2222 });
  });
});

describe('jump hosts', () => {
  it('come from ProxyJump, each by its own configuration', async () => {
    const router = await open('Host web*\n  ProxyJump gate,inner:2200\nHost gate\n  User g\n  HostName 10.9.8.7\n');
    const { via } = await routeOf(router, 'web1');
    expect(via.map(({ credentials, name, port }) => [credentials.user, name, port])).toEqual([
      ['g', '10.9.8.7', 22],
      [userInfo().username, 'inner', 2200],
    ]);
    expect((await routeOf(router, 'web2')).via).toBe(via);
    expect((await routeOf(router, 'gate')).via).toEqual([]);
  });

  it('may lie behind others', async () => {
    const router = await open('Host web*\n  ProxyJump b\nHost b\n  ProxyJump a\n');
    expect((await routeOf(router, 'web1')).via.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('that lead in a circle are an error of their hosts', async () => {
    const router = await open('Host a\n  ProxyJump b\nHost b\n  ProxyJump c\nHost c\n  ProxyJump b\n');
    await expect((async () => router.reach(hostOf('a')))()).rejects.toThrow(/ProxyJump of "[bc]" never ends/);
    expect((await routeOf(router, 'd')).via).toEqual([]);
  });

  it('are replaced by -J, and by -J none', async () => {
    const config = 'Host web*\n  ProxyJump gate\nHost db*\n  ProxyCommand nc %h %p\n';
    const other = await open(config, {}, [{ user: 'u', name: 'other', port: undefined }]);
    expect((await routeOf(other, 'web1')).via.map(({ name }) => name)).toEqual(['other']);
    const none = await open(config, {}, []);
    expect((await routeOf(none, 'web1')).via).toEqual([]);
    expect((await routeOf(none, 'db1')).proxyCommand).toBeUndefined();
    expect((await routeOf(await open(config), 'db1')).proxyCommand).toBe('nc db1 22');
  });
});

describe('keys', () => {
  it('are those of IdentityFile, with what PubkeyAcceptedAlgorithms leaves', async () => {
    const [ed, rsa] = [keygen(dir, 'ed'), keygen(dir, 'rsa', '-t', 'rsa', '-b', '2048')];
    const both = `IdentityFile ${ed}\nIdentityFile ${rsa}\n`;
    const router = await open(`Match host a\n  PubkeyAcceptedAlgorithms rsa-sha2-256\nMatch all\n${both}`);
    expect(prints(await routeOf(router, 'b'))).toEqual([printOf(ed), printOf(rsa)]);
    const [only, ...more] = (await routeOf(router, 'a')).credentials.keys;
    expect(more).toEqual([]);
    expect(only!.signatureAlgorithms).toEqual(['rsa-sha2-256']);
  });

  it('of --identity are these and no others', async () => {
    const [ed, other] = [keygen(dir, 'ed'), keygen(dir, 'other')];
    const router = await open(`IdentityFile ${ed}\n`, { identity: other });
    expect(prints(await routeOf(router, 'a'))).toEqual([printOf(other)]);
  });

  it('that cannot be used are passed over and named, once', async () => {
    const good = keygen(dir, 'good');
    const secret = join(dir, 'secret');
    execFileSync('ssh-keygen', ['-q', '-N', 'pass phrase', '-t', 'ed25519', '-f', secret]);
    const gone = join(dir, 'gone');
    const bad = file('bad', 'no key');
    const lines = [gone, secret, bad, good].map((path) => `IdentityFile ${path}\n`).join('');
    const router = await open(`${lines}Host other\n  IdentitiesOnly yes\n`);
    expect(prints(await routeOf(router, 'a'))).toEqual([printOf(good)]);
    expect(prints(await routeOf(router, 'other'))).toEqual([printOf(good)]);
    expect(warned).toEqual([
      `IdentityFile "${gone}" is passed over: there is no such file`,
      `IdentityFile "${secret}" is encrypted: only an SSH agent that holds it can use it (ssh-add)`,
      expect.stringContaining(`IdentityFile "${bad}" is passed over: `),
    ]);
  });

  it('and no way to log in is told before anything connects', async () => {
    const none = await open(`IdentityFile ${join(dir, 'gone')}\n`);
    await expect(none.check(hostOf('web1'))).rejects.toThrow(
      /no way to log in to "web1": .*; IdentityFile ".*gone" is passed over: there is no such file$/,
    );
    const some = await open(`IdentityFile ${keygen(dir, 'ed')}\n`);
    await some.check(hostOf('web1'));
    await (await open('', { answer: async () => [] })).check(hostOf('web1'));
  });
});

describe('what cannot be used', () => {
  it.each([
    ['a bad line', 'Port x\n', {}, /line 1: .*"x"/],
    ['a bad option', '', { configOptions: ['Port'] }, /-o "Port": expected Keyword=value/],
    ['an unknown option', '', { configOptions: ['Nonsense=1'] }, /nonsense/i],
  ] as const)('%s is told when the files are read', async (_what, config, options, message) => {
    const error = await open(config, options).then(
      (router) =>
        Promise.resolve(router.reach(hostOf('a'))).then(
          () => undefined,
          (thrown) => thrown,
        ),
      (thrown) => thrown,
    );
    expect(error).toBeInstanceOf(MyriadError);
    expect(error.message).toMatch(message);
  });

  it('a host that is refused is refused, and no other', async () => {
    const router = await open('Host old*\n  RefuseConnection decommissioned\n');
    expect(() => router.reach(hostOf('old1'))).toThrow(/refuses connections to "old1": decommissioned/);
    expect((await routeOf(router, 'new1')).name).toBe('new1');
  });

  it('goes by the ssh program, unless that is forbidden', async () => {
    const config = 'Host krb*\n  GSSAPIAuthentication yes\n';
    expect(await (await open(config)).reach(hostOf('krb1'))).toMatchObject({ by: 'openssh' });
    expect(await (await open(config)).reach(hostOf('web1'))).toMatchObject({ by: 'native' });
    const forbidden = await open(config, { transport: 'native' });
    expect(() => forbidden.reach(hostOf('krb1'))).toThrow(/--transport native cannot reach "krb1"/);
    expect(await (await open('', { transport: 'openssh' })).reach(hostOf('web1'))).toMatchObject({ by: 'openssh' });
  });
});

describe('host keys', () => {
  it('are verified as StrictHostKeyChecking says, `no` like accept-new; --host-keys counts before it', async () => {
    const known = join(dir, 'known');
    mkdirSync(join(dir, 'more'));
    const config = `Host new\n  StrictHostKeyChecking no\nHost *\n  UserKnownHostsFile ${known} ${join(dir, 'more/%n')}\n  GlobalKnownHostsFile none\n`;
    const blob = Buffer.from(readFileSync(`${keygen(dir, 'host')}.pub`, 'utf8').split(' ')[1]!, 'base64');
    const router = await open(config);
    const asked = async (from: Router, label: string) => {
      const { keyHost, profile } = await routeOf(from, label);
      return profile.hostKeys.verify(keyHost, 'ssh-ed25519', blob);
    };
    await expect(asked(router, 'web1')).rejects.toThrow(/unknown/);
    await asked(router, 'new');
    expect(readFileSync(known, 'utf8')).toMatch(/^new ssh-ed25519 /);
    await expect(asked(await open(config, { hostKeys: 'strict' }), 'newer')).rejects.toThrow(/unknown/);
    writeFileSync(join(dir, 'more/web9'), `web9 ssh-ed25519 ${blob.toString('base64')}\n`);
    await asked(router, 'web9');
  });
});

describe('DNS', () => {
  it('are known by all lines of a file but those that are damaged, which are named once', async () => {
    const key = readFileSync(`${keygen(dir, 'whole')}.pub`, 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
    const known = file('damaged', `other ssh-ed25519 AAAA!\nweb1 ${key}\n@cert-authority\n`);
    const router = await open('GlobalKnownHostsFile none\n', { knownHosts: known });
    const { profile, keyHost } = await routeOf(router, 'web1');
    await routeOf(router, 'web2');
    const [keyType = '', blob = ''] = key.split(' ');
    expect(profile.hostKeys.verify(keyHost, keyType, Buffer.from(blob, 'base64'))).toBeUndefined();
    expect(warned).toEqual([`known_hosts "${known}", line 1 does not count, nor do 1 more: the key is not base64`]);
  });

  it('vouches for host keys where VerifyHostKeyDNS asks it', async () => {
    const key = keygen(dir, 'dns_host');
    const blob = Buffer.from(readFileSync(`${key}.pub`, 'utf8').split(' ')[1]!, 'base64');
    const fingerprint = createHash('sha256').update(blob).digest();
    const asked: string[] = [];
    const none = 'UserKnownHostsFile none\nGlobalKnownHostsFile none\n';
    const deps = {
      setTimer,
      warn() {},
      jump: undefined,
      lookup: async () => true as const,
      sshfp: async (name: string) => {
        asked.push(name);
        return { records: [{ algorithm: 4, type: 2, fingerprint }], secure: name !== 'unsigned' };
      },
    };
    const config = file('dns', `Match host off\n  VerifyHostKeyDNS no\nMatch all\n  VerifyHostKeyDNS yes\n${none}`);
    const router = await Router.open({ config, agent: false }, deps);
    const verify = async (label: string) => {
      const { profile, keyHost } = await routeOf(router, label);
      return profile.hostKeys.verify(keyHost, 'ssh-ed25519', blob);
    };
    await verify('signed');
    await expect(verify('unsigned')).rejects.toThrow(/unknown/);
    await expect(verify('off')).rejects.toThrow(/unknown/);
    expect(asked).toEqual(['signed', 'unsigned']);
  });

  it('gives names their canonical form, and takes no other', async () => {
    const config = `CanonicalizeHostname yes\nCanonicalDomains a.example b.example\nCanonicalizeFallbackLocal no\nCanonicalizePermittedCNAMEs *.b.example:*.c.example\nMatch final host *.c.example\n  Port 2200\n`;
    const lookup = async (name: string) => (name === 'web.b.example.' ? 'real.c.example' : false);
    const router = await Router.open(
      { config: file('canonical', config), agent: false },
      { setTimer, warn() {}, jump: undefined, lookup },
    );
    expect(await routeOf(router, 'web')).toMatchObject({ name: 'real.c.example', port: 2200 });
    await expect((async () => router.reach(hostOf('gone')))()).rejects.toThrow(
      /no domain of CanonicalDomains has .*"gone"/,
    );
  });
});

describe('the size of RSA keys', () => {
  it('is counted in bits of the modulus', () => {
    const blobOf = (key: string) => Buffer.from(readFileSync(`${key}.pub`, 'utf8').split(' ')[1]!, 'base64');
    for (const bits of [1024, 2041, 2048]) {
      expect(rsaBits(blobOf(keygen(dir, `rsa${bits}`, '-t', 'rsa', '-b', `${bits}`)))).toBe(bits);
    }
    expect(rsaBits(blobOf(keygen(dir, 'ed')))).toBeUndefined();
  });

  it('passes over keys that RequiredRSASize finds too short', async () => {
    const [short, long] = [keygen(dir, 's', '-t', 'rsa', '-b', '2048'), keygen(dir, 'l', '-t', 'rsa', '-b', '3072')];
    const config = `RequiredRSASize 3000\nIdentityFile ${short}\nIdentityFile ${long}\n`;
    const route = await routeOf(await open(config), 'a');
    expect(prints(route)).toEqual([printOf(long)]);
    expect(route.profile.requiredRsaBits).toBe(3000);
  });
});
