/** Configurations made up out of a seed: every run makes the same ones. */

/** Pseudo-random numbers; the same for the same seed. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** True once in `n`. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }
}

const NAMES: readonly string[] = [
  ...['web1', 'web2', 'Web1', 'db1', 'gate', 'a.example.com', 'b.example.com', 'web1.example.com'],
  ...['10.0.0.5', '127.1', '0x7f.1', '::1', '::0001', 'fe80::1%lo', '1.2.3.256', 'x_y', 'WEB2.Example.Com'],
];

const PATTERNS = [
  ...['*', 'web*', 'web?', '*.example.com', 'db1', 'web1', 'Web1', '10.0.0.*', '127.0.0.1', '::1', 'gate', '*e*'],
  ...['web1.example.com', '*.com', '?', 'a.*', 'real-*', '!web2', '!web*', '!*.example.com', '!10.*', '!real-*'],
];

const LISTS = ['web*', 'web1,db1', '*,!web1', '!web*,*', 'WEB*', '*.example.com', 'real-*', '127.0.0.1', 'gate'];
const USERS = ['root', 'ann', 'root,ann', '*,!ann', 'a*', '!root,*'];
const EXECS = ['"exit 0"', '"exit 1"', 'true', 'false', '"test %h = web1"', '"test %p = 22"', '"test %n = %h"'];

/** Texts that may follow a keyword, all of them good. A mark stands for `${HOME}`. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  AddKeysToAgent: ['yes', 'no', 'ask', 'confirm', '5m', 'confirm 1h'],
  AddressFamily: ['any', 'inet', 'INET6'],
  BindAddress: ['127.0.0.1', '::1'],
  BindInterface: ['lo', 'eth0'],
  CanonicalDomains: ['a.example B.example.', 'none'],
  CanonicalizeFallbackLocal: ['yes', 'no'],
  CanonicalizeMaxDots: ['0', '2'],
  CertificateFile: ['~/c1', '~/c2-%h', '"/with blank"'],
  CheckHostIP: ['yes', 'no'],
  Ciphers: ['aes128-ctr', '+aes256-cbc', '-aes*', '^aes256-gcm@openssh.com', 'aes256-ctr,aes128-ctr'],
  Compression: ['yes', 'no', 'YES'],
  ConnectTimeout: ['10', '1m', '1h30m', 'none', '0'],
  ConnectionAttempts: ['1', '3', '010'],
  ControlMaster: ['auto', 'no', 'autoask', 'true'],
  ControlPath: ['none', '~/.ssh/%n-%p-%r', '/tmp/%l-%L-%u-%i-%k-%d-%%'],
  ControlPersist: ['yes', 'no', '0', '10m'],
  EscapeChar: ['none', '^A', '!'],
  FingerprintHash: ['md5', 'SHA256'],
  ForwardAgent: ['yes', 'no', 'TRUE', '$HOME'],
  ForwardX11: ['yes', 'no'],
  GSSAPIAuthentication: ['yes', 'no'],
  GlobalKnownHostsFile: ['none', '/a', '/a "/b c" ~/d'],
  HashKnownHosts: ['yes', 'no'],
  HostKeyAlgorithms: ['ssh-ed25519', '^ssh-rsa', '-ecdsa*', '+ssh-dss', 'rsa-sha2-*'],
  HostKeyAlias: ['Alias', 'other.example'],
  HostbasedAuthentication: ['yes', 'no'],
  Hostname: ['real-%h', '10.0.0.9', '127.1', 'Real-Name', '::0002', '%h.example.com', '"real-q"', 'fe80::1%%lo'],
  IPQoS: ['ef', '0x20 none', 'AF21 cs1', '33'],
  IdentitiesOnly: ['yes', 'no', 'true'],
  IdentityAgent: ['none', 'SSH_AUTH_SOCK', '$HOME', '~/agent-%r', '\u00a7/agent'],
  IdentityFile: ['~/k1', '~/k2', '%d/k-%h', '"/k 3"', "'/k 4'", '/k\\ 5', 'none', '\u00a7/k6'],
  KbdInteractiveAuthentication: ['yes', 'no'],
  KexAlgorithms: ['curve25519-sha256', '-diffie-hellman-*', '^ecdh-sha2-nistp256', '+diffie-hellman-group14-sha1'],
  KnownHostsCommand: ['none', '/bin/keys %H %I', '/bin/keys "%h x"'],
  LocalForward: ['8080 a:80', '[::1]:81 [::2]:82', '/a/b c:1'],
  LogLevel: ['quiet', 'ERROR', 'VERBOSE', 'info'],
  MACs: ['hmac-sha2-256', '-umac*', '^hmac-sha1', '+hmac-md5'],
  NumberOfPasswordPrompts: ['1', '5'],
  PasswordAuthentication: ['yes', 'no'],
  Port: ['22', '2222', 'ssh', '+022'],
  PreferredAuthentications: ['publickey', 'password,publickey'],
  ProxyCommand: ['nc %h %p', 'none', '= nc -x "a b" %h   %% # no comment', 'ssh -W [%h]:%p gate2'],
  ProxyJump: ['jump', 'u@jump:2222', 'none', 'j1,u@j2,[::7]:23', 'ssh://u@jump:1/', '127.0.0.2 # c', 'jump:'],
  PubkeyAcceptedAlgorithms: ['+ssh-rsa', 'ssh-ed25519*', '-*cert*', '^rsa-sha2-256'],
  PubkeyAuthentication: ['yes', 'no', 'unbound', 'host-bound'],
  RekeyLimit: ['1G', '1.5M 1h', 'default none', '16 30', 'default 5m', '500k none'],
  RemoteCommand: ['none', 'echo %h %p %r'],
  RemoteForward: ['80', '0 a:1', '/a/b'],
  RequestTTY: ['yes', 'no', 'force', 'auto'],
  RequiredRSASize: ['2048', '4096'],
  RevokedHostKeys: ['none', '/krl'],
  SendEnv: ['LANG LC_*', 'A B', '-A C', '-L*'],
  ServerAliveCountMax: ['2', '9'],
  ServerAliveInterval: ['15', '1m', 'none'],
  SessionType: ['none', 'default'],
  SetEnv: ['A=1 B=2 A=3', '"C=x y"'],
  StrictHostKeyChecking: ['yes', 'no', 'ask', 'off', 'accept-new'],
  TCPKeepAlive: ['yes', 'no'],
  Tunnel: ['yes', 'ethernet', 'no'],
  TunnelDevice: ['0', 'any:3'],
  User: ['root', 'ann', '"a b"', "'x'"],
  UserKnownHostsFile: ['none', '~/k', '/a ~/b-%h-%p-%k "/c d"', '\u00a7/kh'],
  VerifyHostKeyDNS: ['yes', 'no', 'ask'],
  VisualHostKey: ['yes', 'no'],
};
const KEYWORDS = Object.keys(VALUES);

/** Lines that OpenSSH refuses. */
const BAD_LINES: readonly string[] = [
  ...['Frobnicate yes', 'Port 0', 'Port 70000', 'Port x', 'ConnectTimeout -1', 'ConnectTimeout 5x', 'Port', 'User'],
  ...['User "x', 'User a b', 'Match', 'Match foo x', 'Match host', 'Match all user x', 'Match #x', 'Host ""'],
  ...['Compression true', 'Compression maybe', 'RekeyLimit 1KB', 'RekeyLimit 15', 'RekeyLimit 1G x'],
  ...['RekeyLimit 1G none x', 'SendEnv A=B', 'SetEnv AB', 'ProxyJump @a', 'ProxyJump a:0', 'ProxyJump a/b'],
  ...['ProxyJump a,', 'ProxyJump ssh://a/x', 'UserKnownHostsFile none a', 'IPQoS ef ef ef', 'IPQoS 300'],
  ...['EscapeChar ab', 'IdentityAgent $A-B', 'IdentityAgent \u00a7{', 'AddKeysToAgent yes 5m', 'TunnelDevice x'],
  ...['CanonicalDomains -x', 'CanonicalDomains none x', 'CanonicalDomains a..b', 'CanonicalizePermittedCNAMEs x'],
  ...['NumberOfPasswordPrompts x', 'NumberOfPasswordPrompts -1', 'LogLevel foo', 'HashKnownHosts maybe', 'Include ""'],
  ...['IdentityFile ""', 'IdentityFile a b', 'StrictHostKeyChecking perhaps', 'LocalForward 80', 'LocalForward 0 a:1'],
  ...['LocalForward 1 a', 'DynamicForward x', 'StreamLocalBindMask 9', 'AddressFamily ipv6', 'IdentitiesOnly'],
];

export interface MadeConfig {
  readonly text: string;
  /** By the name that the text includes, which is a place to be filled in: `@1@`. */
  readonly included: readonly string[];
  readonly hosts: readonly string[];
}

/** A configuration that OpenSSH accepts, and a host or two to ask it for. */
export function makeConfig(seed: number): MadeConfig {
  const dice = new Dice(seed);
  const included = Array.from({ length: dice.below(3) }, (_, index) => makeBlocks(dice, index + 2, 1 + dice.below(2)));
  const made = makeBlocks(dice, included.length > 0 ? 0 : 9, 1 + dice.below(5));
  const text = included.length === 0 && dice.once(3) ? canonical(dice, made) : made;
  return { text, included, hosts: Array.from({ length: seed % 4 === 0 ? 2 : 1 }, () => dice.of(NAMES)) };
}

/** With a second pass for the canonical name, but without domains: nobody is asked for names. */
function canonical(dice: Dice, text: string): string {
  const mode = dice.of(['yes', 'always']);
  const without = text.replace(/^\s*canonicaldomains.*$/gim, '');
  return `CanonicalizeHostname ${mode}\nCanonicalizeFallbackLocal yes\n${without}`;
}

/** As above, with bad lines in the one file. */
export function makeBadConfig(seed: number): MadeConfig {
  const dice = new Dice(seed ^ 0x5bd1e995);
  const made = makeBlocks(dice, 9, 1 + dice.below(3)).split('\n');
  // What IgnoreUnknown covers depends on the host; the other test has that.
  const lines = made.filter((line) => !line.includes('UseKeychain'));
  for (let left = 1 + dice.below(3); left > 0; left--) lines.splice(dice.below(lines.length), 0, dice.of(BAD_LINES));
  return { text: lines.join('\n'), included: [], hosts: [dice.of(NAMES)] };
}

/** `depth`: the first file that may be included from here; files include only those behind them, so that nothing goes round. */
function makeBlocks(dice: Dice, depth: number, count: number): string {
  const lines: string[] = [];
  const settings = () => {
    for (let left = dice.below(6); left > 0; left--) lines.push(...makeSetting(dice, depth));
  };
  settings();
  for (let block = 0; block < count; block++) {
    lines.push(dice.once(3) ? makeMatch(dice) : makeHost(dice));
    settings();
  }
  return `${lines.join('\n')}\n`;
}

function makeHost(dice: Dice): string {
  const patterns = Array.from({ length: 1 + dice.below(3) }, () => dice.of(PATTERNS));
  return `Host${dice.of([' ', '\t', '=', ' = '])}${patterns.join(' ')}${dice.of(['', ' # c', '  '])}`;
}

function makeMatch(dice: Dice): string {
  if (dice.once(6)) return dice.of(['Match all', 'Match final all', 'Match !all', 'Match canonical all']);
  const conditions = Array.from({ length: 1 + dice.below(3) }, () => {
    const not = dice.once(4) ? '!' : '';
    switch (dice.below(8)) {
      case 0:
        return `${not}${dice.of(['final', 'canonical'])}`;
      case 1:
        return `${not}user ${dice.of(USERS)}`;
      case 2:
        return `${not}localuser ${dice.of(USERS)}`;
      case 3:
        return `${not}exec ${dice.of(EXECS)}`;
      case 4:
        return `${not}originalhost ${dice.of(LISTS)}`;
      default:
        return `${not}host ${dice.of(LISTS)}`;
    }
  });
  return `match ${conditions.join(' ')}`;
}

function makeSetting(dice: Dice, depth: number): string[] {
  if (depth < 4 && dice.once(8)) return [`  Include @${Math.max(1, depth)}@${dice.once(3) ? ' /nowhere/*' : ''}`];
  if (dice.once(60)) return ['IgnoreUnknown use*,x', ' UseKeychain yes'];
  if (dice.once(12)) return [dice.of(['', '# a comment', '   \t', 'Protocol 2', 'RSAAuthentication yes'])];
  const keyword = dice.of(KEYWORDS);
  const value = dice.of(VALUES[keyword]!).replaceAll('\u00a7', `$${'{HOME}'}`);
  const written = dice.of([keyword, keyword.toLowerCase(), keyword.toUpperCase()]);
  const separator = dice.of([' ', ' ', '\t', '=', '  =  ']);
  return [`${dice.of(['', '  ', '\t'])}${written}${separator}${value}${dice.of(['', '', ' ', '\r'])}`];
}
