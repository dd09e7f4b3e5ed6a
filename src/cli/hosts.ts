/** `myriad hosts`: which hosts a selection means, and what is known of them. Connects nowhere. */
import { Command } from 'commander';
import { type Fleet, fleet, foldHosts, type Host } from '../index.ts';
import { csvRecord } from '../output/csv.ts';
import { escapeText } from '../output/escape.ts';
import { formatCount } from '../output/format.ts';
import { Writer } from '../output/writer.ts';
import { blame } from './blame.ts';
import { addTargets, choice, type TargetFlags } from './connection_options.ts';
import { checkExpected } from './guard.ts';
import { readHosts } from './targets.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface HostsFlags extends TargetFlags {
  readonly fold?: boolean;
  readonly count?: boolean;
  readonly groups?: boolean;
  readonly explain?: boolean;
  readonly config?: string;
  readonly output: 'text' | 'json' | 'ndjson' | 'csv';
}

const HELP = `
Examples:
  myriad hosts -w 'web[1-9]!web3' --fold
  myriad hosts -i hosts.ini -g web --where 'os=debian' --count
  myriad hosts -i hosts.ini -a --output csv

Exit codes: 0 done, 2 usage, an unknown host or group, an empty selection.
`;

/** Throws `usage`, one sentence. Undefined: help was printed. */
export function parseHosts(argv: readonly string[]): HostsFlags | undefined {
  const command = new Command('myriad hosts')
    .usage('-w HOSTS [options]')
    .description('Say which hosts a selection means. Nothing is connected.')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false);
  addTargets(command);
  command
    .optionsGroup('Output:')
    .option('--fold', 'as one host set, the shortest text')
    .option('--count', 'the number of hosts only')
    .option('--groups', 'every group of the inventory with its hosts')
    .option('--explain', 'how each is reached, its groups and variables')
    .option('-F, --config <file>', 'ssh_config instead of the usual two, or none')
    .addOption(
      choice('--output <form>', 'text, json, ndjson, csv: all that is known', ['text', 'json', 'ndjson', 'csv']),
    );
  return parseWords(command, argv) ? command.opts<HostsFlags>() : undefined;
}

export async function hosts(argv: readonly string[]): Promise<number> {
  const flags = parseHosts(argv);
  if (!flags) return 0;
  try {
    await using selected = fleet({ ...readHosts(flags), ...(flags.config !== undefined && { config: flags.config }) });
    checkExpected(selected.count, flags.expect);
    const stdout = new Writer(process.stdout);
    for (const text of linesOf(selected, flags)) {
      stdout.write(text);
      if (stdout.full) await stdout.drained();
      if (stdout.closed) break;
    }
    await stdout.end();
    for (const warning of selected.warnings) process.stderr.write(`myriad: ${escapeText(warning)}\n`);
    return 0;
  } catch (error) {
    throw blame(error, flags);
  }
}

function linesOf(selected: Fleet, flags: HostsFlags): Iterable<string> {
  if (flags.count) return [`${selected.count}\n`];
  if (flags.groups) return groupLines(selected);
  if (flags.fold) return [`${foldHosts(labels(selected.hosts()))}\n`];
  if (flags.output === 'csv') return csvLines(selected);
  if (flags.output === 'ndjson') return jsonLines(selected, '', '\n', '');
  if (flags.output === 'json') return jsonLines(selected, '[\n', ',\n', '\n]\n');
  return flags.explain ? explained(selected) : plainLines(selected);
}

function* labels(list: Iterable<Host>): Generator<string> {
  for (const { label } of list) yield label;
}

function* plainLines(selected: Fleet): Generator<string> {
  for (const { label } of selected.hosts()) yield `${label}\n`;
}

function* groupLines(selected: Fleet): Generator<string> {
  for (const [name, members] of selected.groups()) {
    yield `@${escapeText(name)} (${formatCount(members.count)}): ${foldHosts(labels(members))}\n`;
  }
}

/** All that is known of a host, ssh_config included. */
function known(selected: Fleet, host: Host) {
  const { user, name, port } = selected.destination(host);
  return { host: host.label, name, user, port, ...selected.about(host) };
}

function* explained(selected: Fleet): Generator<string> {
  for (const host of selected.hosts()) {
    const { name, user, port, groups, variables } = known(selected, host);
    yield `${host.label}: ${user}@${name.includes(':') ? `[${name}]` : name}:${port}\n`;
    if (groups.length > 0) yield `  groups: ${groups.map(escapeText).join(', ')}\n`;
    for (const [variable, value] of Object.entries(variables)) yield `  ${escapeText(variable)}=${escapeText(value)}\n`;
  }
}

function* jsonLines(selected: Fleet, before: string, between: string, after: string): Generator<string> {
  yield before;
  let first = true;
  for (const host of selected.hosts()) {
    const text = JSON.stringify(known(selected, host));
    if (after === '') yield text + between;
    else yield first ? text : between + text;
    first = false;
  }
  yield after;
}

/** A column for each variable that any of the hosts has. */
function* csvLines(selected: Fleet): Generator<string> {
  const columns = new Set<string>();
  for (const host of selected.hosts())
    for (const name of Object.keys(selected.about(host).variables)) columns.add(name);
  yield csvRecord(['host', 'name', 'user', 'port', 'groups', ...columns]);
  for (const host of selected.hosts()) {
    const { host: label, name, user, port, groups, variables } = known(selected, host);
    const values = Array.from(columns, (column) => variables[column] ?? '');
    yield csvRecord([label, name, user, port, groups.join(' '), ...values]);
  }
}
