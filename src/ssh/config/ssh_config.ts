/**
 * ssh_config, read once and asked once per host.
 *
 * The files are one program of blocks (`program.ts`). For a host the blocks that count are found through an index of their patterns, not
 * by trying all of them; hosts for which the same blocks count share one merged result. Where a Match asks for it, or where
 * host names are canonicalised, there is a second pass over the blocks with the final name; the first value of a keyword in both
 * passes wins, as in OpenSSH.
 */
import { networkInterfaces } from 'node:os';
import { canonicalAddress, looksLikeAddress } from './addresses.ts';
import { type CanonicalLookup, type CanonicalName, canonicalName, needsLookup } from './canonical.ts';
import { type ConfigFileSystem, nodeFileSystem } from './files.ts';
import { HostConfig, type SharedConfig } from './host_config.ts';
import { readHostParts } from './host_parts.ts';
import { KEYWORDS } from './keywords.ts';
import { type MatchTools, matches } from './match.ts';
import { Merged } from './merged.ts';
import { type Overrides, readOverrides } from './overrides.ts';
import { type ConfigProblem, SshConfigError, settingError } from './problems.ts';
import { type Block, type Program, ProgramBuilder, uncovered } from './program.ts';
import type { ReadContext, Setting } from './setting.ts';
import { readSettings } from './settings.ts';
import { type Environment, expandTokens, type LocalFacts, TokenError } from './tokens.ts';
import { findService, isSafeHostName, isSafeUser } from './values.ts';

export interface SshConfigOptions {
  /** `configFiles` gives these three. A missing file counts as empty unless it was named. */
  readonly userFile: string | undefined;
  readonly systemFile: string | undefined;
  /** `-F FILE`: the file must exist, and its permissions are not checked. @default false */
  readonly userFileNamed?: boolean;
  /** The home directory, absolute. */
  readonly home: string;
  readonly localUser: string;
  /** The host name of this machine, with its domain if it has one. */
  readonly localHost: string;
  /** Runs a command of Match exec in the user's shell, without input: whether its status is 0. Asked once per distinct command. */
  readonly exec: (command: string) => boolean;
  /** IgnoreUnknown from the command line. @default none */
  readonly ignoreUnknown?: string;
  /** @default this process's */
  readonly uid?: number;
  /** @default process.env */
  readonly env?: Environment;
  /** @default the file system; where one is injected, `mode` is not checked unless injected, too */
  readonly readFile?: ConfigFileSystem['readFile'];
  readonly glob?: ConfigFileSystem['glob'];
  readonly mode?: ConfigFileSystem['mode'];
  /** This machine's addresses, for Match localnetwork. @default those of its interfaces */
  readonly localAddresses?: () => readonly string[];
}

export interface HostQuestion {
  /** As the user wrote it. */
  readonly name: string;
  /** These win over everything. */
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  readonly tag?: string | undefined;
  /**
   * Options of the command line: keyword to the texts that would follow it in a file, each one line. They win over the files.
   * Pass the same map for all hosts: it is read once.
   */
  readonly overrides?: Overrides | undefined;
}

/** The values that Match looks at while the blocks are still being read. */
interface Live {
  hostname: string | undefined;
  user: string | undefined;
  port: string | undefined;
  hostkeyalias: string | undefined;
  tag: string | undefined;
}
type LiveKey = keyof Live;
const LIVE: readonly LiveKey[] = ['hostname', 'user', 'port', 'hostkeyalias', 'tag'];

/** What the canonical name was made with is settled before the second pass, as in OpenSSH: it cannot set these any more. */
const BETWEEN: readonly Setting[] = ['canonicalizehostname', 'canonicalizemaxdots', 'canonicalizefallbacklocal'].map(
  (slot) => ({ slot, values: [KEYWORDS.get(slot)?.fallback ?? ''], file: 'defaults', line: 0, byUser: false }),
);

/** Merged results and answers of commands that are kept; beyond it they start again. */
const MAX_KEPT = 65_536;

export class SshConfig {
  readonly #program: Program;
  readonly #tools: MatchTools;
  readonly #context: ReadContext;
  /** By the blocks that count. */
  readonly #shared = new Map<string, SharedConfig>();
  readonly #overrides = new WeakMap<Overrides, { readonly id: number; readonly settings: readonly Setting[] }>();
  #overridesRead = 0;
  /** Whether a block counts in the pass that runs; all zero between passes. */
  readonly #counts: Uint8Array;
  readonly #hasMatch: boolean;

  private constructor(program: Program, tools: MatchTools, context: ReadContext) {
    this.#program = program;
    this.#tools = tools;
    this.#context = context;
    this.#counts = new Uint8Array(program.blocks.length);
    this.#hasMatch = program.blocks.some((block) => block.condition.kind === 'match');
  }

  /** Reads the files. Throws SshConfigError with all bad lines of a file, and MyriadError `file` for a file that cannot be used. */
  static load(options: SshConfigOptions): SshConfig {
    const injected = options.readFile !== undefined;
    const fs: ConfigFileSystem = {
      readFile: options.readFile ?? nodeFileSystem.readFile,
      glob: options.glob ?? nodeFileSystem.glob,
      mode: options.mode ?? (injected ? () => undefined : nodeFileSystem.mode),
    };
    const local = localFacts(options, fs);
    const context = { env: local.env, service: serviceFinder(fs) };
    const builder = new ProgramBuilder({ fs, context, local, ignoreUnknown: options.ignoreUnknown });
    const { userFile, systemFile, userFileNamed = false } = options;
    if (userFile !== undefined) {
      builder.addFile(userFile, { byUser: true, mustExist: userFileNamed, checkMode: !userFileNamed });
    }
    if (systemFile !== undefined) builder.addFile(systemFile, { byUser: false, mustExist: false, checkMode: false });
    const tools = {
      local,
      exec: remember(options.exec),
      localAddresses: options.localAddresses ?? interfaceAddresses,
    };
    return new SshConfig(builder, tools, context);
  }

  /** Lines that were taken but do nothing. */
  get warnings(): readonly ConfigProblem[] {
    return this.#program.warnings;
  }

  /** Reads options of the command line before the first host needs them. Throws SshConfigError with all that cannot be used. */
  check(overrides: Overrides): void {
    this.#given(overrides);
  }

  /**
   * The configuration of one host, without asking a resolver: where CanonicalizeHostname would ask one, the name stays, and
   * `canonicalization` is `pending`. Throws SshConfigError for what cannot be used for this host.
   */
  resolve(host: HostQuestion): HostConfig {
    const first = this.#first(host);
    const off = first.shared.settings.canonicalize.hostname === 'no';
    const canonicalization = off ? 'off' : first.needsLookup ? 'pending' : 'kept';
    return this.#second(host, first, { name: first.hostName, canonicalization });
  }

  /** As `resolve`, and the resolver is asked where CanonicalizeHostname wants it. Rejects with what `lookup` rejects with. */
  async resolveCanonical(host: HostQuestion, lookup: CanonicalLookup): Promise<HostConfig> {
    const first = this.#first(host);
    if (!first.needsLookup) return this.resolve(host);
    return this.#second(host, first, await canonicalName(first.hostName, first.shared.settings, lookup));
  }

  #first(host: HostQuestion): FirstPass {
    if (!isSafeHostName(host.name)) {
      throw settingError(
        { file: 'host', line: 0 },
        `the host name "${host.name}" has characters that no host name has`,
      );
    }
    const given = this.#given(host.overrides);
    const live: Live = {
      hostname: firstValue(given.settings, 'hostname'),
      user: host.user ?? firstValue(given.settings, 'user'),
      port: host.port === undefined ? firstValue(given.settings, 'port') : String(host.port),
      hostkeyalias: firstValue(given.settings, 'hostkeyalias'),
      tag: host.tag ?? firstValue(given.settings, 'tag'),
    };
    const blocks = this.#pass(host.name, host.name, live, false);
    const key = `${given.id}|${blocks.join()}`;
    const shared = this.#merge(key, given.settings, [blocks]);
    const hostName = this.#hostName(host.name, shared);
    const { parts, settings } = shared;
    const direct = parts.proxyCommand === undefined && parts.proxyJump === undefined;
    const asks = needsLookup(hostName, direct, settings.canonicalize);
    return { given: given.settings, live, blocks, key, shared, hostName, needsLookup: asks };
  }

  #second(host: HostQuestion, first: FirstPass, canonical: CanonicalName): HostConfig {
    let { shared } = first;
    if (this.#program.wantsFinal || shared.settings.canonicalize.hostname !== 'no') {
      const live = { ...first.live, hostname: canonical.name };
      for (const key of LIVE) if (key !== 'hostname') live[key] ??= shared.merged.value(key);
      const blocks = this.#pass(canonical.name, host.name, live, true);
      shared = this.#merge(`${first.key}|${blocks.join()}`, first.given, [first.blocks, blocks]);
    }
    const { merged, parts, local } = shared;
    const user = host.user ?? merged.value('user') ?? local.localUser;
    const port = host.port ?? Number(merged.valueOrDefault('port'));
    if (!isSafeUser(user)) {
      throw settingError(
        merged.origin('user') ?? { file: 'host', line: 0 },
        `the user name "${user}" has unsafe characters`,
      );
    }
    const jump = parts.proxyJump?.at(-1);
    if (jump?.host === canonical.name && (jump.port ?? 22) === port && (jump.user ?? user) === user) {
      throw settingError(merged.origin('proxy')!, `ProxyJump of "${host.name}" leads through the host itself`);
    }
    const tag = host.tag ?? merged.value('tag');
    const { canonicalization } = canonical;
    return new HostConfig({ name: host.name, hostName: canonical.name, user, port, tag, canonicalization }, shared);
  }

  /** HostName with its token, then addresses as the system writes them and names in lower case. */
  #hostName(name: string, shared: SharedConfig): string {
    const template = shared.parts.hostName;
    const hostName = template === undefined ? name : expandTokens(template, 'h', () => name);
    if (!isSafeHostName(hostName)) {
      throw settingError(
        shared.merged.origin('hostname')!,
        `hostname "${hostName}" has characters that no host name has`,
      );
    }
    return (
      canonicalAddress(hostName, shared.settings.addressFamily) ??
      (looksLikeAddress(hostName) ? hostName : hostName.toLowerCase())
    );
  }

  /** The blocks that count, in order. `live` takes up what they set. */
  #pass(name: string, original: string, live: Live, final: boolean): number[] {
    const { blocks, others, index } = this.#program;
    const found = index.match(name);
    const active: number[] = [];
    try {
      for (let i = 0, j = 0; i < found.length || j < others.length; ) {
        const next = j >= others.length || (i < found.length && found[i]! < others[j]!) ? found[i++]! : others[j++]!;
        const block = blocks[next]!;
        if (block.around >= 0 && this.#counts[block.around] === 0) continue;
        if (!this.#holds(block, name, original, live, final)) continue;
        this.#counts[next] = 1;
        active.push(next);
        if (this.#hasMatch) takeUp(live, block.settings);
      }
    } finally {
      for (const block of active) this.#counts[block] = 0;
    }
    return active;
  }

  #holds(block: Block, name: string, original: string, live: Live, final: boolean): boolean {
    const { condition } = block;
    if (condition.kind === 'always') return true;
    if (condition.kind === 'hosts') return !condition.negated.some((test) => test(name));
    const state = {
      name: original,
      hostName: final || live.hostname === undefined ? name : expandHostName(live.hostname, name),
      user: live.user ?? this.#tools.local.localUser,
      port: Number(live.port ?? 22),
      hostKeyAlias: live.hostkeyalias,
      jumpHost: '',
      tag: live.tag ?? '',
      final,
    };
    return matches(condition.criteria, state, this.#tools);
  }

  #merge(key: string, given: readonly Setting[], passes: readonly (readonly number[])[]): SharedConfig {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const { blocks } = this.#program;
    const [first = [], second] = passes.map((pass) => pass.map((block) => blocks[block]!.settings));
    const layers = second === undefined ? [given, ...first] : [given, ...first, BETWEEN, ...second];
    const merged = new Merged(layers, this.#context.service);
    const unknown = uncovered(this.#program, merged.origin('ignoreunknown'));
    if (unknown.length > 0) throw new SshConfigError(unknown);
    const { local } = this.#tools;
    const shared = {
      merged,
      settings: readSettings(merged, local),
      parts: readHostParts(merged, local, this.#context.service),
      local,
    };
    if (this.#shared.size >= MAX_KEPT) this.#shared.clear();
    this.#shared.set(key, shared);
    return shared;
  }

  #given(overrides: Overrides | undefined): { readonly id: number; readonly settings: readonly Setting[] } {
    if (overrides === undefined) return { id: 0, settings: [] };
    let given = this.#overrides.get(overrides);
    if (given === undefined) {
      given = { id: ++this.#overridesRead, settings: readOverrides(overrides, this.#context) };
      this.#overrides.set(overrides, given);
    }
    return given;
  }
}

interface FirstPass {
  readonly given: readonly Setting[];
  readonly live: Readonly<Live>;
  readonly blocks: readonly number[];
  readonly key: string;
  readonly shared: SharedConfig;
  readonly hostName: string;
  /** The resolver must be asked for the canonical name. */
  readonly needsLookup: boolean;
}

function firstValue(settings: readonly Setting[], slot: string): string | undefined {
  return settings.find((setting) => setting.slot === slot)?.values[0];
}

function takeUp(live: Live, settings: readonly Setting[]): void {
  for (const { slot, values } of settings) {
    const key = LIVE.find((name) => name === slot);
    if (key !== undefined) live[key] ??= values[0];
  }
}

/** A HostName with a token that it cannot have is told when the blocks are merged. */
function expandHostName(template: string, name: string): string {
  try {
    return expandTokens(template, 'h', () => name);
  } catch (error) {
    if (error instanceof TokenError) return template;
    throw error;
  }
}

function localFacts(options: SshConfigOptions, fs: ConfigFileSystem): LocalFacts {
  const { home, localUser, localHost } = options;
  const homeOf = (user: string) => {
    const line = fs
      .readFile('/etc/passwd')
      ?.split('\n')
      .find((entry) => entry.startsWith(`${user}:`));
    return line?.split(':')[5];
  };
  return {
    home,
    localUser,
    localHost,
    uid: options.uid ?? process.getuid?.() ?? 0,
    env: options.env ?? process.env,
    homeOf,
  };
}

/** /etc/services is read when the first name of a port comes. */
function serviceFinder(fs: ConfigFileSystem): ReadContext['service'] {
  let services: string | undefined;
  return (name) => {
    services ??= fs.readFile('/etc/services') ?? '';
    return findService(services, name);
  };
}

function remember(exec: (command: string) => boolean): (command: string) => boolean {
  const answers = new Map<string, boolean>();
  return (command) => {
    let answer = answers.get(command);
    if (answer === undefined) {
      answer = exec(command);
      if (answers.size >= MAX_KEPT) answers.clear();
      answers.set(command, answer);
    }
    return answer;
  };
}

function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}
