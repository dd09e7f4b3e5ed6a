/** The settings of all blocks that count, merged as OpenSSH does: the first value of each keyword, all values of a few. */
import { formatJump, parseJumps } from './jump.ts';
import { DEFAULT_IDENTITIES, KEYWORDS } from './keywords.ts';
import { matchPattern } from './pattern.ts';
import { settingError } from './problems.ts';
import { FORWARDED_AGENT, PROXY, REKEY_INTERVAL, type ReadContext, type Setting } from './setting.ts';

/** Every setting of these counts, not the first only. */
const LISTED: ReadonlySet<string> = new Set([
  'certificatefile',
  'dynamicforward',
  'identityfile',
  'localforward',
  'remoteforward',
  'sendenv',
]);
const MAX_FILES = 100;

export class Merged {
  readonly #first = new Map<string, Setting>();
  readonly #lists = new Map<string, Setting[]>();
  readonly #sendEnv: string[] = [];
  readonly #service: ReadContext['service'];

  /** `layers` in the order in which they are read. */
  constructor(layers: Iterable<readonly Setting[]>, service: ReadContext['service']) {
    this.#service = service;
    for (const layer of layers) for (const setting of layer) this.#add(setting);
  }

  #add(setting: Setting): void {
    const { slot } = setting;
    if (!LISTED.has(slot)) {
      if (!this.#first.has(slot) || this.#replacesJump(setting)) this.#first.set(slot, setting);
    } else if (slot === 'sendenv') {
      this.#addSendEnv(setting.values);
    } else {
      const list = this.#lists.get(slot) ?? [];
      this.#lists.set(slot, list);
      const [value] = setting.values;
      const isFile = slot === 'identityfile' || slot === 'certificatefile';
      if (list.some((other) => other.values[0] === value && (!isFile || other.byUser === setting.byUser))) return;
      if (isFile && list.length >= MAX_FILES) {
        throw settingError(setting, `more than ${MAX_FILES} files of ${slot} for one host`);
      }
      list.push(setting);
    }
  }

  /** `ProxyJump none` keeps later ProxyJumps out, but no ProxyCommand. */
  #replacesJump({ slot, values }: Setting): boolean {
    if (slot !== PROXY || values[0] !== 'command') return false;
    const [kind, text = ''] = this.list(PROXY);
    return kind === 'jump' && parseJumps(text, this.#service)?.length === 0;
  }

  /** `-NAME` takes away what was named before. */
  #addSendEnv(names: readonly string[]): void {
    for (const name of names) {
      if (!name.startsWith('-')) {
        this.#sendEnv.push(name);
        continue;
      }
      const kept = this.#sendEnv.filter((other) => !matchPattern(other, name.slice(1)));
      this.#sendEnv.splice(0, this.#sendEnv.length, ...kept);
    }
  }

  /** The first argument of the setting that counts. */
  value(slot: string): string | undefined {
    return this.#first.get(slot)?.values[0];
  }

  /** The value of a keyword, or its default. */
  valueOrDefault(slot: string): string {
    return this.value(slot) ?? KEYWORDS.get(slot)?.fallback ?? '';
  }

  /** All arguments that count: of the first line, or of all lines where OpenSSH adds them up. Empty when nothing is set. */
  list(slot: string): readonly string[] {
    if (slot === 'sendenv') return this.#sendEnv;
    return this.#first.get(slot)?.values ?? this.#lists.get(slot)?.map((setting) => setting.values[0]!) ?? [];
  }

  /** The keyword in `ssh -G`'s spelling, a line for each value, or its default; without what depends on the host. */
  lines(keyword: string): readonly string[] {
    switch (keyword) {
      case 'rekeylimit':
        return [`${this.value(keyword) ?? '0'} ${this.value(REKEY_INTERVAL) ?? '0'}`];
      case 'forwardagent':
        return [this.value(FORWARDED_AGENT) ?? this.valueOrDefault(keyword)];
      case 'identityfile':
        return this.#lists.has(keyword) ? this.list(keyword) : DEFAULT_IDENTITIES;
      case 'certificatefile':
      case 'dynamicforward':
      case 'localforward':
      case 'remoteforward':
      case 'sendenv':
      case 'setenv':
        return this.list(keyword);
      case 'updatehostkeys':
        return [this.value(keyword) ?? this.#updateHostKeys()];
      case 'addkeystoagent':
        return [(this.#first.get(keyword)?.values ?? ['false']).join(' ')];
      case 'proxycommand':
      case 'proxyjump':
        return this.#proxyLines(keyword);
      default: {
        const values = this.#first.get(keyword)?.values.join(' ') ?? KEYWORDS.get(keyword)?.fallback;
        return values === undefined || (NONE_CLEARS.has(keyword) && values.toLowerCase() === 'none') ? [] : [values];
      }
    }
  }

  #updateHostKeys(): string {
    const files = this.list('userknownhostsfile');
    const usual = files.length === 0 || (files.length === 1 && files[0] === '~/.ssh/known_hosts');
    return usual && this.valueOrDefault('verifyhostkeydns') === 'false' ? 'true' : 'false';
  }

  #proxyLines(keyword: string): readonly string[] {
    const [kind, text = 'none'] = this.#first.get(PROXY)?.values ?? [];
    if (kind === 'command') return keyword === 'proxycommand' && text.toLowerCase() !== 'none' ? [text] : [];
    const jumps = keyword === 'proxyjump' ? (parseJumps(text, this.#service) ?? []) : [];
    return jumps.length === 0 ? [] : [jumps.map(formatJump).join(',')];
  }

  /** The setting that counts for a keyword or part: the first. */
  origin(slot: string): Setting | undefined {
    return this.#first.get(slot) ?? this.#lists.get(slot)?.[0];
  }
}

/** `none` is the same as nothing. */
const NONE_CLEARS: ReadonlySet<string> = new Set([
  'controlpath',
  'knownhostscommand',
  'localcommand',
  'pkcs11provider',
  'remotecommand',
  'revokedhostkeys',
  'securitykeyprovider',
]);
