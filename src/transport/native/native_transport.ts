/** The native transport: one SSH connection a host by our own client, its key verified. */
import type { Clock, Random } from '../../contracts/limits.ts';
import type { Began, Outcome } from '../../contracts/outcome.ts';
import { HOST_KEY_ALGORITHMS, Offer, type Preferences } from '../../ssh/algorithms.ts';
import { Arena } from '../../ssh/arena.ts';
import { SshClient } from '../../ssh/client.ts';
import { SshError } from '../../ssh/errors.ts';
import { rsaBits } from '../../ssh/rsa_bits.ts';
import { TimerEntry, TimerWheel } from '../../util/timer_wheel.ts';
import type { Connection, ConnectOptions, Watch } from '../transport.ts';
import { unlessStopped } from '../unless_stopped.ts';
import { agentChannels } from './agent_forward.ts';
import { classify } from './classify.ts';
import { Dialer, type SetTimer } from './dialer.ts';
import type { Dial } from './jump.ts';
import { KeyScanner, type Scanned, type ScanOptions } from './key_scan.ts';
import { NativeConnection } from './native_connection.ts';
import type { NameResolver } from './resolver.ts';
import type { Route } from './route.ts';

export interface NativeTransportOptions {
  readonly resolver: NameResolver;
  readonly clock: Clock;
  /** @default Math.random */
  readonly random?: Random;
}

/** A transport whose hosts come as routes: see `fleet/reach/` for who makes them. */
export class NativeTransport {
  readonly #arena = new Arena();
  readonly #dialer: Dialer;
  /** By what is preferred, then by the key types known for a host, which are asked for first. */
  readonly #offers = new Map<Preferences, Map<string, Offer>>();
  /** Keepalives and lingers are armed for every host and mostly cancelled: on a wheel that costs next to nothing. */
  readonly #setTimer: SetTimer;
  readonly #scanner: KeyScanner;

  constructor(options: NativeTransportOptions) {
    const { clock, resolver, random = Math.random } = options;
    const wheel = new TimerWheel(clock);
    const setTimer: SetTimer = (delayMs, callback) => {
      const entry = new TimerEntry({ expired: callback });
      wheel.arm(entry, delayMs);
      return { cancel: () => wheel.cancel(entry) };
    };
    this.#setTimer = setTimer;
    this.#dialer = new Dialer({
      resolver,
      clock,
      random,
      arena: this.#arena,
      setTimer: this.#setTimer,
      login: (hop, dial, waits) => this.#client(hop, dial, false, undefined, waits),
    });
    this.#scanner = new KeyScanner(this.#dialer, this.#arena, this.#setTimer);
  }

  /** Looks at the keys of a host, without a login to it; rejects with what `classify` takes. */
  scan(route: Route, watch: Watch, options: ScanOptions): Promise<Scanned> {
    return this.#scanner.scan(route, watch, options);
  }

  /** Resolves authenticated and verified; rejects with what `classify` takes. */
  async connect(route: Route, watch: Watch, options: ConnectOptions): Promise<Connection> {
    const prepared = route.profile.hostKeys.prepare(route.keyHost);
    if (prepared) await unlessStopped(watch, prepared);
    const { value, address } = await this.#dialer.reach(route, watch, (dial) =>
      this.#client(route, dial, options.session, watch),
    );
    return new NativeConnection(value, this.#setTimer, address, route.port, route.profile.requests);
  }

  #client(
    route: Route,
    dial: Dial,
    session: boolean,
    watch: Watch | undefined,
    waits = watch?.hold && (() => watch.hold!()),
  ): SshClient {
    const { credentials, keyHost, profile } = route;
    const { hostKeys, keepaliveMs, keepaliveCount, rekeyBytes, rekeyMs, requiredRsaBits, forwardAgent } = profile;
    return new SshClient(
      {
        dial,
        credentials,
        offer: this.#offer(profile.preferences, hostKeys.typesFor(keyHost)),
        arena: this.#arena,
        session,
        setTimer: this.#setTimer,
        ...(keepaliveMs === undefined ? {} : { keepaliveMs }),
        ...(keepaliveCount === undefined ? {} : { keepaliveCount }),
        ...(rekeyBytes === undefined ? {} : { rekeyBytes }),
        ...(rekeyMs === undefined ? {} : { rekeyMs }),
        // A jump host carries bytes only: no session of it asks for the agent.
        ...(forwardAgent === undefined || watch === undefined ? {} : { onAgentChannel: agentChannels(forwardAgent) }),
      },
      {
        identified: () => watch?.enter('handshake'),
        hostKey: (key) => {
          if (requiredRsaBits !== undefined) checkRsaBits(key.certificate?.plainBlob ?? key.blob, requiredRsaBits);
          return hostKeys.verify(keyHost, key.keyType, key.blob, key.certificate) ?? undefined;
        },
        secured: () => void watch?.enter('auth'),
        ...(waits && { waits }),
      },
    );
  }

  /** An offer that asks for these key types first, as OpenSSH does, so that a known host shows the key we know. */
  #offer(preferences: Preferences, types: readonly string[]): Offer {
    let offers = this.#offers.get(preferences);
    if (offers === undefined) {
      offers = new Map();
      this.#offers.set(preferences, offers);
    }
    const id = types.join(',');
    const known = offers.get(id);
    if (known) return known;
    const first = types.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
    const wanted = first.filter((name) => HOST_KEY_ALGORITHMS.includes(name) && preferences.hostKey.includes(name));
    const offer = new Offer('client', { ...preferences, hostKey: [...new Set([...wanted, ...preferences.hostKey])] });
    offers.set(id, offer);
    return offer;
  }

  classify(error: unknown, began: Began): Outcome {
    return classify(error, began);
  }

  /** Closes the connections to jump hosts and the resolver; who made the routes closes what is in them. */
  async close(): Promise<void> {
    this.#dialer.close();
  }
}

function checkRsaBits(blob: Buffer, required: number): void {
  const bits = rsaBits(blob);
  if (bits === undefined || bits >= required) return;
  throw new SshError('algorithm', `the host's RSA key has ${bits} bits, and RequiredRSASize asks for ${required}`);
}
