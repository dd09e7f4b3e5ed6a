/** Every keyword of ssh_config that counts: how its arguments are read, its default, and how `ssh -G` writes it. */

/**
 * `choice`: one of listed words · `count`: a whole number · `seconds`: a time, `none` leaves it open · `word`: one argument ·
 * `words`: all arguments · `command`: the rest of the line · `algorithms`: a list with + - ^ · the others have a reader of
 * their own in `setting.ts`.
 */
export type Reader =
  | 'choice'
  | 'count'
  | 'seconds'
  | 'word'
  | 'words'
  | 'command'
  | 'algorithms'
  | 'add-keys'
  | 'agent-path'
  | 'any'
  | 'cnames'
  | 'domains'
  | 'env-names'
  | 'env-values'
  | 'escape'
  | 'forward'
  | 'forward-agent'
  | 'jump'
  | 'mask'
  | 'path-list'
  | 'persist'
  | 'port'
  | 'qos'
  | 'rekey'
  | 'tun-device';

export interface Keyword {
  readonly name: string;
  readonly reader: Reader;
  /** What `ssh -G` shows when nothing is set; undefined: nothing. */
  readonly fallback: string | undefined;
  /** For `choice`: the words, in lower case, and what each means. */
  readonly choices?: Readonly<Record<string, string>>;
}

const YES_NO = { yes: 'yes', true: 'yes', no: 'no', false: 'no' };
/** `ssh -G` writes yes and no of these as true and false. */
const STATE = { yes: 'true', true: 'true', no: 'false', false: 'false' };
const HASHES = { md5: 'MD5', sha1: 'SHA1', sha256: 'SHA256', sha384: 'SHA384', sha512: 'SHA512' };
const LEVELS = 'SILENT FATAL ERROR INFO VERBOSE DEBUG DEBUG2 DEBUG3';
const FACILITIES = 'DAEMON USER AUTH AUTHPRIV LOCAL0 LOCAL1 LOCAL2 LOCAL3 LOCAL4 LOCAL5 LOCAL6 LOCAL7';

function choice(name: string, fallback: string | undefined, choices: Readonly<Record<string, string>>): Keyword {
  return { name, reader: 'choice', fallback, choices };
}

function flags(fallback: 'yes' | 'no', names: string): Keyword[] {
  return names.split(' ').map((name) => choice(name, fallback, YES_NO));
}

function plain(reader: Reader, names: string): Keyword[] {
  return names.split(' ').map((name) => ({ name, reader, fallback: undefined }));
}

function one(name: string, reader: Reader, fallback: string | undefined): Keyword {
  return { name, reader, fallback };
}

function words(text: string): Record<string, string> {
  return Object.fromEntries(text.split(' ').map((word) => [word.toLowerCase(), word]));
}

const FLAGS: readonly Keyword[] = [
  ...flags('yes', 'canonicalizefallbacklocal kbdinteractiveauthentication passwordauthentication tcpkeepalive'),
  ...flags('no', 'batchmode checkhostip enablesshkeysign clearallforwardings exitonforwardfailure forwardx11'),
  ...flags('no', 'forwardx11trusted gatewayports hashknownhosts hostbasedauthentication identitiesonly'),
  ...flags('no', 'gssapiauthentication gssapikeyexchange gssapidelegatecredentials gssapitrustdns'),
  ...flags('no', 'gssapirenewalforcesrekey nohostauthenticationforlocalhost permitlocalcommand proxyusefdpass'),
  ...flags('no', 'stdinnull forkafterauthentication streamlocalbindunlink visualhostkey enableescapecommandline'),
];

const CHOICES: readonly Keyword[] = [
  choice('addressfamily', 'any', words('any inet inet6')),
  choice('canonicalizehostname', 'false', { ...STATE, always: 'always' }),
  choice('compression', 'no', { yes: 'yes', no: 'no' }),
  choice('controlmaster', 'false', { ...STATE, auto: 'auto', ask: 'ask', autoask: 'autoask' }),
  choice('fingerprinthash', 'SHA256', HASHES),
  choice('loglevel', 'INFO', { ...words(LEVELS), quiet: 'SILENT', debug1: 'DEBUG' }),
  choice('pubkeyauthentication', 'true', { ...STATE, unbound: 'unbound', 'host-bound': 'host-bound' }),
  choice('requesttty', 'auto', { ...STATE, force: 'force', auto: 'auto' }),
  choice('sessiontype', 'default', words('none subsystem default')),
  choice('stricthostkeychecking', 'ask', { ...STATE, ask: 'ask', off: 'false', 'accept-new': 'accept-new' }),
  choice('syslogfacility', 'USER', words(FACILITIES)),
  choice('tunnel', 'false', {
    ethernet: 'ethernet',
    'point-to-point': 'point-to-point',
    yes: 'point-to-point',
    true: 'point-to-point',
    no: 'false',
    false: 'false',
  }),
  choice('updatehostkeys', undefined, { ...STATE, ask: 'ask' }),
  choice('verifyhostkeydns', 'false', { ...STATE, ask: 'ask' }),
];

const NUMBERS: readonly Keyword[] = [
  one('canonicalizemaxdots', 'count', '1'),
  one('connectionattempts', 'count', '1'),
  one('numberofpasswordprompts', 'count', '3'),
  one('requiredrsasize', 'count', '1024'),
  one('serveralivecountmax', 'count', '3'),
  one('connecttimeout', 'seconds', 'none'),
  one('forwardx11timeout', 'seconds', '1200'),
  one('serveraliveinterval', 'seconds', '0'),
  one('port', 'port', '22'),
];

const TEXTS: readonly Keyword[] = [
  ...plain(
    'word',
    'bindaddress bindinterface controlpath gssapiclientidentity gssapikexalgorithms gssapiserveridentity',
  ),
  ...plain('word', 'hostkeyalias hostname ignoreunknown kbdinteractivedevices pkcs11provider preferredauthentications'),
  ...plain('word', 'revokedhostkeys tag user versionaddendum'),
  ...plain('command', 'knownhostscommand localcommand proxycommand refuseconnection remotecommand'),
  ...plain('algorithms', 'casignaturealgorithms ciphers hostbasedacceptedalgorithms hostkeyalgorithms kexalgorithms'),
  ...plain('algorithms', 'macs pubkeyacceptedalgorithms'),
  ...plain('forward', 'dynamicforward localforward remoteforward'),
  one('identityagent', 'agent-path', undefined),
  one('proxyjump', 'jump', undefined),
  one('securitykeyprovider', 'word', 'internal'),
  one('xauthlocation', 'word', '/usr/bin/xauth'),
];

const LISTS: readonly Keyword[] = [
  one('certificatefile', 'word', undefined),
  one('identityfile', 'word', undefined),
  one('sendenv', 'env-names', undefined),
  one('setenv', 'env-values', undefined),
  one('canonicaldomains', 'domains', 'none'),
  one('canonicalizepermittedcnames', 'cnames', 'none'),
  one('channeltimeout', 'words', undefined),
  one('globalknownhostsfile', 'path-list', '/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2'),
  one('logverbose', 'words', 'none'),
  one('permitremoteopen', 'words', 'any'),
  one('userknownhostsfile', 'path-list', '~/.ssh/known_hosts ~/.ssh/known_hosts2'),
];

const SPECIAL: readonly Keyword[] = [
  one('addkeystoagent', 'add-keys', 'false'),
  one('controlpersist', 'persist', 'no'),
  one('escapechar', 'escape', '~'),
  one('forwardagent', 'forward-agent', 'no'),
  one('ipqos', 'qos', 'lowdelay throughput'),
  one('rekeylimit', 'rekey', '0 0'),
  one('streamlocalbindmask', 'mask', '0177'),
  one('tunneldevice', 'tun-device', 'any:any'),
  // Of newer releases, taken and not used: what they switch on has no meaning for jobs.
  one('obscurekeystroketiming', 'any', undefined),
  one('warnweakcrypto', 'any', undefined),
];

const ALL = [...FLAGS, ...CHOICES, ...NUMBERS, ...TEXTS, ...LISTS, ...SPECIAL];

/** By name in lower case, in the order of `ssh -G` as far as it matters. */
export const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(ALL.map((keyword) => [keyword.name, keyword]));

/** Older and distributions' names. */
export const ALIASES: ReadonlyMap<string, string> = new Map([
  ['challengeresponseauthentication', 'kbdinteractiveauthentication'],
  ['dsaauthentication', 'pubkeyauthentication'],
  ['hostbasedkeytypes', 'hostbasedacceptedalgorithms'],
  ['identityfile2', 'identityfile'],
  ['keepalive', 'tcpkeepalive'],
  ['protocolkeepalives', 'serveraliveinterval'],
  ['pubkeyacceptedkeytypes', 'pubkeyacceptedalgorithms'],
  ['rsaminsize', 'requiredrsasize'],
  ['setuptimeout', 'serveraliveinterval'],
  ['skeyauthentication', 'kbdinteractiveauthentication'],
  ['smartcarddevice', 'pkcs11provider'],
  ['tisauthentication', 'kbdinteractiveauthentication'],
]);

/** Taken without a word, as OpenSSH does. */
export const DEPRECATED: ReadonlySet<string> = new Set(
  (
    'protocol cipher fallbacktorsh globalknownhostsfile2 rhostsauthentication userknownhostsfile2 useroaming usersh ' +
    'useprivilegedport'
  ).split(' '),
);

/** Taken with a warning, as OpenSSH does. */
export const UNSUPPORTED: ReadonlySet<string> = new Set(
  (
    'afstokenpassing kerberosauthentication kerberostgtpassing rsaauthentication rhostsrsaauthentication ' +
    'compressionlevel'
  ).split(' '),
);

/** Private keys that are tried when no IdentityFile is set. */
export const DEFAULT_IDENTITIES: readonly string[] = [
  '~/.ssh/id_rsa',
  '~/.ssh/id_ecdsa',
  '~/.ssh/id_ecdsa_sk',
  '~/.ssh/id_ed25519',
  '~/.ssh/id_ed25519_sk',
  '~/.ssh/id_xmss',
  '~/.ssh/id_dsa',
];
