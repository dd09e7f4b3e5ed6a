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
import { formatCount, formatNumberOf } from '../output/format.ts';
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
  addTargets(command).option('--all', 'known hosts too: do they still show the known key?');
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
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  try {
    const run = hosts.hostKeys({ all: flags.all ?? false });
    const look = await lookAt(run, hosts, flags, { stdout, stderr });
    stderr.write(warningLines(hosts.warnings));
    say(stderr, look.report);
    if (look.code === 130) throw new MyriadError('aborted', 'interrupted: no key was added');
    if (look.found.length > 0) await keep(look, hosts, flags, { out, stdout, stderr });
    return look.code;
  } finally {
    await stdout.end();
    await stderr.end();
  }
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
async function lookAt(
  run: Run,
  hosts: Fleet,
  flags: TrustFlags,
  writers: { readonly stdout: Writer; readonly stderr: Writer },
): Promise<Look> {
  const names = { label: (index: number) => run.label(index), fold: foldHosts };
  const width = process.stderr.isTTY ? { columns: columns() } : {};
  const destination = hosts.destination.bind(hosts);
  const obstacles = new Obstacles({ ...names, ...width, destination, words: wordsOf(flags) });
  const review = new KeyReview({ ...names, verbose: flags.verbose ?? false });
  const places = new Map<number, HostKeys>();
  const trusted = { known: 0, certificate: 0 };
  const summary = await follow(run, {
    ...writers,
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

/** Writes the keys to the file of `--out`, or adds them where they belong once somebody said so. */
async function keep(
  { found, keys }: Look,
  hosts: Fleet,
  flags: TrustFlags,
  to: { readonly out: OutputFile | undefined; readonly stdout: Writer; readonly stderr: Writer },
): Promise<void> {
  const what = `${formatNumberOf(keys, 'key')} of ${formatNumberOf(found.length, 'host')}`;
  const files = new Set<string>();
  let lines = '';
  for (const one of found) {
    const { file = '', hashNames } = await hosts.knownHostsOf(one.host);
    files.add(file);
    if (flags.out !== undefined) lines += knownHostsLines(one, hashNames);
  }
  if (flags.out !== undefined) {
    if (to.out) await to.out.write(lines);
    else to.stdout.write(lines);
    if (to.out) say(to.stderr, [`${what} written to ${flags.out}`]);
    return;
  }
  const where = [...files].map(tilde).join(', ');
  to.stderr.flush();
  if (!flags.yes && !(await confirm(`Add ${what} to ${where}?`))) {
    throw new MyriadError('guard', 'not confirmed; no key was added');
  }
  for (const { file, keys, hosts: learnt, changed } of await hosts.learn(found)) {
    say(to.stderr, [`${formatNumberOf(keys, 'key')} of ${formatNumberOf(learnt, 'host')} added to ${tilde(file)}`]);
    if (changed.length === 0) continue;
    const set = foldHosts(changed.map(({ label }) => label));
    say(to.stderr, [
      `${formatCount(changed.length)} not added, since that file has got other keys of them meanwhile: ${set}`,
    ]);
  }
}

function say(stderr: Writer, lines: readonly string[]): void {
  stderr.write(lines.map((line) => `${line}\n`).join(''));
  stderr.flush();
}

function tilde(file: string): string {
  const home = homedir();
  return file.startsWith(`${home}/`) ? `~${file.slice(home.length)}` : file;
}
