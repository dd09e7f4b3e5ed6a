/**
 * Conversations with mistakes in them: both halves of the client core, and between them something that changes, drops,
 * repeats, reorders or makes up what travels. Whatever it does, each half must end in a result or in an SshError of the
 * peer's making; an error of reason `local`, or of another class, is a mistake of ours. Seeded: the same seed makes the
 * same mistakes at the same places (keys are fresh each time).
 *
 * bytes     on the wire: what is not plaintext dies in the MAC, so this meets identification and key exchange most
 * messages  a relay with the keys of both sides changes payloads, so this meets every parser above the transport
 */
import { CIPHERS, KEX_ALGORITHMS, MACS, type Preferences } from '../../src/ssh/algorithms.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { MSG } from '../../src/ssh/messages.ts';
import type { StartCommand } from '../../src/ssh/server_session.ts';
import { msg, type Random, seededRandom, str, u32 } from './bytes.ts';
import { ClientHalf, type HalvesOptions, join, Link, ServerHalf } from './halves.ts';
import { Puppet, PuppetAlone } from './puppet.ts';

export interface FuzzResult {
  /** How each half ended: `ok`, or the reason of its error. */
  readonly client: string;
  readonly server: string;
  /** Changes that were made. */
  readonly mutations: number;
}

const PASSWORD: HalvesOptions = { credentials: { user: 'tester', keys: [], password: 'secret' } };

/** Says something on both streams, gives stdin back, and leaves with 3 at its end. Now and then it fills the window. */
function command(random: Random): StartCommand {
  const output = random.chance(10) ? 40_000 : 1 + random.below(2000);
  return (_line, session) => ({
    run() {
      session.write(Buffer.alloc(output, 'o'));
      session.write(Buffer.from('a complaint\n'), true);
    },
    stdin: (chunk) => session.write(Buffer.from(chunk)),
    stdinEnd: () => session.exit(3),
    signal: (name) => session.exitSignal(name),
    drained: () => session.resume(),
    gone() {},
  });
}

/** Interesting lengths and numbers for 4 bytes. */
const NUMBERS = [0, 1, 0x7f, 0xff, 0x8000, 0x40000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** One copy of `bytes` with one mistake in it. */
function mutated(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const at = random.below(Math.max(1, copy.length));
  const count = 1 + random.below(random.chance(70) ? 4 : 200);
  switch (random.below(6)) {
    case 0:
      if (copy.length > 0) copy[at]! ^= 1 << random.below(8);
      return copy;
    case 1:
      return copy.subarray(0, at);
    case 2:
      return Buffer.concat([copy.subarray(0, at), random.bytes(count), copy.subarray(at)]);
    case 3:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(Math.min(copy.length, at + count))]);
    case 4:
      if (at + 4 <= copy.length) copy.writeUInt32BE(NUMBERS[random.below(NUMBERS.length)]!, at);
      return copy;
    default:
      random.bytes(Math.min(count, copy.length - at)).copy(copy, at);
      return copy;
  }
}

/** Decides for each piece what becomes of it; `percent` of them are touched. */
class Mischief {
  readonly #random: Random;
  readonly #percent: number;
  #kept: Buffer | undefined;
  mutations = 0;

  constructor(random: Random, percent: number) {
    this.#random = random;
    this.#percent = percent;
  }

  /** True when a message of its own is due. */
  invents(): boolean {
    const due = this.#percent > 0 && this.#random.chance(2);
    if (due) this.mutations++;
    return due;
  }

  /** What travels instead of `piece`. */
  pieces(piece: Buffer): Buffer[] {
    const kept = this.#kept;
    this.#kept = undefined;
    const after = kept ? [kept] : [];
    if (!this.#random.chance(this.#percent)) return [piece, ...after];
    this.mutations++;
    switch (this.#random.below(8)) {
      case 0:
        return [piece, piece, ...after];
      case 1:
        return after;
      case 2:
        // Comes after the next one.
        this.#kept = piece;
        return after;
      case 3:
        return [piece, this.#random.bytes(1 + this.#random.below(300)), ...after];
      default:
        return [mutated(piece, this.#random), ...after];
    }
  }
}

/** A message that no script foresees: any number, and fields that look like those of RFC 4250. */
function madeUp(random: Random): Buffer {
  const types = Object.values(MSG);
  const type = random.chance(80) ? types[random.below(types.length)]! : 1 + random.below(255);
  const field = () => {
    switch (random.below(3)) {
      case 0:
        return u32(NUMBERS[random.below(NUMBERS.length)]!);
      case 1:
        return str(random.bytes(random.below(40)));
      default:
        return Buffer.of(random.below(2));
    }
  };
  return msg(type, ...Array.from({ length: random.below(5) }, field));
}

/** Sizes of the pieces that arrive: whole, tiny, or anything. */
function sizes(random: Random): () => number {
  const style = random.below(3);
  if (style === 0) return () => Number.POSITIVE_INFINITY;
  return () => (style === 1 ? 1 + random.below(60) : 1 + random.below(20_000));
}

/** Why a promise was rejected, as a word; throws for what no peer may cause. */
function reasonOf(error: unknown): string {
  if (error instanceof SshError && error.reason !== 'local') return error.reason;
  throw new Error('a mistake of ours', { cause: error });
}

/** Logs in, runs a command or three, ends; rekeys now and then. */
async function talk(client: ClientHalf, random: Random): Promise<string> {
  try {
    await client.ready;
    const stdin = random.bytes(random.below(3000));
    const count = 1 + random.below(3);
    const answers = await Promise.all(Array.from({ length: count }, () => client.run('a command', stdin)));
    return answers.every(({ status }) => status === 3) ? 'ok' : 'other status';
  } catch (error) {
    return reasonOf(error);
  }
}

/** Ends both halves after the last byte, fires what timers are left, and says how they ended. */
async function conclude(
  links: readonly Link[],
  client: ClientHalf,
  server: ServerHalf,
  talking: Promise<string>,
): Promise<{ client: string; server: string }> {
  client.timers.fire();
  client.ended();
  server.ended();
  for (const link of links) await link.settle();
  if (client.closed) reasonOf(client.closed);
  if (!client.closed || !server.closed) throw new Error('a half did not end');
  return { client: await soon(talking), server: reasonOf(server.closed) };
}

/** What `promise` gives, which nothing keeps waiting any more. */
async function soon(promise: Promise<string>): Promise<string> {
  const late = (async () => {
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
    throw new Error('a session does not end with its connection');
  })();
  late.catch(() => {});
  return Promise.race([promise, late]);
}

/** One algorithm of each kind that both halves can do, those included that they offer to nobody by themselves. */
function suite(random: Random): Partial<Preferences> {
  const one = (names: readonly string[]) => [names[random.below(names.length)]!];
  return {
    kex: one(KEX_ALGORITHMS),
    ciphers: one(CIPHERS.map(({ name }) => name)),
    macs: one(MACS.map(({ name }) => name)),
  };
}

async function fuzzBytes(random: Random, percent: number): Promise<FuzzResult> {
  const ways = { toClient: new Mischief(random, percent), toServer: new Mischief(random, percent) };
  const touched = (['toClient', 'toServer', 'both'] as const)[random.below(3)]!;
  const tamper = (way: 'toClient' | 'toServer', bytes: Buffer) =>
    touched === way || touched === 'both' ? ways[way].pieces(bytes) : [bytes];
  const { link, client, server } = join(command(random), { ...PASSWORD, tamper, preferences: suite(random) });
  const talking = talk(client, random);
  talking.catch(() => {});
  const size = sizes(random);
  await link.settle(size);
  if (random.chance(30)) server.connection.rekey();
  await link.settle(size);
  const mutations = ways.toClient.mutations + ways.toServer.mutations;
  return { ...(await conclude([link], client, server, talking)), mutations };
}

/** A puppet for each half, and the payloads of one to the other with mischief in between. */
async function fuzzMessages(random: Random, percent: number): Promise<FuzzResult> {
  const [front, back] = [new Link(), new Link()];
  const client = new ClientHalf(front.stream('toServer'), PASSWORD);
  const server = new ServerHalf(back.stream('toClient'), command(random));
  const towards = { client: front.stream('toClient'), server: back.stream('toServer') };
  const asServer = new Puppet((bytes) => towards.client.write(bytes), { role: 'server' });
  const asClient = new Puppet((bytes) => towards.server.write(bytes), { role: 'client' });
  Object.assign(front, { client, server: asServer });
  Object.assign(back, { client: asClient, server });
  client.transport.start();
  server.connection.start();
  const handshakes = Promise.all([asServer.handshake(), asClient.handshake()]);
  const size = sizes(random);
  await front.settle(size);
  await back.settle(size);
  await handshakes;

  const ways = [new Mischief(random, percent), new Mischief(random, percent)];
  const relays = [relay(asServer, asClient, ways[0]!, random), relay(asClient, asServer, ways[1]!, random)];
  const talking = talk(client, random);
  talking.catch(() => {});
  for (let rounds = 0; rounds < 200; rounds++) {
    const before = front.moved + back.moved;
    await front.settle(size);
    await back.settle(size);
    if (front.moved + back.moved === before) break;
  }
  asServer.ended();
  asClient.ended();
  await Promise.all(relays);
  const mutations = ways[0]!.mutations + ways[1]!.mutations;
  return { ...(await conclude([front, back], client, server, talking)), mutations };
}

async function relay(from: Puppet, to: Puppet, mischief: Mischief, random: Random): Promise<void> {
  try {
    for (;;) {
      const payload = await from.next();
      // Keys are between one half and its puppet: a rekey is not relayed.
      if (payload[0] === MSG.DISCONNECT || payload[0] === MSG.KEXINIT) return;
      for (const piece of mischief.pieces(payload)) if (piece.length > 0) to.send(piece);
      if (mischief.invents()) to.send(madeUp(random));
    }
  } catch (error) {
    if (!(error instanceof PuppetAlone)) throw error;
  }
}

/**
 * One conversation; `percent` of what travels is touched (drawn from the seed where not given). Rejects, with the seed in
 * its message, when a half crashes, hangs or says it was at fault.
 */
export async function fuzz(seed: number, percent?: number): Promise<FuzzResult> {
  const random = seededRandom(seed);
  const kind = random.chance(50) ? fuzzBytes : fuzzMessages;
  const drawn = 1 + random.below(20);
  try {
    return await kind(random, percent ?? drawn);
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
