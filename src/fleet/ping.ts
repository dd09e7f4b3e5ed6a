/** `ping()`: asks a selection which of its addresses are up, by ICMP, TCP or SSH banner. A sweep has no tasks: a few bytes an address. */
import { MyriadError } from '../contracts/errors.ts';
import type { SweepWriter } from '../journal/sweeps.ts';
import { whoRuns } from '../journal/who.ts';
import type { PingChunk } from '../ping/chunk.ts';
import { type PartShape, SweepPart } from '../ping/part.ts';
import type { Counts } from '../ping/shared.ts';
import type { SkippedParts } from '../ping/skipped.ts';
import { ADDRESS_STATES, STATE } from '../ping/state.ts';
import type { PingSweep } from '../ping/sweep.ts';
import { DnsResolver } from '../transport/native/dns_resolver.ts';
import { SystemResolver } from '../transport/native/system_resolver.ts';
import { createRecord, openResumed, type PingSource } from './ping_journal.ts';
import { overflows } from './ping_limits.ts';
import { type PingOptions, type ResolvedPing, resolvePing } from './ping_options.ts';
import { PingRecorder } from './ping_record.ts';
import { openSweep } from './ping_sweeps.ts';
import { labelOf, numberOf, type TargetGroup, type Targets, targetsOf } from './ping_targets.ts';
import { NO_TOTALS, type PingSummary, type PingTotals, sumCounts, summaryOf, sumTrips } from './ping_totals.ts';
import { selectHosts } from './selection.ts';
import { systemClock } from './system_clock.ts';

/** Probes per second where nothing else is asked for. */
const RATE_OFF_LOOPBACK = 2_000;
const RATE_ON_LOOPBACK = 50_000;
/** What one core sends at most, to say how long a sweep takes that is not paced. */
const FULL_SPEED = 150_000;
/** A sweep of so many addresses is long enough to look at the kernel's tables first. */
const LONG = 1_000;

/** A sweep that has not begun yet. Iterate its chunks, then ask for the summary. */
export class Ping implements AsyncDisposable {
  readonly count: number;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  /** What the user should know, in sentences; more may come while it goes on. */
  readonly warnings: string[] = [];
  readonly #targets: Targets;
  readonly #options: ResolvedPing;
  readonly #source: PingSource;
  readonly #states = new Float64Array(ADDRESS_STATES.length);
  /** Of the sweeps that are over. */
  readonly #ended: PingSweep[] = [];
  /** What went before, where it goes on. */
  #before: PingTotals = NO_TOTALS;
  #recorder: PingRecorder | undefined;
  #skipped: SkippedParts | undefined;
  #sweep: { readonly sweep: PingSweep; readonly base: number } | undefined;
  #banners: readonly string[] = [];
  readonly #how = new Set<string>();
  #stopped = false;
  #startedAt = 0;
  #endedAt = 0;
  readonly #onAbort = () => this.stop();

  constructor(targets: Targets, options: ResolvedPing, source: PingSource) {
    this.#targets = targets;
    this.#options = options;
    this.#source = source;
    this.count = targets.count;
    this.rate = options.rate ?? (targets.loopback ? RATE_ON_LOOPBACK : RATE_OFF_LOOPBACK);
    const { signal, warnings } = source;
    this.warnings.push(...warnings);
    if (signal?.aborted) this.#stopped = true;
    signal?.addEventListener('abort', this.#onAbort);
    if (source.resumed) this.#goOn(source.resumed);
  }

  /** How long it takes at most where all goes well, in milliseconds. */
  get expectedMs(): number {
    const { passes, gap, timeout } = this.#options.rules;
    const sending = (this.count * passes * 1000) / Math.min(this.rate, FULL_SPEED);
    return sending + ((passes - 1) * gap + timeout) / 1000;
  }

  /** The id that it is recorded under. */
  get run(): string | undefined {
    return this.#recorder?.id;
  }

  /** The address, or the host as it was written. */
  label(index: number): string {
    return labelOf(this.#targets, index);
  }

  /** The IPv4 address at `index` as a number, where it is what the host is called: what can be folded. */
  number(index: number): number | undefined {
    return numberOf(this.#targets, index);
  }

  /** What the servers said of themselves, by the numbers of `PingChunk.software`. */
  get banners(): readonly string[] {
    return this.#banners;
  }

  /** Records its progress from its beginning on, so that it can be resumed. Throws `journal`. `journal`: a folder that is not the usual one. */
  record(journal: true | string = true): void {
    if (this.#recorder) return;
    const tell = (sentence: string) => this.#warn(sentence);
    this.#recorder = this.#recorderOf(createRecord(this.#targets, this.#source, journal, tell));
  }

  #goOn(writer: SweepWriter): void {
    const recorder = this.#recorderOf(writer);
    this.#recorder = recorder;
    // Blocks that were done are gone through once more.
    this.#before = { ...recorder.before, counts: { ...recorder.before.counts, done: 0 } };
    for (const how of recorder.before.how) this.#how.add(how);
    this.#banners = ['', ...recorder.before.banners];
    this.#skipped = recorder.skipped();
  }

  #recorderOf(writer: SweepWriter): PingRecorder {
    return new PingRecorder(writer, this.#shape, this.count, {
      totals: () => this.#totals(),
      live: () => this.#live(),
      gaveUp: (why) => this.#warn(`the sweep goes on, and cannot be resumed from here on: ${why}`),
    });
  }

  get #shape(): PartShape {
    return { rules: this.#options.rules, banner: this.#options.level === 'banner' };
  }

  /** Results in the order of the addresses, as blocks of them end. To be iterated once. */
  async *chunks(): AsyncGenerator<PingChunk> {
    const { journal } = this.#source;
    if (journal) this.record(journal);
    this.#startedAt = performance.now();
    this.#recorder?.start();
    if (this.count >= LONG) this.warnings.push(...this.#overflows());
    let next = 0;
    try {
      for await (const chunk of this.#asked()) {
        next = chunk.base + chunk.count;
        yield this.#counted(chunk);
      }
      // Stopped before it came to where it had been: what is known of that is no less known.
      for (const chunk of this.#recorder?.rest(next, this.count) ?? []) yield this.#counted(chunk);
    } finally {
      this.#endedAt = performance.now();
      this.#recorder?.end(this.#stopped ? 'stopped' : '');
    }
  }

  async *#asked(): AsyncGenerator<PingChunk> {
    for (const group of this.#targets.groups) {
      if (this.#stopped) return;
      yield* this.#group(group);
    }
    if (this.#targets.nameless.length === 0 || this.#stopped) return;
    const chunk = this.#namelessChunk();
    this.#recorder?.take(chunk);
    yield chunk;
  }

  async *#group(group: TargetGroup): AsyncGenerator<PingChunk> {
    const { sweep, how, banners } = await openSweep(group, {
      ping: this.#options,
      rate: this.rate,
      skipped: this.#skipped,
      banners: this.#banners.slice(1),
      warn: (sentence) => this.#warn(sentence),
    });
    this.#how.add(how);
    this.#banners = banners ?? this.#banners;
    this.#sweep = { sweep, base: group.base };
    if (this.#stopped) sweep.stop();
    try {
      for await (const chunk of sweep.chunks()) {
        const placed = { ...chunk, base: chunk.base + group.base };
        this.#recorder?.take(placed);
        yield placed;
      }
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
    const chunk = SweepPart.blank(this.count - count, count, this.#shape);
    chunk.state.fill(STATE.name);
    return chunk;
  }

  *#live(): Generator<PingChunk> {
    if (!this.#sweep) return;
    const { sweep, base } = this.#sweep;
    for (const chunk of sweep.live()) yield { ...chunk, base: chunk.base + base };
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
    this.#sweep?.sweep.stop();
  }

  /** What was counted so far. */
  get counts(): Counts {
    return sumCounts(this.#before.counts, this.#sweeps());
  }

  get elapsedMs(): number {
    const own = this.#startedAt === 0 ? 0 : (this.#endedAt || performance.now()) - this.#startedAt;
    return this.#before.elapsedMs + own;
  }

  #sweeps(): readonly PingSweep[] {
    return this.#sweep ? [...this.#ended, this.#sweep.sweep] : this.#ended;
  }

  #totals(): PingTotals {
    const { counts, elapsedMs } = this;
    const banners = this.#banners.slice(1);
    return { counts, elapsedMs, how: [...this.#how], banners, ...sumTrips(this.#before, this.#sweeps()) };
  }

  /** All that is known once the chunks have been read. */
  summary(): PingSummary {
    return summaryOf(this.#targets, this.#states, this.#totals(), { stopped: this.#stopped, run: this.run });
  }

  async close(): Promise<void> {
    this.#source.signal?.removeEventListener('abort', this.#onAbort);
    await this.#sweep?.sweep.close();
    this.#recorder?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function* rangesOf({ packed }: TargetGroup): Generator<{ low: number; count: number }> {
  const { starts, words } = packed;
  for (let i = 0; i < words.length; i++) yield { low: words[i]!, count: starts[i + 1]! - starts[i]! };
}

/** Selects and resolves; nothing is sent before its chunks are read. Throws as `fleet()` does for a selection that cannot be. */
export async function ping(options: PingOptions): Promise<Ping> {
  if (options.resume !== undefined) return goOn(options.resume, options);
  return (await pings(options))();
}

/**
 * As `ping`, for any number of sweeps of the same addresses, each of which is opened by a call. `alone` false: they are rounds of something
 * that has a record and a signal of its own.
 */
export async function pings(options: PingOptions, alone = true): Promise<() => Ping> {
  const resolved = resolvePing(options);
  const { argv = process.argv, usable = false, family: asked } = options;
  const { hosts, warnings } = selectHosts(selectionOf(options));
  const resolver = options.resolver === 'system' ? new SystemResolver() : new DnsResolver({ clock: systemClock });
  try {
    const texts = [options.hosts ?? []].flat();
    const family = asked === 'any' ? undefined : asked;
    const targets = await targetsOf(hosts, resolver, { texts, usable, family });
    const { signal, journal } = alone ? options : {};
    const source: PingSource = { options, texts, argv, signal, journal, warnings, resumed: undefined };
    return () => new Ping(targets, resolved, source);
  } finally {
    resolver.close();
  }
}

/** What `selectHosts` is asked: options of the same name mean other things there. */
function selectionOf(options: PingOptions): Parameters<typeof selectHosts>[0] {
  const { level, port, rate, retries, fanout, argv, resume, ...selection } = options;
  return selection;
}

/** A sweep that was stopped, or has crashed: what is settled in its record is not asked again. */
function goOn(run: string, given: PingOptions): Ping {
  const { writer, targets, options } = openResumed(run, given, whoRuns());
  try {
    const resolved = resolvePing({ ...options, resume: run });
    const { signal } = given;
    const source: PingSource = { options, texts: [], argv: [], signal, journal: false, warnings: [], resumed: writer };
    return new Ping(targets, resolved, source);
  } catch (error) {
    writer.close();
    if (error instanceof RangeError) throw new MyriadError('journal', `run ${run}: ${error.message}`, { cause: error });
    throw error;
  }
}
