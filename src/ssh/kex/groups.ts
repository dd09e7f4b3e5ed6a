/**
 * Diffie-Hellman in groups of a prime's integers: RFC 4253 §8, with the fixed groups of RFC 8268, and in groups that the
 * server brings along (RFC 4419, in `GroupBounds`). One exponentiation takes 0.3 to 13 ms, all on the thread pool.
 */
import { getDiffieHellman } from 'node:crypto';
import { protocolError, SshError } from '../errors.ts';
import { dhPublicKey, dhPublicValue } from './der.ts';
import type { GroupedKex, KexHash, PoolHalves, PoolKex } from './method.ts';
import { agree, dhKeyPair } from './pool.ts';

/** Both as mpints have them: big-endian, a zero byte before a first bit. */
export interface Group {
  readonly prime: Buffer;
  readonly generator: Buffer;
}

/** As an mpint has it. */
function positive(bytes: Buffer): Buffer {
  return bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
}

const fixedGroups = new Map<string, Group>();

/** The groups of RFC 2409 and 3526, by Node's names for them; made with the first connection that needs one. */
function fixedGroup(name: string): Group {
  let group = fixedGroups.get(name);
  if (group === undefined) {
    const dh = getDiffieHellman(name);
    group = { prime: positive(dh.getPrime()), generator: positive(dh.getGenerator()) };
    fixedGroups.set(name, group);
  }
  return group;
}

/** One that an mpint can have, without zeros that it does not need. */
function isPositive(content: Buffer): boolean {
  const first = content[0];
  return first !== undefined && first < 0x80 && (first > 0 || content[1]! >= 0x80);
}

function numberOf(mpint: Buffer): bigint {
  return mpint.length === 0 ? 0n : BigInt(`0x${mpint.toString('hex')}`);
}

/** RFC 8268 §4: 1 and p-1 and whatever is outside of them give the secret away. */
function checkValue(what: string, value: Buffer, { prime }: Group, p: bigint): void {
  if (value.length > prime.length || !isPositive(value)) throw protocolError(`expected ${what} as a positive mpint`);
  const number = numberOf(value);
  if (number <= 1n || number >= p - 1n) throw protocolError(`expected ${what} between 1 and p-1`);
}

/** Both halves in this group. */
export function halvesOf(group: Group): PoolHalves {
  const { prime, generator } = group;
  const p = numberOf(prime);
  const begin = async () => {
    const { publicKey, privateKey } = await dhKeyPair(prime, Number(numberOf(generator)));
    return {
      publicValue: dhPublicValue(publicKey),
      async agree(peer: Buffer) {
        checkValue('a public value', peer, group, p);
        let secret: Buffer;
        try {
          secret = await agree(privateKey, dhPublicKey(prime, generator, peer));
        } catch (cause) {
          throw new SshError('protocol', 'expected a public value of the group', {}, { cause });
        }
        const shared = numberOf(secret);
        if (shared <= 1n || shared >= p - 1n) throw protocolError('expected a shared secret between 1 and p-1');
        return secret;
      },
    };
  };
  return {
    async client() {
      const { publicValue, agree } = await begin();
      return { init: publicValue, finish: agree };
    },
    async server(init) {
      const { publicValue, agree } = await begin();
      return { reply: publicValue, secret: await agree(init) };
    },
  };
}

function fixed(name: string, group: string, hash: KexHash): PoolKex {
  return {
    name,
    kind: 'pool',
    hash,
    secretAs: 'mpint',
    client: () => halvesOf(fixedGroup(group)).client(),
    server: (init) => halvesOf(fixedGroup(group)).server(init),
  };
}

const GROUP_EXCHANGE: GroupedKex = {
  name: 'diffie-hellman-group-exchange-sha256',
  kind: 'grouped',
  hash: 'sha256',
  secretAs: 'mpint',
};

export const GROUPS = [
  fixed('diffie-hellman-group14-sha256', 'modp14', 'sha256'),
  fixed('diffie-hellman-group16-sha512', 'modp16', 'sha512'),
  GROUP_EXCHANGE,
] as const;

/** Broken or nearly so: for old network gear, and only where the user names it. */
export const LEGACY_GROUPS = [
  fixed('diffie-hellman-group14-sha1', 'modp14', 'sha1'),
  fixed('diffie-hellman-group1-sha1', 'modp2', 'sha1'),
] as const;

/** Bits of a prime: what a client asks for, RFC 4419 §3. */
export interface GroupBounds {
  readonly least: number;
  readonly wanted: number;
  readonly most: number;
}

/** 3072 bits are worth a cipher of 128 (NIST SP 800-57), and cost 6 ms a step on the thread pool; 4096 cost 13. */
export const GROUP_BOUNDS: GroupBounds = { least: 2048, wanted: 3072, most: 4096 };

/** What has no factor below 256 passes for a prime in one of ten cases. */
const SMALL_PRIMES = Array.from({ length: 127 }, (_, i) => 2 * i + 3).filter((odd) =>
  [3, 5, 7, 11, 13].every((prime) => odd === prime || odd % prime !== 0),
);
const PRIMORIAL = SMALL_PRIMES.reduce((product, prime) => product * BigInt(prime), 1n);

/**
 * A group that a server brought along, once it may be one: a safe prime within `bounds`, as far as a division tells. A proof costs
 * seconds (0.3 s for 2048 bits, 3 for 4096), and would be one of the server's honesty, whose host key signs the prime anyway.
 * Throws `protocol`.
 */
export function checkGroup(group: Group, bounds: GroupBounds): void {
  const { least, most } = bounds;
  if (group.prime.length > most / 8 + 1 || !isPositive(group.prime)) {
    throw protocolError(`expected a prime of ${least} to ${most} bits`);
  }
  const prime = numberOf(group.prime);
  const bits = prime.toString(2).length;
  if (bits < least || bits > most) throw protocolError(`expected a prime of ${least} to ${most} bits, got ${bits}`);
  const rest = prime % PRIMORIAL;
  // Safe: (p-1)/2 is a prime too, so that no small subgroup gives bits of our key away.
  const safe = prime % 4n === 3n && SMALL_PRIMES.every((small) => rest % BigInt(small) > 1n);
  if (!safe) throw protocolError('expected a safe prime');
  const short = group.generator.length <= 4 && isPositive(group.generator);
  const generator = short ? numberOf(group.generator) : 0n;
  // node:crypto takes 31 bits; those of sshd's moduli are 2 and 5.
  if (generator < 2n || generator > 0x7fffffffn) throw protocolError('expected a generator of 2 to 2147483647');
}

/** The server half's: the smallest of RFC 3526 that has the bits wanted, or the largest allowed. Throws `protocol`. */
export function chooseGroup({ least, wanted, most }: GroupBounds): Group {
  const sizes = [2048, 3072, 4096].filter((bits) => bits >= least && bits <= most);
  const bits = sizes.find((size) => size >= wanted) ?? sizes.at(-1);
  if (bits === undefined || least > most) throw protocolError(`expected a group of 2048 to 4096 bits to be allowed`);
  return fixedGroup({ 2048: 'modp14', 3072: 'modp15', 4096: 'modp16' }[bits]!);
}
