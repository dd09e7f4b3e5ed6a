/**
 * Jump hosts: one pooled connection per chain of hops, many direct-tcpip channels inside it. No local ports.
 *
 * A connection carries 200 channels (sshd's MaxSessions does not count them); the next one is opened only then. Targets
 * that need a connection that is still being made wait for that one. Where a further connection fails, what is open
 * carries more. A chain without any stays failed for ten seconds, so that one jump host that is down is dialled once and
 * not once for each host behind it.
 *
 * way   taken —dial→ dialled —settled→ logged in, or not —the stream is over→ over
 *       taken —settled→ over                                                       nothing was dialled
 * A way holds one of its connection's channels until it is over, and one of the jump host's places until it is settled.
 * Places are taken after the connection is there: who waits for a connection holds nothing that others wait for.
 */
import type { Clock, Random } from '../../contracts/limits.ts';
import type { SshClient } from '../../ssh/client.ts';
import { SshError } from '../../ssh/errors.ts';
import type { ClientStream, SocketUser } from '../../ssh/socket.ts';
import { JumpPlaces } from './jump_places.ts';

/** One jump host. Who makes hops puts into them whatever the login needs. */
export interface Hop {
  /** The same for all that lead to the same account on the same machine. */
  readonly id: string;
  /** For messages. */
  readonly label: string;
  /** As the hop before it resolves it. */
  readonly name: string;
  readonly port: number;
}

/** A jump host could not be used; the cause is the same for all hosts behind it. */
export class JumpError extends Error {
  constructor(hop: Pick<Hop, 'label'>, cause: Error) {
    super(`jump host ${hop.label}: ${cause.message}`, { cause });
    this.name = 'JumpError';
  }
}

/** Logs in to a hop, over `dial` where it lies behind others. */
export type OpenHop<H extends Hop> = (hop: H, dial: Dial | undefined) => Promise<SshClient>;

export type Dial = (user: SocketUser) => ClientStream;

/** A connection to a chain's last hop, with a channel kept free. */
export interface Way {
  readonly client: SshClient;
  /** Others use it, too. */
  readonly busy: boolean;
  /** Opens a channel to a target; once. */
  dial(host: string, port: number): Dial;
  /** The target is logged in, or will not be: the next may start. Must be called; again is nothing. */
  settled(): void;
}

/** Channels on one connection before another is opened. */
const CHANNELS = 200;
/** A drop before the identification (MaxStartups) is tried again so often, after up to 200 ms more each time. */
const TRIES = 6;
const FAILED_MS = 10_000;
/** Connections that go down while a target waits for its place. */
const MOST_LOST = 3;

interface Lane {
  readonly opening: Promise<SshClient>;
  client: SshClient | undefined;
  /** Channels asked for and not over yet. */
  load: number;
}

interface Chain {
  readonly lanes: Lane[];
  /** When a connection could not be made last. */
  failedAt: number;
  failure: JumpError | undefined;
}

export class JumpPool<H extends Hop = Hop> {
  readonly #open: OpenHop<H>;
  readonly #clock: Clock;
  readonly #random: Random;
  /** By the ids of their hops. */
  readonly #chains = new Map<string, Chain>();
  /** By the id of a chain's last hop. */
  readonly #places = new Map<string, JumpPlaces>();
  #closed = false;

  constructor(open: OpenHop<H>, clock: Clock, random: Random) {
    this.#open = open;
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * A way through `hops`; `avoid`: not this one again. Rejects with JumpError. There is no way to cancel: who has gone away
   * calls `abandon`.
   */
  async way(hops: readonly H[], avoid?: Way): Promise<Way> {
    const last = hops[hops.length - 1]!;
    const places = this.#placesOf(last);
    for (let lost = 0; ; lost++) {
      const lane = await this.#lane(hops, avoid?.client);
      const taken = places.take();
      if (taken === undefined) {
        lane.load -= 1;
        throw new JumpError(last, new SshError('local', 'too many hosts wait for it'));
      }
      if (taken !== 'taken') await taken;
      const client = lane.client!;
      if (!client.closed) return new JumpWay(client, lane, places);
      places.release();
      lane.load -= 1;
      if (lost === MOST_LOST) throw new JumpError(last, new SshError('closed', 'its connections go down'));
    }
  }

  /** A connection that is there, with one of its channels taken. */
  async #lane(hops: readonly H[], avoid: SshClient | undefined): Promise<Lane> {
    const chain = this.#chain(hops);
    for (;;) {
      const lane = this.#choose(hops, chain, avoid);
      lane.load += 1;
      if (lane.client !== undefined) return lane;
      try {
        await lane.opening;
        return lane;
      } catch (error) {
        lane.load -= 1;
        // Others are open: they carry more.
        if (!chain.lanes.some(({ client }) => client !== undefined)) throw error;
      }
    }
  }

  /** The connection with the fewest channels; a new one where all are full and it may be tried. Throws JumpError. */
  #choose(hops: readonly H[], chain: Chain, avoid: SshClient | undefined): Lane {
    if (this.#closed) throw new JumpError(hops[hops.length - 1]!, new SshError('stopped', 'no longer needed'));
    let best: Lane | undefined;
    for (const lane of chain.lanes) {
      if (lane.client !== undefined && lane.client === avoid) continue;
      if (best === undefined || lane.load < best.load) best = lane;
    }
    if (best !== undefined && best.load < CHANNELS) return best;
    if (chain.failure === undefined || this.#clock.now() - chain.failedAt >= FAILED_MS) return this.#add(hops, chain);
    if (best === undefined) throw chain.failure;
    return best;
  }

  #add(hops: readonly H[], chain: Chain): Lane {
    const lane: Lane = { opening: this.#connect(hops, chain), client: undefined, load: 0 };
    chain.lanes.push(lane);
    const forget = () => {
      const at = chain.lanes.indexOf(lane);
      if (at >= 0) chain.lanes.splice(at, 1);
    };
    lane.opening.then((client) => {
      lane.client = client;
      client.whenClosed(forget);
      if (this.#closed) client.close();
    }, forget);
    return lane;
  }

  #chain(hops: readonly H[]): Chain {
    const id = hops.length === 1 ? hops[0]!.id : JSON.stringify(hops.map((hop) => hop.id));
    let chain = this.#chains.get(id);
    if (chain === undefined) {
      chain = { lanes: [], failedAt: 0, failure: undefined };
      this.#chains.set(id, chain);
    }
    return chain;
  }

  #placesOf({ id }: H): JumpPlaces {
    let places = this.#places.get(id);
    if (places === undefined) {
      places = new JumpPlaces();
      this.#places.set(id, places);
    }
    return places;
  }

  /** Logs in to the last hop, over the ones before it. */
  async #connect(hops: readonly H[], chain: Chain): Promise<SshClient> {
    const last = hops[hops.length - 1]!;
    try {
      const client = await this.#retrying(() => this.#login(last, hops.slice(0, -1)));
      chain.failure = undefined;
      return client;
    } catch (error) {
      chain.failure = error instanceof JumpError ? error : new JumpError(last, error as Error);
      chain.failedAt = this.#clock.now();
      throw chain.failure;
    }
  }

  async #login(hop: H, before: readonly H[]): Promise<SshClient> {
    if (before.length === 0) return this.#open(hop, undefined);
    const way = await this.way(before);
    try {
      return await this.#open(hop, way.dial(hop.name, hop.port));
    } finally {
      way.settled();
    }
  }

  async #retrying(connect: () => Promise<SshClient>): Promise<SshClient> {
    for (let tries = 1; ; tries++) {
      try {
        return await connect();
      } catch (error) {
        const throttled = error instanceof SshError && error.reason === 'banner-closed';
        if (!throttled || tries === TRIES || this.#closed) throw error;
        await new Promise<void>((resolve) => this.#clock.setTimer(this.#random() * 200 * tries, resolve));
      }
    }
  }

  /** Says goodbye to all jump hosts, also to those that are still being logged in to. */
  close(): void {
    this.#closed = true;
    // A copy: what is closed leaves the list at once, and the next one would be passed over.
    for (const { lanes } of this.#chains.values()) for (const lane of [...lanes]) lane.client?.close();
    this.#chains.clear();
  }
}

/** Gives back a way that nobody waits for any more, whenever it comes. */
export function abandon(way: Promise<Way>): void {
  way.then(
    (late) => late.settled(),
    () => {},
  );
}

class JumpWay implements Way {
  readonly client: SshClient;
  readonly #lane: Lane;
  readonly #places: JumpPlaces;
  #dialled = false;
  #settled = false;
  #over = false;

  constructor(client: SshClient, lane: Lane, places: JumpPlaces) {
    this.client = client;
    this.#lane = lane;
    this.#places = places;
  }

  get busy(): boolean {
    return this.#lane.load > (this.#over ? 0 : 1);
  }

  dial(host: string, port: number): Dial {
    return (user) => {
      this.#dialled = true;
      return new JumpStream(this.client, host, port, user, () => this.#end());
    };
  }

  settled(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#places.release();
    if (!this.#dialled) this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#lane.load -= 1;
  }
}

/** A channel that says when it is over, also where it is dropped: its user hears nothing then. */
class JumpStream implements ClientStream, SocketUser {
  readonly #stream: ClientStream;
  readonly #user: SocketUser;
  readonly #end: () => void;
  /** A connection that went down a moment ago says so during the dial: too early for a user that does not have its stream. */
  #dialling = true;

  constructor(client: SshClient, host: string, port: number, user: SocketUser, end: () => void) {
    this.#user = user;
    this.#end = end;
    this.#stream = client.forward(host, port, this);
    this.#dialling = false;
  }

  connected(): void {
    this.#user.connected();
  }

  received(chunk: Buffer): void {
    this.#user.received(chunk);
  }

  drained(): void {
    this.#user.drained();
  }

  ended(error: Parameters<SocketUser['ended']>[0]): void {
    this.#end();
    if (this.#dialling) queueMicrotask(() => this.#user.ended(error));
    else this.#user.ended(error);
  }

  get waiting(): number {
    return this.#stream.waiting;
  }

  write(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#end();
    this.#stream.destroy();
  }
}
