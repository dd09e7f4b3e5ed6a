/** The targets of a sweep as the journal keeps them: whoever goes on with it asks the same addresses, whatever names and files say by then. */
import { MyriadError } from '../contracts/errors.ts';
import { Addresses, type Family } from '../ping/addresses.ts';
import type { PingOptions } from './ping_options.ts';
import type { TargetGroup, Targets } from './ping_targets.ts';

interface StoredGroup {
  readonly family: Family;
  readonly starts: readonly number[];
  readonly words: readonly number[];
  readonly labels: readonly (readonly [index: number, label: string])[];
  readonly ports: readonly (readonly [from: number, port: number | null])[];
}

type StoredTargets = Pick<Targets, 'count' | 'nameless' | 'reserved' | 'unusable' | 'loopback'> & {
  readonly groups: readonly StoredGroup[];
};

export function storeTargets({ count, nameless, reserved, unusable, loopback, groups }: Targets): string {
  const stored: StoredTargets = {
    count,
    nameless,
    reserved,
    unusable,
    loopback,
    groups: groups.map(({ packed, labels, ports }) => ({
      family: packed.family,
      starts: [...packed.starts],
      words: [...packed.words],
      labels: [...labels],
      ports: ports.map(({ from, port }) => [from, port ?? null]),
    })),
  };
  return JSON.stringify(stored);
}

/** Throws MyriadError `journal` for what is none. */
export function restoreTargets(run: string, text: string): Targets {
  try {
    const { groups, ...rest } = JSON.parse(text) as StoredTargets;
    let base = 0;
    const restored = groups.map((group): TargetGroup => {
      const { family } = group;
      const packed = { family, starts: Float64Array.from(group.starts), words: Uint32Array.from(group.words) };
      const addresses = new Addresses(packed);
      const ports = group.ports.map(([from, port]) => ({ from, port: port ?? undefined }));
      const made = { packed, addresses, base, labels: new Map(group.labels), ports };
      base += addresses.count;
      return made;
    });
    if (base + rest.nameless.length !== rest.count) throw new RangeError('the counts differ');
    return { ...rest, groups: restored };
  } catch (cause) {
    throw new MyriadError('journal', `run ${run}: its targets are damaged`, { cause });
  }
}

/** What of the options is asked in the same way again; the rest is of the process that asks. */
const ASKED = [
  'level',
  'port',
  'count',
  'intervalMs',
  'timeoutMs',
  'retries',
  'rate',
  'order',
  'socket',
  'fanout',
] as const;
/** What cannot be another: results of both would stand side by side. */
const FIXED = ['level', 'port', 'count', 'retries'] as const;

export type StoredPing = Pick<PingOptions, (typeof ASKED)[number]>;

export function storeOptions(options: PingOptions): StoredPing {
  return Object.fromEntries(ASKED.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
}

/** Throws `usage` for what cannot be another. */
export function resumedOptions(run: string, stored: StoredPing, given: PingOptions): StoredPing {
  for (const name of FIXED) {
    if (given[name] === undefined || given[name] === stored[name]) continue;
    throw new MyriadError('usage', `${name}: run ${run} goes on as it was begun, so it cannot be changed`);
  }
  return { ...stored, ...storeOptions(given) };
}
