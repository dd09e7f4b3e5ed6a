/** `myriad simulate`: a fleet of simulated hosts on loopback, to rehearse on. Runs until it is stopped. */
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { MyriadError } from '../index.ts';
import { formatNumberOf } from '../output/format.ts';
import { FAULTS, type FaultName, parseFault } from '../simulator/faults.ts';
import { MaxStartups } from '../simulator/max_startups.ts';
import { Simulator, type SimulatorOptions } from '../simulator/simulator.ts';
import { append, count, duration } from './values.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface SimulateFlags {
  readonly port?: number;
  readonly base?: string;
  readonly seed?: number;
  readonly hostKeyCount?: number;
  readonly fault?: string[];
  readonly latency?: number;
  readonly maxStartups?: string;
  readonly maxSessions?: number;
  readonly knownHosts?: string;
  readonly hostfile?: string;
  readonly commands?: string;
  readonly untilStdinEnds?: boolean;
}

const NAMES = Object.entries(FAULTS)
  .map(([name, what]) => `  ${name.padEnd(22)} ${what}\n`)
  .join('');

const HELP = `
Faults, as NAME=SHARE% (each host has at most one, chosen by seed and address):
${NAMES}
Examples:
  myriad simulate 1000 --port 2200 --known-hosts kh --hostfile hosts
  myriad -w ^hosts -p 2200 --known-hosts kh -b -- uptime
  myriad simulate 10000 --fault silent=0.5% --fault exit-1=1% --latency 6ms
`;

function parse(argv: readonly string[]): { flags: SimulateFlags; hosts: number } | undefined {
  const command = new Command('myriad simulate')
    .usage('N [options]')
    .description('Serve N simulated SSH hosts on 127.0.0.0/8 until stopped. No real command runs.')
    .argument('<N>', 'number of hosts', count('N', 1, 16_000_000))
    .configureHelp({ helpWidth: HELP_WIDTH })
    .helpOption('-h, --help', 'this help')
    .option('-p, --port <port>', 'port (default: a free one, which is printed)', count('--port (-p)', 1, 65_535))
    .option('--base <address>', 'address of the first host (default: 127.1.0.0)')
    .option('--seed <n>', 'of keys and faults (default: 1)', count('--seed', 0))
    .option('--host-key-count <n>', 'distinct host keys (default: 1000)', count('--host-key-count', 1, 100_000))
    .option('--fault <name=share>', 'a share of hosts with a fault; may stand several times', append)
    .option('--latency <time>', 'each answer leaves so much later', duration('--latency'))
    .option('--max-startups <b:r:f>', "sshd's MaxStartups, for each address", maxStartups)
    .option('--max-sessions <n>', "sshd's MaxSessions (default: 10)", count('--max-sessions', 0))
    .option('--known-hosts <file>', 'write a known_hosts line for every host')
    .option('--hostfile <file>', 'write every host, one a line')
    .option('--commands <file>', 'write a line for each command: address, TAB, command')
    .option('--until-stdin-ends', 'stop when stdin ends, for use from scripts')
    .addHelpText('after', HELP);
  if (!parseWords(command, argv)) return undefined;
  return { flags: command.opts(), hosts: command.processedArgs[0] as number };
}

/** Tried here, before anything listens: the simulator itself reads it at the first connection. */
function maxStartups(value: string): string {
  try {
    new MaxStartups(value, Math.random);
  } catch {
    throw new MyriadError('usage', `--max-startups: expected BEGIN:RATE:FULL such as 10:30:100, got "${value}"`);
  }
  return value;
}

export async function simulate(argv: readonly string[]): Promise<number> {
  const parsed = parse(argv);
  if (!parsed) return 0;
  const { flags, hosts } = parsed;
  const commands = flags.commands === undefined ? undefined : await openLog(flags.commands);
  await using simulator = await Simulator.start({
    ...optionsOf(hosts, flags),
    ...(commands ? { onCommand: (address: string, line: string) => void commands.write(`${address}\t${line}\n`) } : {}),
  });
  if (flags.knownHosts !== undefined) await writeAll(flags.knownHosts, simulator.knownHosts());
  if (flags.hostfile !== undefined) await writeAll(flags.hostfile, lines(simulator.labels()));
  const last = simulator.address(hosts - 1);
  // Heard before it says that it is ready: whoever waits for that may stop it at once.
  const end = stopped(flags.untilStdinEnds ?? false);
  process.stdout.write(
    `${formatNumberOf(hosts, 'host')}, ${simulator.address(0)} to ${last}, port ${simulator.port}; ready\n`,
  );
  await end;
  const { connections, logins, commands: ran } = simulator.stats;
  const counts = [
    [connections, 'connection'],
    [logins, 'login'],
    [ran, 'command'],
  ] as const;
  process.stdout.write(`${counts.map(([count, noun]) => formatNumberOf(count, noun)).join(', ')}\n`);
  commands?.end();
  return 0;
}

function optionsOf(hosts: number, flags: SimulateFlags): SimulatorOptions {
  const faults: Partial<Record<FaultName, number>> = {};
  for (const text of flags.fault ?? []) {
    const [name, share] = parseFault(text);
    faults[name] = share;
  }
  const given = {
    port: flags.port,
    base: flags.base,
    seed: flags.seed,
    hostKeys: flags.hostKeyCount,
    latencyMs: flags.latency,
    maxStartups: flags.maxStartups,
    maxSessions: flags.maxSessions,
  };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { hosts, faults, ...set };
}

function* lines(labels: Iterable<string>): Generator<string> {
  for (const label of labels) yield `${label}\n`;
}

async function writeAll(file: string, pieces: Iterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(pieces), createWriteStream(file));
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

/** Opened before anything listens; what goes wrong with it later is said, and the fleet goes on without. */
async function openLog(file: string): Promise<WriteStream> {
  const log = createWriteStream(file);
  try {
    await once(log, 'open');
  } catch (cause) {
    throw unwritable(file, cause);
  }
  log.on('error', (cause) => process.stderr.write(`myriad: ${unwritable(file, cause).message}; no more is written\n`));
  return log;
}

function unwritable(file: string, cause: unknown): MyriadError {
  return new MyriadError('file', `"${file}" cannot be written: ${(cause as Error).message}`, { cause });
}

/** Resolves at ^C, SIGTERM, or the end of stdin where that is asked for. */
function stopped(untilStdinEnds: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
    if (untilStdinEnds) process.stdin.resume().once('end', () => resolve());
  });
}
