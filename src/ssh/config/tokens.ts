/** Percent tokens and `${ENVIRONMENT}` in values of ssh_config. */
import { createHash } from 'node:crypto';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What most keywords take, besides `%%`. */
export const COMMON_TOKENS = 'CdhijkLlnpru';
/** ProxyCommand and ProxyJump. */
export const PROXY_TOKENS = 'hknpr';
/** KnownHostsCommand; the last five are known only when a key is looked up. */
export const KNOWN_HOSTS_COMMAND_TOKENS = 'CdhijkLlnprufHIKt';
/** Those of COMMON_TOKENS that are not the same for every host. */
const OF_HOST = /%[Chjknpr]/;

/** The value cannot be expanded; the message is the reason. */
export class TokenError extends Error {}

/** The machine and user on which Myriad runs. */
export interface LocalFacts {
  readonly home: string;
  readonly localUser: string;
  /** With its domain, if it has one. */
  readonly localHost: string;
  readonly uid: number;
  readonly env: Environment;
  /** The home directory of another user, for `~user/`. */
  readonly homeOf: (user: string) => string | undefined;
}

/** What tokens say of one host. */
export interface HostFacts {
  /** As it was asked for. */
  readonly name: string;
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  readonly hostKeyAlias: string | undefined;
  /** The last jump host, or ''. */
  readonly jumpHost: string;
}

/**
 * Replaces `%x` for every x in `allowed` and, with `env`, `${NAME}`. Throws TokenError for other tokens and for variables that
 * are not set.
 */
export function expandTokens(
  text: string,
  allowed: string,
  value: (token: string) => string,
  env?: Environment,
): string {
  if (!text.includes('%') && !text.includes('${')) return text;
  return text.replace(env === undefined ? /%(.?)/gs : /%(.?)|\$\{([^}]*)(\}?)/gs, (_, token?: string, name?, end?) => {
    if (token === undefined) return variable(String(name), end === '}', env!);
    if (token === '%') return '%';
    if (token === '') throw new TokenError('a percent sign at the end; write %% for a percent sign');
    if (!allowed.includes(token)) throw new TokenError(`the token %${token} is not known here`);
    return value(token);
  });
}

function variable(name: string, closed: boolean, env: Environment): string {
  if (!closed) throw new TokenError(`environment variable "\${${name}" is missing its closing brace`);
  if (name === '') throw new TokenError('environment variable without a name');
  const value = env[name];
  if (value === undefined) throw new TokenError(`environment variable "${name}" is not set`);
  return value;
}

/** `~` and `~user` at the start of a path. */
export function expandTilde(path: string, local: LocalFacts): string {
  if (!path.startsWith('~')) return path;
  const [, user, rest] = /^~([^/]*)\/*(.*)$/s.exec(path)!;
  const home = user === '' ? local.home : local.homeOf(user!);
  if (home === undefined) throw new TokenError(`there is no user "${user}" for "${path}"`);
  return `${home}${home.endsWith('/') ? '' : '/'}${rest}`;
}

/** The values of COMMON_TOKENS for one host. */
export function tokenValues(local: LocalFacts, host: HostFacts): (token: string) => string {
  return (token) => {
    switch (token) {
      case 'C':
        return connectionHash(local, host);
      case 'd':
        return local.home;
      case 'h':
        return host.hostName;
      case 'i':
        return String(local.uid);
      case 'j':
        return host.jumpHost;
      case 'k':
        return host.hostKeyAlias ?? host.name;
      case 'L':
        return local.localHost.replace(/\..*/s, '');
      case 'l':
        return local.localHost;
      case 'n':
        return host.name;
      case 'p':
        return String(host.port);
      case 'r':
        return host.user;
      case 'u':
        return local.localUser;
      default:
        throw new TokenError(`the token %${token} has no value here`);
    }
  };
}

function connectionHash(local: LocalFacts, host: HostFacts): string {
  const text = `${local.localHost}${host.hostName}${host.port}${host.user}${host.jumpHost}`;
  return createHash('sha1').update(text).digest('hex');
}

const NOBODY: HostFacts = { name: '', hostName: '', port: 0, user: '', hostKeyAlias: undefined, jumpHost: '' };

/** A path with tilde, tokens and variables; expanded once when it is the same for every host. Throws TokenError when made. */
class PathTemplate {
  readonly #text: string;
  readonly #local: LocalFacts;
  /** The path, when it depends on no host. */
  readonly fixed: string | undefined;

  constructor(text: string, local: LocalFacts) {
    this.#text = expandTilde(text, local);
    this.#local = local;
    const once = this.expand(NOBODY);
    this.fixed = OF_HOST.test(text.replaceAll('%%', '')) ? undefined : once;
  }

  expand(host: HostFacts): string {
    return this.fixed ?? expandTokens(this.#text, COMMON_TOKENS, tokenValues(this.#local, host), this.#local.env);
  }
}

/** Paths whose array is shared by all hosts when none depends on the host. */
export class PathTemplates {
  readonly #templates: readonly PathTemplate[];
  readonly #fixed: readonly string[] | undefined;

  constructor(texts: readonly string[], local: LocalFacts) {
    this.#templates = texts.map((text) => new PathTemplate(text, local));
    const fixed = this.#templates.flatMap((template) => template.fixed ?? []);
    this.#fixed = fixed.length === texts.length ? Object.freeze(fixed) : undefined;
  }

  /** The same for every host. */
  get isFixed(): boolean {
    return this.#fixed !== undefined;
  }

  expand(host: HostFacts): readonly string[] {
    return this.#fixed ?? this.#templates.map((template) => template.expand(host));
  }
}
