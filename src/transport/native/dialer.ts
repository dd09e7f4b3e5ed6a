/**
 * The way to a host, in bytes: names to addresses, TCP with the head start of RFC 8305, jump hosts, ProxyCommand. What is
 * spoken over it is the caller's: an SSH client that logs in, or one that only looks at the host key.
 *
 *   direct        dns ──▶ connect ──▶ …          again after a second while ConnectionAttempts are left
 *   jump hosts    connect ──▶ channel ──▶ …      again once on another connection, where a busy jump host said no
 *   ProxyCommand  connect ──▶ program ──▶ …
 */
import type { Clock, Random } from '../../contracts/limits.ts';
import type { Arena } from '../../ssh/arena.ts';
import type { SshClient } from '../../ssh/client.ts';
import { SshError } from '../../ssh/errors.ts';
import { ClientSocket, ClosingRoom, type SocketUser } from '../../ssh/socket.ts';
import type { Watch } from '../transport.ts';
import { unlessStopped } from '../unless_stopped.ts';
import { abandon, type Dial, type Hop, JumpPool, type Way } from './jump.ts';
import { proxyCommand } from './proxy_command.ts';
import { RacedSocket } from './raced_socket.ts';
import type { NameResolver } from './resolver.ts';
import { type Route, routeId } from './route.ts';

export type SetTimer = (delayMs: number, callback: () => void) => { cancel(): void };

/** What is made over a way: done when `ready` settles. */
export interface Reaching<T> {
  readonly ready: Promise<T>;
  destroy(error: SshError): void;
}

/** Starts to speak over a way. */
export type Open<T> = (dial: Dial) => Reaching<T>;

export interface Reachable<T> {
  readonly value: T;
  /** The literal that answered; behind a jump host or a program the name. */
  readonly address: string;
}

export interface DialerOptions {
  readonly resolver: NameResolver;
  readonly arena: Arena;
  readonly clock: Clock;
  readonly random: Random;
  readonly setTimer: SetTimer;
  /** Logs in to a jump host, over `dial`; `waits` is called while a person is asked, and what it returns afterwards. */
  login(hop: Route, dial: Dial, waits: () => () => void): Reaching<SshClient>;
}

/** For the login to a jump host, in milliseconds. */
const JUMP_MS = 10_000;
/** Between two tries of ConnectionAttempts: OpenSSH's. */
const ATTEMPT_MS = 1000;

interface RouteHop extends Hop {
  readonly id: string;
  readonly label: string;
  readonly route: Route;
}

export class Dialer {
  readonly #options: DialerOptions;
  readonly #room = new ClosingRoom();
  readonly #jumps: JumpPool<RouteHop>;
  /** By the list of jump hosts, which many hosts share. */
  readonly #hops = new WeakMap<readonly Route[], readonly RouteHop[]>();

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#jumps = new JumpPool<RouteHop>((hop, dial) => this.#login(hop, dial), options.clock, options.random);
  }

  /** Makes `open`'s thing over a way to the host. Rejects with its error, ResolveError or JumpError; stops as `watch` says. */
  reach<T>(route: Route, watch: Watch, open: Open<T>): Promise<Reachable<T>> {
    if (route.via.length > 0) return this.#reachThrough(route, watch, open);
    if (route.proxyCommand !== undefined) return this.#reachBy(route.proxyCommand, route, watch, open);
    const resolved = this.#options.resolver.resolve(route.name, route.profile.family);
    if (!(resolved instanceof Promise)) return this.#reachAt(resolved, route, watch, open);
    return this.#resolveAndReach(resolved, route, watch, open);
  }

  async #resolveAndReach<T>(
    resolving: Promise<readonly string[]>,
    route: Route,
    watch: Watch,
    open: Open<T>,
  ): Promise<Reachable<T>> {
    const addresses = await unlessStopped(watch, resolving, () => watch.enter('dns'));
    return this.#reachAt(addresses, route, watch, open);
  }

  async #reachAt<T>(addresses: readonly string[], route: Route, watch: Watch, open: Open<T>): Promise<Reachable<T>> {
    const { port, profile } = route;
    let stopped: Error | undefined;
    const stop = (reason: Error) => {
      stopped = reason;
    };
    watch.stop = stop;
    const held = watch.enter('connect', `${addresses[0]}:${port}`, profile.connectMs);
    if (held) await held;
    if (stopped) throw stopped;
    for (let left = (profile.connectionAttempts ?? 1) - 1; ; left--) {
      const tcp = this.#tcp(addresses, route);
      const reaching = open(tcp.dial);
      const giveUp = (reason: Error) => reaching.destroy(stoppedBy(reason));
      watch.stop = giveUp;
      try {
        return { value: await reaching.ready, address: tcp.reached() };
      } catch (error) {
        const again = left > 0 && error instanceof SshError && error.reason === 'connect';
        if (!again) throw error;
      }
      await unlessStopped(watch, new Promise<void>((resolve) => void this.#options.setTimer(ATTEMPT_MS, resolve)));
    }
  }

  /** To a target behind jump hosts: its name goes to the last of them as it is. */
  async #reachThrough<T>(route: Route, watch: Watch, open: Open<T>): Promise<Reachable<T>> {
    const { name, port, via, profile } = route;
    const hops = this.#hopsOf(via);
    const chain = hops.map((hop) => hop.label).join(',');
    const enter = () => watch.enter('connect', `${name}:${port} through ${chain}`, profile.connectMs);
    let way: Way | undefined;
    for (let tries = 1; ; tries++) {
      // The login to the jump host, and the wait for a place at it, are no time of the target's.
      const asked = this.#jumps.way(hops, way);
      const turnCame = watch.queues?.(`jump host ${chain}`);
      way = await unlessStopped(watch, asked)
        .catch((error) => {
          abandon(asked);
          throw error;
        })
        .finally(turnCame);
      try {
        if (tries === 1) await unlessStopped(watch, Promise.resolve(), enter);
        const reaching = open(way.dial(name, port));
        const giveUp = (reason: Error) => reaching.destroy(stoppedBy(reason));
        watch.stop = giveUp;
        return { value: await reaching.ready, address: name };
      } catch (error) {
        // A jump host that is full answers like a target that is dead: once more, on another connection.
        const refused = error instanceof SshError && error.reason === 'open-refused' && way.busy;
        if (!refused || tries > 1) throw error;
      } finally {
        way.settled();
      }
    }
  }

  async #reachBy<T>(command: string, route: Route, watch: Watch, open: Open<T>): Promise<Reachable<T>> {
    const { name, port, profile } = route;
    const enter = () => watch.enter('connect', `${name}:${port} by ProxyCommand`, profile.connectMs);
    await unlessStopped(watch, Promise.resolve(), enter);
    const reaching = open(proxyCommand(command, this.#options));
    const giveUp = (reason: Error) => reaching.destroy(stoppedBy(reason));
    watch.stop = giveUp;
    return { value: await reaching.ready, address: name };
  }

  /** A TCP connection to one of these addresses. */
  #tcp(addresses: readonly string[], { port, profile }: Route): { readonly dial: Dial; reached(): string } {
    const first = addresses[0]!;
    const { bindAddress } = profile;
    const { arena, setTimer } = this.#options;
    const open = (address: string, user: SocketUser) =>
      new ClientSocket({ address, port, localAddress: bindAddress }, arena, this.#room, user);
    // The usual case, and the hot path: nothing to race.
    if (addresses.length === 1) return { dial: (user) => open(first, user), reached: () => first };
    let raced: RacedSocket | undefined;
    return {
      dial: (user) => {
        raced = new RacedSocket(addresses, open, setTimer, user);
        return raced;
      },
      reached: () => raced?.address ?? first,
    };
  }

  #hopsOf(via: readonly Route[]): readonly RouteHop[] {
    let hops = this.#hops.get(via);
    if (hops === undefined) {
      hops = via.map((hop) => ({
        id: routeId(hop),
        label: hop.label,
        name: hop.name,
        port: hop.port,
        user: hop.credentials.user,
        route: hop,
      }));
      this.#hops.set(via, hops);
    }
    return hops;
  }

  /** Logs in to a jump host. Its deadline is what its targets' own leave it, and ten seconds at most. */
  async #login({ route }: RouteHop, dial: Dial | undefined): Promise<SshClient> {
    const { resolver, setTimer, login } = this.#options;
    const { name, profile, proxyCommand: command } = route;
    const first = async () =>
      command === undefined
        ? this.#tcp(await resolver.resolve(name, profile.family), route).dial
        : proxyCommand(command, this.#options);
    const way = dial ?? (await first());
    const tooLate = () => reaching.destroy(new SshError('stopped', 'no login within 10 s'));
    let late = setTimer(JUMP_MS, tooLate);
    let over = false;
    // A person who types a password is not the jump host's delay.
    const reaching = login(route, way, () => {
      late.cancel();
      return () => {
        if (!over) late = setTimer(JUMP_MS, tooLate);
      };
    });
    try {
      return await reaching.ready;
    } finally {
      over = true;
      late.cancel();
    }
  }

  close(): void {
    this.#jumps.close();
    this.#options.resolver.close();
    this.#room.clear();
  }
}

function stoppedBy(reason: Error): SshError {
  return new SshError('stopped', reason.message, {}, { cause: reason });
}
