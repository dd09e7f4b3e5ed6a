/** `ping()`: asks a selection which of its addresses are up, by ICMP, TCP or SSH banner. A sweep has no tasks: a few bytes an address. */
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import type { Clock } from '../contracts/limits.ts';
import type { PingChunk } from '../ping/chunk.ts';
import { FpingSweep } from '../ping/fping.ts';
import { IcmpPing, NoIcmp } from '../ping/icmp.ts';
import { COUNTS, type Counts, HISTOGRAM, percentile } from '../ping/shared.ts';
import { ADDRESS_STATES, type AddressState, STATE } from '../ping/state.ts';
import type { PingSweep } from '../ping/sweep.ts';
import { TcpPing } from '../ping/tcp.ts';
import { DnsResolver } from '../transport/native/dns_resolver.ts';
import { SystemResolver } from '../transport/native/system_resolver.ts';
import { connectionLimit } from './descriptors.ts';
import { overflows } from './ping_limits.ts';
import { type PingOptions, type ResolvedPing, resolvePing } from './ping_options.ts';
import { type TargetGroup, type Targets, targetsOf } from './ping_targets.ts';
import { selectHosts } from './selection.ts';

/** Probes per second where nothing else is asked for. */
const RATE_OFF_LOOPBACK = 2_000;
const RATE_ON_LOOPBACK = 50_000;
const TCP_FANOUT = 4_096;
/** A sweep of so many addresses is long enough to look at the kernel's tables first. */
const LONG = 1_000;

export interface PingSummary {
  readonly planned: number;
  /** How many ended how; all planned addresses are in here. */
  readonly states: Readonly<Record<AddressState, number>>;
  /** Packets, or connections. */
  readonly counts: Readonly<Counts>;
  /** Of all answers, in milliseconds; percentiles to 3 %. Undefined where there was none. */
  readonly rtt:
    | { readonly min: number; readonly avg: number; readonly p50: number; readonly p99: number; readonly max: number }
    | undefined;
  readonly durationMs: number;
  /** Ended by the caller before it was through. */
  readonly stopped: boolean;
  /** Addresses that were left out of what was selected. */
  readonly reserved: number;
  readonly unusable: number;
  /** What asked: `raw ICMP socket`, `fping`. */
  readonly how: string;
}

const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer), unref: () => void timer.unref() };
  },
};

/** A sweep that has not begun yet. Iterate its chunks, then ask for the summary. */
export class Ping implements AsyncDisposable {
  readonly count: number;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  /** What the user should know, in sentences; more may come while it goes on. */
  readonly warnings: string[] = [];
  readonly #targets: Targets;
  readonly #options: ResolvedPing;
  readonly #states = new Float64Array(ADDRESS_STATES.length);
  /** Of the sweeps that are over. */
  readonly #ended: PingSweep[] = [];
  #sweep: PingSweep | undefined;
  #banners: readonly string[] = [];
  #how = '';
  #stopped = false;
  #startedAt = 0;
  #endedAt = 0;
  readonly #onAbort = () => this.stop();
  readonly #signal: AbortSignal | undefined;

  constructor(targets: Targets, options: ResolvedPing, signal: AbortSignal | undefined) {
    this.#targets = targets;
    this.#options = options;
    this.#signal = signal;
    this.count = targets.count;
    this.rate = options.rate ?? (targets.loopback ? RATE_ON_LOOPBACK : RATE_OFF_LOOPBACK);
    if (signal?.aborted) this.#stopped = true;
    signal?.addEventListener('abort', this.#onAbort);
  }

  /** The address, or the host as it was written. */
  label(index: number): string {
    const { group, at } = this.#find(index);
    if (!group) return this.#targets.nameless[at]!;
    const port = portAt(group, at);
    const label = group.labels.get(at);
    return label ?? `${group.addresses.text(at)}${port === undefined ? '' : `:${port}`}`;
  }

  /** The IPv4 address at `index` as a number, where it is what the host is called: what can be folded. */
  number(index: number): number | undefined {
    const { group, at } = this.#find(index);
    if (!group || group.addresses.size === 4 || group.labels.has(at) || portAt(group, at)) return undefined;
    group.addresses.find(at);
    return group.addresses.found[0];
  }

  /** What the servers said of themselves, by the numbers of `PingChunk.software`. */
  get banners(): readonly string[] {
    return this.#banners;
  }

  #find(index: number): { group: TargetGroup | undefined; at: number } {
    for (const group of this.#targets.groups) {
      if (index < group.base + group.addresses.count) return { group, at: index - group.base };
    }
    return { group: undefined, at: index - (this.count - this.#targets.nameless.length) };
  }

  /** Results in the order of the addresses, as blocks of them end. To be iterated once. */
  async *chunks(): AsyncGenerator<PingChunk> {
    this.#startedAt = performance.now();
    if (this.count >= LONG) this.warnings.push(...this.#overflows());
    try {
      for (const group of this.#targets.groups) {
        if (this.#stopped) return;
        yield* this.#group(group);
      }
      if (this.#targets.nameless.length > 0 && !this.#stopped) yield this.#counted(this.#namelessChunk());
    } finally {
      this.#endedAt = performance.now();
    }
  }

  async *#group(group: TargetGroup): AsyncGenerator<PingChunk> {
    const sweep = await this.#open(group);
    this.#sweep = sweep;
    if (this.#stopped) sweep.stop();
    try {
      for await (const chunk of sweep.chunks()) yield this.#counted({ ...chunk, base: chunk.base + group.base });
    } finally {
      await sweep.close();
      this.#ended.push(sweep);
      this.#sweep = undefined;
    }
  }

  #counted(chunk: PingChunk): PingChunk {
    for (const state of chunk.state) this.#states[state]!++;
    return chunk;
  }

  #namelessChunk(): PingChunk {
    const count = this.#targets.nameless.length;
    const state = new Uint8Array(count).fill(STATE.name);
    const bits = new Uint8Array(Math.ceil(count / 8));
    return { base: this.count - count, count, bits, rtt: new Uint32Array(count), state };
  }

  async #open(group: TargetGroup): Promise<PingSweep> {
    const { level } = this.#options;
    return level === 'icmp' ? this.#openIcmp(group) : this.#openTcp(group, level === 'banner');
  }

  /** The first way to ping that can be had. */
  async #openIcmp(group: TargetGroup): Promise<PingSweep> {
    const { rules, order, socket } = this.#options;
    const { rate } = this;
    const addresses = group.packed;
    const seed = randomBytes(4).readUInt32LE();
    const fping = socket === 'fping' || socket === 'auto' ? programPath('fping') : undefined;
    if (socket === 'fping') {
      if (!fping) throw new MyriadError('usage', 'socket "fping": there is no program fping on PATH; install it');
      this.#how = 'fping';
      return new FpingSweep({ program: fping, addresses, rules, rate, order, seed });
    }
    try {
      const kinds = socket === 'auto' ? (['raw', 'datagram'] as const) : [socket];
      const sweep = await IcmpPing.start({ addresses, rules, rate, order, kinds });
      this.#how = `${sweep.kind} ICMP socket`;
      return sweep;
    } catch (error) {
      if (!(error instanceof NoIcmp)) throw error;
      const why = error.reasons.join(', ');
      if (socket !== 'auto') throw new MyriadError('usage', `socket "${socket}" cannot be had: ${why}`);
      const ways = 'run it as root, or set net.ipv4.ping_group_range';
      if (fping) {
        this.#warn(`no ICMP socket of our own (${why}): fping asks instead, which is slower; ${ways}`);
        this.#how = 'fping';
        return new FpingSweep({ program: fping, addresses, rules, rate, order, seed });
      }
      this.#warn(`no ICMP socket (${why}) and no fping: TCP port ${this.#options.port} is asked instead; ${ways}`);
      return this.#openTcp(group, false);
    }
  }

  #openTcp(group: TargetGroup, banner: boolean): PingSweep {
    const { port, fanout, rules, order } = this.#options;
    this.#how = banner ? 'SSH banners' : 'TCP connections';
    const sweep = new TcpPing({
      addresses: group.packed,
      port: (index) => portAt(group, index) ?? port,
      banner,
      fanout: Math.min(connectionLimit(), fanout ?? TCP_FANOUT),
      rate: this.rate,
      timeoutMs: rules.timeout / 1000,
      order,
      clock: systemClock,
      seed: randomBytes(4).readUInt32LE(),
    });
    this.#banners = sweep.banners;
    return sweep;
  }

  #warn(text: string): void {
    if (!this.warnings.includes(text)) this.warnings.push(text);
  }

  #overflows(): string[] {
    const { loopback, groups } = this.#targets;
    const four = groups.find(({ addresses }) => addresses.size === 1);
    const runs = four ? rangesOf(four) : [];
    return overflows({ count: this.count, rate: this.rate, loopback, level: this.#options.level, runs });
  }

  /** Nothing more is sent; what was sent has its time to be answered. */
  stop(): void {
    this.#stopped = true;
    this.#sweep?.stop();
  }

  /** What was counted so far. */
  get counts(): Counts {
    const all = Object.fromEntries(COUNTS.map((name) => [name, 0])) as Counts;
    for (const sweep of this.#sweeps()) {
      const { counts } = sweep;
      for (const name of COUNTS) all[name] += counts[name];
    }
    return all;
  }

  get elapsedMs(): number {
    return (this.#endedAt || performance.now()) - this.#startedAt;
  }

  #sweeps(): readonly PingSweep[] {
    return this.#sweep ? [...this.#ended, this.#sweep] : this.#ended;
  }

  /** All that is known once the chunks have been read. */
  summary(): PingSummary {
    const told = this.#states.reduce((sum, count) => sum + count, 0);
    const states = Object.fromEntries(ADDRESS_STATES.map((name, code) => [name, this.#states[code]!]));
    states['not-probed']! += this.count - told;
    const all = Object.values(states).reduce((sum, count) => sum + count, 0);
    if (all !== this.count || told > this.count)
      throw new MyriadError('internal', `a sweep of ${this.count} addresses has results of ${told}`);
    const { reserved, unusable } = this.#targets;
    return {
      planned: this.count,
      states: states as Record<AddressState, number>,
      counts: this.counts,
      rtt: this.#rtt(),
      durationMs: this.elapsedMs,
      stopped: this.#stopped && states['not-probed']! > 0,
      reserved,
      unusable,
      how: this.#how,
    };
  }

  #rtt(): PingSummary['rtt'] {
    const histogram = new Float64Array(HISTOGRAM);
    let [sum, least, most, count] = [0, Number.POSITIVE_INFINITY, 0, 0];
    for (const { times, histogram: own } of this.#sweeps()) {
      const answers = own.reduce((all, each) => all + each, 0);
      if (answers === 0) continue;
      count += answers;
      sum += times[0]!;
      least = Math.min(least, times[1]!);
      most = Math.max(most, times[2]!);
      for (let i = 0; i < HISTOGRAM; i++) histogram[i]! += own[i]!;
    }
    if (count === 0) return undefined;
    const within = (share: number) => Math.min(most, Math.max(least, percentile(histogram, share))) / 1000;
    return { min: least / 1000, avg: sum / count / 1000, p50: within(0.5), p99: within(0.99), max: most / 1000 };
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    await this.#sweep?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function portAt({ ports }: TargetGroup, index: number): number | undefined {
  let [low, high] = [0, ports.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ports[middle]!.from <= index) low = middle + 1;
    else high = middle;
  }
  return ports[low - 1]?.port;
}

function* rangesOf({ packed }: TargetGroup): Generator<{ low: number; count: number }> {
  const { starts, words } = packed;
  for (let i = 0; i < words.length; i++) yield { low: words[i]!, count: starts[i + 1]! - starts[i]! };
}

function programPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Selects and resolves; nothing is sent before its chunks are read. Throws as `fleet()` does for a selection that cannot be. */
export async function ping(options: PingOptions): Promise<Ping> {
  const resolved = resolvePing(options);
  const { level: _level, port: _port, rate: _rate, retries: _retries, fanout: _fanout, ...selection } = options;
  const { hosts } = selectHosts(selection);
  const resolver = options.resolver === 'system' ? new SystemResolver() : new DnsResolver({ clock: systemClock });
  try {
    const texts = [options.hosts ?? []].flat();
    const { usable = false } = options;
    const family = options.family === 'any' ? undefined : options.family;
    return new Ping(await targetsOf(hosts, resolver, { texts, usable, family }), resolved, options.signal);
  } finally {
    resolver.close();
  }
}
