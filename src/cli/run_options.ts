/** The options of `myriad run`: what the words on the command line come to. */
import { Command, CommanderError, Option } from 'commander';
import { MyriadError } from '../index.ts';
import {
  append,
  count,
  countOrAuto,
  duration,
  durationOrNone,
  type Expected,
  expected,
  size,
  statuses,
  word,
} from './values.ts';

export interface RunFlags {
  readonly hosts?: string[];
  readonly pssh?: string[];
  readonly exclude?: string[];
  readonly hostfile?: string[];
  readonly user?: string;
  readonly port?: number;
  readonly identity?: string[];
  readonly askPassword?: boolean;
  readonly hostKeys: 'strict' | 'accept-new' | 'off';
  readonly knownHosts?: string[];
  readonly fanout: number | 'auto';
  readonly connectTimeout?: number;
  readonly commandTimeout?: number | null;
  readonly idle?: number | null;
  readonly deadline?: number | null;
  readonly retries?: number;
  readonly threads: 1 | 'auto';
  readonly gatherSame?: boolean;
  readonly gatherBoth?: boolean;
  /** False with `-N`. */
  readonly label: boolean;
  readonly gather: 'collect' | 'stream' | 'discard';
  readonly order: 'input' | 'done';
  readonly output: 'text' | 'ndjson';
  readonly maxOutput?: number;
  readonly repeat?: number;
  readonly local?: boolean;
  readonly okStatus?: (number | 'none')[];
  readonly linger?: number | null;
  readonly raw?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly largestStatus?: boolean;
  readonly listHosts?: boolean;
  readonly dryRun?: boolean;
  readonly expect?: Expected;
  readonly yes?: boolean;
  readonly progress: 'auto' | 'always' | 'never';
  readonly color: 'auto' | 'always' | 'never';
}

export interface ParsedRun {
  readonly flags: RunFlags;
  /** The command, or program and arguments. */
  readonly words: readonly string[];
  /** Help was printed: there is nothing to do. */
  readonly helped: boolean;
}

const EXAMPLES = `
Examples:
  myriad -w 'web[1-100]' uptime
  myriad -w 'web[1-100]' -x web7 -b -- 'uname -r; uptime'
  myriad -w ^hosts.txt -l deploy -f 64 -u 30s --output ndjson -- systemctl is-active nginx
  myriad run -w db1 --repeat 200 -- 'echo hello world {i}'
  myriad run --local -w '10.0.0.[1-254]' -- ping -c 1 -W 1 {host}

Exit codes: 0 all ok, 2 usage, 3 cut off by a deadline, 4 some host not reached, 5 some command
failed, 6 stopped early, 7 some result lost, 130 interrupted, 1 internal.
`;

function build(): Command {
  const command = new Command('myriad run')
    .usage('-w HOSTS [options] [--] COMMAND...')
    .description('Run a command on every host, and account for every one of them.')
    .argument('[command...]')
    .passThroughOptions()
    .configureHelp({ helpWidth: 96 })
    .addHelpText('after', EXAMPLES)
    .helpOption('-h, --help', 'this help');
  addTargets(command);
  addConnection(command);
  addExecution(command);
  addOutput(command);
  return command;
}

function addTargets(command: Command): void {
  command
    .optionsGroup('Targets:')
    .option('-w, --hosts <set>', 'hosts: web[1-9], 10.0.0.0/24, user@name:port; ^FILE, - for stdin', append)
    .addOption(new Option('-H, --pssh <set>', 'as -w').argParser(append).hideHelp())
    .option('-x, --exclude <set>', 'hosts to leave out; one that matches nothing is an error', append)
    .option('--hostfile <file>', 'a file with one host set a line', append)
    .option('--repeat <n>', 'tasks per host; {i} in the command counts them from 1', count('--repeat', 1))
    .option('--expect <n>', 'refuse to run unless the selection has N, N+-P% or A..B hosts', expected('--expect'))
    .option('--yes', 'do not ask, whatever the number of hosts')
    .option('--list-hosts', 'print the hosts and do nothing')
    .option('--dry-run', 'say what would be done, and connect nowhere');
}

function addConnection(command: Command): void {
  command
    .optionsGroup('Connection:')
    .option('-l, --user <name>', 'login name (default: yours)')
    .option('-p, --port <port>', 'port (default: 22)', count('--port', 1, 65_535))
    .option('--identity <file>', 'private key file; may stand several times', append)
    .option('-k, --ask-password', 'ask for a password')
    .addOption(
      new Option('--host-keys <policy>', 'strict, accept-new or off')
        .argParser(word('--host-keys', ['strict', 'accept-new', 'off']))
        .default('strict'),
    )
    .option('--known-hosts <file>', 'known_hosts file; may stand several times', append)
    .option('-f, --fanout <n>', 'tasks in progress at once, or auto', countOrAuto('--fanout'), 'auto')
    .option(
      '-t, --connect-timeout <time>',
      'until the server says who it is (default: 10s)',
      duration('--connect-timeout'),
    )
    .option('-u, --command-timeout <time>', 'for the command (default: none)', durationOrNone('--command-timeout'))
    .option('--idle <time>', 'without any output (default: none)', durationOrNone('--idle'))
    .option('--deadline <time>', 'for the whole run (default: none)', durationOrNone('--deadline'))
    .option('--retries <n>', 'tries after the first, while nothing has begun (default: 3)', count('--retries', 0))
    .addOption(new Option('--threads <n>', 'threads, 1 or auto').argParser(parseThreads).default('auto'));
}

function addExecution(command: Command): void {
  command
    .optionsGroup('Execution:')
    .option('--local', 'run PROGRAM ARGS here, once per host, without a shell; {host} {name} {port} {i} … are replaced')
    .option(
      '--ok-status <list>',
      'exit statuses that are ok, such as 0,1; none: a missing one is (default: 0)',
      statuses('--ok-status'),
    )
    .option(
      '--linger <time>',
      'wait for output that stays open after the status (default: 2s)',
      durationOrNone('--linger'),
    );
}

function addOutput(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('-b, --gather-same', 'fold identical stdout, and name its hosts as a set')
    .option('-B, --gather-both', 'fold stdout and stderr')
    .option('-N, --no-label', 'no "host: " before each line')
    .addOption(
      new Option('--gather <mode>', 'collect, stream (live) or discard')
        .argParser(word('--gather', ['collect', 'stream', 'discard']))
        .default('collect'),
    )
    .addOption(
      new Option('--order <order>', 'done: as tasks end; input: in the order of the hosts')
        .argParser(word('--order', ['input', 'done']))
        .default('done'),
    )
    .addOption(
      new Option('--output <form>', 'text or ndjson').argParser(word('--output', ['text', 'ndjson'])).default('text'),
    )
    .option('--max-output <size>', 'bytes kept per host (default: 1MiB)', size('--max-output'))
    .option('--raw', 'let control sequences of hosts through to the terminal')
    .option('-q, --quiet', 'outputs only: no failure lines, no summary')
    .option('-v, --verbose', 'say more: limits, and a line for each host that ended')
    .option('-S, --largest-status', 'exit with the largest remote status, 255 if a host was not reached')
    .addOption(
      new Option('--progress <when>', 'auto, always or never')
        .argParser(word('--progress', ['auto', 'always', 'never']))
        .default('auto'),
    )
    .addOption(
      new Option('--color <when>', 'auto, always or never')
        .argParser(word('--color', ['auto', 'always', 'never']))
        .default('auto'),
    );
}

function parseThreads(value: string): 1 | 'auto' {
  if (value === 'auto') return 'auto';
  if (value === '1') return 1;
  throw new MyriadError('usage', `--threads: expected 1 or auto, got "${value}"; more threads are not supported yet`);
}

/** Throws `usage`, one sentence, with the nearest name for a misspelt option. */
export function parseRun(argv: readonly string[]): ParsedRun {
  const command = build();
  command.exitOverride().configureOutput({ writeErr() {} });
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return { flags: command.opts(), words: [], helped: true };
    throw new MyriadError('usage', oneSentence(error.message), { cause: error });
  }
  return { flags: command.opts(), words: command.args, helped: false };
}

/** Commander's words on one line: `unknown option '--fanot' (Did you mean --fanout?)`. */
function oneSentence(message: string): string {
  return message.replace(/^error: /, '').replaceAll('\n', ' ');
}
