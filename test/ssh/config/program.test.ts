/** Blocks, Include, both files, second pass, errors. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MyriadError } from '../../../src/contracts/errors.ts';
import { HOME, load, problemsOf, SYSTEM_FILE, USER_FILE, variable } from './kit.ts';

const user = (config: ReturnType<typeof load>, name: string) => config.resolve({ name }).user;

describe('the first value wins', () => {
  test('block before block, user file before system file', () => {
    const config = load('Host a\n User one\nHost *\n User two\n Port 1', { [SYSTEM_FILE]: 'Port 2\nCompression yes' });
    expect(config.resolve({ name: 'a' })).toMatchObject({ user: 'one', port: 1 });
    expect(config.resolve({ name: 'b' })).toMatchObject({ user: 'two', port: 1 });
    expect(config.resolve({ name: 'b' }).settings.compression).toBe(true);
  });

  test('what was asked for wins over both, options after that', () => {
    const config = load('User file\nPort 1\nTag file\nCompression no');
    const overrides = new Map([
      ['User', ['option']],
      ['compression', ['yes']],
      ['Tag', ['option']],
    ]);
    const given = config.resolve({ name: 'a', user: 'me', port: 9, overrides });
    expect(given).toMatchObject({ user: 'me', port: 9, tag: 'option' });
    expect(given.settings.compression).toBe(true);
    expect(config.resolve({ name: 'a', overrides }).user).toBe('option');
    expect(config.resolve({ name: 'a', tag: 'mine' }).tag).toBe('mine');
    expect(config.resolve({ name: 'a' })).toMatchObject({ user: 'file', port: 1, tag: 'file' });
  });

  test('IdentityFile, CertificateFile and SendEnv add up; SetEnv does not', () => {
    const config = load(
      'IdentityFile a\nIdentityFile b\nIdentityFile a\nSendEnv X Y\nSetEnv A=1\nSetEnv B=2\nSendEnv -X Z',
      { [SYSTEM_FILE]: 'IdentityFile a' },
    );
    const host = config.resolve({ name: 'h' });
    expect(host.identityFiles).toEqual(['a', 'b', 'a']);
    expect(host.settings.sendEnv).toEqual(['Y', 'Z']);
    expect([...host.settings.setEnv]).toEqual([['A', '1']]);
  });

  test('a value of none leaves a time open for the next line', () => {
    expect(load('ConnectTimeout none\nConnectTimeout 5').resolve({ name: 'h' }).settings.connectTimeoutMs).toBe(5000);
  });

  test('the parts of RekeyLimit are taken from the first line that has them', () => {
    const { settings } = load('RekeyLimit 1G\nRekeyLimit 2G 1h').resolve({ name: 'h' });
    expect(settings.rekeyLimit).toEqual({ bytes: 2 ** 30, intervalMs: 3_600_000 });
  });

  test('ProxyCommand and ProxyJump exclude each other, the first wins', () => {
    expect(load('ProxyCommand x\nProxyJump j').resolve({ name: 'h' }).proxyJump).toBeUndefined();
    expect(load('ProxyJump j\nProxyCommand x').resolve({ name: 'h' }).proxyCommand).toBeUndefined();
    const none = load('ProxyCommand none\nProxyJump j').resolve({ name: 'h' });
    expect([none.proxyCommand, none.proxyJump]).toEqual([undefined, undefined]);
    const command = load('ProxyJump none\nProxyJump j\nProxyCommand x\nProxyCommand y').resolve({ name: 'h' });
    expect([command.proxyCommand, command.proxyJump]).toEqual(['x', undefined]);
  });
});

test('Host patterns see the case of a name, and a negated one takes the block away', () => {
  const config = load('Host web* !web3 db\n User x');
  const names = ['web1', 'web3', 'db', 'WEB1', 'db1'];
  expect(names.map((name) => user(config, name))).toEqual(['x', 'ann', 'x', 'ann', 'ann']);
});

describe('Include', () => {
  test('is relative to ~/.ssh or /etc/ssh, takes wildcards in order, and need not find a file', () => {
    const config = load('Include conf.d/*.conf /none/*\nPort 3', {
      [`${HOME}/.ssh/conf.d/1.conf`]: 'User one',
      [`${HOME}/.ssh/conf.d/2.conf`]: 'User two\nPort 2',
      [SYSTEM_FILE]: 'Include x.conf',
      '/etc/ssh/x.conf': 'Compression yes',
    });
    const host = config.resolve({ name: 'h' });
    expect(host).toMatchObject({ user: 'one', port: 2 });
    expect(host.settings.compression).toBe(true);
  });

  test('inside a block counts only where the block does, and the block goes on behind it', () => {
    const config = load('Host a*\n Include ~/x\n Port 5\nHost *\n User last', {
      [`${HOME}/x`]: 'Compression yes\nHost ab\n User inner\nHost b\n User never\nMatch all\n BatchMode yes',
    });
    const of = (name: string) => {
      const { user, port, settings } = config.resolve({ name });
      return [user, port, settings.compression, settings.batchMode];
    };
    expect(of('ab')).toEqual(['inner', 5, true, true]);
    expect(of('ac')).toEqual(['last', 5, true, true]);
    expect(of('b')).toEqual(['last', 22, false, false]);
  });

  test('ends with an error after sixteen files', () => {
    expect(() => load('Include config')).toThrow(/Include goes deeper than 16 files/);
  });

  test('a system file cannot include from a home', () => {
    expect(problemsOf(() => load('', { [SYSTEM_FILE]: 'Include ~/x' }))).toEqual([
      '1: Include "~/x": a system file cannot include from a home',
    ]);
  });

  test('files that others can write are refused, but not the one that was named', () => {
    const mode = (path: string) => ({ uid: 1000, gid: 1000, mode: path.endsWith('open') ? 0o666 : 0o600 });
    const files = { '/open': 'User x' };
    expect(() => load('Include /open', files, { mode })).toThrow(/"\/open" has a bad owner or bad permissions/);
    const named = load('', files, { mode, userFile: '/open', userFileNamed: true });
    expect(user(named, 'h')).toBe('x');
    expect(() => load('', files, { mode, userFile: '/open' })).toThrow(MyriadError);
  });
});

describe('a second pass', () => {
  const redHat = 'Include /etc/ssh/ssh_config.d/*.conf\nHost web1\n  Ciphers aes256-ctr\n';
  const files = {
    '/etc/ssh/ssh_config.d/50-redhat.conf':
      'Match final all\n\tInclude /etc/crypto-policies/back-ends/openssh.config\n\tGSSAPIAuthentication yes\n' +
      '\tForwardX11Trusted yes\n\tSendEnv LANG LC_*\n',
    '/etc/crypto-policies/back-ends/openssh.config':
      'Ciphers aes256-gcm@openssh.com,aes256-ctr\nMACs hmac-sha2-256\nGSSAPIKexAlgorithms gss-gex-sha1-\n' +
      'RequiredRSASize 2048\nRSAMinSize 1\nCASignatureAlgorithms ssh-ed25519\n',
  };

  test("RHEL's and Fedora's system files", () => {
    const config = load('', { [SYSTEM_FILE]: redHat, ...files });
    const web = config.resolve({ name: 'web1' });
    expect(web.settings).toMatchObject({ ciphers: 'aes256-ctr', macs: 'hmac-sha2-256', requiredRsaSize: 2048 });
    expect(config.resolve({ name: 'db1' }).settings.ciphers).toBe('aes256-gcm@openssh.com,aes256-ctr');
    expect(web.settings.sendEnv).toEqual(['LANG', 'LC_*']);
    expect(web.settings.needsOpenssh).toEqual([]);
  });

  test('sees HostName in Host and Match, and keeps what the first pass has set', () => {
    const config = load(
      'Host alias\n HostName Real.Example\n User first\nHost real.example\n User second\n Port 7\nMatch final host real.*\n BatchMode yes',
    );
    const host = config.resolve({ name: 'alias' });
    expect(host).toMatchObject({ name: 'alias', hostName: 'real.example', user: 'first', port: 7 });
    expect(host.settings.batchMode).toBe(true);
    expect(config.resolve({ name: 'real.example' }).user).toBe('second');
  });

  test('is not made when nothing asks for it', () => {
    const config = load('Host alias\n HostName real\nHost real\n User second\nMatch canonical\n User third');
    expect(user(config, 'alias')).toBe('ann');
  });
});

describe('bad lines', () => {
  test('all of a file are told at once, with line and reason', () => {
    const text = 'Host a\n Frobnicate yes\n Port 0\nMatch foo bar\nUser "x\nCompression maybe\nPort\nUser a b';
    const problems = problemsOf(() => load(text));
    expect(problems).toEqual([
      '2: unknown option "frobnicate"; correct it, or name it in IgnoreUnknown',
      '3: port "0" is not a number from 1 to 65535',
      '4: Match does not know "foo"',
      '5: a quote is not closed in "User "x"',
      '6: compression "maybe" is none of yes, no',
      '7: "port" has no argument',
      '8: extra argument "b" at the end of user',
    ]);
    expect(() => load(text)).toThrow(/^ssh_config "\/home\/ann\/.ssh\/config" has 7 bad lines: line 2: unknown option/);
  });

  test('the message stays short, the list is whole', () => {
    const text = 'Bad x\n'.repeat(30);
    expect(problemsOf(() => load(text))).toHaveLength(30);
    expect(() => load(text)).toThrow(/line 10: [^;]+; correct it, or name it in IgnoreUnknown; and 20 more$/);
  });

  test('one bad line, a missing file, an unreadable file', () => {
    expect(() => load('User')).toThrow(`ssh_config "${USER_FILE}", line 1: "user" has no argument`);
    expect(() => load('', {}, { userFile: '/none', userFileNamed: true })).toThrow('ssh_config "/none" does not exist');
    expect(user(load('', {}, { userFile: '/none' }), 'h')).toBe('ann');
    const cause = new MyriadError('file', 'not readable');
    const readFile = () => {
      throw cause;
    };
    expect(() => load('', {}, { readFile })).toThrow(cause);
  });

  test('old words are taken, those that did something with a warning', () => {
    const config = load('Protocol 2\nUseRoaming no\nRhostsRSAAuthentication yes\nUser x');
    expect(config.warnings).toEqual([
      { file: USER_FILE, line: 3, reason: '"rhostsrsaauthentication" is not supported' },
    ]);
    expect(user(config, 'h')).toBe('x');
  });

  test('IgnoreUnknown covers what comes after it, for the hosts for which it counts', () => {
    expect(user(load('IgnoreUnknown Use*,foo\nUseKeychain yes\nUser x'), 'h')).toBe('x');
    expect(problemsOf(() => load('UseKeychain yes\nIgnoreUnknown Use*'))).toHaveLength(1);
    expect(problemsOf(() => load('IgnoreUnknown foo\nUseKeychain yes'))).toHaveLength(1);
    const partly = load('Host a\n IgnoreUnknown Use*\nHost *\n UseKeychain yes\n User x');
    expect(user(partly, 'a')).toBe('x');
    expect(problemsOf(() => partly.resolve({ name: 'b' }))).toEqual([
      '4: unknown option "usekeychain"; correct it, or name it in IgnoreUnknown',
    ]);
    expect(user(load('UseKeychain yes\nUser x', {}, { ignoreUnknown: 'usekeychain' }), 'h')).toBe('x');
  });

  test('bad options of the command line', () => {
    const config = load('');
    const overrides = new Map([
      ['Port', ['99999']],
      ['Fo', ['x']],
      ['Host', ['x']],
      ['User', ['"x']],
    ]);
    expect(problemsOf(() => config.resolve({ name: 'h', overrides }))).toEqual([
      '0: port "99999" is not a number from 1 to 65535',
      '0: there is no such option in ssh_config',
      '0: Host counts in a file only',
      '0: a quote is not closed in ""x"',
    ]);
    expect(() => config.resolve({ name: 'h', overrides })).toThrow('option Port: port "99999" is not a number');
  });

  test.each<[string, string, string]>([
    ['HostName %n', 'h', 'hostname: the token %n is not known here'],
    ['IdentityFile ~/%q', 'h', 'identityfile: the token %q is not known here'],
    [`IdentityFile ${variable('NONE')}`, 'h', 'identityfile: environment variable "NONE" is not set'],
    ['UserKnownHostsFile ~nobody-here/x', 'h', 'userknownhostsfile: there is no user "nobody-here"'],
    ['ProxyCommand nc %h %q', 'h', 'proxy: the token %q is not known here'],
    ['ProxyJump h', 'h', 'ProxyJump of "h" leads through the host itself'],
    ['HostName a;b', 'h', 'hostname "a;b" has characters that no host name has'],
    ['User a;b', 'h', 'the user name "a;b" has unsafe characters'],
    ['ConnectionAttempts 0', 'h', 'connectionattempts "0" is less than 1'],
    ['', 'a b', 'the host name "a b" has characters'],
  ])('%j for host %j', (text, name, reason) => {
    expect(() => load(text).resolve({ name })).toThrow(reason);
  });

  test('whatever the text is, it is a configuration or an error of ours', () => {
    const word = fc.constantFrom(
      ...['Host', 'Match', 'Include', 'User', 'Port', 'HostName', 'ProxyJump', 'IdentityFile', 'RekeyLimit', 'SetEnv'],
      ...[
        'all',
        'final',
        'exec',
        '*',
        '!',
        '%h',
        '%',
        '~',
        '"',
        "'",
        '\\',
        '#',
        '=',
        ',',
        ' ',
        '\t',
        '\n',
        '1',
        'x',
        ':',
        '@',
      ],
    );
    const text = fc.array(fc.oneof({ weight: 5, arbitrary: word }, fc.string({ maxLength: 3 })), { maxLength: 40 });
    fc.assert(
      fc.property(text, (words) => {
        try {
          const host = load(words.join(''), {}, { exec: () => true }).resolve({ name: 'h' });
          host.dump();
        } catch (error) {
          expect(error).toBeInstanceOf(MyriadError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('what cannot be used for one host does not concern another', () => {
    expect(user(load('Host a\n IdentityFile %q\nHost *\n User x'), 'b')).toBe('x');
  });
});
