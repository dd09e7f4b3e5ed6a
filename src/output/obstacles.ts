/**
 * What stands between us and hosts: failures before anything could begin there, folded by what mends them, each with the one
 * line that does. A line to type comes complete, with the hosts and the options of the connection in it.
 */
import { type HostKeyOutcome, type Outcome, outcomeLabel, outcomeMessage } from '../contracts/outcome.ts';
import type { Host, TaskResult } from '../contracts/task.ts';
import { IndexSet } from '../util/index_set.ts';
import { outcomeAdvice } from './advice.ts';
import { escapeText } from './escape.ts';
import { formatCount } from './format.ts';
import { type Fold, foldBounded, type HostsLimits, type Label } from './hosts.ts';
import { wrap } from './summary.ts';

/** A host set in a line to type is this long at most; beyond, the line is about the hosts as they were given. */
const SHORT_SET = 200;

/** The words of this command line, to be used again. */
export interface Words {
  /** `-w 'web[1-9]' -x web7`. */
  readonly targets: string;
  /** `-p 2222 -l deploy`, empty where nothing was said. */
  readonly connection: string;
  /** What of it counts for jump hosts, too. */
  readonly hop: string;
}

export interface ObstaclesOptions {
  readonly label: Label;
  readonly fold: Fold;
  readonly words: Words;
  /** Where the host is, and as whom it is logged in to. */
  readonly destination: (host: Host) => { readonly user: string; readonly name: string; readonly port: number };
  /** Width of the terminal. @default lines are not broken */
  readonly columns?: number;
}

/** Failures that one thing mends. */
interface Obstacle {
  readonly label: string;
  readonly example: Outcome;
  readonly host: Host;
  readonly user: string;
  readonly indices: IndexSet;
}

const LIMITS: HostsLimits = { labels: 10_000, characters: 400 };
/** Users, jump hosts and reasons come from outside: beyond so many groups the label alone counts. */
const MAX_GROUPS = 100;
/** Characters of an example: the peer's own words may be long. */
const MAX_MESSAGE = 300;

export class Obstacles {
  readonly #options: ObstaclesOptions;
  readonly #groups = new Map<string, Obstacle>();

  constructor(options: ObstaclesOptions) {
    this.#options = options;
  }

  /** Failures so far. */
  get count(): number {
    let count = 0;
    for (const { indices } of this.#groups.values()) count += indices.size;
    return count;
  }

  /** Takes a result; what is `ok` or `skipped` is no obstacle. */
  add({ outcome, host, index }: TaskResult): void {
    if (outcome.kind === 'ok' || outcome.kind === 'skipped') return;
    const label = outcomeLabel(outcome);
    const user = outcome.kind === 'auth-failed' ? this.#options.destination(host).user : '';
    const own = `${label} ${variant(outcome)}${user}`;
    const id = this.#groups.size < MAX_GROUPS || this.#groups.has(own) ? own : label;
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = { label, example: outcome, host, user, indices: new IndexSet() };
      this.#groups.set(id, group);
    }
    group.indices.add(index);
  }

  /** Most frequent first: count, cause and hosts; what was said; the line that mends it. */
  lines(): string[] {
    const groups = [...this.#groups.values()].sort((a, b) => b.indices.size - a.indices.size);
    const width = Math.max(0, ...groups.map(({ indices }) => formatCount(indices.size).length));
    return groups.flatMap((group) => this.#groupLines(group, width));
  }

  #groupLines(group: Obstacle, width: number): string[] {
    const { label, fold, columns } = this.#options;
    const { indices, example } = group;
    const hosts = foldBounded(indices, indices.size, label, fold, LIMITS);
    const more = hosts.more > 0 ? ` … and ${formatCount(hosts.more)} more` : '';
    const whose = group.user === '' ? '' : ` (as ${escapeText(group.user)})`;
    const count = formatCount(indices.size).padStart(width);
    const head = `  ${count} ${escapeText(group.label)}${whose}: ${escapeText(hosts.text)}${more}`;
    const indent = ' '.repeat(width + 3);
    const said = escapeText(message(example));
    const cut = said.length > MAX_MESSAGE ? `${said.slice(0, MAX_MESSAGE)}…` : said;
    const of = indices.size > 1 && example.kind !== 'timeout' ? `for example ${escapeText(group.host.label)}: ` : '';
    const { next, line } = this.#mend(group);
    const lines = [head, ...wrap(`${of}${cut}`.split(' '), indent, columns)];
    if (line !== '') lines.push(`${indent}fix: ${line}`);
    if (next !== undefined) lines.push(`${indent}then: ${next}`);
    return lines;
  }

  /** `line`: never broken, so that it can be copied. */
  #mend(group: Obstacle): { readonly line: string; readonly next?: string } {
    const { example, host } = group;
    const { words } = this.#options;
    if (example.kind === 'host-key') return this.#mendHostKey(group, example);
    if (example.kind === 'auth-failed') return { line: this.#copyId(group) };
    const said = example.kind === 'unreachable' ? example.message : '';
    const jump = /^jump host (\S+?): /.exec(said)?.[1];
    const verb = /: the host key is unknown/.test(said) ? 'trust' : 'check';
    if (jump) return { line: join(`myriad ${verb} -w`, quote(jump), words.hop) };
    if (example.kind === 'unreachable' && example.cause === 'dns') {
      const name = quote(this.#options.destination(host).name);
      return { line: `${outcomeAdvice(example)}: getent hosts ${name}` };
    }
    return { line: escapeText(outcomeAdvice(example)) };
  }

  #mendHostKey(group: Obstacle, outcome: HostKeyOutcome): { readonly line: string; readonly next?: string } {
    const { cause, advice } = outcome;
    const trust = join('myriad trust', this.#targets(group), this.#options.words.connection);
    if (cause === 'unknown' && !isAgainstDns(outcome)) return { line: trust };
    if (cause === 'unknown') return { line: 'find out which of the two is right' };
    const remove = /\((ssh-keygen -f .*)\)/.exec(advice)?.[1];
    if (cause === 'changed' && remove !== undefined) {
      const each = group.indices.size > 1 ? `, and so for the other ${formatCount(group.indices.size - 1)}` : '';
      return { line: `where the change is genuine${each}: ${escapeText(remove)}`, next: trust };
    }
    return { line: escapeText(afterColon(advice)) };
  }

  /** Puts our public key there; `-p` and user as they are by label, options and ssh_config. */
  #copyId({ host, indices, user }: Obstacle): string {
    const { destination, label, fold } = this.#options;
    const { name, port } = destination(host);
    const at = port === 22 ? '' : `-p ${port} `;
    const one = `ssh-copy-id ${at}${quote(`${user}@${name}`)}`;
    if (indices.size === 1) return one;
    // Ports of their own differ from host to host.
    if (host.port !== undefined) return `${one}, and so for the other ${formatCount(indices.size - 1)}`;
    const set = foldBounded(indices, indices.size, label, fold, { labels: 10_000, characters: SHORT_SET });
    const hosts = set.more === 0 ? `-w ${quote(set.text)}` : this.#options.words.targets;
    return `for host in $(myriad ${hosts} --list-hosts); do ssh-copy-id ${at}${quote(`${user}@`)}"\${host##*@}"; done`;
  }

  /** The hosts of a group, or where those are too many to be written, all that were given. */
  #targets({ indices }: Obstacle): string {
    const { label, fold, words } = this.#options;
    const set = foldBounded(indices, indices.size, label, fold, { labels: 10_000, characters: SHORT_SET });
    return set.more === 0 && set.text.length <= SHORT_SET ? `-w ${quote(set.text)}` : words.targets;
  }
}

/** What tells two failures with one label apart: they are mended in two ways. */
function variant(outcome: Outcome): string {
  if (outcome.kind === 'unreachable' && outcome.cause === 'jump') return outcome.message;
  if (outcome.kind === 'host-key' && outcome.cause === 'certificate') return afterColon(outcome.advice);
  if (outcome.kind === 'host-key' && outcome.cause === 'unknown') return isAgainstDns(outcome) ? 'dns' : '';
  return outcome.kind === 'refused' && outcome.what === 'algorithm' ? outcome.reason : '';
}

function isAgainstDns({ advice }: HostKeyOutcome): boolean {
  return /SSHFP records .* name other keys/.test(advice);
}

/** What was seen; what to do about it has a line of its own. */
function message(outcome: Outcome): string {
  if (outcome.kind !== 'host-key') return outcomeMessage(outcome);
  const { cause, keyType, fingerprint, advice } = outcome;
  const key = `${keyType} ${fingerprint}`;
  if (cause === 'unknown') {
    // Before what to do stands, where there is one, why a certificate or DNS does not make it known.
    const [why = ''] = /^.*(?=; add it with: )/.exec(advice) ?? (advice.startsWith('add it with') ? [] : [advice]);
    return why === '' ? `the key is not known: ${key}` : `the key is not known: ${key}; ${why}`;
  }
  const [seen = ''] = advice.split(/: (?=if the change|do not use|have the host)/);
  return cause === 'certificate' ? `${beforeColon(advice)} (${key})` : `${seen} (${key})`;
}

/** Our own advice is the last of a sentence, and has no colon in it. */
function afterColon(advice: string): string {
  return advice.slice(advice.lastIndexOf(': ') + 1).trim();
}

function beforeColon(advice: string): string {
  const at = advice.lastIndexOf(': ');
  return at < 0 ? advice : advice.slice(0, at);
}

function join(...words: readonly string[]): string {
  return words.filter((word) => word !== '').join(' ');
}

/** A word for a POSIX shell. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_@%+:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `18,940 of 20,000 ready: myriad -w … -- COMMAND`. `ready`: the plan indices of those that are; `file`: where they were written. */
export function readyLine(
  planned: number,
  ready: IndexSet,
  file: string | undefined,
  { label, fold, words }: Pick<ObstaclesOptions, 'label' | 'fold' | 'words'>,
): string {
  const head = `${formatCount(ready.size)} of ${formatCount(planned)} ready`;
  if (ready.size === 0) return head;
  const command = (targets: string) => `${head}: ${join('myriad', targets, words.connection, '-- COMMAND')}`;
  if (ready.size === planned) return command(words.targets);
  if (file !== undefined) return command(`-w ${quote(`^${file}`)}`);
  const set = foldBounded(ready, ready.size, label, fold, { labels: 100_000, characters: SHORT_SET });
  if (set.more === 0 && set.text.length <= SHORT_SET) return command(`-w ${quote(set.text)}`);
  return `${head}; --ready FILE writes them to a file for -w ^FILE`;
}
