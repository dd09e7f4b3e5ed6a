/** What a sweep asks: the addresses of a selection, as ranges; names are resolved before it starts. */
import { isIPv4, isIPv6 } from 'node:net';
import { MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import type { HostSet } from '../hostset/hostset.ts';
import { parseIPv4 } from '../hostset/ipv4.ts';
import { isRun, runsOf } from '../hostset/ranges.ts';
import { Addresses, type AddressRange, type Family, type PackedAddresses, packAddresses } from '../ping/addresses.ts';
import type { NameResolver } from '../transport/native/resolver.ts';

/** Names that are asked about at once. */
const NAMES_AT_ONCE = 256;
/** Most addresses of one sweep: all of IPv4. */
const MOST = 2 ** 32;

/** Special-purpose blocks (RFC 6890) that no host answers from. */
const RESERVED: readonly (readonly [address: string, bits: number])[] = [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.2.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** Addresses of one family in their order, with what they were called. */
export interface TargetGroup {
  readonly packed: PackedAddresses;
  readonly addresses: Addresses;
  /** Index of the first of them in the sweep. */
  readonly base: number;
  /** Labels that are not the address itself, by index within the group. */
  readonly labels: ReadonlyMap<number, string>;
  /** Ports that were written, by range: `from` the index within the group from which one holds; undefined: none. */
  readonly ports: readonly { readonly from: number; readonly port: number | undefined }[];
}

export interface Targets {
  readonly count: number;
  /** IPv4 before IPv6. */
  readonly groups: readonly TargetGroup[];
  /** Hosts whose name has no address; their indices come last. */
  readonly nameless: readonly string[];
  /** Addresses that were left out: of reserved blocks, and network and broadcast addresses. */
  readonly reserved: number;
  readonly unusable: number;
  /** Whether all of it is this machine. */
  readonly loopback: boolean;
}

export interface TargetOptions {
  /** The texts of the host sets: they say where a network begins and ends. */
  readonly texts: readonly string[];
  /** Leaves out the first and the last address of each CIDR block that was written. */
  readonly usable: boolean;
  readonly family: Family | undefined;
}

interface Run {
  readonly low: number;
  readonly count: number;
  readonly port: number | undefined;
  readonly label?: string | undefined;
}

interface Run6 {
  readonly low: readonly number[];
  readonly port: number | undefined;
  readonly label: string;
}

/** Where the host at `index` stands: in a group, or among those without an address. */
function placeOf({ groups, count, nameless }: Targets, index: number): { group: TargetGroup | undefined; at: number } {
  for (const group of groups) {
    if (index < group.base + group.addresses.count) return { group, at: index - group.base };
  }
  return { group: undefined, at: index - (count - nameless.length) };
}

/** The address, or the host as it was written. */
export function labelOf(targets: Targets, index: number): string {
  const { group, at } = placeOf(targets, index);
  if (!group) return targets.nameless[at]!;
  const port = portAt(group, at);
  return group.labels.get(at) ?? `${group.addresses.text(at)}${port === undefined ? '' : `:${port}`}`;
}

/** The IPv4 address at `index` as a number, where it is what the host is called: what can be folded. */
export function numberOf(targets: Targets, index: number): number | undefined {
  const { group, at } = placeOf(targets, index);
  if (!group || group.addresses.size === 4 || group.labels.has(at) || portAt(group, at)) return undefined;
  group.addresses.find(at);
  return group.addresses.found[0];
}

/** The port that was written with the host at `index` of a group. */
export function portAt({ ports }: TargetGroup, index: number): number | undefined {
  let [low, high] = [0, ports.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ports[middle]!.from <= index) low = middle + 1;
    else high = middle;
  }
  return ports[low - 1]?.port;
}

/** Resolves names, takes out what is not to be asked. Throws `empty-selection` where nothing is left, `usage` for too many. */
export async function targetsOf(hosts: HostSet, resolver: NameResolver, options: TargetOptions): Promise<Targets> {
  const four: Run[] = [];
  const six: Run6[] = [];
  const names: Host[] = [];
  for (const part of runsOf(hosts)) {
    if (isRun(part)) four.push(part);
    else if (isIPv4(part.name)) four.push(runOf(part, part.name));
    else if (isIPv6(part.name)) six.push(run6Of(part, part.name));
    else names.push(part);
  }
  const nameless = await resolveAll(names, resolver, options.family, four, six);
  const wanted4 = options.family === 6 ? [] : four;
  const wanted6 = options.family === 4 ? [] : six;
  const asked = without(wanted4, reservedIn(wanted4));
  const kept = options.usable ? without(asked.runs, edges(options.texts)) : { runs: asked.runs, taken: 0 };
  const groups: TargetGroup[] = [];
  if (kept.runs.length > 0) groups.push(group(4, kept.runs, 0));
  if (wanted6.length > 0) groups.push(group(6, wanted6, groups[0]?.addresses.count ?? 0));
  const count = groups.reduce((sum, { addresses }) => sum + addresses.count, nameless.length);
  if (count === 0) throw new MyriadError('empty-selection', 'nothing is left to ask: all addresses were left out');
  if (count > MOST) throw new MyriadError('usage', `${count} addresses: a sweep has at most ${MOST}`);
  const loopback =
    wanted4.every(isLoopback) && wanted6.every(({ low }) => low.every((word, i) => word === (i === 7 ? 1 : 0)));
  return { count, groups, nameless, reserved: asked.taken, unusable: kept.taken, loopback };
}

function isLoopback({ low, count }: Run): boolean {
  return low >= 0x7f000000 && low + count <= 0x80000000;
}

function runOf(host: Host, address: string): Run {
  const label = host.label === address ? undefined : host.label;
  return { low: parseIPv4(address)!, count: 1, port: host.port, label };
}

function run6Of(host: Host, address: string): Run6 {
  return { low: groupsOf(address), port: host.port, label: host.label };
}

/** The eight groups of an IPv6 address; a zone is left out. */
function groupsOf(address: string): number[] {
  const bare = address.split('%')[0]!;
  const [head, tail] = new URL(`http://[${bare}]/`).hostname.slice(1, -1).split('::');
  const words = (text: string | undefined) => (text ? text.split(':').map((word) => Number.parseInt(word, 16)) : []);
  const [first, last] = [words(head), words(tail)];
  if (tail === undefined) return first;
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** Gives each name its first address; those without one are told. */
async function resolveAll(
  names: readonly Host[],
  resolver: NameResolver,
  family: Family | undefined,
  four: Run[],
  six: Run6[],
): Promise<string[]> {
  const found = new Array<string | undefined>(names.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < names.length; i = next++) {
      try {
        const addresses = await resolver.resolve(names[i]!.name, family ?? 'any');
        // IPv4 first: it is what an address range next to it is asked by.
        found[i] = addresses.find(isIPv4) ?? addresses[0];
      } catch {
        found[i] = undefined;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(NAMES_AT_ONCE, names.length) }, lane));
  const nameless: string[] = [];
  names.forEach((host, i) => {
    const address = found[i];
    if (address === undefined) nameless.push(host.label);
    else if (isIPv4(address)) four.push(runOf(host, address));
    else six.push(run6Of(host, address));
  });
  return nameless;
}

function group(family: Family, runs: readonly (Run | Run6)[], base: number): TargetGroup {
  const ranges: AddressRange[] = [];
  const labels = new Map<number, string>();
  const ports: { from: number; port: number | undefined }[] = [];
  let count = 0;
  for (const run of runs) {
    const size = 'count' in run ? run.count : 1;
    if (run.label !== undefined) labels.set(count, run.label);
    if (ports.length === 0 || ports.at(-1)!.port !== run.port) ports.push({ from: count, port: run.port });
    const last = ranges.at(-1);
    if (last && typeof last.low === 'number' && typeof run.low === 'number' && last.low + last.count === run.low)
      ranges[ranges.length - 1] = { low: last.low, count: last.count + size };
    else ranges.push({ low: run.low, count: size });
    count += size;
  }
  const packed = packAddresses(family, ranges);
  return { packed, addresses: new Addresses(packed), base, labels, ports };
}

/** Reserved blocks that lie within a run that is wider: whoever writes the block itself, or a part of it, means it. */
function reservedIn(runs: readonly Run[]): Run[] {
  return RESERVED.flatMap(([address, bits]) => {
    const block = { low: parseIPv4(address)!, count: 2 ** (32 - bits), port: undefined };
    const wider = runs.some(
      ({ low, count }) => low <= block.low && low + count >= block.low + block.count && count > block.count,
    );
    return wider ? [block] : [];
  });
}

/** The network and the broadcast address of each CIDR block in the texts. */
function edges(texts: readonly string[]): Run[] {
  const runs: Run[] = [];
  for (const text of texts) {
    for (const [, address, bits] of text.matchAll(/(?<![\w.])(\d+\.\d+\.\d+\.\d+)\/(\d+)/g)) {
      const value = parseIPv4(address!);
      const size = 2 ** (32 - Number(bits));
      if (value === undefined || Number(bits) > 30) continue;
      const low = value - (value % size);
      runs.push({ low, count: 1, port: undefined }, { low: low + size - 1, count: 1, port: undefined });
    }
  }
  return runs;
}

/** The runs without those that are taken out, and how many addresses that were. */
function without(runs: readonly Run[], out: readonly Run[]): { runs: readonly Run[]; taken: number } {
  if (out.length === 0) return { runs, taken: 0 };
  const cuts = out.toSorted((a, b) => a.low - b.low);
  let taken = 0;
  const kept = runs.flatMap((run) => {
    const parts: Run[] = [];
    let low = run.low;
    const end = run.low + run.count;
    for (const cut of cuts) {
      const from = Math.max(low, cut.low);
      const to = Math.min(end, cut.low + cut.count);
      if (from >= to) continue;
      taken += to - from;
      if (from > low) parts.push({ ...run, low, count: from - low });
      low = to;
    }
    if (low < end) parts.push({ ...run, low, count: end - low });
    return parts;
  });
  return { runs: kept, taken };
}
