/** The way in which a group of addresses is asked: the first socket that can be had, fping, or TCP. */
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import { FpingSweep } from '../ping/fping.ts';
import { IcmpPing, NoIcmp } from '../ping/icmp.ts';
import { Skipped, type SkippedParts } from '../ping/skipped.ts';
import type { PingSweep } from '../ping/sweep.ts';
import { TcpPing } from '../ping/tcp.ts';
import { connectionLimit } from './descriptors.ts';
import type { ResolvedPing } from './ping_options.ts';
import { portAt, type TargetGroup } from './ping_targets.ts';
import { systemClock } from './system_clock.ts';

const TCP_FANOUT = 4_096;

export interface SweepOptions {
  readonly ping: ResolvedPing;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  /** What is settled, by its place in the whole sweep. */
  readonly skipped: SkippedParts | undefined;
  /** Identifications that have a number already. */
  readonly banners: readonly string[];
  warn(sentence: string): void;
}

export interface OpenSweep {
  readonly sweep: PingSweep;
  /** What asks: `raw ICMP socket`, `fping`. */
  readonly how: string;
  /** Identifications by their number; 0 is none. */
  readonly banners: readonly string[] | undefined;
}

export async function openSweep(group: TargetGroup, options: SweepOptions): Promise<OpenSweep> {
  const { level } = options.ping;
  return level === 'icmp' ? openIcmp(group, options) : openTcp(group, options, level === 'banner');
}

/** The first way to ping that can be had. */
async function openIcmp(group: TargetGroup, options: SweepOptions): Promise<OpenSweep> {
  const { rate, skipped: parts, ping } = options;
  const { rules, order, socket } = ping;
  const addresses = group.packed;
  if (socket === 'fping') {
    const fping = programPath('fping');
    if (fping) return openFping(fping, group, options);
    throw new MyriadError('usage', 'socket "fping": there is no program fping on PATH; install it');
  }
  try {
    const kinds = socket === 'auto' ? (['raw', 'datagram'] as const) : [socket];
    const skipped = parts && { parts, base: group.base };
    const sweep = await IcmpPing.start({ addresses, rules, rate, order, kinds, skipped });
    return { sweep, how: `${sweep.kind} ICMP socket`, banners: undefined };
  } catch (error) {
    if (!(error instanceof NoIcmp)) throw error;
    const why = error.reasons.join(', ');
    if (socket !== 'auto') throw new MyriadError('usage', `socket "${socket}" cannot be had: ${why}`);
    const ways = 'run it as root, or set net.ipv4.ping_group_range';
    const fping = programPath('fping');
    if (fping) {
      options.warn(`no ICMP socket of our own (${why}): fping asks instead, which is slower; ${ways}`);
      return openFping(fping, group, options);
    }
    options.warn(`no ICMP socket (${why}) and no fping: TCP port ${ping.port} is asked instead; ${ways}`);
    return openTcp(group, options, false);
  }
}

function openFping(program: string, group: TargetGroup, { rate, ping, skipped }: SweepOptions): OpenSweep {
  const { rules, order } = ping;
  const asked = { rules, rate, order, seed: randomBytes(4).readUInt32LE(), skipped: skippedOf(group, skipped) };
  return { sweep: new FpingSweep({ program, addresses: group.packed, ...asked }), how: 'fping', banners: undefined };
}

function openTcp(group: TargetGroup, options: SweepOptions, banner: boolean): OpenSweep {
  const { port, fanout, rules, order } = options.ping;
  const sweep = new TcpPing({
    addresses: group.packed,
    port: (index) => portAt(group, index) ?? port,
    banner,
    fanout: Math.min(connectionLimit(), fanout ?? TCP_FANOUT),
    rate: options.rate,
    timeoutMs: rules.timeout / 1000,
    order,
    clock: systemClock,
    seed: randomBytes(4).readUInt32LE(),
    skipped: skippedOf(group, options.skipped),
    known: options.banners,
  });
  return { sweep, how: banner ? 'SSH banners' : 'TCP connections', banners: sweep.banners };
}

function skippedOf({ base }: TargetGroup, parts: SkippedParts | undefined): Skipped | undefined {
  return parts && new Skipped(parts, base);
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
