/**
 * What hosts of the same settings, key files and agent share: made with the first of them and kept.
 */
import { networkInterfaces } from 'node:os';
import { MyriadError } from '../../contracts/errors.ts';
import {
  CIPHERS,
  DEFAULT_PREFERENCES,
  HOST_KEY_ALGORITHMS,
  KEX_ALGORITHMS,
  MACS,
  type Preferences,
} from '../../ssh/algorithms.ts';
import { isCertificateType } from '../../ssh/certificate.ts';
import type { AuthKey } from '../../ssh/client_auth.ts';
import { applySpec } from '../../ssh/config/algorithm_spec.ts';
import type { HostConfig } from '../../ssh/config/host_config.ts';
import { matchPattern } from '../../ssh/config/pattern.ts';
import type { HostSettings } from '../../ssh/config/settings.ts';
import type { HostKeyPolicy, HostKeyVerifier } from '../../ssh/host_key_policy.ts';
import type { KnownHostsCommandOptions } from '../../ssh/known_hosts_command.ts';
import { rsaBits } from '../../ssh/rsa_bits.ts';
import type { SessionRequests } from '../../ssh/session_requests.ts';
import type { SshfpResolver } from '../../ssh/sshfp.ts';
import type { Profile } from '../../transport/native/route.ts';
import type { FleetOptions } from '../options.ts';
import type { ConfiguredKeys } from './configured_keys.ts';
import {
  type HostKeyStore,
  HostKeyVerifiers,
  type LearnElsewhere,
  type LearnQuestion,
  runKnownHostsCommand,
  type SharedHostKeys,
  type TrustQuestion,
} from './host_keys.ts';
import { expandHome } from './named_keys.ts';

export interface Shared {
  readonly profile: Profile;
  readonly keys: readonly AuthKey[];
}

export interface ProfilesParts {
  readonly options: FleetOptions;
  /** Instead of all that the configuration says of keys. */
  readonly named: readonly AuthKey[] | undefined;
  readonly keys: ConfiguredKeys;
  /** New host keys will be added: a known_hosts file that was named may be missing. */
  readonly learns: boolean;
  /** Asks for SSHFP records, for VerifyHostKeyDNS. */
  readonly sshfp: SshfpResolver | undefined;
  readonly warn: (text: string) => void;
  /** Who learns new host keys. @default we */
  readonly learn: LearnElsewhere | undefined;
  /** Host keys that another thread has read. @default none */
  readonly shared: SharedHostKeys | undefined;
}

/** What we verify of authorities: the plain host key algorithms. */
const AUTHORITY_SIGNATURES = DEFAULT_PREFERENCES.hostKey.filter((name) => !isCertificateType(name));
/** Shorter RSA keys are not read at all. */
const LEAST_RSA_BITS = 1024;
const FAMILIES = { any: 'any', inet: 4, inet6: 6 } as const;

export class Profiles {
  readonly #options: FleetOptions;
  readonly #named: readonly AuthKey[] | undefined;
  readonly #keys: ConfiguredKeys;
  readonly #verifiers: HostKeyVerifiers;
  readonly #shared = new Map<HostSettings, Map<string, Shared | Promise<Shared>>>();
  /** Where no file or socket depends on the host. */
  readonly #same = new Map<HostSettings, Shared>();
  readonly #preferences = new Map<string, Preferences>();
  readonly #usable = new Map<readonly AuthKey[], Map<HostSettings, readonly AuthKey[]>>();
  readonly #narrowed = new Map<AuthKey, Map<string, AuthKey | undefined>>();
  readonly #commands = new Map<HostSettings, KnownHostsCommandOptions>();
  /** By what a verifier is asked with, where a KnownHostsCommand wants to know more of the host. */
  readonly #configs = new WeakMap<object, HostConfig>();

  /** Instead of what the configuration says. */
  readonly #knownHosts: readonly string[] | undefined;

  /** Throws `known-hosts` for a file that was named and cannot be read. */
  constructor({ options, named, keys, learns, sshfp, learn, shared, warn }: ProfilesParts) {
    this.#verifiers = new HostKeyVerifiers(sshfp, learn, shared, warn);
    this.#options = options;
    this.#named = named;
    this.#keys = keys;
    const { knownHosts, hostKeys = 'strict' } = options;
    if (knownHosts === undefined) return;
    const files = (typeof knownHosts === 'string' ? [knownHosts] : knownHosts).map(expandHome);
    this.#verifiers.load({ policy: learns ? 'accept-new' : hostKeys, files, filesNamed: true });
    this.#knownHosts = files;
  }

  /** What is known of host keys, for threads. */
  shareHostKeys(): SharedHostKeys {
    return this.#verifiers.share();
  }

  /** Under what a host's keys are known. */
  keyHost(config: HostConfig): { readonly name: string; readonly port: number } {
    const alias = config.hostKeyAlias;
    const keyHost = alias === undefined ? { name: config.hostName, port: config.port } : { name: alias, port: 22 };
    if (this.#commands.has(config.settings)) this.#configs.set(keyHost, config);
    return keyHost;
  }

  /** A promise for the first of its kind. */
  of(config: HostConfig): Shared | Promise<Shared> {
    const { settings } = config;
    // The usual case, and the hot path: nothing but names differs.
    const same = this.#same.get(settings);
    if (same !== undefined) return same;
    const id = [
      config.forwardAgent,
      config.identityAgent,
      ...config.identityFiles,
      '',
      ...config.certificateFiles,
      '',
      ...config.userKnownHostsFiles,
    ].join('\n');
    let byParts = this.#shared.get(settings);
    if (byParts === undefined) {
      byParts = new Map();
      this.#shared.set(settings, byParts);
    }
    const known = byParts.get(id);
    if (known !== undefined) return known;
    const kept = byParts;
    const making = this.#makeShared(config);
    making
      .then((ready) => {
        kept.set(id, ready);
        if (config.filesAreShared) this.#same.set(settings, ready);
      })
      .catch(() => kept.delete(id));
    kept.set(id, making);
    return making;
  }

  async #makeShared(config: HostConfig): Promise<Shared> {
    const { settings } = config;
    const keys = await this.#keysOf(config);
    const { family, deadlines } = this.#options;
    const { connectTimeoutMs, serverAliveIntervalMs, serverAliveCountMax, rekeyLimit, requiredRsaSize } = settings;
    const quiet = serverAliveIntervalMs > 0;
    const forwardAgent = this.#forwardAgent(config);
    return {
      keys,
      profile: {
        hostKeys: this.#verifierOf(config),
        preferences: this.#preferencesOf(settings),
        family: family ?? FAMILIES[settings.addressFamily],
        bindAddress: settings.bindAddress ?? addressOf(settings.bindInterface, settings.addressFamily),
        connectMs: deadlines?.connectMs === undefined ? connectTimeoutMs : undefined,
        connectionAttempts: settings.connectionAttempts,
        keepaliveMs: quiet ? serverAliveIntervalMs : undefined,
        keepaliveCount: quiet ? serverAliveCountMax : undefined,
        requests: requestsOf(settings, forwardAgent !== undefined),
        forwardAgent,
        rekeyBytes: rekeyLimit.bytes,
        rekeyMs: rekeyLimit.intervalMs,
        requiredRsaBits: requiredRsaSize > LEAST_RSA_BITS ? requiredRsaSize : undefined,
      },
    };
  }

  /** The socket of the agent that the host may use: `yes` is the one that logs in. */
  #forwardAgent(config: HostConfig): string | undefined {
    const { agent } = this.#options;
    if (agent === undefined || config.get('forwardagent')[0] !== 'yes') return config.forwardAgent;
    return agent === false ? undefined : agent;
  }

  async #keysOf(config: HostConfig): Promise<readonly AuthKey[]> {
    const { settings } = config;
    const { agent } = this.#options;
    const found =
      this.#named ??
      (settings.pubkeyAuthentication
        ? await this.#keys.find({
            agent: agent === false ? undefined : (agent ?? config.identityAgent),
            agentNamed: typeof agent === 'string',
            files: config.identityFiles,
            filesAreDefaults: config.identityFilesAreDefaults,
            certificateFiles: config.certificateFiles,
            identitiesOnly: settings.identitiesOnly,
          })
        : []);
    return this.#acceptable(found, settings);
  }

  /** What the settings leave of keys that a host has of its own; the same list for the same question. */
  usable(keys: readonly AuthKey[], settings: HostSettings): readonly AuthKey[] {
    let bySettings = this.#usable.get(keys);
    if (bySettings === undefined) {
      bySettings = new Map();
      this.#usable.set(keys, bySettings);
    }
    const known = bySettings.get(settings) ?? this.#acceptable(keys, settings);
    bySettings.set(settings, known);
    return known;
  }

  #acceptable(found: readonly AuthKey[], settings: HostSettings): readonly AuthKey[] {
    const { pubkeyAcceptedAlgorithms: spec, requiredRsaSize } = settings;
    const long = found.filter((key) => (rsaBits(key.publicBlob) ?? requiredRsaSize) >= requiredRsaSize);
    if (spec === undefined) return long;
    return long.map((key) => this.#accepted(key, spec)).filter((key) => key !== undefined);
  }

  /** A key with the algorithms that PubkeyAcceptedAlgorithms leaves it; undefined: none. */
  #accepted(key: AuthKey, spec: string): AuthKey | undefined {
    let bySpec = this.#narrowed.get(key);
    if (bySpec === undefined) {
      bySpec = new Map();
      this.#narrowed.set(key, bySpec);
    }
    if (!bySpec.has(spec)) {
      const known = withSha1(key.signatureAlgorithms);
      const allowed = applySpec(spec, key.signatureAlgorithms, known);
      const signatureAlgorithms = known.filter((name) => allowed.includes(name));
      bySpec.set(spec, signatureAlgorithms.length === 0 ? undefined : narrowed(key, signatureAlgorithms));
    }
    return bySpec.get(spec);
  }

  #verifierOf(config: HostConfig): HostKeyVerifier {
    return this.#verifiers.find(this.#trustQuestion(config));
  }

  /** What is known of the keys of this host, for who adds to it. Throws `known-hosts` for a file that cannot be read. */
  storeOf(config: HostConfig): HostKeyStore {
    return this.#verifiers.store(this.#trustQuestion(config));
  }

  /** Learns a key that another thread does not know. Rejects with SshError `host-key`. */
  async learnKey({ trust, host, keyType, blob }: LearnQuestion): Promise<void> {
    await this.#verifiers.find(trust).verify(host, keyType, Buffer.from(blob));
  }

  #trustQuestion(config: HostConfig): TrustQuestion {
    const { hostKeys } = this.#options;
    const { settings } = config;
    return {
      policy: hostKeys ?? policyOf(settings.strictHostKeyChecking),
      files: this.#knownHosts ?? [...config.userKnownHostsFiles, ...settings.globalKnownHostsFiles],
      filesNamed: this.#knownHosts !== undefined,
      hashNames: settings.hashKnownHosts,
      authoritySignatures:
        settings.caSignatureAlgorithms === undefined
          ? undefined
          : applySpec(settings.caSignatureAlgorithms, AUTHORITY_SIGNATURES, AUTHORITY_SIGNATURES),
      dns: settings.verifyHostKeyDns === 'no' ? undefined : settings.verifyHostKeyDns,
      command: this.#commandOf(config),
    };
  }

  /** One object for all hosts of the same settings; each is asked about by its own configuration. */
  #commandOf(config: HostConfig): KnownHostsCommandOptions | undefined {
    if (config.knownHostsCommand({ reason: 'ORDER', search: '' }) === undefined) return undefined;
    const known = this.#commands.get(config.settings);
    if (known) return known;
    const command: KnownHostsCommandOptions = {
      args: (host, key) => {
        const search = host.port === 22 ? host.name : `[${host.name}]:${host.port}`;
        const of = this.#configs.get(host) ?? config;
        if (key === undefined) return of.knownHostsCommand({ reason: 'ORDER', search }) ?? [];
        const { keyType, blob } = key;
        return of.knownHostsCommand({ reason: 'HOSTNAME', search, keyType, keyBase64: blob.toString('base64') }) ?? [];
      },
      run: runKnownHostsCommand,
    };
    this.#commands.set(config.settings, command);
    return command;
  }

  #preferencesOf({ kexAlgorithms, hostKeyAlgorithms, ciphers, macs }: HostSettings): Preferences {
    const id = JSON.stringify([kexAlgorithms, hostKeyAlgorithms, ciphers, macs]);
    let preferences = this.#preferences.get(id);
    if (preferences === undefined) {
      const names = (specs: readonly { readonly name: string }[]) => specs.map(({ name }) => name);
      // What stands in the known ones only is for who names it.
      const { kex, hostKey } = DEFAULT_PREFERENCES;
      preferences = {
        kex: applySpec(kexAlgorithms, kex, KEX_ALGORITHMS),
        hostKey: applySpec(hostKeyAlgorithms, hostKey, HOST_KEY_ALGORITHMS),
        ciphers: applySpec(ciphers, DEFAULT_PREFERENCES.ciphers, names(CIPHERS)),
        macs: applySpec(macs, DEFAULT_PREFERENCES.macs, names(MACS)),
      };
      this.#preferences.set(id, preferences);
    }
    return preferences;
  }

  /** Resolves when all accepted host keys are written. */
  async close(): Promise<void> {
    this.#keys.close();
    await this.#verifiers.close();
  }
}

/** The first address of an interface that connections can come from; what is bound is an address, not the device. Throws `usage`. */
function addressOf(name: string | undefined, family: HostSettings['addressFamily']): string | undefined {
  if (name === undefined) return undefined;
  const wanted = { any: undefined, inet: 'IPv4', inet6: 'IPv6' }[family];
  const addresses = networkInterfaces()[name] ?? [];
  const found = addresses.find((address) => wanted === undefined || address.family === wanted);
  if (found) return found.address;
  throw new MyriadError('usage', `ssh_config: BindInterface "${name}" has no address that could be used`);
}

/** What sessions ask for: SendEnv and SetEnv, ForwardAgent, RequestTTY; undefined: nothing. */
function requestsOf(settings: HostSettings, agentForward: boolean): SessionRequests | undefined {
  const { sendEnv, setEnv, requestTty } = settings;
  const env: (readonly [string, string])[] = [];
  if (sendEnv.length > 0) {
    for (const [name, value] of Object.entries(process.env)) {
      if (value !== undefined && sendEnv.some((pattern) => matchPattern(name, pattern))) env.push([name, value]);
    }
  }
  env.push(...setEnv);
  // `yes` and `auto` ask for one where stdin is a terminal, which that of a job never is.
  const pty = requestTty === 'force' ? { term: process.env.TERM ?? 'dumb', columns: 80, rows: 24 } : undefined;
  if (env.length === 0 && !agentForward && pty === undefined) return undefined;
  return { ...(env.length > 0 && { env }), ...(agentForward && { agentForward }), ...(pty && { pty }) };
}

function policyOf(checking: HostSettings['strictHostKeyChecking']): HostKeyPolicy {
  // `no` in a file counts as accept-new: to take any key there is a flag, and the summary says so.
  return checking === 'yes' || checking === 'ask' ? 'strict' : 'accept-new';
}

/** RSA keys sign with SHA-1 where the user names it, as the last resort: old network gear takes nothing else. */
function withSha1(algorithms: readonly string[]): readonly string[] {
  return algorithms.includes('rsa-sha2-256') ? [...algorithms, 'ssh-rsa'] : algorithms;
}

function narrowed(key: AuthKey, signatureAlgorithms: readonly string[]): AuthKey {
  const { publicBlob, fingerprint } = key;
  return { publicBlob, fingerprint, signatureAlgorithms, sign: key.sign.bind(key) };
}
