/** What every benchmark has around it: a folder, a key, the machine, ^C, and where its results go. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Site } from './clients.ts';
import { Fleet, type FleetStats } from './fleet.ts';
import { describeMachine, type Machine, machineLines } from './machine.ts';
import { type Command, type Cost, measure } from './measure.ts';
import { makeKey, Sites } from './site.ts';
import { digits, spread } from './statistics.ts';
import { markdownTable, textTable } from './table.ts';
import { QUESTION, verify } from './verify.ts';

/** The options that all take; a benchmark adds its own. */
export const STAGE_OPTIONS = { quick: { type: 'boolean', default: false }, out: { type: 'string' } } as const;

export interface StageValues {
  /** The smallest sizes, to see that it works; nothing is written unless `out` says where. */
  readonly quick: boolean;
  readonly out?: string | undefined;
}

export interface Stage {
  readonly directory: string;
  /** A private key; its public half is `identity`.pub. */
  readonly identity: string;
  readonly machine: Machine;
  readonly quick: boolean;
  /** Fires at ^C. */
  readonly signal: AbortSignal;
}

export interface Table {
  readonly title: string;
  /** The head first. */
  readonly rows: readonly (readonly string[])[];
}

export interface Report {
  /** The files: NAME.md, NAME.json, NAME.svg. */
  readonly name: string;
  readonly title: string;
  /** What was done, before the tables. */
  readonly intro: string;
  readonly tables: readonly Table[];
  /** What the columns mean, and what else is to be known. */
  readonly notes: readonly string[];
  readonly svg: string;
  readonly data: object;
  /** What was asked for and could not be measured. */
  readonly missing: readonly string[];
}

function terminal({ tables, notes, missing }: Report): string {
  const parts = tables.map(({ title, rows }) => `${title}\n\n${textTable(rows)}`);
  return [...parts, notes.join('\n'), ...missing].filter((part) => part !== '').join('\n\n');
}

function page(report: Report, machine: Machine): string {
  const lines = [`# ${report.title}`, '', ...machineLines(machine), '', report.intro];
  lines.push('', `![${report.title}](${report.name}.svg)`);
  for (const { title, rows } of report.tables) lines.push('', `**${title}**`, '', markdownTable(rows));
  for (const line of [...report.notes, ...report.missing]) lines.push('', line);
  return `${lines.join('\n')}\n`;
}

async function write(report: Report, machine: Machine, out: string): Promise<void> {
  const { name, svg, data, missing } = report;
  await mkdir(out, { recursive: true });
  await Promise.all([
    writeFile(join(out, `${name}.md`), page(report, machine)),
    writeFile(join(out, `${name}.json`), `${JSON.stringify({ machine, ...data, missing }, null, 2)}\n`),
    writeFile(join(out, `${name}.svg`), `${svg}\n`),
  ]);
}

/** Runs one benchmark from beginning to end: exit status 0 where all was measured, 1 else. */
export async function runBench(
  script: string,
  { quick, out }: StageValues,
  body: (stage: Stage) => Promise<Report>,
): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
  const directory = await mkdtemp(join(tmpdir(), 'myriad-bench-'));
  try {
    const machine = await describeMachine(script);
    if (machine.load > 0.5) say(`load ${machine.load.toFixed(2)}: other programs disturb the figures`);
    const identity = join(directory, 'key');
    await makeKey(identity);
    const report = await body({ directory, identity, machine, quick, signal: stop.signal });
    process.stdout.write(`${terminal(report)}\n`);
    const folder = out ?? (quick ? undefined : join(import.meta.dirname, 'results'));
    if (folder !== undefined) await write(report, machine, folder);
    process.exitCode = report.missing.length > 0 ? 1 : 0;
  } catch (error) {
    say(`bench: ${messageOf(error)}`);
    process.exitCode = 1;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The command line; one that cannot be read is a sentence and exit status 2. */
export function readOptions<T extends NonNullable<ParseArgsConfig['options']>>(options: T) {
  try {
    return parseArgs<{ options: T }>({ options }).values;
  } catch (error) {
    say(`bench: ${messageOf(error)}`);
    process.exit(2);
  }
}

/** What goes on, for who waits. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `1000,10000`: whole numbers above 0. Throws for anything else. */
export function wholeNumbers(option: string, text: string): number[] {
  const values = text.split(',').map(Number);
  if (values.every((value) => Number.isInteger(value) && value > 0)) return values;
  throw new Error(`${option} "${text}": take whole numbers above 0, with commas`);
}

export function wholeNumber(option: string, text: string): number {
  const [value, ...more] = wholeNumbers(option, text);
  if (value === undefined || more.length > 0) throw new Error(`${option} "${text}": take one whole number above 0`);
  return value;
}

/** `0.452 (0.441–0.470)`; one value alone where there is but one. */
export function shown(values: readonly number[]): string {
  const { median, min, max } = spread(values);
  return values.length === 1 ? digits(median) : `${digits(median)} (${digits(min)}–${digits(max)})`;
}

/** `1,000`. */
export function grouped(value: number): string {
  return value.toLocaleString('en');
}

export function subtitleOf({ cpu, cores, node, commit, date }: Machine): string {
  return `${cpu}, ${cores} cores, Node ${node}, commit ${commit}, ${date}`;
}

/** bench/fleet-go with the sites on it. */
export interface Field extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly sites: Sites;
}

export async function openField(
  { directory, identity }: Stage,
  hosts: number,
  options: { readonly command?: string; readonly latencyMs?: number } = {},
): Promise<Field> {
  const { command = QUESTION, latencyMs = 0 } = options;
  const folder = await mkdtemp(join(directory, 'field-'));
  const knownHosts = join(folder, 'known_hosts');
  const fleet = await Fleet.start({ hosts, authorized: `${identity}.pub`, knownHosts, latencyMs });
  const sites = new Sites({ directory: folder, identity, knownHosts, port: fleet.port, command });
  return {
    fleet,
    sites,
    async [Symbol.asyncDispose]() {
      await fleet[Symbol.asyncDispose]();
      // A million known hosts are 110 MB.
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Visit {
  readonly cost: Cost;
  readonly stats: FleetStats;
}

/** One run of a client on a site. Rejects where it does not count; `check` says why, by default `verify`. */
export async function visit(
  { directory, signal }: Stage,
  { fleet }: Field,
  site: Site,
  command: Command,
  { cores = 1, timeoutMs = 60_000 + 20 * site.hosts.length, check = verify } = {},
): Promise<Visit> {
  await fleet.stats();
  const cost = await measure(command, { scratch: directory, signal, timeoutMs, cores });
  const stats = await fleet.stats();
  const wrong = check(site, cost, stats);
  if (wrong !== undefined) throw new Error(wrong);
  return { cost, stats };
}
