/** What the configuration says of one host. */
import type { Canonicalization } from './canonical.ts';
import { type AlgorithmTables, dumpHost } from './dump.ts';
import { type AgentPart, type HostParts, located } from './host_parts.ts';
import type { JumpHost } from './jump.ts';
import { splitArguments } from './lexer.ts';
import type { Merged } from './merged.ts';
import type { HostSettings } from './settings.ts';
import {
  COMMON_TOKENS,
  expandTilde,
  expandTokens,
  type HostFacts,
  KNOWN_HOSTS_COMMAND_TOKENS,
  type LocalFacts,
  PROXY_TOKENS,
  tokenValues,
} from './tokens.ts';

/** What all hosts share for which the same blocks count. */
export interface SharedConfig {
  readonly merged: Merged;
  readonly settings: HostSettings;
  readonly parts: HostParts;
  readonly local: LocalFacts;
}

/** The tokens that KnownHostsCommand alone has, in words. */
export interface KnownHostsQuestion {
  /** %I: `ORDER` before the key exchange, `HOSTNAME` to look a name up. */
  readonly reason: 'ADDRESS' | 'HOSTNAME' | 'ORDER';
  /** %H: the name as known_hosts has it. */
  readonly search: string;
  /** %t, %K, %f: the host's key; `NONE` and empty while there is none. */
  readonly keyType?: string;
  readonly keyBase64?: string;
  readonly fingerprint?: string;
}

/** One per host; small, because all that does not depend on the host is in `settings`, one object for many hosts. */
export class HostConfig {
  /** As it was asked for. */
  readonly name: string;
  /** What to connect to: HostName, or the canonical name, or `name`; in lower case. */
  readonly hostName: string;
  readonly user: string;
  readonly port: number;
  readonly tag: string | undefined;
  /** How `hostName` came about. */
  readonly canonicalization: Canonicalization;
  readonly #shared: SharedConfig;

  constructor(
    host: Pick<HostConfig, 'name' | 'hostName' | 'user' | 'port' | 'tag' | 'canonicalization'>,
    shared: SharedConfig,
  ) {
    this.name = host.name;
    this.hostName = host.hostName;
    this.user = host.user;
    this.port = host.port;
    this.tag = host.tag;
    this.canonicalization = host.canonicalization;
    this.#shared = shared;
    Object.freeze(this);
  }

  /** The same object for all hosts for which the same blocks of the files count. */
  get settings(): HostSettings {
    return this.#shared.settings;
  }

  /** No file or socket depends on the host: all of them are the same wherever `settings` is the same object. */
  get filesAreShared(): boolean {
    const { parts } = this.#shared;
    const files = [parts.identityFiles, parts.certificateFiles, parts.userKnownHostsFiles];
    const agents = [parts.identityAgent, parts.forwardedAgent];
    return (
      files.every(({ isFixed }) => isFixed) && agents.every((agent) => agent.kind !== 'path' || agent.path.isFixed)
    );
  }

  /** The name to look up in known_hosts instead of `hostName`. */
  get hostKeyAlias(): string | undefined {
    return this.#shared.merged.value('hostkeyalias')?.toLowerCase();
  }

  /** Absolute paths, in order. */
  get identityFiles(): readonly string[] {
    return this.#shared.parts.identityFiles.expand(this.#facts());
  }

  /** No IdentityFile is set: `identityFiles` are the usual ones, of which most do not exist. */
  get identityFilesAreDefaults(): boolean {
    return this.#shared.parts.identityFilesAreDefaults;
  }

  get certificateFiles(): readonly string[] {
    return this.#shared.parts.certificateFiles.expand(this.#facts());
  }

  /** The agent's socket; undefined: no agent. Without IdentityAgent it is that of SSH_AUTH_SOCK. */
  get identityAgent(): string | undefined {
    return this.#socket(this.#shared.parts.identityAgent);
  }

  /** The socket of the agent to forward; undefined: nothing is forwarded. */
  get forwardAgent(): string | undefined {
    if (this.#shared.merged.valueOrDefault('forwardagent') === 'no') return undefined;
    const { forwardedAgent } = this.#shared.parts;
    return forwardedAgent.kind === 'environment' ? this.identityAgent : this.#socket(forwardedAgent);
  }

  /** Empty: no file of the user's. */
  get userKnownHostsFiles(): readonly string[] {
    return this.#shared.parts.userKnownHostsFiles.expand(this.#facts());
  }

  get revokedHostKeys(): string | undefined {
    return this.#shared.parts.revokedHostKeys.expand(this.#facts())[0];
  }

  /** The hops to the host, in the order in which they are visited; undefined: none. A hop's user and port are often open. */
  get proxyJump(): readonly JumpHost[] | undefined {
    const value = tokenValues(this.#shared.local, this.#facts());
    return this.#shared.parts.proxyJump?.map((jump) => ({
      ...jump,
      host: expandTokens(jump.host, PROXY_TOKENS, value),
      user: jump.user && expandTokens(jump.user, PROXY_TOKENS, value),
    }));
  }

  /** A command for the shell, with its tokens expanded. */
  get proxyCommand(): string | undefined {
    const text = this.#shared.parts.proxyCommand;
    return text && expandTokens(text, PROXY_TOKENS, tokenValues(this.#shared.local, this.#facts()));
  }

  /** The program and its arguments (no shell) that print lines of known_hosts; undefined: there is none. */
  knownHostsCommand(question: KnownHostsQuestion): readonly string[] | undefined {
    const text = this.#shared.parts.knownHostsCommand;
    if (text === undefined) return undefined;
    const { local } = this.#shared;
    const own: Readonly<Record<string, string>> = {
      H: question.search,
      I: question.reason,
      t: question.keyType ?? 'NONE',
      K: question.keyBase64 ?? '',
      f: question.fingerprint ?? '',
    };
    const common = tokenValues(local, this.#facts());
    const value = (token: string) => own[token] ?? common(token);
    return splitArguments(text)?.map((word) => expandTokens(word, KNOWN_HOSTS_COMMAND_TOKENS, value, local.env));
  }

  /** Any other keyword, in lower case, in the spelling of `ssh -G`: a text for each value, or the default. */
  get(keyword: string): readonly string[] {
    switch (keyword) {
      case 'user':
        return [this.user];
      case 'hostname':
        return [this.hostName];
      case 'port':
        return [String(this.port)];
      case 'tag':
        return this.tag === undefined ? [] : [this.tag];
      case 'hostkeyalias':
        return this.hostKeyAlias === undefined ? [] : [this.hostKeyAlias];
      case 'userknownhostsfile':
        return [this.userKnownHostsFiles.join(' ') || 'none'];
      case 'controlpath':
      case 'remotecommand':
        return located(this.#shared.merged, keyword, () =>
          this.#shared.merged.lines(keyword).map((text) => this.#expand(text)),
        );
      case 'revokedhostkeys':
        return this.revokedHostKeys === undefined ? [] : [this.revokedHostKeys];
      case 'identityagent':
        return this.#agentLine(this.#shared.parts.identityAgent, keyword);
      case 'forwardagent':
        return this.#agentLine(this.#shared.parts.forwardedAgent, keyword);
      default:
        return this.#shared.merged.lines(keyword);
    }
  }

  /** All settings as `ssh -G` prints them. Algorithm lists are applied to `tables` where these are given, else printed as written. */
  dump(tables: AlgorithmTables = {}): string {
    return dumpHost(this.name, (keyword) => this.get(keyword), tables);
  }

  #expand(text: string): string {
    const { local } = this.#shared;
    return expandTokens(expandTilde(text, local), COMMON_TOKENS, tokenValues(local, this.#facts()), local.env);
  }

  #agentLine(agent: AgentPart, keyword: string): readonly string[] {
    return agent.kind === 'path' ? agent.path.expand(this.#facts()) : this.#shared.merged.lines(keyword);
  }

  #socket(agent: AgentPart): string | undefined {
    switch (agent.kind) {
      case 'environment':
        return this.#shared.local.env.SSH_AUTH_SOCK;
      case 'none':
        return undefined;
      case 'at':
        return agent.socket;
      case 'path':
        return agent.path.expand(this.#facts())[0];
    }
  }

  #facts(): HostFacts {
    const { name, hostName, user, port, hostKeyAlias } = this;
    return { name, hostName, user, port, hostKeyAlias, jumpHost: this.#shared.parts.proxyJump?.at(-1)?.host ?? '' };
  }
}
