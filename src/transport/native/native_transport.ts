/** The native transport: names to addresses, one SSH connection a host, its key verified. */
import type { Clock, Random } from '../../contracts/limits.ts';
import type { Began, Outcome } from '../../contracts/outcome.ts';
import type { Host, Target } from '../../contracts/task.ts';
import { DEFAULT_PREFERENCES, HOST_KEY_ALGORITHMS, Offer, type Preferences } from '../../ssh/algorithms.ts';
import { Arena } from '../../ssh/arena.ts';
import { SshClient } from '../../ssh/client.ts';
import type { Credentials } from '../../ssh/client_auth.ts';
import { SshError } from '../../ssh/errors.ts';
import type { HostKeyVerifier } from '../../ssh/host_key_policy.ts';
import { ClientSocket, ClosingRoom, type SocketUser } from '../../ssh/socket.ts';
import { TimerEntry, TimerWheel } from '../../util/timer_wheel.ts';
import type { Connection, ConnectOptions, Transport, Watch } from '../transport.ts';
import type { Family } from './addresses.ts';
import { classify } from './classify.ts';
import { DnsResolver } from './dns_resolver.ts';
import { type Dial, type Hop, hopLabel, JumpPool } from './jump.ts';
import { NativeConnection } from './native_connection.ts';
import { RacedSocket } from './raced_socket.ts';
import type { NameResolver } from './resolver.ts';
import { SystemResolver } from './system_resolver.ts';

/** For the login to a jump host, in milliseconds. */
const JUMP_MS = 10_000;

export interface NativeTransportOptions {
  /** For hosts that name no user of their own. */
  readonly user: string;
  /** For hosts that name no port of their own. @default 22 */
  readonly port: number;
  readonly keys: Credentials['keys'];
  readonly password?: string | undefined;
  readonly hostKeys: HostKeyVerifier;
  readonly clock: Clock;
  /** @default Math.random */
  readonly random?: Random;
  /** Which addresses of a name. @default 'any' */
  readonly family?: Family;
  /** `dns`: our own queries; `system`: the machine's nsswitch, four names at a time. @default 'dns' */
  readonly resolver?: 'dns' | 'system';
  /** Jump hosts on the way to every target, the nearest first. @default none: direct */
  readonly jump?: readonly Hop[];
  /** @default everything we speak, in our order */
  readonly preferences?: Preferences;
}

export class NativeTransport implements Transport {
  readonly name = 'native';
  readonly #options: NativeTransportOptions;
  readonly #arena = new Arena();
  readonly #room = new ClosingRoom();
  readonly #resolver: NameResolver;
  readonly #jumps: JumpPool;
  /** By the key types known for a host, which are asked for first. */
  readonly #offers = new Map<string, Offer>();

  /** Keepalives and lingers are armed for every host and mostly cancelled: on a wheel that costs next to nothing. */
  readonly #setTimer: (delayMs: number, callback: () => void) => { cancel(): void };

  constructor(options: NativeTransportOptions) {
    this.#options = options;
    this.#jumps = new JumpPool((hop, dial) => this.#openHop(hop, dial), options.clock, options.random ?? Math.random);
    this.#resolver = options.resolver === 'system' ? new SystemResolver() : new DnsResolver({ clock: options.clock });
    const wheel = new TimerWheel(options.clock);
    this.#setTimer = (delayMs, callback) => {
      const entry = new TimerEntry({ expired: callback });
      wheel.arm(entry, delayMs);
      return { cancel: () => wheel.cancel(entry) };
    };
  }

  connect(target: Target, watch: Watch, options: ConnectOptions): Promise<Connection> {
    const { jump = [] } = this.#options;
    if (jump.length > 0) return this.#dialThrough(jump, target, watch, options);
    const resolved = this.#resolver.resolve(target.name, this.#options.family ?? 'any');
    if (!(resolved instanceof Promise)) return this.#dial(target, resolved, watch, options);
    return this.#resolve(resolved, target, watch, options);
  }

  async #resolve(
    resolving: Promise<readonly string[]>,
    target: Target,
    watch: Watch,
    options: ConnectOptions,
  ): Promise<Connection> {
    const stopped = Promise.withResolvers<never>();
    watch.stop = (reason) => stopped.reject(reason);
    // Whoever stops first, the other may still reject.
    resolving.catch(() => {});
    const held = watch.enter('dns');
    const addresses = await Promise.race([held ? held.then(() => resolving) : resolving, stopped.promise]);
    return this.#dial(target, addresses, watch, options);
  }

  async #dial(
    target: Target,
    addresses: readonly string[],
    watch: Watch,
    options: ConnectOptions,
  ): Promise<Connection> {
    const port = target.port ?? this.#options.port;
    let stopped: Error | undefined;
    watch.stop = (reason) => {
      stopped = reason;
    };
    const held = watch.enter('connect', `${addresses[0]}:${port}`);
    if (held) await held;
    if (stopped) throw stopped;
    const tcp = this.#tcp(addresses, port);
    const client = this.#client(target, port, tcp.dial, options.session, watch);
    watch.stop = (reason) => client.destroy(new SshError('stopped', reason.message, {}, { cause: reason }));
    await client.ready;
    return new NativeConnection(client, this.#setTimer, tcp.reached(), port);
  }

  /** To a target behind jump hosts: its name goes to the last of them as it is. */
  async #dialThrough(hops: readonly Hop[], target: Target, watch: Watch, options: ConnectOptions): Promise<Connection> {
    const port = target.port ?? this.#options.port;
    const stopped = Promise.withResolvers<never>();
    stopped.promise.catch(() => {});
    let client: SshClient | undefined;
    watch.stop = (reason) => {
      stopped.reject(reason);
      client?.destroy(new SshError('stopped', reason.message, {}, { cause: reason }));
    };
    await watch.enter('connect', `${target.name}:${port} through ${hops.map(hopLabel).join(',')}`);
    let way = await Promise.race([this.#jumps.way(hops), stopped.promise]);
    for (let tries = 1; ; tries++) {
      client = this.#client(target, port, way.dial(target.name, port), options.session, watch);
      try {
        await client.ready;
        return new NativeConnection(client, this.#setTimer, target.name, port);
      } catch (error) {
        // A jump host that is full answers like a target that is dead: once more, on another connection.
        const refused = error instanceof SshError && error.reason === 'open-refused' && way.busy;
        if (!refused || tries > 1) throw error;
        way = await Promise.race([this.#jumps.way(hops, way), stopped.promise]);
      }
    }
  }

  #client(target: Host, port: number, dial: Dial, session: boolean, watch: Watch | undefined): SshClient {
    const { hostKeys, user, keys, password } = this.#options;
    const host = { name: target.name, port };
    return new SshClient(
      {
        dial,
        credentials: { user: target.user ?? user, keys, password },
        offer: this.#offer(hostKeys.typesFor(target.name, port)),
        arena: this.#arena,
        session,
        setTimer: this.#setTimer,
      },
      {
        identified: () => watch?.enter('handshake'),
        hostKey: (key) => hostKeys.verify(host, key.keyType, key.blob, key.certificate) ?? undefined,
        secured: () => void watch?.enter('auth'),
      },
    );
  }

  /** A TCP connection to one of these addresses. */
  #tcp(addresses: readonly string[], port: number): { readonly dial: Dial; reached(): string } {
    const first = addresses[0]!;
    // The usual case, and the hot path: nothing to race.
    if (addresses.length === 1) return { dial: (user) => this.#socket(first, port, user), reached: () => first };
    let raced: RacedSocket | undefined;
    const open = (address: string, entrant: SocketUser) => this.#socket(address, port, entrant);
    return {
      dial: (user) => {
        raced = new RacedSocket(addresses, open, this.#setTimer, user);
        return raced;
      },
      reached: () => raced?.address ?? first,
    };
  }

  #socket(address: string, port: number, user: SocketUser): ClientSocket {
    return new ClientSocket({ address, port }, this.#arena, this.#room, user);
  }

  /** Logs in to a jump host. Its deadline is what its targets' own leave it, and ten seconds at most. */
  async #openHop(hop: Hop, dial: Dial | undefined): Promise<SshClient> {
    const port = hop.port ?? 22;
    const way = dial ?? this.#tcp(await this.#resolver.resolve(hop.name, this.#options.family ?? 'any'), port).dial;
    const host = { label: hopLabel(hop), name: hop.name, user: hop.user };
    const client = this.#client(host, port, way, false, undefined);
    const late = this.#setTimer(JUMP_MS, () => client.destroy(new SshError('stopped', 'no login within 10 s')));
    try {
      return await client.ready;
    } finally {
      late.cancel();
    }
  }

  /** An offer that asks for these key types first, as OpenSSH does, so that a known host shows the key we know. */
  #offer(types: readonly string[]): Offer {
    const id = types.join(',');
    const known = this.#offers.get(id);
    if (known) return known;
    const preferences = this.#options.preferences ?? DEFAULT_PREFERENCES;
    const first = types.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
    const wanted = first.filter((name) => HOST_KEY_ALGORITHMS.includes(name) && preferences.hostKey.includes(name));
    const hostKey = [...new Set([...wanted, ...preferences.hostKey])];
    const offer = new Offer('client', { ...preferences, hostKey });
    this.#offers.set(id, offer);
    return offer;
  }

  classify(error: unknown, began: Began): Outcome {
    return classify(error, began);
  }

  async close(): Promise<void> {
    this.#jumps.close();
    this.#resolver.close();
    this.#room.clear();
    await this.#options.hostKeys.close();
  }
}
