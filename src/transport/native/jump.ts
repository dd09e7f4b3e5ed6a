/**
 * Jump hosts: one pooled connection per chain of hops, many direct-tcpip channels inside it. No local ports.
 *
 * A connection carries at most 200 channels (sshd's MaxSessions does not count them); the next one is opened only then.
 * Targets that need a connection that is still being made wait for that one. A chain that failed stays failed for ten
 * seconds, so that one jump host that is down is dialled once and not once for each host behind it.
 */
import type { Clock, Random } from '../../contracts/limits.ts';
import type { SshClient } from '../../ssh/client.ts';
import { SshError } from '../../ssh/errors.ts';
import type { ClientStream, SocketUser } from '../../ssh/socket.ts';

export interface Hop {
  readonly user: string | undefined;
  readonly name: string;
  readonly port: number | undefined;
}

/** A jump host could not be used; the cause is the same for all hosts behind it. */
export class JumpError extends Error {
  constructor(hop: Hop, cause: Error) {
    super(`jump host ${hopLabel(hop)}: ${cause.message}`, { cause });
    this.name = 'JumpError';
  }
}

/** Logs in to a hop, over `dial` where it lies behind others. */
export type OpenHop = (hop: Hop, dial: Dial | undefined) => Promise<SshClient>;

export type Dial = (user: SocketUser) => ClientStream;

/** A connection to a chain's last hop, and how many channels it has or is about to have. */
export interface Way {
  readonly client: SshClient;
  /** Others use it, too. */
  readonly busy: boolean;
  /** Opens a channel to a target. */
  dial(host: string, port: number): Dial;
}

/** Channels on one connection. */
const MOST_CHANNELS = 200;
/** A drop before the identification (MaxStartups) is tried again so often, after up to 200 ms more each time. */
const TRIES = 6;
const FAILED_MS = 10_000;

interface Lane {
  readonly client: Promise<SshClient>;
  /** Channels asked for and not over yet. */
  load: number;
}

interface Chain {
  readonly lanes: Lane[];
  failedAt: number;
  failure: Error | undefined;
}

export class JumpPool {
  readonly #open: OpenHop;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #chains = new Map<string, Chain>();

  constructor(open: OpenHop, clock: Clock, random: Random) {
    this.#open = open;
    this.#clock = clock;
    this.#random = random;
  }

  /** A way through `hops`; `avoid`: not this one again. Rejects with JumpError. */
  async way(hops: readonly Hop[], avoid?: Way): Promise<Way> {
    const lane = await this.#lane(hops, avoid);
    const client = await lane.client.catch((error) => {
      lane.load--;
      throw error;
    });
    let used = false;
    return {
      client,
      get busy() {
        return lane.load > 0;
      },
      dial: (host, port) => (user) => {
        const over = () => {
          if (!used) lane.load--;
          used = true;
        };
        return client.forward(host, port, {
          connected: () => user.connected(),
          received: (chunk) => user.received(chunk),
          ended: (error) => {
            over();
            user.ended(error);
          },
        });
      },
    };
  }

  /** A connection with room, its place taken. */
  async #lane(hops: readonly Hop[], avoid: Way | undefined): Promise<Lane> {
    const chain = this.#chain(hops.map(hopLabel).join(','));
    if (chain.failure && this.#clock.now() - chain.failedAt < FAILED_MS) throw chain.failure;
    const open: Lane[] = [];
    for (const lane of chain.lanes) {
      if (lane.load < MOST_CHANNELS && (!avoid || (await lane.client) !== avoid.client)) open.push(lane);
    }
    open.sort((a, b) => a.load - b.load);
    // Fill the connections that are there before a new one is made: a handful is what a jump host should see.
    const best = open[0];
    if (best) {
      best.load++;
      return best;
    }
    const lane: Lane = { client: this.#connect(hops, chain), load: 1 };
    chain.lanes.push(lane);
    lane.client.then(
      (client) => client.whenClosed(() => this.#forget(chain, lane)),
      () => this.#forget(chain, lane),
    );
    return lane;
  }

  #chain(id: string): Chain {
    let chain = this.#chains.get(id);
    if (!chain) {
      chain = { lanes: [], failedAt: 0, failure: undefined };
      this.#chains.set(id, chain);
    }
    return chain;
  }

  #forget(chain: Chain, lane: Lane): void {
    const at = chain.lanes.indexOf(lane);
    if (at >= 0) chain.lanes.splice(at, 1);
  }

  /** Logs in to the last hop, over the ones before it. */
  async #connect(hops: readonly Hop[], chain: Chain): Promise<SshClient> {
    const last = hops[hops.length - 1]!;
    const before = hops.slice(0, -1);
    try {
      return await this.#retrying(async () => {
        const way = before.length > 0 ? await this.way(before) : undefined;
        return this.#open(last, way?.dial(last.name, last.port ?? 22));
      });
    } catch (error) {
      const failure = error instanceof JumpError ? error : new JumpError(last, error as Error);
      chain.failure = failure;
      chain.failedAt = this.#clock.now();
      throw failure;
    }
  }

  async #retrying(connect: () => Promise<SshClient>): Promise<SshClient> {
    for (let tries = 1; ; tries++) {
      try {
        return await connect();
      } catch (error) {
        const throttled = error instanceof SshError && error.reason === 'banner-closed';
        if (!throttled || tries === TRIES) throw error;
        await new Promise<void>((resolve) => this.#clock.setTimer(this.#random() * 200 * tries, resolve));
      }
    }
  }

  /** Says goodbye to all jump hosts. */
  close(): void {
    for (const { lanes } of this.#chains.values()) {
      for (const lane of lanes) {
        lane.client.then(
          (client) => client.close(),
          () => {},
        );
      }
    }
    this.#chains.clear();
  }
}

export function hopLabel(hop: Hop): string {
  const name = hop.name.includes(':') ? `[${hop.name}]` : hop.name;
  return `${hop.user === undefined ? '' : `${hop.user}@`}${name}${hop.port === undefined ? '' : `:${hop.port}`}`;
}
