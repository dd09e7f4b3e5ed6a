/** The options of `myriad ping`, and what they come to for the library. */
import { Command } from 'commander';
import { MyriadError, type PingOptions } from '../index.ts';
import { addConnection, addTargets, choice, defined, type ReachFlags } from './connection_options.ts';
import { addPolls, type PollFlags } from './poll_options.ts';
import { readHosts } from './targets.ts';
import { count, duration, durationOrNone, rate } from './values.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

export interface PingFlags extends ReachFlags, PollFlags {
  readonly icmp?: boolean;
  readonly tcp?: boolean;
  readonly banner?: boolean;
  readonly auth?: boolean;
  readonly exec?: string;
  readonly count?: number;
  readonly interval?: number;
  readonly timeout?: number;
  readonly order: 'random' | 'input';
  readonly usable?: boolean;
  readonly socket: 'auto' | 'raw' | 'datagram' | 'fping';
  readonly alive?: boolean;
  readonly down?: boolean;
  readonly output: 'text' | 'csv' | 'ndjson';
  readonly quiet?: boolean;
  readonly progress: 'auto' | 'always' | 'never';
  readonly yes?: boolean;
  /** Where it is recorded; false: not at all. */
  readonly journal?: string | boolean;
}

export type Level = 'icmp' | 'tcp' | 'banner' | 'auth' | 'exec';
const LEVELS = ['icmp', 'tcp', 'banner', 'auth', 'exec'] as const;

const HELP = `
Examples:
  myriad ping -w 10.0.0.0/16
  myriad ping -w 'web[1-100],10.1.0.0/24' --down
  myriad ping -w 10.0.0.0/24 -c 5 --interval 200ms
  myriad ping -w 10.0.0.0/24 --tcp -p 443 --alive
  myriad ping -w 10.0.0.0/16 --banner
  myriad ping -w 'web[1-100]' --exec true
  myriad ping -w 10.0.0.0/20 --every 60s --fail-after 3 --changes-only

What is printed is taken by -w again. Hosts are never listed: a sweep of any
size runs in the same memory.

Exit codes: 0 all are up, 1 some are down, 2 some could not be probed, usage;
130 interrupted. With --alive or --down: 0 when all were probed.

A sweep of more than 10 seconds is recorded: "myriad resume last" goes on with
one that was stopped or killed, "--from last:ok" takes the hosts that are up.
`;

/** Throws `usage`, one sentence. Undefined: help was printed. */
export function parsePing(argv: readonly string[]): PingFlags | undefined {
  const command = buildPing();
  return parseWords(command, argv) ? command.opts<PingFlags>() : undefined;
}

export function buildPing(): Command {
  const command = new Command('myriad ping')
    .usage('-w HOSTS [options]')
    .description('Find out which addresses are up.')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false);
  addTargets(command)
    .option('--usable', 'leave out network and broadcast addresses of blocks')
    .option('--yes', 'do not ask, however many addresses there are');
  addLevels(command);
  addPace(command);
  addConnection(command);
  addPolls(command, 'ping');
  command.options.find(({ long }) => long === '--retries')!.description =
    'tries after the first, of those that do not answer (default: 0; logins 3)';
  command
    .optionsGroup('Output:')
    .option('--alive', 'the addresses that are up, and nothing else')
    .option('--down', 'the addresses that are not, and nothing else')
    .addOption(
      choice('--output <form>', 'text, csv, ndjson: the last two have a line per host', ['text', 'csv', 'ndjson']),
    )
    .option('-q, --quiet', 'no summary')
    .addOption(choice('--progress <when>', 'auto, always, never', ['auto', 'always', 'never']));
  return command
    .optionsGroup('Journal:')
    .option('--journal <dir>', 'record the sweep there (default: one of more than 10s, in ~/.local/state/myriad/runs)')
    .option('--no-journal', 'do not record it: it can then not be resumed');
}

function addLevels(command: Command): void {
  command
    .optionsGroup('What is asked, from cheap to true:')
    .option('--icmp', 'an echo request is answered (default)')
    .option('--tcp', 'a connection to the port (-p, default 22) is accepted')
    .option('--banner', 'an SSH server says what it is; grouped by what they say')
    .option('--auth', 'a login succeeds; nothing is run')
    .option('--exec <command>', 'the command runs and leaves with 0');
}

function addPace(command: Command): void {
  command
    .optionsGroup('How often, how fast:')
    .option(
      '-c, --count <n>',
      'probes for each address (default: 1); prints a line per host',
      count('--count (-c)', 1, 10_000),
    )
    .option('--interval <time>', 'between two probes for an address (default: 1s)', duration('--interval'))
    .option(
      '-t, --timeout <time>',
      'how long an answer is waited for (default: 1s; logins 10s)',
      duration('--timeout (-t)'),
    )
    .option('--rate <n/s>', 'probes per second, or max (default: 2,000; loopback 50,000)', rate('--rate'))
    .option('-f, --fanout <n>', 'connections at once (default: 4,096; logins auto)', count('--fanout (-f)', 1))
    .option('--deadline <time>', 'of the whole sweep (default: none)', durationOrNone('--deadline'))
    .addOption(choice('--order <how>', 'random, input: the order in which they are asked', ['random', 'input']))
    .addOption(
      choice('--socket <kind>', 'of --icmp: auto, raw, datagram, fping (the program)', [
        'auto',
        'raw',
        'datagram',
        'fping',
      ]),
    );
}

/** The level that is asked for. Throws `usage` where it is more than one. */
export function levelOf(flags: PingFlags): Level {
  const asked = LEVELS.filter((level) => flags[level] !== undefined);
  if (asked.length > 1) {
    throw new MyriadError('usage', `${asked.map((level) => `--${level}`).join(', ')}: give one of them`);
  }
  if (flags.alive && flags.down) throw new MyriadError('usage', '--alive and --down: give one of them, or neither');
  const level = asked[0] ?? 'icmp';
  const misplaced = MISPLACED[level].filter((name) => flags[name] !== undefined);
  if (misplaced.length > 0)
    throw new MyriadError('usage', `--${misplaced[0]}: goes with ${GOES_WITH[misplaced[0]!]}, not with --${level}`);
  return level;
}

const GOES_WITH: Readonly<Partial<Record<keyof PingFlags, string>>> = {
  count: '--icmp',
  interval: '--icmp',
  retries: '--icmp, --auth and --exec',
  port: '--tcp, --banner, --auth and --exec',
  usable: '--icmp, --tcp and --banner',
};

const MISPLACED: Readonly<Record<Level, readonly (keyof PingFlags)[]>> = {
  icmp: ['port'],
  tcp: ['count', 'interval', 'retries'],
  banner: ['count', 'interval', 'retries'],
  auth: ['count', 'interval', 'usable'],
  exec: ['count', 'interval', 'usable'],
};

/** `argv`: the words for the record. */
export function pingOptions(flags: PingFlags, level: 'icmp' | 'tcp' | 'banner', argv?: readonly string[]): PingOptions {
  if (flags.ipv4Only && flags.ipv6Only)
    throw new MyriadError('usage', '--ipv4-only (-4) and --ipv6-only (-6): give one of them');
  return defined({
    ...readHosts(flags),
    level,
    port: flags.port,
    count: flags.count,
    intervalMs: flags.interval,
    timeoutMs: flags.timeout,
    retries: flags.retries,
    rate: flags.rate,
    order: flags.order,
    usable: flags.usable,
    socket: flags.socket,
    fanout: typeof flags.fanout === 'number' ? flags.fanout : undefined,
    family: flags.ipv4Only ? 4 : flags.ipv6Only ? 6 : undefined,
    resolver: flags.resolver,
    argv,
  } as const);
}
