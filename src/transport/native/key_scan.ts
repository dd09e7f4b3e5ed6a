/**
 * The keys of a host, without a login: key exchanges that end where the server has proven a key by its signature.
 *
 *   exchange ──known, or vouched for──▶ over        one connection; asks for the types that are known first
 *            ──not known──▶ exchange ──▶ … ──▶ over  one more for each further type that the server offers
 *            ──refused──▶ over                      changed, revoked, a bad certificate: nothing of it counts
 *
 * One connection to a host at a time, and all of them to the address that answered first. Whoever has a key in his list and
 * cannot sign with it has not shown it.
 */
import { isIP } from 'node:net';
import { Offer, type Preferences } from '../../ssh/algorithms.ts';
import type { Arena } from '../../ssh/arena.ts';
import { isCertificateType } from '../../ssh/certificate.ts';
import { SshError, type SshErrorReason } from '../../ssh/errors.ts';
import type { HostKeyVerifier } from '../../ssh/host_key_policy.ts';
import { fingerprintOf, type PublicKey } from '../../ssh/public_key.ts';
import type { ClientStream } from '../../ssh/socket.ts';
import { compareSshfp, type SshfpAnswer, type SshfpResolver } from '../../ssh/sshfp.ts';
import { TransportLayer } from '../../ssh/transport.ts';
import type { ShownKeys, Watch } from '../transport.ts';
import { unlessStopped } from '../unless_stopped.ts';
import type { Dialer, Reachable, Reaching, SetTimer } from './dialer.ts';
import type { Dial } from './jump.ts';
import type { Route } from './route.ts';

/** A key that its host has proven to hold. */
interface Shown {
  readonly key: PublicKey;
  /** Host key algorithms that the server has keys for. */
  readonly offered: readonly string[];
  readonly software: string;
}

export interface Scanned {
  readonly shown: Omit<ShownKeys, 'name' | 'port'>;
  readonly address: string;
  /** Of the key that was shown first. */
  readonly fingerprint: string;
  readonly software: string;
}

export interface ScanOptions {
  /** Says of a key whether it is known; strict: it learns nothing. */
  readonly verifier: HostKeyVerifier;
  /** @default DNS is not asked */
  readonly sshfp?: SshfpResolver | undefined;
}

/** Made once: an error costs 15 µs, most of it for its stack. */
const SEEN = new SshError('stopped', 'only the host key was asked for');
/** How a server ends a key exchange for which it has no key, after it has said who it is. */
const HAS_NONE: ReadonlySet<SshErrorReason> = new Set(['closed', 'reset', 'disconnected', 'algorithm']);
/** A name server that keeps silent is no reason to do without the keys. */
const SSHFP_MS = 5000;
const NO_RECORDS: SshfpAnswer = { records: [], secure: false };

/** One key exchange that ends with the server's signature. */
class Showing implements Reaching<Shown> {
  readonly #ready = Promise.withResolvers<Shown>();
  readonly #stream: ClientStream;
  readonly #transport: TransportLayer;
  #connected = false;
  #over = false;

  constructor(dial: Dial, arena: Arena, offer: Offer, watch: Watch) {
    this.#ready.promise.catch(() => {});
    this.#stream = dial({
      connected: () => {
        this.#connected = true;
        this.#transport.start();
      },
      received: (chunk) => this.#transport.receive(chunk),
      drained: () => this.#transport.drained(),
      ended: (error) => this.#ended(error),
    });
    this.#transport = new TransportLayer(
      this.#stream,
      arena,
      { offer },
      {
        identified: () => watch.enter('handshake'),
        // The signature over the exchange hash has been checked.
        hostKey: (key) => {
          const { software, serverHostKeys: offered } = this.#transport;
          this.#ready.resolve({ key, offered, software });
          return Promise.reject(SEEN);
        },
        secured() {},
        message() {},
        resumed() {},
        closed: (error) => this.#closed(error),
      },
    );
  }

  get ready(): Promise<Shown> {
    return this.#ready.promise;
  }

  #ended(error: NodeJS.ErrnoException | SshError | undefined): void {
    if (this.#over) return;
    if (error instanceof SshError) this.#closed(error);
    else if (this.#connected) this.#transport.ended(error !== undefined, error);
    else {
      const text = error?.message ?? 'the connection ended before it was there';
      this.#closed(new SshError('connect', text, {}, { cause: error }));
    }
  }

  #closed(error: SshError): void {
    if (this.#over) return;
    this.#over = true;
    this.#ready.reject(error);
    if (error.reason === 'closed' || error.reason === 'reset' || error.reason === 'connect') this.#stream.destroy();
  }

  destroy(error: SshError): void {
    this.#closed(error);
    this.#stream.destroy();
  }
}

export class KeyScanner {
  readonly #dialer: Dialer;
  readonly #arena: Arena;
  readonly #setTimer: SetTimer;
  /** By preferences, then by the host key algorithms asked for. */
  readonly #offers = new Map<Preferences, Map<string, Offer>>();

  constructor(dialer: Dialer, arena: Arena, setTimer: SetTimer) {
    this.#dialer = dialer;
    this.#arena = arena;
    this.#setTimer = setTimer;
  }

  /** Rejects with what the way, the key exchange or the verifier rejects with; then nothing of the host counts. */
  async scan(route: Route, watch: Watch, options: ScanOptions): Promise<Scanned> {
    const { verifier } = options;
    const { keyHost, profile } = route;
    const prepared = verifier.prepare(keyHost);
    if (prepared) await unlessStopped(watch, prepared);
    const plain = profile.preferences.hostKey.filter((name) => !isCertificateType(name));
    const wanted = verifier.typesFor(keyHost).flatMap(algorithmsOf);
    const first = wanted.filter((name) => profile.preferences.hostKey.includes(name));
    const { value, address } = await this.#show(route, watch, [...new Set([...first, ...plain])]);
    const scanned = { address, fingerprint: value.key.fingerprint, software: value.software };
    if (await this.#isKnown(route, watch, verifier, value.key)) {
      const trusted = value.key.certificate === undefined ? 'known' : 'certificate';
      return { ...scanned, shown: { trusted, keys: [], sshfp: 'none' } };
    }
    const keys = await this.#showOthers(route, watch, verifier, { value, address }, plain);
    const sshfp = await this.#compare(route, watch, options.sshfp, keys);
    const list = keys.map(({ type, blob }) => ({ type, blob: blob.toString('base64') }));
    return { ...scanned, shown: { trusted: 'no', keys: list, sshfp } };
  }

  /** The first key, which is not known, and one of each further type, all as plain keys. */
  async #showOthers(
    route: Route,
    watch: Watch,
    verifier: HostKeyVerifier,
    { value, address }: Reachable<Shown>,
    plain: readonly string[],
  ): Promise<PlainKey[]> {
    const keys = [plainKey(value.key)];
    // What the limits count is one connection to one host, however often it is made anew.
    const quiet: Watch = {
      enter: () => undefined,
      get stop() {
        return watch.stop;
      },
      set stop(stop) {
        watch.stop = stop;
      },
    };
    // Behind one name may be many machines: the one that answered is asked for the rest.
    const direct = route.via.length === 0 && route.proxyCommand === undefined;
    const same = direct ? { ...route, name: address } : route;
    const left = new Set(plain.filter((name) => value.offered.includes(name)));
    for (const name of left) {
      const type = typeOf(name);
      if (keys.some((key) => key.type === type)) continue;
      const key = await this.#showOne(same, quiet, name);
      if (key && !(await this.#isKnown(route, quiet, verifier, key))) keys.push(plainKey(key));
    }
    return keys;
  }

  /** Undefined where the server has no key for what it offered: dropbear's child dies of that question. */
  async #showOne(route: Route, watch: Watch, algorithm: string): Promise<PublicKey | undefined> {
    try {
      return (await this.#show(route, watch, [algorithm])).value.key;
    } catch (error) {
      if (error instanceof SshError && HAS_NONE.has(error.reason)) return undefined;
      throw error;
    }
  }

  /** Rejects with `host-key` where the records of the host name other keys. */
  async #compare(
    { name, keyHost }: Route,
    watch: Watch,
    resolve: SshfpResolver | undefined,
    keys: readonly PlainKey[],
  ): Promise<ShownKeys['sshfp']> {
    // Addresses have no such records.
    if (resolve === undefined || isIP(name) !== 0) return 'none';
    const asked = Promise.withResolvers<SshfpAnswer>();
    const late = this.#setTimer(SSHFP_MS, () => asked.resolve(NO_RECORDS));
    resolve(name).then(asked.resolve, () => asked.resolve(NO_RECORDS));
    const { records, secure } = await unlessStopped(watch, asked.promise).finally(() => late.cancel());
    const verdicts = keys.map(({ blob }) => compareSshfp(records, blob));
    // A record for one type says nothing of another; one that matches speaks for the host.
    if (verdicts.includes('match')) return secure ? 'secure' : 'match';
    if (!verdicts.includes('mismatch')) return 'none';
    const [{ type, blob }] = keys as [PlainKey];
    const fingerprint = fingerprintOf(blob);
    const advice = `the SSHFP records of "${keyHost.name}" in DNS name other keys: find out which of the two is right`;
    const message = `the host key is not that of DNS (${type} ${fingerprint})`;
    throw new SshError('host-key', message, { hostKey: { cause: 'unknown', keyType: type, fingerprint, advice } });
  }

  #show(route: Route, watch: Watch, algorithms: readonly string[]): Promise<Reachable<Shown>> {
    const offer = this.#offer(route.profile.preferences, algorithms);
    return this.#dialer.reach(route, watch, (dial) => new Showing(dial, this.#arena, offer, watch));
  }

  /** False: nothing is known of the host. Rejects where something speaks against the key. */
  async #isKnown(route: Route, watch: Watch, verifier: HostKeyVerifier, key: PublicKey): Promise<boolean> {
    try {
      const verified = verifier.verify(route.keyHost, key.keyType, key.blob, key.certificate);
      if (verified) await unlessStopped(watch, verified);
      return true;
    } catch (error) {
      if (error instanceof SshError && error.detail.hostKey?.cause === 'unknown') return false;
      throw error;
    }
  }

  #offer(preferences: Preferences, hostKey: readonly string[]): Offer {
    let offers = this.#offers.get(preferences);
    if (offers === undefined) {
      offers = new Map();
      this.#offers.set(preferences, offers);
    }
    const id = hostKey.join(',');
    let offer = offers.get(id);
    if (offer === undefined) {
      offer = new Offer('client', { ...preferences, hostKey });
      offers.set(id, offer);
    }
    return offer;
  }
}

interface PlainKey {
  readonly type: string;
  readonly blob: Buffer;
}

/** The key itself: who proved a certificate's key has proven the key. */
function plainKey({ keyType, blob, certificate }: PublicKey): PlainKey {
  if (certificate === undefined) return { type: keyType, blob };
  return { type: certificate.plainKeyType, blob: certificate.plainBlob };
}

function algorithmsOf(type: string): readonly string[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [type];
}

function typeOf(algorithm: string): string {
  return algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm;
}
