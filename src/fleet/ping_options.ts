/** The options of a sweep: one place applies the defaults and refuses what cannot be taken. */
import { MyriadError } from '../contracts/errors.ts';
import type { BlockRules } from '../ping/block.ts';
import type { FleetOptions } from './options.ts';
import { SELECTION_OPTIONS, type SelectionOptions } from './selection_options.ts';

export interface PingOptions
  extends SelectionOptions,
    Pick<FleetOptions, 'hosts' | 'hostFiles' | 'exclude' | 'from' | 'family' | 'resolver'> {
  /**
   * `icmp`: an echo request is answered · `tcp`: a connection is accepted · `banner`: and an SSH server says what it is.
   * @default 'icmp'
   */
  readonly level?: 'icmp' | 'tcp' | 'banner';
  /** Of `tcp` and `banner`, where none is written with the host. @default 22 */
  readonly port?: number;
  /** Probes for each address, answered or not. @default 1 */
  readonly count?: number;
  /** Between two probes for an address, in milliseconds. @default 1000 */
  readonly intervalMs?: number;
  /** How long an answer is waited for, in milliseconds. @default 1000 */
  readonly timeoutMs?: number;
  /** Further probes for addresses that have not answered within the timeout. Not with `count`. @default 0 */
  readonly retries?: number;
  /** Probes per second; `max`: as many as go. @default 2,000, and 50,000 where all is loopback */
  readonly rate?: number | 'max';
  /** `random`: neighbours are not asked one after the other. @default 'random' */
  readonly order?: 'random' | 'input';
  /** Leaves out the network and the broadcast address of each CIDR block that was written. @default false */
  readonly usable?: boolean;
  /** The socket for `icmp`, or the program. `auto`: the first that can be had, and TCP where none can. @default 'auto' */
  readonly socket?: 'auto' | 'raw' | 'datagram' | 'fping';
  /** TCP connections at once. @default 4,096, or what descriptors leave */
  readonly fanout?: number;
  /**
   * Records the progress, there or in the usual folder, so that the sweep can be resumed; `from` and `resume` look there, too.
   * @default false
   */
  readonly journal?: boolean | string;
  /** A recorded sweep to go on with: its id, `last` or `-N`. Nothing else says which hosts; level, port and probes are its own. */
  readonly resume?: string;
  /** The command line, for the record. @default process.argv */
  readonly argv?: readonly string[];
  /** Stops the sweep: what was sent has its time to be answered. */
  readonly signal?: AbortSignal;
}

const PING_OPTIONS: readonly (keyof PingOptions)[] = [
  'hosts',
  'hostFiles',
  'exclude',
  'from',
  'journal',
  'family',
  'resolver',
  ...SELECTION_OPTIONS,
  'level',
  'port',
  'count',
  'intervalMs',
  'timeoutMs',
  'retries',
  'rate',
  'order',
  'usable',
  'socket',
  'fanout',
  'resume',
  'argv',
  'signal',
];

export interface ResolvedPing {
  readonly level: 'icmp' | 'tcp' | 'banner';
  readonly port: number;
  readonly rules: BlockRules;
  /** Probes per second; undefined: as it is usual for what is asked. */
  readonly rate: number | undefined;
  readonly order: 'random' | 'input';
  readonly socket: 'auto' | 'raw' | 'datagram' | 'fping';
  readonly fanout: number | undefined;
}

const MAX_PROBES = 10_000;
/** Times on the wire are 32 bits of microseconds, and are compared with signs. */
const MAX_MS = 600_000;

/** Throws `usage` for an option that there is not. */
export function refuseUnknown(options: PingOptions): void {
  for (const name of Object.keys(options)) {
    if (PING_OPTIONS.includes(name as keyof PingOptions)) continue;
    throw new MyriadError('usage', `ping: unknown option "${name}"; known are ${PING_OPTIONS.join(', ')}`);
  }
}

/** Throws `usage`. */
export function resolvePing(options: PingOptions): ResolvedPing {
  refuseUnknown(options);
  const { level = 'icmp', order = 'random', socket = 'auto' } = options;
  oneOf('level', level, ['icmp', 'tcp', 'banner']);
  oneOf('order', order, ['random', 'input']);
  oneOf('socket', socket, ['auto', 'raw', 'datagram', 'fping']);
  const count = integer('count', options.count ?? 1, 1, MAX_PROBES);
  const retries = integer('retries', options.retries ?? 0, 0, MAX_PROBES);
  if (count > 1 && retries > 0) throw new MyriadError('usage', 'count and retries: give one of them');
  if (level !== 'icmp' && (count > 1 || retries > 0))
    throw new MyriadError('usage', `count and retries go with level icmp, not with ${level}`);
  if (level !== 'icmp' && socket !== 'auto')
    throw new MyriadError('usage', `socket "${socket}" goes with level icmp, not with ${level}`);
  const timeout = 1000 * number('timeoutMs', options.timeoutMs ?? 1000, MAX_MS);
  const interval = 1000 * number('intervalMs', options.intervalMs ?? 1000, MAX_MS);
  const { rate, fanout } = options;
  return {
    level,
    port: integer('port', options.port ?? 22, 1, 65_535),
    rules: {
      passes: Math.max(count, 1 + retries),
      mode: count > 1 ? 'count' : 'retry',
      gap: count > 1 ? interval : timeout,
      timeout,
    },
    rate: rate === 'max' ? Number.POSITIVE_INFINITY : rate === undefined ? undefined : number('rate', rate),
    order,
    socket,
    fanout: fanout === undefined ? undefined : integer('fanout', fanout, 1, 1_000_000),
  };
}

function oneOf(name: string, value: string, words: readonly string[]): void {
  if (words.includes(value)) return;
  throw new MyriadError('usage', `${name}: expected one of ${words.join(', ')}, got "${value}"`);
}

function integer(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new MyriadError('usage', `${name}: expected a whole number from ${least} to ${most}, got ${value}`);
}

function number(name: string, value: number, most = Number.MAX_VALUE): number {
  if (typeof value === 'number' && value > 0 && value <= most) return value;
  throw new MyriadError(
    'usage',
    `${name}: expected a number above 0${most === MAX_MS ? ` and up to ${most}` : ''}, got ${value}`,
  );
}
