/** What is known of options beyond their definitions: which of them exclude each other, hold paths, or are the user's own to set. */

/** Of each line one can count: where a stronger layer, or the command line, gives any of them, a weaker one's do not. */
const EXCLUSIVE: readonly (readonly string[])[] = [
  ['hosts', 'pssh', 'hostfile', 'group', 'all-hosts', 'from'],
  ['ask-password', 'password-file', 'password-command'],
  ['ask-sudo-password', 'sudo-password-file'],
  ['ipv4-only', 'ipv6-only'],
  ['sudo', 'doas'],
  ['gather-same', 'gather-both'],
  ['line-mode', 'diff'],
  ['icmp', 'tcp', 'banner', 'auth', 'exec'],
  ['fail-fast', 'max-fail'],
  ['quiet', 'verbose'],
];

/** What a program that runs here cannot have. */
const NOT_LOCAL = [
  ...['sudo', 'sudo-user', 'doas', 'ask-sudo-password', 'sudo-password-file', 'env', 'env-file', 'export-identity'],
  ...['cwd', 'umask', 'shell', 'tty', 'ask-password', 'check-on', 'lock'],
];

/** Forms of text: neither for output that is data, nor for lines as they come. */
const FORMS = ['gather-same', 'gather-both', 'line-mode', 'normalize', 'diff', 'regroup'];
const NOT_TEXT = ['output', 'gather'];

/** What a run in rounds cannot have. */
const NOT_IN_ROUNDS = [
  ...['serial', 'splay', 'max-fail', 'max-unreached', 'fail-fast', 'outdir', 'errdir'],
  ...['gather-same', 'gather-both', 'line-mode', 'normalize', 'diff', 'regroup'],
];

/** Those that no longer count once `name` is given. */
export function displacedBy(name: string): readonly string[] {
  if (name === 'every') return NOT_IN_ROUNDS;
  return NOT_IN_ROUNDS.includes(name) ? [...othersBy(name), 'every'] : othersBy(name);
}

function othersBy(name: string): readonly string[] {
  if (name === 'local') return NOT_LOCAL;
  const forms = FORMS.includes(name) ? NOT_TEXT : NOT_TEXT.includes(name) ? FORMS : [];
  return [...EXCLUSIVE.filter((group) => group.includes(name)).flat(), ...forms];
}

/** Settings that wait for another option: they count where that one is given, or set, as well. */
export const WAITS_FOR: ReadonlyMap<string, string> = new Map(
  ['rounds', 'jitter', 'changes-only', 'fail-after', 'extract', 'on-change', 'metrics', 'keep-rounds'].map(
    (name) => [name, 'every'] as const,
  ),
);

/** Left out is left out: these add up over the layers. */
export const ADDS_UP: ReadonlySet<string> = new Set(['exclude', 'exclude-group']);

/** Whether its value is a path here: written relative to the settings file, or with `~/`. The help says so. */
export function holdsPath({ flags, long }: { readonly flags: string; readonly long?: string | undefined }): boolean {
  // That one is a folder of the hosts.
  return /<(?:file|dir|path)\b|--audit/.test(flags) && long !== '--cwd';
}

/** Their values are not shown. */
export const SECRET: ReadonlySet<string> = new Set(['env', 'var', 'password-command', 'redact']);

/**
 * What a project's file may set as it comes, with a clone of somebody's repository: nothing that runs a program, reads or writes a
 * file, sends a secret, weakens the trust in host keys or puts a question off. The rest needs `trusted-projects`.
 */
export const OF_PROJECTS: ReadonlySet<string> = new Set([
  ...['hosts', 'group', 'exclude', 'exclude-group', 'where', 'pick', 'seed', 'limit', 'expect'],
  ...['user', 'port', 'jump', 'ipv4-only', 'ipv6-only', 'resolver', 'transport', 'retries'],
  ...['fanout', 'rate', 'threads', 'connect-timeout', 'command-timeout', 'idle', 'linger', 'deadline'],
  ...['serial', 'check-timeout', 'between', 'splay', 'max-fail', 'max-unreached', 'fail-fast'],
  ...['every', 'rounds', 'jitter', 'changes-only', 'fail-after', 'keep-rounds'],
  ...['cwd', 'umask', 'shell', 'ok-status', 'on-stop', 'export-identity', 'repeat'],
  ...[
    'gather-same',
    'gather-both',
    'line-mode',
    'normalize',
    'diff',
    'regroup',
    'label',
    'gather',
    'order',
    'output',
    'max-output',
    'quiet',
    'verbose',
  ],
  ...['largest-status', 'progress', 'color', 'fold', 'count', 'explain'],
]);
