/**
 * How each host is reached: its label, then the caller's options, then its ssh_config, each where the one before says nothing.
 *
 * Asked once per attempt; what hosts share (keys, known_hosts, algorithms) is made with the first of them and kept, so that
 * for the others the answer is there at once.
 */
import { MyriadError } from '../../contracts/errors.ts';
import type { Host } from '../../contracts/task.ts';
import { type HostParts, labelOf } from '../../hostset/label.ts';
import type { SetTimer } from '../../ssh/agent_connection.ts';
import type { AuthKey, Credentials } from '../../ssh/client_auth.ts';
import type { CanonicalLookup } from '../../ssh/config/canonical.ts';
import type { HostConfig } from '../../ssh/config/host_config.ts';
import type { Overrides } from '../../ssh/config/overrides.ts';
import type { HostSettings } from '../../ssh/config/settings.ts';
import type { SshfpResolver } from '../../ssh/sshfp.ts';
import type { Route } from '../../transport/native/route.ts';
import type { FleetOptions } from '../options.ts';
import type { LoginHost, Passwords } from '../passwords.ts';
import { type LoadedConfig, loadConfig, questionOf } from './config.ts';
import { ConfiguredKeys } from './configured_keys.ts';
import type { HostKeyStore, LearnElsewhere, LearnQuestion, SharedHostKeys } from './host_keys.ts';
import { namedKeys } from './named_keys.ts';
import { loadOwnKeys, type WantedKeys } from './own_keys.ts';
import { Profiles, type Shared } from './profiles.ts';

/** A host that is reached by the ssh program, and what its configuration wants that only that has. */
export interface ByOpenssh {
  readonly by: 'openssh';
  readonly reasons: readonly string[];
}

export interface ByNative {
  readonly by: 'native';
  readonly route: Route;
}

export type Reach = ByNative | ByOpenssh;

/** How to look at the keys of a host, and what is known of them. */
export interface Look {
  readonly route: Route;
  readonly store: HostKeyStore;
}

/** Jump hosts of jump hosts of …: deeper is a loop. */
const MOST_HOPS = 8;

export class Router {
  readonly #options: FleetOptions;
  readonly #loaded: LoadedConfig;
  readonly #profiles: Profiles;
  readonly #hasKeys: boolean;
  readonly #configured: ConfiguredKeys;
  /** Of hosts that have keys of their own, by file. */
  #own: ReadonlyMap<string, readonly AuthKey[]> = new Map();
  /** Instead of what the configuration of a target says; empty: none. */
  readonly #jump: readonly HostParts[] | undefined;
  readonly #lookup: CanonicalLookup;
  readonly #passwords: LoginSecrets | undefined;
  readonly #chains = new Map<string, readonly Route[] | Promise<readonly Route[]>>();
  /** For jump hosts: what `-o` says of the way to a target is not said of them. */
  readonly #hopOverrides: Overrides | undefined;

  private constructor(options: FleetOptions, loaded: LoadedConfig, parts: RouterParts) {
    const { named, keys, jump } = parts;
    this.#options = options;
    this.#loaded = loaded;
    this.#profiles = new Profiles({
      options,
      named,
      keys,
      learns: parts.learns,
      sshfp: parts.sshfp,
      learn: parts.learn,
      shared: parts.shared,
      warn: parts.warn,
    });
    this.#hasKeys = (named?.length ?? 0) > 0;
    this.#configured = keys;
    this.#jump = jump;
    this.#lookup = parts.lookup;
    this.#passwords = parts.passwords;
    const { overrides } = loaded;
    this.#hopOverrides = overrides && new Map([...overrides].filter(([keyword]) => !WAYS.has(keyword)));
  }

  /** Reads files and named keys, so that a mistake in them is thrown before anything connects. */
  static async open(options: FleetOptions, deps: RouterDeps): Promise<Router> {
    const loaded = loadConfig(options);
    for (const { file, line, reason } of loaded.config.warnings)
      deps.warn(`ssh_config "${file}", line ${line}: ${reason}`);
    const { passwords } = deps;
    const only = options.identity !== undefined || passwords !== undefined;
    const named = only ? await namedKeys(options) : undefined;
    const keys = new ConfiguredKeys(deps.setTimer, deps.warn);
    return new Router(options, loaded, {
      named,
      keys,
      jump: deps.jump,
      lookup: deps.lookup,
      passwords,
      sshfp: deps.sshfp,
      learns: deps.learns ?? false,
      learn: deps.learn,
      shared: deps.shared,
      warn: deps.warn,
    });
  }

  /** Reads the keys that hosts have of their own. Rejects with `inventory` for one that cannot be used. */
  async loadKeys(wanted: WantedKeys): Promise<void> {
    this.#own = await loadOwnKeys(wanted, this.#options, this.#configured);
  }

  /**
   * How a host is reached; a promise only for the first of its kind, and where a canonical name is asked for. Throws or rejects
   * with MyriadError for a host whose configuration cannot be used.
   */
  reach(host: Host): Reach | Promise<Reach> {
    const question = questionOf(this.#loaded, this.#options, host);
    const config = this.#loaded.config.resolve(question);
    if (config.canonicalization !== 'pending') return this.#reachBy(config, host);
    return this.#loaded.config.resolveCanonical(question, this.#lookup).then((found) => this.#reachBy(found, host));
  }

  /** For host keys: nothing logs in, so that our own client does for hosts, too, that only the ssh program can log in to. */
  async look(host: Host): Promise<Look> {
    const question = questionOf(this.#loaded, this.#options, host);
    let config = this.#loaded.config.resolve(question);
    if (config.canonicalization === 'pending')
      config = await this.#loaded.config.resolveCanonical(question, this.#lookup);
    refuseUnusable(config, host.label);
    const way = config.settings.needsOpenssh.find((reason) => reason.startsWith('proxyusefdpass'));
    if (way !== undefined) {
      throw new MyriadError('usage', `only the ssh program can connect to "${host.label}": ssh_config has ${way}`);
    }
    return { route: await this.#route(config, host, 0), store: this.#profiles.storeOf(config) };
  }

  #reachBy(config: HostConfig, host: Host): Reach | Promise<Reach> {
    const { settings } = config;
    const { label } = host;
    refuseUnusable(config, label);
    const { transport = 'auto' } = this.#options;
    const reasons = settings.needsOpenssh;
    if (transport === 'openssh' || (reasons.length > 0 && transport === 'auto')) return { by: 'openssh', reasons };
    if (reasons.length > 0) {
      throw new MyriadError(
        'usage',
        `--transport native cannot reach "${label}": ssh_config has ${reasons.join(', ')}`,
      );
    }
    const route = this.#route(config, host, 0);
    return route instanceof Promise ? route.then(native) : native(route);
  }

  /** Without any way to log in there is nothing to try. Rejects with `usage`, if that is so for `host`. */
  async check(host: Host): Promise<void> {
    if (this.#passwords !== undefined || this.#options.answer !== undefined || this.#hasKeys) return;
    const reach = await this.reach(host);
    if (reach.by === 'openssh' || reach.route.credentials.keys.length > 0) return;
    throw new MyriadError(
      'usage',
      `no way to log in to "${host.label}": no --identity, no password, no key in an SSH agent, and no usable IdentityFile (without ssh_config: id_rsa, id_ecdsa, id_ed25519 in ~/.ssh, not encrypted)${this.#configured.passedOver.map((text) => `; ${text}`).join('')}`,
    );
  }

  #route(config: HostConfig, host: RoutedHost, depth: number): Route | Promise<Route> {
    const shared = this.#profiles.of(config);
    const via = this.#viaOf(config, depth);
    if (!(shared instanceof Promise) && !(via instanceof Promise)) return this.#make(config, host, shared, via);
    return Promise.all([shared, via]).then(([ready, hops]) => this.#make(config, host, ready, hops));
  }

  #make(
    config: HostConfig,
    { label, identity }: RoutedHost,
    { profile, keys: all }: Shared,
    via: readonly Route[],
  ): Route {
    const { hostName: name, user, port } = config;
    const own = identity === undefined ? undefined : this.#own.get(identity);
    const keys = own ? this.#profiles.usable(own, config.settings) : all;
    return {
      label,
      name,
      port,
      credentials: this.#credentials({ label, name, user, port }, config.settings, keys),
      keyHost: this.#profiles.keyHost(config),
      profile,
      via,
      proxyCommand: this.#jump === undefined ? config.proxyCommand : undefined,
    };
  }

  #credentials(host: LoginHost, settings: HostSettings, keys: readonly AuthKey[]): Credentials {
    const { answer } = this.#options;
    const { user } = host;
    // Nobody is asked anything: keys as they are.
    if (this.#passwords === undefined && answer === undefined) {
      const methods = settings.preferredAuthentications;
      return { user, keys: methods?.includes('publickey') === false ? [] : keys };
    }
    return {
      user,
      keys,
      password:
        settings.passwordAuthentication || settings.kbdInteractiveAuthentication
          ? this.#passwords?.secretFor(host)
          : undefined,
      answer: answer && ((prompts, about, signal) => answer(host, prompts, about, signal)),
      methods: methodsOf(settings),
      prompts: settings.batchMode ? 0 : settings.numberOfPasswordPrompts,
    };
  }

  /** The jump hosts before a host; `-J` counts for targets only, and instead of what their configuration says. */
  #viaOf(config: HostConfig, depth: number): readonly Route[] | Promise<readonly Route[]> {
    if (depth > MOST_HOPS) throw new MyriadError('usage', `ssh_config: ProxyJump of "${config.name}" never ends`);
    const hops =
      depth === 0 && this.#jump !== undefined
        ? this.#jump
        : config.proxyJump?.map(({ user, host, port }) => ({ user, name: host, port }));
    if (hops === undefined || hops.length === 0) return NONE;
    const id = hops.map(hopLabel).join(',');
    let chain = this.#chains.get(id);
    if (chain === undefined) {
      chain = this.#chain(hops, depth);
      this.#chains.set(id, chain);
      if (chain instanceof Promise) {
        chain.then((ready) => this.#chains.set(id, ready)).catch(() => this.#chains.delete(id));
      }
    }
    return chain;
  }

  /** Only the first of several may itself lie behind others: for the rest the one before is the way. */
  #chain(hops: readonly HostParts[], depth: number): readonly Route[] | Promise<readonly Route[]> {
    const routes = hops.map((hop, place) => {
      const { name, user, port } = hop;
      const found = this.#loaded.config.resolve({ name, user, port, overrides: this.#hopOverrides });
      const host = { label: hopLabel(hop) };
      if (place === 0) return this.#route(found, host, depth + 1);
      const shared = this.#profiles.of(found);
      if (shared instanceof Promise) return shared.then((ready) => this.#make(found, host, ready, NONE));
      return this.#make(found, host, shared, NONE);
    });
    const flat = (ready: readonly Route[]) => ready.flatMap((route) => [...route.via, { ...route, via: NONE }]);
    if (routes.some((route) => route instanceof Promise)) return Promise.all(routes).then(flat);
    return flat(routes as Route[]);
  }

  /** What was read of known_hosts, for threads. */
  shareHostKeys(): SharedHostKeys {
    return this.#profiles.shareHostKeys();
  }

  /** Learns a key that a thread does not know. Rejects with SshError `host-key`. */
  learnKey(question: LearnQuestion): Promise<void> {
    return this.#profiles.learnKey(question);
  }

  /** Resolves when all accepted host keys are written. */
  async close(): Promise<void> {
    await this.#profiles.close();
  }
}

/** What of a host its route has to know beside its configuration. */
type RoutedHost = Pick<Host, 'label' | 'identity'>;

type LoginSecrets = Pick<Passwords, 'secretFor'>;

export interface RouterDeps {
  readonly setTimer: SetTimer;
  /** Hears of each thing in the configuration that is passed over. */
  readonly warn: (text: string) => void;
  /** Instead of what the configuration says; empty: none. */
  readonly jump: readonly HostParts[] | undefined;
  /** Asks the resolver, for CanonicalizeHostname. */
  readonly lookup: CanonicalLookup;
  /** Asks for SSHFP records, for VerifyHostKeyDNS. @default nobody does */
  readonly sshfp?: SshfpResolver | undefined;
  /** @default none */
  readonly passwords?: LoginSecrets | undefined;
  /** Who learns the host keys that `accept-new` takes. @default we */
  readonly learn?: LearnElsewhere | undefined;
  /** New host keys will be added: a known_hosts file that was named may be missing. @default false */
  readonly learns?: boolean;
  /** Host keys that another thread has read. @default none */
  readonly shared?: SharedHostKeys | undefined;
}

interface RouterParts {
  readonly named: readonly AuthKey[] | undefined;
  readonly keys: ConfiguredKeys;
  readonly jump: readonly HostParts[] | undefined;
  readonly lookup: CanonicalLookup;
  readonly passwords: LoginSecrets | undefined;
  readonly learn: LearnElsewhere | undefined;
  readonly sshfp: SshfpResolver | undefined;
  readonly learns: boolean;
  readonly shared: SharedHostKeys | undefined;
  readonly warn: (text: string) => void;
}

/** The keywords of the way to a host. */
const WAYS: ReadonlySet<string> = new Set(['proxyjump', 'proxycommand', 'hostname', 'port', 'user', 'hostkeyalias']);
const NONE: readonly Route[] = [];

/** Throws `usage` for a host whose configuration says that there is no way to it. */
function refuseUnusable({ settings, canonicalization }: HostConfig, label: string): void {
  if (settings.refuseConnection !== undefined) {
    throw new MyriadError('usage', `ssh_config refuses connections to "${label}": ${settings.refuseConnection}`);
  }
  if (canonicalization === 'not-found') {
    throw new MyriadError('usage', `ssh_config: no domain of CanonicalDomains has the name of "${label}"`);
  }
}

function native(route: Route): ByNative {
  return { by: 'native', route };
}

/** PreferredAuthentications, without the methods that are switched off; undefined: the usual ones. */
function methodsOf(settings: HostSettings): readonly string[] | undefined {
  const { preferredAuthentications, passwordAuthentication, kbdInteractiveAuthentication } = settings;
  if (preferredAuthentications === undefined && passwordAuthentication && kbdInteractiveAuthentication)
    return undefined;
  const methods = preferredAuthentications ?? ['publickey', 'password', 'keyboard-interactive'];
  return methods.filter((method) => {
    if (method === 'password') return passwordAuthentication;
    return method !== 'keyboard-interactive' || kbdInteractiveAuthentication;
  });
}

function hopLabel({ user, name, port }: HostParts): string {
  return labelOf(user, name, port);
}
