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
import { type Kept, type WarmOptions, WarmPool } from './warm_pool.ts';

export interface NativeTransportOptions {
  readonly resolver: NameResolver;
  readonly clock: Clock;
  /** @default Math.random */
  readonly random?: Random;
  /** Connections that are kept after their task, for the next one to the same host. @default none */
  readonly warm?: WarmOptions | undefined;
}

/** Whom a login concerns. Cleared afterwards: a connection may outlive its task, and must not keep it and its output. */
interface Watching {
  watch: Watch | undefined;
}

const NOTHING = (): void => {};

/** How long a connection that was kept may take to open a session, before it counts as dead; a dead host says nothing at all. */
const REOPEN_MS = 2_000;

/** A transport whose hosts come as routes: see `fleet/reach/` for who makes them. */
export class NativeTransport {
  readonly #arena = new Arena();
  readonly #dialer: Dialer;
  /** By what is preferred, then by the key types known for a host, which are asked for first. */
  readonly #offers = new Map<Preferences, Map<string, Offer>>();
  /** Keepalives and lingers are armed for every host and mostly cancelled: on a wheel that costs next to nothing. */
  readonly #setTimer: SetTimer;
  readonly #scanner: KeyScanner;
  readonly #clock: Clock;
  readonly #warm: WarmPool<SshClient> | undefined;

  constructor(options: NativeTransportOptions) {
    const { clock, resolver, random = Math.random, warm } = options;
    this.#clock = clock;
    this.#warm = warm && warm.most > 0 ? new WarmPool(warm, clock) : undefined;
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

  /** Connections that wait. */
  get kept(): number {
    return this.#warm?.size ?? 0;
  }

  /** Keeps more connections, and longer, where it keeps some. */
  keep(warm: WarmOptions): void {
    this.#warm?.grow(warm);
  }

  /** Looks at the keys of a host, without a login to it; rejects with what `classify` takes. */
  scan(route: Route, watch: Watch, options: ScanOptions): Promise<Scanned> {
    return this.#scanner.scan(route, watch, options);
  }

  /** Resolves authenticated and verified; rejects with what `classify` takes. */
  async connect(route: Route, watch: Watch, options: ConnectOptions): Promise<Connection> {
    // Who wants no session wants the login.
    const kept = options.session ? this.#warm?.take(route) : undefined;
    if (kept !== undefined && (await this.#reopened(kept, watch))) return this.#connection(kept);
    const prepared = route.profile.hostKeys.prepare(route.keyHost);
    if (prepared) await unlessStopped(watch, prepared);
    const watching: Watching = { watch };
    const { value, address } = await this.#dialer.reach(route, watch, (dial) =>
      this.#client(route, dial, options.session, watching),
    );
    watching.watch = undefined;
    return this.#connection({ client: value, route, address, bornAt: this.#clock.now() });
  }

  #connection(kept: Kept<SshClient>): Connection {
    const { client, address, route } = kept;
    const rest = this.#warm && (() => this.#warm!.put(kept));
    return new NativeConnection(client, this.#setTimer, address, route.port, {
      requests: route.profile.requests,
      rest,
    });
  }

  /**
   * Opens a session on a connection that was kept; false: it cannot be used, and is gone. Nothing was asked of the host by then, so
   * that a new connection takes its place and nobody need hear of it.
   */
  async #reopened({ client, route }: Kept<SshClient>, watch: Watch): Promise<boolean> {
    const held = watch.enter('open');
    if (held) {
      await unlessStopped(watch, held).catch((error) => {
        client.close();
        throw error;
      });
    }
    const error = await this.#askSession(client, watch);
    if (error === undefined) return true;
    client.close();
    if (error instanceof SshError && error.reason === 'open-refused') this.#warm?.single(route);
    else this.#warm?.drop(route);
    return false;
  }

  /** Resolves with what stands in the way of a session, if something does. Rejects where the attempt was stopped. */
  #askSession(client: SshClient, watch: Watch): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const drop = (text: string) => client.destroy(new SshError('stopped', text));
      const late = this.#setTimer(REOPEN_MS, () => drop('no answer on a kept connection'));
      const stop = (reason: Error) => {
        reject(reason);
        drop(reason.message);
      };
      watch.stop = stop;
      client.reopen((error) => {
        late.cancel();
        resolve(error);
      });
    });
  }

  #client(
    route: Route,
    dial: Dial,
    session: boolean,
    watching: Watching | undefined,
    waits = watching?.watch?.hold && (() => watching.watch?.hold?.() ?? NOTHING),
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
        ...(forwardAgent === undefined || watching === undefined
          ? {}
          : { onAgentChannel: agentChannels(forwardAgent) }),
      },
      {
        identified: () => watching?.watch?.enter('handshake'),
        hostKey: (key) => {
          if (requiredRsaBits !== undefined) checkRsaBits(key.certificate?.plainBlob ?? key.blob, requiredRsaBits);
          return hostKeys.verify(keyHost, key.keyType, key.blob, key.certificate) ?? undefined;
        },
        secured: () => void watching?.watch?.enter('auth'),
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
    const first = types.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [type]));
    const wanted = first.filter((name) => HOST_KEY_ALGORITHMS.includes(name) && preferences.hostKey.includes(name));
    const offer = new Offer('client', { ...preferences, hostKey: [...new Set([...wanted, ...preferences.hostKey])] });
    offers.set(id, offer);
    return offer;
  }

  classify(error: unknown, began: Began): Outcome {
    return classify(error, began);
  }

  /** Closes the connections that were kept, those to jump hosts and the resolver; who made the routes closes what is in them. */
  async close(): Promise<void> {
    this.#warm?.close();
    this.#dialer.close();
  }
}

function checkRsaBits(blob: Buffer, required: number): void {
  const bits = rsaBits(blob);
  if (bits === undefined || bits >= required) return;
  throw new SshError('algorithm', `the host's RSA key has ${bits} bits, and RequiredRSASize asks for ${required}`);
}
