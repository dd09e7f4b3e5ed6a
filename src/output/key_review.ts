/** What a look at host keys found, for a person who has to say whether it is right: folded by type, and by who shares a key. */
import { IndexSet } from '../util/index_set.ts';
import { escapeText } from './escape.ts';
import { formatCount, formatNumberOf } from './format.ts';
import { type Fold, foldBounded, type HostsLimits, type Label } from './hosts.ts';
import { wrap } from './summary.ts';

export interface ReviewedKey {
  readonly type: string;
  readonly fingerprint: string;
}

export interface KeyReviewOptions {
  readonly label: Label;
  readonly fold: Fold;
  /** Every key, not only those that several hosts share. @default false */
  readonly verbose?: boolean;
  /** Width of the terminal. @default lines are not broken */
  readonly columns?: number;
}

interface SharedKey {
  readonly type: string;
  readonly fingerprint: string;
  readonly hosts: IndexSet;
}

/** Characters of a host set, where there is no terminal to fit into. */
const SET = 200;
/** Below, a terminal is not cared for. */
const NARROW = 40;
/** Shared keys that are named without `-v`. */
const MOST_SHARED = 5;

/** A key that several hosts have is what a cluster behind one image or address shows, and what an intruder in between does. */
export class KeyReview {
  readonly #options: KeyReviewOptions;
  readonly #types = new Map<string, IndexSet>();
  readonly #keys = new Map<string, SharedKey>();
  readonly #hosts = new IndexSet();
  readonly #confirmed = { match: 0, secure: 0, none: 0 };
  readonly #limits: HostsLimits;
  #count = 0;

  constructor(options: KeyReviewOptions) {
    this.#options = options;
    const { columns } = options;
    const characters = columns === undefined ? SET : Math.max(NARROW, columns - NARROW);
    this.#limits = { labels: 10_000, characters };
  }

  /** Keys to be added. */
  get keys(): number {
    return this.#count;
  }

  /** Hosts with keys to be added. */
  get hosts(): number {
    return this.#hosts.size;
  }

  /** The keys of the host at this place of the plan that are not known. */
  add(index: number, keys: readonly ReviewedKey[], sshfp: 'match' | 'secure' | 'none'): void {
    if (keys.length === 0) return;
    this.#hosts.add(index);
    this.#confirmed[sshfp]++;
    for (const { type, fingerprint } of keys) {
      this.#count++;
      const hosts = this.#types.get(type) ?? new IndexSet();
      this.#types.set(type, hosts);
      hosts.add(index);
      const key = this.#keys.get(fingerprint) ?? { type, fingerprint, hosts: new IndexSet() };
      this.#keys.set(fingerprint, key);
      key.hosts.add(index);
    }
  }

  lines(): string[] {
    if (this.#count === 0) return [];
    const verb = this.#hosts.size === 1 ? 'shows' : 'show';
    const lines = [`${formatNumberOf(this.#hosts.size, 'host')} ${verb} keys that are not known yet:`];
    lines.push(...this.#typeLines(), ...this.#dnsLines());
    lines.push(...(this.#options.verbose ? this.#allKeys() : this.#sharedKeys()));
    return lines.flatMap((line) => this.#broken(line));
  }

  #broken(line: string): string[] {
    const indent = /^ */.exec(line)![0];
    return wrap(line.trimStart().split(' '), indent, this.#options.columns);
  }

  #typeLines(): string[] {
    const types = [...this.#types].sort((a, b) => b[1].size - a[1].size);
    const width = Math.max(...types.map(([, hosts]) => formatCount(hosts.size).length));
    return types.map(([type, hosts]) => {
      return `  ${formatCount(hosts.size).padStart(width)} ${escapeText(type)}: ${this.#fold(hosts)}`;
    });
  }

  #dnsLines(): string[] {
    const { secure, match } = this.#confirmed;
    const lines: string[] = [];
    if (secure > 0) lines.push(`${formatNumberOf(secure, 'host')} with SSHFP records in DNS that DNSSEC vouches for`);
    if (match > 0) lines.push(`${formatNumberOf(match, 'host')} with SSHFP records in DNS, without DNSSEC`);
    return lines;
  }

  #sharedKeys(): string[] {
    const shared = this.#mostSharedFirst().filter(({ hosts }) => hosts.size > 1);
    if (shared.length === 0) return [];
    const are = shared.length === 1 ? 'key is' : 'keys are';
    const lines = [
      `${formatCount(shared.length)} ${are} shared by several hosts, as one machine or one image has them; else ask why:`,
      ...shared.slice(0, MOST_SHARED).map((key) => this.#keyLine(key)),
    ];
    const more = shared.length - MOST_SHARED;
    if (more > 0) lines.push(`  … and ${formatNumberOf(more, 'more key')}; -v lists all`);
    return lines;
  }

  /** Equal numbers by their first host: the order in which hosts answered says nothing. */
  #mostSharedFirst(): SharedKey[] {
    const keys = [...this.#keys.values()].map((key) => ({ key, first: key.hosts.first ?? 0 }));
    return keys.sort((a, b) => b.key.hosts.size - a.key.hosts.size || a.first - b.first).map(({ key }) => key);
  }

  #allKeys(): string[] {
    return ['keys, and who has them:', ...this.#mostSharedFirst().map((key) => this.#keyLine(key))];
  }

  #keyLine({ type, fingerprint, hosts }: SharedKey): string {
    return `  ${escapeText(type)} ${fingerprint}: ${this.#fold(hosts)}${hosts.size > 1 ? ` (${formatCount(hosts.size)})` : ''}`;
  }

  #fold(hosts: IndexSet): string {
    const { label, fold } = this.#options;
    const { text, more } = foldBounded(hosts, hosts.size, label, fold, this.#limits);
    return `${escapeText(text)}${more > 0 ? ` … and ${formatCount(more)} more` : ''}`;
  }
}
