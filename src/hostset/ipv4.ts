/** IPv4 blocks and ranges as trees over four octets: any size costs a few dozen edges. */
import { naturalSegments } from './segment.ts';
import { type Edge, LEAF, type Tree, treeOf } from './tree.ts';

/** The pattern of a dotted IPv4 address. */
export const IPV4_PATTERN = '%.%.%.%';

/** Bits below each level. */
const SHIFTS = [24, 16, 8, 0];

/** The 32-bit value of a dotted address; undefined where it is none. An octet has no padding, as inet_pton wants it. */
export function parseIPv4(text: string): number | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  let value = 0;
  for (const octet of octets) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) return undefined;
    value = value * 256 + Number(octet);
  }
  return value;
}

/** Every address from `low` to `high`, both included, ascending. Needs 0 ≤ low ≤ high < 2^32. */
export function ipv4Range(low: number, high: number): Tree {
  return octetsOf(low, high, 0);
}

/** Every address of the block of `bits` prefix bits that holds `address`; bits of the address below them are ignored. */
export function ipv4Block(address: number, bits: number): Tree {
  const size = 2 ** (32 - bits);
  const low = address - (address % size);
  return ipv4Range(low, low + size - 1);
}

/** The octets from `level` on, between two values of the bits that are left there. */
function octetsOf(low: number, high: number, level: number): Tree {
  const shift = SHIFTS[level];
  if (shift === undefined) return LEAF;
  const size = 2 ** shift;
  const [first, last] = [Math.floor(low / size), Math.floor(high / size)];
  const [restLow, restHigh] = [low % size, high % size];
  if (first === last) return treeOf(edgesOf(first, first, octetsOf(restLow, restHigh, level + 1)))!;
  const whole = octetsOf(0, size - 1, level + 1);
  const from = restLow === 0 ? whole : octetsOf(restLow, size - 1, level + 1);
  const to = restHigh === size - 1 ? whole : octetsOf(0, restHigh, level + 1);
  return treeOf([...edgesOf(first, first, from), ...edgesOf(first + 1, last - 1, whole), ...edgesOf(last, last, to)])!;
}

function edgesOf(low: number, high: number, child: Tree): Edge[] {
  return naturalSegments(low, high, 1).map((segment) => ({ segment, child }));
}
