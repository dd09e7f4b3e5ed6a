/** What a look at host keys found, for a person who has to say whether it is right: folded by type, and by who shares a key. */
import { IndexSet } from '../util/index_set.ts';
import { escapeText } from './escape.ts';
import { formatCount, formatNumberOf } from './format.ts';
import { type Fold, foldBounded, type HostsLimits, type Label } from './hosts.ts';

export interface ReviewedKey {
  readonly type: string;
  readonly fingerprint: string;
}

export interface KeyReviewOptions {
  readonly label: Label;
  readonly fold: Fold;
  /** Every key, not only those that several hosts share. @default false */
  readonly verbose?: boolean;
}

interface SharedKey {
  readonly type: string;
  readonly fingerprint: string;
  readonly hosts: IndexSet;
}

const LIMITS: HostsLimits = { labels: 10_000, characters: 200 };
/** Shared keys that are named without `-v`. */
const MOST_SHARED = 5;

/** A key that several hosts have is what a cluster behind one image or address shows, and what an intruder in between does. */
export class KeyReview {
  readonly #options: KeyReviewOptions;
  readonly #types = new Map<string, IndexSet>();
  readonly #keys = new Map<string, SharedKey>();
  readonly #hosts = new IndexSet();
  readonly #confirmed = { match: 0, secure: 0, none: 0 };
  #count = 0;

  constructor(options: KeyReviewOptions) {
    this.#options = options;
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
    const types = [...this.#types].sort((a, b) => b[1].size - a[1].size);
    const width = Math.max(...types.map(([, hosts]) => formatCount(hosts.size).length));
    for (const [type, hosts] of types) {
      lines.push(`  ${formatCount(hosts.size).padStart(width)} ${escapeText(type)}: ${this.#fold(hosts)}`);
    }
    if (this.#confirmed.secure > 0) {
      lines.push(`${formatNumberOf(this.#confirmed.secure, 'host')} with SSHFP records in DNS that DNSSEC vouches for`);
    }
    if (this.#confirmed.match > 0) {
      lines.push(
        `${formatNumberOf(this.#confirmed.match, 'host')} with SSHFP records in DNS, which DNSSEC does not vouch for`,
      );
    }
    return [...lines, ...(this.#options.verbose ? this.#allKeys() : this.#sharedKeys())];
  }

  #sharedKeys(): string[] {
    const shared = [...this.#keys.values()].filter(({ hosts }) => hosts.size > 1);
    if (shared.length === 0) return [];
    shared.sort((a, b) => b.hosts.size - a.hosts.size);
    const are = shared.length === 1 ? 'key is' : 'keys are';
    const lines = [
      `${formatCount(shared.length)} ${are} shared by several hosts: normal where they are one machine or one image,`,
      'else look into it:',
      ...shared.slice(0, MOST_SHARED).map((key) => this.#keyLine(key)),
    ];
    const more = shared.length - MOST_SHARED;
    if (more > 0) lines.push(`  … and ${formatNumberOf(more, 'more key')}; -v lists all`);
    return lines;
  }

  #allKeys(): string[] {
    const keys = [...this.#keys.values()].sort((a, b) => b.hosts.size - a.hosts.size);
    return ['keys, and who has them:', ...keys.map((key) => this.#keyLine(key))];
  }

  #keyLine({ type, fingerprint, hosts }: SharedKey): string {
    return `  ${escapeText(type)} ${fingerprint}: ${this.#fold(hosts)}${hosts.size > 1 ? ` (${formatCount(hosts.size)})` : ''}`;
  }

  #fold(hosts: IndexSet): string {
    const { label, fold } = this.#options;
    const { text, more } = foldBounded(hosts, hosts.size, label, fold, LIMITS);
    return `${escapeText(text)}${more > 0 ? ` … and ${formatCount(more)} more` : ''}`;
  }
}
