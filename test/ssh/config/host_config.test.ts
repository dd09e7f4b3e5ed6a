import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { expandTokens, TokenError } from '../../../src/ssh/config/tokens.ts';
import { HOME, load, variable } from './kit.ts';

describe('defaults', () => {
  const host = load('').resolve({ name: 'Web1' });

  test('of a host of which nothing is said', () => {
    expect(host).toMatchObject({ name: 'Web1', hostName: 'web1', user: 'ann', port: 22, canonicalization: 'off' });
    expect([host.tag, host.hostKeyAlias, host.proxyJump, host.proxyCommand]).toEqual(Array(4).fill(undefined));
    expect([host.certificateFiles, host.revokedHostKeys, host.forwardAgent]).toEqual([[], undefined, undefined]);
    expect(host.identityFilesAreDefaults).toBe(true);
    expect(host.identityFiles).toContain(`${HOME}/.ssh/id_ed25519`);
    expect(host.identityAgent).toBe('/run/agent');
    expect(host.userKnownHostsFiles).toEqual([`${HOME}/.ssh/known_hosts`, `${HOME}/.ssh/known_hosts2`]);
    expect(host.knownHostsCommand({ reason: 'ORDER', search: 'web1' })).toBeUndefined();
  });

  test('of its settings', () => {
    expect(host.settings).toMatchObject({
      addressFamily: 'any',
      connectTimeoutMs: undefined,
      connectionAttempts: 1,
      serverAliveIntervalMs: 0,
      serverAliveCountMax: 3,
      tcpKeepAlive: true,
      requiredRsaSize: 1024,
      rekeyLimit: { bytes: undefined, intervalMs: undefined },
      strictHostKeyChecking: 'ask',
      globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
      verifyHostKeyDns: 'no',
      numberOfPasswordPrompts: 3,
      requestTty: 'auto',
      pubkeyAuthentication: true,
      passwordAuthentication: true,
      kbdInteractiveAuthentication: true,
      preferredAuthentications: undefined,
      needsOpenssh: [],
    });
    expect(host.settings.canonicalize).toEqual({
      hostname: 'no',
      domains: [],
      maxDots: 1,
      fallbackLocal: true,
      permittedCnames: [],
    });
  });
});

describe('tokens', () => {
  test('in paths', () => {
    const text =
      'HostName %h.example\nUser u\nPort 5\nHostKeyAlias AL\nProxyJump j1,j2\n' +
      `IdentityFile ~/%n-%h-%p-%r-%k-%j-%u-%i-%L-%%\nIdentityFile %d/x\nIdentityFile ${variable('KEYS')}/%l\nIdentityFile %C\n` +
      'CertificateFile ~/c-%h\nUserKnownHostsFile ~/k.%k ~/all';
    const host = load(text).resolve({ name: 'web' });
    const hash = createHash('sha1').update('box.example.netweb.example5uj2').digest('hex');
    expect(host.identityFiles).toEqual([
      `${HOME}/web-web.example-5-u-al-j2-ann-1000-box-%`,
      `${HOME}/x`,
      '/keys/box.example.net',
      hash,
    ]);
    expect(host.certificateFiles).toEqual([`${HOME}/c-web.example`]);
    expect(host.userKnownHostsFiles).toEqual([`${HOME}/k.al`, `${HOME}/all`]);
    expect(host.hostKeyAlias).toBe('al');
  });

  test('in ProxyCommand and ProxyJump', () => {
    const host = load('User u\nPort 5\nHostName r\nProxyCommand nc -x "%n" %h %p %r %k %%').resolve({ name: 'a' });
    expect(host.proxyCommand).toBe('nc -x "a" r 5 u a %');
    const jump = load('ProxyJump %r@gate-%h:2222,b').resolve({ name: 'a' });
    expect(jump.proxyJump).toEqual([
      { user: 'ann', host: 'gate-a', port: 2222 },
      { user: undefined, host: 'b', port: undefined },
    ]);
  });

  test('in KnownHostsCommand, an argument vector', () => {
    const host = load(`KnownHostsCommand /bin/keys "%H x" %I %t %K %f %h ${variable('KEYS')}`).resolve({ name: 'a' });
    expect(
      host.knownHostsCommand({ reason: 'HOSTNAME', search: '[a]:1', keyType: 'ssh-rsa', keyBase64: 'AA' }),
    ).toEqual(['/bin/keys', '[a]:1 x', 'HOSTNAME', 'ssh-rsa', 'AA', '', 'a', '/keys']);
  });

  test.each<[string, string]>([
    ['100%', 'a percent sign at the end'],
    ['%x', 'the token %x is not known here'],
    [variable('A').slice(0, -1), 'environment variable "${A" is missing its closing brace'],
    [variable(''), 'environment variable without a name'],
    [variable('A'), 'environment variable "A" is not set'],
  ])('%j cannot be expanded', (text, reason) => {
    expect(() => expandTokens(text, 'h', () => '', {})).toThrow(TokenError);
    expect(() => expandTokens(text, 'h', () => '', {})).toThrow(reason);
  });

  test('what a token brings is not expanded again', () => {
    expect(expandTokens(`%h ${variable('V')}`, 'h', () => '%h$&', { V: '%h' })).toBe('%h$& %h');
    expect(expandTokens(variable('V'), 'h', () => '')).toBe(variable('V'));
  });
});

describe('agents', () => {
  test.each<[string, string | undefined]>([
    ['IdentityAgent none', undefined],
    ['IdentityAgent SSH_AUTH_SOCK', '/run/agent'],
    ['IdentityAgent $KEYS', '/keys'],
    ['IdentityAgent $UNSET_NAME', undefined],
    [`IdentityAgent ${variable('KEYS')}/%r`, '/keys/ann'],
    ['IdentityAgent ~/agent', `${HOME}/agent`],
  ])('%s', (text, socket) => {
    expect(load(text).resolve({ name: 'h' }).identityAgent).toBe(socket);
  });

  test.each<[string, string | undefined]>([
    ['ForwardAgent no', undefined],
    ['ForwardAgent yes', '/run/agent'],
    ['ForwardAgent yes\nIdentityAgent ~/a', `${HOME}/a`],
    ['ForwardAgent ~/other', `${HOME}/other`],
    ['ForwardAgent $KEYS', '/keys'],
    ['ForwardAgent no\nForwardAgent ~/other', undefined],
  ])('%j', (text, socket) => {
    expect(load(text).resolve({ name: 'h' }).forwardAgent).toBe(socket);
  });
});

test('settings, typed', () => {
  const { settings } = load(
    [
      'AddressFamily inet6',
      'BindAddress 127.0.0.9',
      'BindInterface lo',
      'BatchMode yes',
      'ConnectTimeout 1m',
      'ConnectionAttempts 3',
      'ServerAliveInterval 15',
      'ServerAliveCountMax 2',
      'TCPKeepAlive no',
      'KexAlgorithms -diffie*',
      'HostKeyAlgorithms ^ssh-ed25519',
      'PubkeyAcceptedKeyTypes +ssh-rsa',
      'StrictHostKeyChecking off',
      'GlobalKnownHostsFile /a ~/b',
      'VerifyHostKeyDNS ask',
      'HashKnownHosts yes',
      'IdentitiesOnly yes',
      'PubkeyAuthentication no',
      'ChallengeResponseAuthentication no',
      'PreferredAuthentications publickey,password',
      'NumberOfPasswordPrompts 1',
      'RequestTTY force',
      'SetEnv A=1 "B=x=y" A=2',
      'RefuseConnection moved to web2',
    ].join('\n'),
  ).resolve({ name: 'h' });
  expect(settings).toMatchObject({
    addressFamily: 'inet6',
    bindAddress: '127.0.0.9',
    bindInterface: 'lo',
    batchMode: true,
    connectTimeoutMs: 60_000,
    connectionAttempts: 3,
    serverAliveIntervalMs: 15_000,
    serverAliveCountMax: 2,
    tcpKeepAlive: false,
    kexAlgorithms: '-diffie*',
    hostKeyAlgorithms: '^ssh-ed25519',
    pubkeyAcceptedAlgorithms: '+ssh-rsa',
    strictHostKeyChecking: 'no',
    globalKnownHostsFiles: ['/a', `${HOME}/b`],
    verifyHostKeyDns: 'ask',
    hashKnownHosts: true,
    identitiesOnly: true,
    pubkeyAuthentication: false,
    kbdInteractiveAuthentication: false,
    preferredAuthentications: ['publickey', 'password'],
    numberOfPasswordPrompts: 1,
    requestTty: 'force',
    refuseConnection: 'moved to web2',
  });
  expect([...settings.setEnv]).toEqual([
    ['A', '1'],
    ['B', 'x=y'],
  ]);
});

describe('what only the ssh program can do', () => {
  test.each<[string, string[]]>([
    ['GSSAPIAuthentication yes', ['gssapiauthentication yes: Kerberos']],
    ['HostbasedAuthentication yes', ['hostbasedauthentication yes: authentication by the host key of this machine']],
    ['PKCS11Provider /lib/p11.so', ['pkcs11provider /lib/p11.so: keys on a smart card']],
    ['RevokedHostKeys /krl', ['revokedhostkeys /krl: a list of revoked host keys']],
    [
      'PreferredAuthentications gssapi-with-mic',
      ['preferredauthentications gssapi-with-mic: no other method is allowed'],
    ],
    ['PKCS11Provider none\nGSSAPIAuthentication no\nSecurityKeyProvider internal', []],
    ['ControlMaster auto\nForwardX11 yes\nCompression yes', []],
  ])('%j', (text, expected) => {
    expect(load(text).resolve({ name: 'h' }).settings.needsOpenssh).toEqual(expected);
  });

  test('GSSAPI of the system file does not count, that of the command line does', () => {
    const config = load('', { '/etc/ssh/ssh_config': 'GSSAPIAuthentication yes' });
    expect(config.resolve({ name: 'h' }).settings.needsOpenssh).toEqual([]);
    const overrides = new Map([['GSSAPIAuthentication', ['yes']]]);
    expect(config.resolve({ name: 'h', overrides }).settings.needsOpenssh).toHaveLength(1);
  });
});

describe('sharing', () => {
  test('hosts of the same blocks share their settings and paths', () => {
    const config = load('Host web*\n IdentityFile ~/.ssh/web\nHost db*\n User x');
    const hosts = Array.from({ length: 10_000 }, (_, index) => config.resolve({ name: `web${index}` }));
    expect(new Set(hosts.map((host) => host.settings)).size).toBe(1);
    expect(new Set(hosts.map((host) => host.identityFiles)).size).toBe(1);
    expect(config.resolve({ name: 'db1' }).settings).not.toBe(hosts[0]!.settings);
    const overrides = new Map([['Port', ['7']]]);
    const given = config.resolve({ name: 'web1', overrides });
    expect(given.port).toBe(7);
    expect(given.settings).toBe(config.resolve({ name: 'web2', overrides }).settings);
    expect(config.resolve({ name: 'web1' }).port).toBe(22);
  });

  test('nothing of it can be changed', () => {
    const host = load('SendEnv A').resolve({ name: 'h' });
    expect(Object.isFrozen(host)).toBe(true);
    expect(Object.isFrozen(host.settings)).toBe(true);
    expect(Object.isFrozen(host.settings.sendEnv)).toBe(true);
    expect(Object.isFrozen(host.identityFiles)).toBe(true);
  });
});

test('get and dump', () => {
  const host = load('ControlPath ~/%C\nLogLevel debug1\nLocalForward 80 a:1\nCiphers +x').resolve({ name: 'H' });
  expect(host.get('loglevel')).toEqual(['DEBUG']);
  expect(host.get('localforward')).toEqual(['80 [a]:1']);
  expect(host.get('controlpath')[0]).toMatch(/^\/home\/ann\/[0-9a-f]{40}$/);
  expect(host.get('no-such-word')).toEqual([]);
  const dump = host.dump({ ciphers: { defaults: ['a'], known: ['a', 'x'] } });
  expect(dump).toMatch(/^host H\n/);
  expect(dump).toContain('\nciphers a,x\n');
  expect(dump).toContain('\nhostname h\n');
});
