/**
 * Asks name servers for the addresses of full names: A and AAAA together, many names at once over few sockets.
 *
 * lookup   one full name: one or two queries, one timer
 *   queued —room in the window→ fresh —not answered in time→ late
 *   queued, fresh, late —all queries answered, or given up, or the time is over→ told, once
 * query    one type: sent —lost→ sent again —truncated→ sent over TCP —answer→ answered
 *                                           —every server failed as often as it may→ answered (failed)
 *
 * A lost packet must not cost seconds, and a slow server must not be asked twice without need:
 * - The first retry comes when an answer is overdue by what was measured (100 ms at least, 400 before the first answer),
 *   later ones after twice the time each, never more than the configured timeout. What others' answers have shown within
 *   the first 50 ms counts: of the first names of a run, too, a lost one costs 100 ms.
 * - Where one of the two types is answered, the other is asked again after 50 ms: the server has looked at the name, so its
 *   silence is a lost packet. At 1 % loss this is nearly every loss.
 * - Where one type has addresses, or the name does not exist, and the other was asked for three times in vain, that is
 *   the answer: there are servers that never answer AAAA.
 * - Another server is asked where this one fails, has said nothing to anyone for a second, or after the configured timeout,
 *   not before: it may know other names.
 *
 * Bounds: 128 fresh lookups (256 datagrams of 768 bytes are what a socket buffer of Linux's size holds, there and here),
 * 16,384 asked ones, 65,536 lookups in all.
 */
import { TimerEntry, type TimerOwner, type TimerSource, TimerWheel } from '../../util/timer_wheel.ts';
import type { Family } from './addresses.ts';
import type { Lane } from './dns_lane.ts';
import { A, AAAA, type Answer, decodeAnswer, encodeQuery, type RecordType, readdress } from './dns_message.ts';
import { NameServer, type NameServerUser } from './dns_server.ts';
import { type Identified, IdTable } from './id_table.ts';
import type { ResolvConf } from './resolv_conf.ts';
import type { ResolveFault } from './resolver.ts';

const MAX_FRESH = 128;
const MAX_ASKED = 16_384;
const MAX_LOOKUPS = 65_536;

/** RFC 8305's resolution delay. */
const SIBLING_MS = 50;
/** Copies of a query that were not answered, after which the other type's addresses are enough. */
const ENOUGH_SENT = 3;

export type LookupFault = Exclude<ResolveFault, 'name'>;

export type LookupResult =
  | {
      readonly kind: 'addresses';
      readonly v6: readonly string[];
      readonly v4: readonly string[];
      /** What the name is an alias of, at the end of the chain. */
      readonly alias: string | undefined;
    }
  | { readonly kind: 'fault'; readonly fault: LookupFault; readonly why: string };

/** Who asked. */
export interface Asker {
  /** Called once, never during `ask`. */
  told(result: LookupResult): void;
}

export type DnsOptions = Pick<ResolvConf, 'servers' | 'timeoutMs' | 'attempts' | 'rotate' | 'tcp' | 'noAaaa'>;

interface Query extends Identified {
  readonly lookup: Lookup;
  readonly type: RecordType;
  server: NameServer;
  /** When it went to the present server first. */
  since: number;
  sends: number;
  /** How often a server failed. */
  failures: number;
  tcp: boolean;
  /** By which the last copy left; undefined: none did, or it waits for its next round. */
  lane: Lane | undefined;
  /** By which others left: a late answer still counts. */
  earlier: readonly Lane[];
  answer: Answer | undefined;
}

/** Another way is taken, or this one is over; an answer that still comes by it counts. */
function leaveLane(query: Query): void {
  const { lane } = query;
  if (lane === undefined) return;
  lane.load -= 1;
  query.lane = undefined;
  query.earlier = [...query.earlier, lane];
}

const BOTH = [AAAA, A] as const;
const ONLY_A = [A] as const;
const ONLY_AAAA = [AAAA] as const;
const NONE: readonly never[] = [];
const NOTHING = Buffer.alloc(0);

class Lookup extends TimerEntry {
  readonly name: string;
  readonly family: Family;
  readonly asker: Asker;
  readonly deadline: number;
  state: 'queued' | 'fresh' | 'late' | 'told' = 'queued';
  /** Empty while it is queued; AAAA first. */
  queries: readonly Query[] = NONE;
  /** Of those. */
  unanswered = 0;
  /** What is sent: the query of either type, made into the other's for each copy. */
  packet: Buffer = NOTHING;
  /** The present step of the retries. */
  waitMs = 0;
  /**
   * What the timer is set for: `first`: a look after 50 ms, which nearly every name is done by · `sibling`: one type was
   * answered later than that · `retry`: the present step.
   */
  awaits: 'first' | 'sibling' | 'retry' = 'retry';

  constructor(owner: TimerOwner, name: string, family: Family, asker: Asker, deadline: number) {
    super(owner);
    this.name = name;
    this.family = family;
    this.asker = asker;
    this.deadline = deadline;
  }
}

/** Names go out full, ASCII and without fault (`nameFault`); what comes back is as the servers said it. */
export class DnsClient implements TimerOwner, NameServerUser {
  readonly #options: DnsOptions;
  readonly #clock: TimerSource;
  readonly #wheel: TimerWheel;
  readonly #servers: readonly NameServer[];
  /** The queries that are open. */
  readonly #queries = new IdTable<Query>();
  /** How long a lookup may take: what resolv.conf(5) grants. */
  readonly #budgetMs: number;
  /** Queued ones, from `#head` on. */
  #queue: Lookup[] = [];
  #head = 0;
  #fresh = 0;
  /** Fresh and late ones. */
  #asked = 0;
  /** Lookups that are not told yet. */
  #size = 0;
  #turn = 0;
  #closed = false;

  constructor(options: DnsOptions, clock: TimerSource) {
    this.#options = options;
    this.#clock = clock;
    this.#wheel = new TimerWheel(clock);
    this.#servers = options.servers.map((address) => new NameServer(address, options.timeoutMs, clock, this));
    this.#budgetMs = options.timeoutMs * options.attempts * options.servers.length;
  }

  /** Asks for the addresses of `name`. */
  ask(name: string, family: Family, asker: Asker): void {
    if (this.#closed || this.#size >= MAX_LOOKUPS) {
      const result = this.#closed ? CLOSED : CROWDED;
      queueMicrotask(() => asker.told(result));
      return;
    }
    const now = this.#clock.now();
    const lookup = new Lookup(this, name, family, asker, now + this.#budgetMs);
    this.#size += 1;
    if (this.#head === this.#queue.length && this.#room()) {
      this.#start(lookup, now);
      return;
    }
    this.#queue.push(lookup);
    this.#wheel.arm(lookup, this.#budgetMs, now);
  }

  /** Tells all that are open `closed`, and closes the sockets. */
  close(): void {
    this.#closed = true;
    const open = [...this.#queries.all().map((query) => query.lookup), ...this.#queue.slice(this.#head)];
    this.#queue = [];
    this.#head = 0;
    for (const lookup of open) this.#tell(lookup, CLOSED);
    for (const server of this.#servers) server.close();
  }

  #room(): boolean {
    return this.#fresh < MAX_FRESH && this.#asked < MAX_ASKED;
  }

  #start(lookup: Lookup, now: number): void {
    const { rotate, noAaaa, tcp } = this.#options;
    const { family } = lookup;
    const server = this.#pick(rotate ? this.#turn++ : 0, now);
    this.#fresh += 1;
    this.#asked += 1;
    lookup.state = 'fresh';
    lookup.packet = encodeQuery(lookup.name, A);
    const types = family === 6 ? ONLY_AAAA : family === 4 || noAaaa ? ONLY_A : BOTH;
    const lane = server.lane(tcp, types.length, now);
    const queries: Query[] = [];
    for (const type of types) {
      const query: Query = {
        id: 0,
        lookup,
        type,
        server,
        since: now,
        sends: 1,
        failures: 0,
        tcp,
        lane,
        earlier: NONE,
        answer: undefined,
      };
      this.#queries.add(query);
      queries.push(query);
      readdress(lookup.packet, type, query.id);
      lane.send(lookup.packet, false);
    }
    lookup.queries = queries;
    lookup.unanswered = types.length;
    lookup.waitMs = server.retryMs;
    lookup.awaits = 'first';
    this.#wheel.arm(lookup, Math.min(SIBLING_MS, lookup.deadline - now), now);
  }

  /** Fills the window from the queue. */
  #pump(now: number): void {
    while (this.#head < this.#queue.length && this.#room()) {
      const lookup = this.#queue[this.#head++]!;
      if (lookup.state === 'queued') this.#start(lookup, now);
    }
    // What was taken is cut off when it is the larger half: each place is moved once.
    if (this.#head * 2 <= this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #arm(lookup: Lookup, delayMs: number, now: number): void {
    this.#wheel.arm(lookup, Math.min(delayMs, lookup.deadline - now), now);
  }

  /** The server at `turn`, or the next that is worth asking. */
  #pick(turn: number, now: number): NameServer {
    const servers = this.#servers;
    for (let i = 0; i < servers.length; i++) {
      const server = servers[(turn + i) % servers.length]!;
      if (!server.avoided(now)) return server;
    }
    return servers[turn % servers.length]!;
  }

  #nextServer(query: Query, now: number): void {
    query.server = this.#pick(this.#servers.indexOf(query.server) + 1, now);
    query.since = now;
  }

  /** Sends a copy, by the same lane where that still leads to the query's server in the way it is to go. */
  #send(query: Query, now: number): void {
    const { server } = query;
    if (query.lane === undefined || !server.leads(query.lane, query.tcp)) {
      leaveLane(query);
      query.lane = server.lane(query.tcp, 1, now);
    } else server.sent(now);
    query.sends += 1;
    const { packet } = query.lookup;
    readdress(packet, query.type, query.id);
    query.lane.send(packet, query.sends > 1);
  }

  /** The time of a lookup has come: it is over, or what is missing is asked for again. */
  expired(entry: TimerEntry): void {
    const lookup = entry as Lookup;
    const now = this.#clock.now();
    if (now >= lookup.deadline) {
      this.#tell(lookup, this.#resultOf(lookup));
      return;
    }
    if (lookup.awaits === 'retry') this.#retry(lookup, now);
    else if (lookup.awaits === 'first' && lookup.unanswered === lookup.queries.length) {
      lookup.awaits = 'retry';
      lookup.waitMs = Math.min(lookup.waitMs, lookup.queries[0]!.server.retryMs);
      this.#arm(lookup, lookup.waitMs - SIBLING_MS, now);
    } else {
      lookup.awaits = 'retry';
      this.#sendMissing(lookup, now);
      this.#arm(lookup, lookup.waitMs, now);
    }
  }

  #retry(lookup: Lookup, now: number): void {
    if (lookup.state === 'fresh') {
      lookup.state = 'late';
      this.#fresh -= 1;
    }
    const enough = lookup.queries.every((query) => query.answer !== undefined || query.sends >= ENOUGH_SENT);
    if (enough && lookup.queries.some(decides)) {
      this.#tell(lookup, this.#resultOf(lookup));
      return;
    }
    this.#sendMissing(lookup, now);
    lookup.waitMs = Math.min(lookup.waitMs * 2, this.#options.timeoutMs);
    this.#arm(lookup, lookup.waitMs, now);
    this.#pump(now);
  }

  #sendMissing(lookup: Lookup, now: number): void {
    for (const query of lookup.queries) if (query.answer === undefined) this.#again(query, now);
  }

  #again(query: Query, now: number): void {
    const { server } = query;
    server.missed(now);
    // One that waits for its next round has its server already.
    if (query.lane === undefined) query.since = now;
    else if (server.avoided(now) || now - query.since >= this.#options.timeoutMs) this.#nextServer(query, now);
    this.#send(query, now);
  }

  received(server: NameServer, lane: Lane, message: Buffer): void {
    // One that is too short has no id; it is no answer either.
    const query = this.#queries.get((message[0]! << 8) | message[1]!);
    if (query === undefined || (query.lane !== lane && !query.earlier.includes(lane))) return;
    const answer = decodeAnswer(message, query.lookup.packet, query.type);
    if (answer === undefined) return;
    const now = this.#clock.now();
    server.answered(now - query.since);
    if (answer.kind !== 'truncated' && answer.kind !== 'failed') this.#answered(query, answer, now);
    else if (lane !== query.lane) {
      // An earlier copy's: the query is on another way already.
    } else if (answer.kind === 'failed') this.#failed(query, server, answer.why, now);
    else if (query.tcp) this.#failed(query, server, 'an answer cut short over TCP', now);
    else {
      query.tcp = true;
      this.#send(query, now);
    }
  }

  lost(server: NameServer, lane: Lane, error: NodeJS.ErrnoException): void {
    const now = this.#clock.now();
    const why = error.code ?? error.message;
    for (const query of this.#queries.all()) {
      if (query.lane !== lane) continue;
      leaveLane(query);
      this.#failed(query, server, why, now);
    }
  }

  /** A server could not say: the next one is asked, at once in the first round, later when the timer comes. */
  #failed(query: Query, server: NameServer, words: string, now: number): void {
    query.failures += 1;
    const why = `name server ${server}: ${words}`;
    const rounds = query.lookup.queries.some(decides) ? 1 : this.#options.attempts;
    if (query.failures >= rounds * this.#servers.length) {
      this.#answered(query, { kind: 'failed', why }, now);
      return;
    }
    this.#nextServer(query, now);
    if (query.failures % this.#servers.length !== 0) this.#send(query, now);
  }

  #answered(query: Query, answer: Answer, now: number): void {
    const { lookup } = query;
    query.answer = answer;
    lookup.unanswered -= 1;
    this.#forget(query);
    if (lookup.unanswered === 0) {
      this.#tell(lookup, this.#resultOf(lookup));
      return;
    }
    if (lookup.awaits !== 'retry' || lookup.due - now <= SIBLING_MS) return;
    lookup.awaits = 'sibling';
    this.#arm(lookup, SIBLING_MS, now);
  }

  /** It is open no longer. */
  #forget(query: Query): void {
    this.#queries.delete(query);
    if (query.lane !== undefined) query.lane.load -= 1;
    query.lane = undefined;
  }

  #tell(lookup: Lookup, result: LookupResult): void {
    if (lookup.state === 'told') return;
    if (lookup.state === 'fresh') this.#fresh -= 1;
    if (lookup.state !== 'queued') this.#asked -= 1;
    lookup.state = 'told';
    this.#size -= 1;
    this.#wheel.cancel(lookup);
    if (lookup.unanswered > 0) {
      for (const query of lookup.queries) if (query.answer === undefined) this.#forget(query);
    }
    lookup.asker.told(result);
    if (this.#head < this.#queue.length) this.#pump(this.#clock.now());
  }

  /** What the answers say together; what is not answered says nothing. */
  #resultOf(lookup: Lookup): LookupResult {
    let v6: readonly string[] = NONE;
    let v4: readonly string[] = NONE;
    let alias: string | undefined;
    let failed: string | undefined;
    let denied = 0;
    for (const { answer, type } of lookup.queries) {
      if (answer === undefined) continue;
      if (answer.kind === 'addresses') {
        if (type === A) v4 = answer.addresses;
        else v6 = answer.addresses;
        alias ??= answer.alias;
      } else if (answer.kind === 'no-name') denied += 1;
      else if (answer.kind === 'failed') failed ??= answer.why;
    }
    if (v6.length > 0 || v4.length > 0) return { kind: 'addresses', v6, v4, alias };
    // Servers are known that deny a name for one type and have it for the other.
    const bare = lookup.queries.some((query) => query.answer?.kind === 'no-address');
    if (denied > 0 && !bare) return NO_NAME;
    if (failed !== undefined) {
      return { kind: 'fault', fault: LOCAL.test(failed) ? 'local-limit' : 'server', why: failed };
    }
    if (lookup.unanswered === 0 && bare) return NO_ADDRESS;
    const why = `no answer from ${this.#servers.join(', ')} within ${this.#budgetMs / 1000} s`;
    return { kind: 'fault', fault: 'silent', why };
  }
}

const NO_NAME: LookupResult = { kind: 'fault', fault: 'no-name', why: 'no such name (NXDOMAIN)' };
const NO_ADDRESS: LookupResult = { kind: 'fault', fault: 'no-address', why: 'the name has no address' };
const CLOSED: LookupResult = { kind: 'fault', fault: 'closed', why: 'the resolver was closed' };
const CROWDED: LookupResult = {
  kind: 'fault',
  fault: 'local-limit',
  why: `more than ${MAX_LOOKUPS} names are being asked for at once`,
};

/** Codes that speak of this machine. */
const LOCAL = /: (EMFILE|ENFILE|ENOBUFS|ENOMEM|EADDRNOTAVAIL)$/;

/** Whether the answer for one type says enough where the other's does not come: addresses, or that there is no such name. */
function decides(query: Query): boolean {
  return query.answer?.kind === 'addresses' || query.answer?.kind === 'no-name';
}
