/** The options of a fleet and of a run: what callers may give, and the resolved form with every default applied. */
import { MyriadError } from '../contracts/errors.ts';
import type { RunListener } from '../contracts/events.ts';
import { DEFAULT_DEADLINES, type Deadlines, type Gather, type Limits } from '../contracts/limits.ts';
import type { HostKeyPolicy } from '../ssh/host_key_policy.ts';
import { connectionLimit } from './descriptors.ts';

/** Which hosts, how to reach them, how many at once. */
export interface FleetOptions {
  /** Host sets, such as `web[1-100].example.org`, `10.0.0.0/24` or `deploy@db1:2222`. */
  readonly hosts?: string | readonly string[];
  /** Files with one host set a line; blank lines and `#` comments are skipped. */
  readonly hostFiles?: string | readonly string[];
  /** Host sets to leave out; one that matches nothing is an error. */
  readonly exclude?: string | readonly string[];
  /** Login name of hosts that name none. @default the local user's */
  readonly user?: string;
  /** Port of hosts that name none. @default 22 */
  readonly port?: number;
  /** Which addresses of a name. @default 'any' */
  readonly family?: 'any' | 4 | 6;
  /** How names become addresses: `dns`: own queries · `system`: the machine's nsswitch. @default 'dns' */
  readonly resolver?: 'dns' | 'system';
  /** Jump hosts on the way, `[user@]host[:port]`, the nearest first, with commas. @default none */
  readonly jump?: string;
  /** The SSH agent's socket; false: none. Its keys are tried before the default files. @default $SSH_AUTH_SOCK */
  readonly agent?: string | false;
  /** Private key files, OpenSSH or PEM. @default the agent's keys, then id_rsa, id_ecdsa and id_ed25519 in ~/.ssh, as far as they are there */
  readonly identity?: string | readonly string[];
  /** Asked once per encrypted key file of `identity`. @default encrypted keys are refused */
  readonly passphrase?: string | ((file: string) => string | Promise<string>);
  /** Tried after the keys of `identity`; without `identity`, instead of any key. */
  readonly password?: string;
  /** `strict`: known keys only · `accept-new`: learns new ones · `off`: any key. @default 'strict' */
  readonly hostKeys?: HostKeyPolicy;
  /** known_hosts files; new keys go to the first. @default ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts */
  readonly knownHosts?: string | readonly string[];
  /** Tasks in progress at once. @default 'auto': 512, or what the descriptor limit leaves */
  readonly fanout?: number | 'auto';
  /** Key exchanges and logins at once. @default 64 */
  readonly handshakes?: number;
  /** Connections not yet authenticated per address: under sshd's MaxStartups. @default 8 */
  readonly perAddress?: number;
  /** Tries after the first, for causes that pass and come before the job can have begun. @default 3 */
  readonly retries?: number;
  /** Per phase, in milliseconds; null: none. @default see DEFAULT_DEADLINES */
  readonly deadlines?: Partial<Deadlines>;
}

/** One run on the hosts of a fleet. */
export interface RunOptions {
  /** How output is kept. @default 'collect' */
  readonly gather?: Exclude<Gather, 'file'>;
  /** Bytes kept per host over both streams. @default 1 MiB */
  readonly maxOutput?: number;
  /** Tasks per host; `{i}` counts them from 1 in templates. @default 1 */
  readonly repeat?: number;
  /** Replaces `{host} {name} {user} {port} {rank} {count} {i}` in the command, shell-quoted. @default false */
  readonly template?: boolean;
  /** Exit statuses that are `ok`; `none`: a missing status is, too. @default [0] */
  readonly okStatus?: readonly (number | 'none')[];
  /** Sent to every host's stdin. @default stdin is empty */
  readonly stdin?: Uint8Array;
  /** The command's deadline in milliseconds. @default that of the fleet: none */
  readonly commandMs?: number | null;
  /** The deadline without output in milliseconds. @default that of the fleet: none */
  readonly idleMs?: number | null;
  /** The whole run's deadline in milliseconds. @default that of the fleet: none */
  readonly runMs?: number | null;
  /** After the status, how long silent output is waited for, in milliseconds. @default 2000 */
  readonly lingerMs?: number;
  /** Between TERM and KILL when a task is stopped, in milliseconds. @default 2000 */
  readonly graceMs?: number;
  /** Stops the run: what runs is ended, the rest is `not-run`. */
  readonly signal?: AbortSignal;
  /** Hears every event of the run. */
  readonly listener?: RunListener;
}

const FLEET_OPTIONS: readonly (keyof FleetOptions)[] = [
  'hosts',
  'hostFiles',
  'exclude',
  'user',
  'port',
  'family',
  'resolver',
  'jump',
  'agent',
  'identity',
  'passphrase',
  'password',
  'hostKeys',
  'knownHosts',
  'fanout',
  'handshakes',
  'perAddress',
  'retries',
  'deadlines',
];

const RUN_OPTIONS: readonly (keyof RunOptions)[] = [
  'gather',
  'maxOutput',
  'repeat',
  'template',
  'okStatus',
  'stdin',
  'commandMs',
  'idleMs',
  'runMs',
  'lingerMs',
  'graceMs',
  'signal',
  'listener',
];

/** Connection limits of a fleet, every default applied; `fanout` is settled per run. */
export interface ResolvedFleet {
  readonly port: number;
  readonly policy: HostKeyPolicy;
  readonly limits: Omit<Limits, 'fanout'>;
  readonly fanout: number | 'auto';
}

const AUTO_FANOUT = 512;

/** Throws `usage` for unknown options and values that cannot be taken. */
export function resolveFleet(options: FleetOptions): ResolvedFleet {
  refuseUnknown('fleet', options, FLEET_OPTIONS);
  const connections = connectionLimit();
  const policy = options.hostKeys ?? 'strict';
  if (!['strict', 'accept-new', 'off'].includes(policy)) {
    throw new MyriadError('usage', `hostKeys: expected strict, accept-new or off, got "${policy}"`);
  }
  const { fanout = 'auto' } = options;
  if (fanout !== 'auto') integer('fanout', fanout, 1);
  const deadlines = { ...DEFAULT_DEADLINES };
  for (const [name, value] of Object.entries(options.deadlines ?? {})) {
    if (!(name in DEFAULT_DEADLINES)) throw new MyriadError('usage', `deadlines: unknown deadline "${name}"`);
    duration(`deadlines.${name}`, value);
    Object.assign(deadlines, { [name]: value });
  }
  return {
    port: integer('port', options.port ?? 22, 1, 65_535),
    policy,
    fanout,
    limits: {
      handshakes: integer('handshakes', options.handshakes ?? 64, 1),
      perAddress: integer('perAddress', options.perAddress ?? 8, 1),
      connections,
      patienceMs: 250,
      deadlines,
      retries: integer('retries', options.retries ?? 3, 0),
    },
  };
}

/** What a run needs beyond its job and plan. */
export interface ResolvedRun {
  readonly limits: Limits;
  readonly gather: Exclude<Gather, 'file'>;
  readonly maxOutput: number;
  readonly repeat: number;
  readonly lingerMs: number;
  readonly graceMs: number;
}

/** Throws `usage` for unknown options and values that cannot be taken. */
export function resolveRun(fleet: ResolvedFleet, options: RunOptions): ResolvedRun {
  refuseUnknown('run', options, RUN_OPTIONS);
  const { deadlines } = fleet.limits;
  const fanout = fleet.fanout === 'auto' ? Math.min(AUTO_FANOUT, fleet.limits.connections) : fleet.fanout;
  return {
    limits: {
      ...fleet.limits,
      fanout,
      deadlines: {
        ...deadlines,
        commandMs: duration('commandMs', options.commandMs === undefined ? deadlines.commandMs : options.commandMs),
        idleMs: duration('idleMs', options.idleMs === undefined ? deadlines.idleMs : options.idleMs),
        runMs: duration('runMs', options.runMs === undefined ? deadlines.runMs : options.runMs),
      },
    },
    gather: options.gather ?? 'collect',
    maxOutput: integer('maxOutput', options.maxOutput ?? 1024 * 1024, 0),
    repeat: integer('repeat', options.repeat ?? 1, 1),
    lingerMs: integer('lingerMs', options.lingerMs ?? 2000, 0),
    graceMs: integer('graceMs', options.graceMs ?? 2000, 0),
  };
}

function refuseUnknown(what: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new MyriadError('usage', `${what}: unknown option "${name}"; known are ${known.join(', ')}`);
    }
  }
}

function integer(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new MyriadError('usage', `${name}: expected a whole number ${range}, got ${value}`);
}

function duration(name: string, value: unknown): number | null {
  if (value === null) return null;
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw new MyriadError('usage', `${name}: expected milliseconds above 0, or null for none, got ${value}`);
}
