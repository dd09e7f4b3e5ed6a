/** `myriad trust`: the keys of hosts that are not known, looked at, reviewed, and added to known_hosts. */
import { homedir } from 'node:os';
import { Command } from 'commander';
import {
  type Fleet,
  fleet,
  foldHosts,
  type HostKeys,
  hostKeysOf,
  knownHostsLines,
  MyriadError,
  type Run,
} from '../index.ts';
import { exitCode } from '../output/exit_code.ts';
import { formatNumberOf } from '../output/format.ts';
import { KeyReview } from '../output/key_review.ts';
import { Obstacles } from '../output/obstacles.ts';
import { Writer } from '../output/writer.ts';
import { blame } from './blame.ts';
import {
  addConnection,
  addFanout,
  addTargets,
  addTimeouts,
  choice,
  fleetOptions,
  type ReachFlags,
  wordsOf,
} from './connection_options.ts';
import { columns, follow, warningLines } from './follow.ts';
import { checkExpected } from './guard.ts';
import { addJournal } from './journal.ts';
import { type OutputFile, openFile } from './output_file.ts';
import { confirm } from './prompt.ts';
import { TerminalSecrets } from './secrets.ts';
import { readHosts } from './targets.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

export interface TrustFlags extends ReachFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
  readonly out?: string;
  readonly verbose?: boolean;
  readonly progress: 'auto' | 'always' | 'never';
}

const HELP = `
Examples:
  myriad trust -w 'web[1-100]'
  myriad trust -w ^hosts.txt --known-hosts fleet_hosts --yes
  myriad trust -w '10.0.0.0/24' --out -

Nothing logs in to the hosts. A key that was found is what the host showed, not
what it should be: compare fingerprints with a source that you trust.

Exit codes: 0 all hosts are known now, 4 some host was not reached, 5 some host
shows another key than the one that is known, 2 usage, or not confirmed,
130 interrupted, 1 internal. Where 4 and 5 apply: 5.
`;

/** Throws `usage`, one sentence. Undefined: help was printed. */
export function parseTrust(argv: readonly string[]): TrustFlags | undefined {
  const command = new Command('myriad trust')
    .usage('-w HOSTS [options]')
    .description('Look at the keys of hosts that are not known, and add them to known_hosts.')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false);
  addJournal(addTargets(command)).option('--all', 'known hosts too: do they still show the known key?');
  command
    .optionsGroup('What to do with the keys:')
    .option('--yes', 'add them without asking')
    .option('--out <file>', 'write their lines to a file, or - for stdout, and add none');
  addConnection(command);
  addTimeouts(addFanout(command));
  command
    .optionsGroup('Output:')
    .option('-v, --verbose', 'every key with its fingerprint')
    .addOption(choice('--progress <when>', 'auto, always, never', ['auto', 'always', 'never']));
  return parseWords(command, argv) ? command.opts<TrustFlags>() : undefined;
}

export async function trust(argv: readonly string[]): Promise<number> {
  const flags = parseTrust(argv);
  if (!flags) return 0;
  try {
    return await perform(flags);
  } catch (error) {
    throw blame(error, flags);
  }
}

async function perform(flags: TrustFlags): Promise<number> {
  const selection = readHosts(flags);
  refuseUnanswerable(flags);
  await using out = flags.out === undefined || flags.out === '-' ? undefined : await openFile('--out', flags.out);
  // Jump hosts may want a password; the hosts themselves are not logged in to.
  await using hosts = fleet(fleetOptions(flags, selection, new TerminalSecrets()));
  checkExpected(hosts.count, flags.expect);
  const run = hosts.hostKeys({ all: flags.all ?? false });
  const look = await lookAt(run, hosts, flags);
  await say(`${warningLines(hosts.warnings)}${text(look.report)}`);
  if (look.code === 130) throw new MyriadError('aborted', 'interrupted: no key was added');
  if (look.found.length === 0) return look.code;
  if (flags.out !== undefined) await writeOut(look, hosts, flags.out, out);
  else if (await add(look, hosts, flags.yes ?? false)) return look.code === 0 ? 5 : look.code;
  return look.code;
}

/** A question that nobody would be there to answer is asked before the hosts are. */
function refuseUnanswerable({ yes, out }: TrustFlags): void {
  if (yes && out !== undefined) throw new MyriadError('usage', '--yes and --out: with --out no key is added');
  if (yes || out !== undefined || (process.stdin.isTTY === true && process.stderr.isTTY === true)) return;
  throw new MyriadError(
    'usage',
    'no terminal to ask on: add --yes to add the keys, or --out FILE to write them to a file; nothing was connected',
  );
}

interface Look {
  readonly found: readonly HostKeys[];
  readonly keys: number;
  readonly report: readonly string[];
  readonly code: number;
}

/** Looks at all keys, and puts into words what was found. */
async function lookAt(run: Run, hosts: Fleet, flags: TrustFlags): Promise<Look> {
  const names = { label: (index: number) => run.label(index), fold: foldHosts };
  const width = process.stderr.isTTY ? { columns: columns() } : {};
  const destination = hosts.destination.bind(hosts);
  const obstacles = new Obstacles({ ...names, ...width, destination, words: wordsOf(flags) });
  const review = new KeyReview({ ...names, verbose: flags.verbose ?? false, ...width });
  const places = new Map<number, HostKeys>();
  const trusted = { known: 0, certificate: 0 };
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  const summary = await follow(run, {
    stdout,
    stderr,
    progress: flags.progress,
    take: (result) => {
      obstacles.add(result);
      const found = hostKeysOf(result);
      if (found === undefined) return;
      if (found.trusted !== 'no') trusted[found.trusted]++;
      if (found.keys.length === 0) return;
      places.set(result.index, found);
      review.add(result.index, found.keys, found.sshfp);
    },
  });
  // What is written to the terminal next must not come before it.
  await stderr.end();
  const found = [...places].sort(([a], [b]) => a - b).map(([, keys]) => keys);
  const report = [...review.lines()];
  const before = summary.outcomes.skipped;
  if (before > 0) report.push(`${formatNumberOf(before, 'host')} known already; --all looks at their keys, too`);
  if (trusted.known > 0) report.push(`${formatNumberOf(trusted.known, 'host')} with the key that is known`);
  if (trusted.certificate > 0) {
    report.push(`${formatNumberOf(trusted.certificate, 'host')} with a certificate of an authority that is known`);
  }
  if (obstacles.count > 0) {
    report.push(`${formatNumberOf(obstacles.count, 'host')} of which no key is added:`, ...obstacles.lines());
  }
  const code = exitCode(summary);
  return { found, keys: review.keys, report, code: code === 4 && summary.outcomes['host-key'] > 0 ? 5 : code };
}

function counted({ keys, found }: Look): string {
  return `${formatNumberOf(keys, 'key')} of ${formatNumberOf(found.length, 'host')}`;
}

/** Writes their lines to the file of `--out`; undefined: stdout. */
async function writeOut(look: Look, hosts: Fleet, name: string, out: OutputFile | undefined): Promise<void> {
  const stdout = new Writer(process.stdout);
  for (const found of look.found) {
    const { hashNames } = await hosts.knownHostsOf(found.host);
    const lines = knownHostsLines(found, hashNames);
    if (out) await out.write(lines);
    else stdout.write(lines);
    if (stdout.full) await stdout.drained();
  }
  await stdout.end();
  if (out) await say(`${counted(look)} written to ${name}\n`);
}

/** Adds them where they belong, once somebody said so. True: a file has got other keys of some host meanwhile. */
async function add(look: Look, hosts: Fleet, yes: boolean): Promise<boolean> {
  const files = new Set<string>();
  for (const { host } of look.found) files.add((await hosts.knownHostsOf(host)).file ?? '');
  if (!yes && !(await confirm(`Add ${counted(look)} to ${[...files].map(tilde).join(', ')}?`))) {
    throw new MyriadError('guard', 'not confirmed; no key was added');
  }
  const learnt = await hosts.learn(look.found);
  for (const { file, keys, hosts: count, changed } of learnt) {
    await say(`${formatNumberOf(keys, 'key')} of ${formatNumberOf(count, 'host')} added to ${tilde(file)}\n`);
    if (changed.length === 0) continue;
    const set = foldHosts(changed.map(({ label }) => label));
    const several = formatNumberOf(changed.length, 'host');
    await say(`none of ${several} added: ${tilde(file)} has got other keys of them meanwhile: ${set}\n`);
  }
  return learnt.some(({ changed }) => changed.length > 0);
}

/** Resolves when it has left, so that a question comes after it. */
async function say(words: string): Promise<void> {
  const stderr = new Writer(process.stderr);
  stderr.write(words);
  await stderr.end();
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

function tilde(file: string): string {
  const home = homedir();
  return file.startsWith(`${home}/`) ? `~${file.slice(home.length)}` : file;
}
