/** The options that all verbs share that reach hosts: which ones, how, how many at once; what they come to for the library. */
import { type Command, Option } from 'commander';
import { type Fleet, type FleetOptions, MyriadError } from '../index.ts';
import { quote, type Words } from '../output/obstacles.ts';
import { askSecret } from './prompt.ts';
import type { TerminalSecrets } from './secrets.ts';
import {
  append,
  count,
  countOrAuto,
  duration,
  durationOrNone,
  type Expected,
  expected,
  name,
  rate,
  word,
} from './values.ts';

/** Which hosts. */
export interface TargetFlags {
  readonly hosts?: string[];
  readonly pssh?: string[];
  readonly exclude?: string[];
  readonly hostfile?: string[];
  readonly group?: string[];
  readonly excludeGroup?: string[];
  readonly allHosts?: boolean;
  readonly allowUnmatched?: boolean;
  readonly inventory?: string[];
  readonly where?: string;
  readonly pick?: string;
  readonly seed?: string;
  readonly limit?: string;
  readonly from?: string[];
  /** The folder that `from` is looked for in. */
  readonly journal?: string | boolean;
  readonly expect?: Expected;
}

/** How they are reached. */
export interface ConnectionFlags {
  readonly user?: string;
  readonly port?: number;
  readonly identity?: string[];
  readonly jump?: string;
  readonly ipv4Only?: boolean;
  readonly ipv6Only?: boolean;
  readonly resolver: 'dns' | 'system';
  readonly askPassword?: boolean;
  readonly passwordFile?: string;
  readonly passwordCommand?: string;
  readonly hostKeys?: 'strict' | 'accept-new' | 'off';
  readonly config?: string;
  readonly option?: string[];
  readonly transport?: 'auto' | 'native' | 'openssh';
  readonly knownHosts?: string[];
  readonly retries?: number;
}

/** How many at once, how long. */
export interface LimitFlags {
  readonly fanout: number | 'auto';
  readonly rate?: number | 'max';
  /** Of verbs that have the option. */
  readonly threads?: number | 'auto';
  readonly connectTimeout?: number;
  readonly deadline?: number | null;
}

export type ReachFlags = TargetFlags &
  ConnectionFlags &
  LimitFlags & {
    /** Of runs that are repeated. */
    readonly every?: number;
  };

/** An option that takes one of a few words, the first of which is its default. */
export function choice(flags: string, what: string, words: readonly [string, ...string[]]): Option {
  const name = /--[a-z-]+/.exec(flags)![0];
  return new Option(flags, what).argParser(word(name, words)).default(words[0], words[0]);
}

/** Begins the group of options that say which hosts. */
export function addTargets(command: Command): Command {
  return command
    .optionsGroup('Targets:')
    .option('-w, --hosts <set>', 'web[1-9], 10.0.0.0/24, user@name:port; ^FILE is a file, - is stdin', append)
    .addOption(new Option('-H, --pssh <set>', 'as -w').argParser(append).hideHelp())
    .option('-x, --exclude <set>', 'hosts to leave out; matching none is an error', append)
    .option('--hostfile <file>', 'a file with one host set a line', append)
    .option('-g, --group <name>', 'hosts of groups, with commas; SOURCE:GROUP', append)
    .option('-X, --exclude-group <name>', 'groups to leave out', append)
    .option('-a, --all-hosts', 'all hosts of the inventory')
    .option('--allow-unmatched', 'warn of names, groups and exclusions that match nothing; else an error')
    .option('-i, --inventory <path>', 'where hosts, groups and variables are; TYPE:PATH', append)
    .option('--where <expr>', "only hosts for which it holds: 'os=debian & !role=db'")
    .option('--pick <n>', 'so many of them at random, N or N%')
    .option('--seed <text>', 'picks the same hosts each time')
    .option('--limit <n>', 'the first ones of them, N or N%')
    .option('--from <run>', 'hosts of a recorded run, RUN[:SEL], as last:bad; see show --help', append)
    .option('--expect <n>', 'refuse unless there are N, N+-P% or A..B hosts', expected('--expect'));
}

export function addConnection(command: Command): Command {
  return command
    .optionsGroup('Connection:')
    .option('-l, --user <name>', 'login name (default: as ssh_config says, else yours)', name('--user (-l)'))
    .option('-p, --port <port>', 'port (default: as ssh_config says, else 22)', count('--port (-p)', 1, 65_535))
    .option('-J, --jump <hosts>', 'jump hosts, [user@]host[:port], the nearest first, with commas')
    .option('-F, --config <file>', 'ssh_config instead of the usual two, or none')
    .option('-o, --option <key=value>', 'an option as ssh_config has it', append)
    .addOption(
      new Option('--transport <how>', 'auto, native (our client only), openssh (the ssh program)').argParser(
        word('--transport', ['auto', 'native', 'openssh']),
      ),
    )
    .option('-4, --ipv4-only', 'IPv4 addresses only')
    .option('-6, --ipv6-only', 'IPv6 addresses only')
    .addOption(
      new Option('--resolver <how>', 'names by dns (own queries) or system (nsswitch)')
        .argParser(word('--resolver', ['dns', 'system']))
        .default('dns', 'dns'),
    )
    .option('--identity <file>', 'private key; may stand several times', append)
    .option('-k, --ask-password', 'ask for a password, and what else a host asks')
    .option('--password-file <file>', 'a password: the first line of a file of mode 0600')
    .option('--password-command <line>', 'a password: what a command prints here; with {host} one per host')
    .addOption(
      new Option(
        '--host-keys <policy>',
        'strict (known ones; default), accept-new (also of new hosts), off (any)',
      ).argParser(word('--host-keys', ['strict', 'accept-new', 'off'])),
    )
    .option('--known-hosts <file>', 'known_hosts file; may stand several times', append)
    .option('--retries <n>', 'tries after the first, while nothing has begun (default: 3)', count('--retries', 0));
}

export function addFanout(command: Command): Command {
  return command
    .optionsGroup('How many, how long:')
    .addOption(
      new Option('-f, --fanout <n>', 'tasks in progress at once')
        .argParser(countOrAuto('--fanout (-f)'))
        .default('auto', 'auto'),
    )
    .option(
      '--rate <n/s>',
      'logins per second, or max (default: few at first, more while they stay fast)',
      rate('--rate'),
    );
}

export function addTimeouts(command: Command): Command {
  return command
    .option(
      '-t, --connect-timeout <time>',
      'until the server says who it is (default: 10s)',
      duration('--connect-timeout (-t)'),
    )
    .option('--deadline <time>', 'of the whole run (default: none)', durationOrNone('--deadline'));
}

const NO_TERMINAL = 'there is no terminal to ask on; run it on one';

/** `-4` and `-6` exclude each other. */
function familyOf(flags: ConnectionFlags): 4 | 6 | undefined {
  if (flags.ipv4Only && flags.ipv6Only)
    throw new MyriadError('usage', '--ipv4-only (-4) and --ipv6-only (-6): give one of them');
  if (flags.ipv4Only) return 4;
  return flags.ipv6Only ? 6 : undefined;
}

/**
 * `selection`: the hosts, as `readHosts` gives them. `secrets`: who asks on the terminal; undefined where nothing will log in: then
 * nothing is asked.
 */
export function fleetOptions(
  flags: ReachFlags,
  selection: FleetOptions,
  secrets: TerminalSecrets | undefined,
): FleetOptions {
  const asks = flags.askPassword ? secrets : undefined;
  return defined({
    ...selection,
    user: flags.user,
    port: flags.port,
    identity: flags.identity,
    jump: flags.jump,
    config: flags.config,
    configOptions: flags.option,
    transport: flags.transport,
    family: familyOf(flags),
    resolver: flags.resolver,
    passphrase: (file: string) =>
      askSecret(`Passphrase for ${file}: `, `--identity "${file}" is encrypted: ${NO_TERMINAL}, or give another key`),
    password: asks && (({ user }) => asks.password(user)),
    answer: asks && ((host, prompts, about, signal) => asks.answer(host, prompts, about, signal)),
    passwordFile: flags.passwordFile,
    passwordCommand: flags.passwordCommand,
    hostKeys: flags.hostKeys,
    knownHosts: flags.knownHosts,
    fanout: flags.fanout,
    rate: flags.rate,
    threads: flags.threads,
    retries: flags.retries,
    // Without rounds there is no second command that could use them.
    warm: flags.every === undefined ? 0 : undefined,
    deadlines: defined({ connectMs: flags.connectTimeout, runMs: flags.deadline }),
  });
}

/** Asks for the password that the first host wants, so that nobody has to wait for the question. */
export async function askFirst(hosts: Fleet, flags: ReachFlags, secrets: TerminalSecrets): Promise<void> {
  if (!flags.askPassword) return;
  for (const host of hosts.hosts()) {
    await secrets.password(hosts.destination(host).user);
    return;
  }
}

/** Without the keys that are undefined: those have defaults. */
export function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** Longer, and nobody types it again. */
const MAX_WORDS = 1000;

/** The words of this command line, as a shell takes them, for lines that are to be typed next. */
export function wordsOf(flags: ReachFlags): Words {
  const repeat = (option: string, values: readonly string[] = []) => values.map((value) => `${option} ${quote(value)}`);
  const one = (option: string, value: string | number | undefined) =>
    value === undefined ? [] : [`${option} ${quote(String(value))}`];
  const shared = [
    ...one('-F', flags.config),
    ...repeat('--identity', flags.identity),
    ...repeat('--known-hosts', flags.knownHosts),
    ...(flags.resolver === 'dns' ? [] : ['--resolver system']),
  ];
  const targets = [
    ...repeat('-w', [...(flags.hosts ?? []), ...(flags.pssh ?? [])]),
    ...repeat('--hostfile', flags.hostfile),
    ...repeat('--from', flags.from),
    ...(typeof flags.journal === 'string' ? one('--journal', flags.journal) : []),
    ...repeat('-x', flags.exclude),
    ...repeat('-g', flags.group),
    ...repeat('-X', flags.excludeGroup),
    ...(flags.allHosts ? ['-a'] : []),
    ...(flags.allowUnmatched ? ['--allow-unmatched'] : []),
    ...repeat('-i', flags.inventory),
    ...one('--where', flags.where),
    ...one('--pick', flags.pick),
    ...one('--seed', flags.seed),
    ...one('--limit', flags.limit),
  ].join(' ');
  const connection = [
    ...one('-l', flags.user),
    ...one('-p', flags.port),
    ...one('-J', flags.jump),
    ...repeat('-o', flags.option),
    ...one('--transport', flags.transport),
    ...(flags.ipv4Only ? ['-4'] : []),
    ...(flags.ipv6Only ? ['-6'] : []),
    ...(flags.askPassword ? ['-k'] : []),
    ...one('--password-file', flags.passwordFile),
    // It may hold a secret, and what is printed may be kept.
    ...(flags.passwordCommand === undefined ? [] : ["--password-command '…'"]),
    ...shared,
  ];
  return {
    targets: targets.length > MAX_WORDS ? '-w HOSTS' : targets,
    connection: connection.join(' '),
    hop: shared.join(' '),
  };
}
