/** The options of a fleet and of a run: what callers may give, and the resolved form with every default applied. */
import { MyriadError } from '../contracts/errors.ts';
import type { RunListener } from '../contracts/events.ts';
import { DEFAULT_DEADLINES, type Deadlines, type Gather, type Limits } from '../contracts/limits.ts';
import type { Variables } from '../jobs/template.ts';
import type { HostKeyPolicy } from '../ssh/host_key_policy.ts';
import type { WarmOptions } from '../transport/native/warm_pool.ts';
import { type AskedLimits, adaptation, resolveRate } from './adaptation.ts';
import { connectionLimit } from './descriptors.ts';
import { EXECUTION_OPTIONS, type ExecutionOptions } from './execution.ts';
import { JOURNALING_OPTIONS, type JournalingOptions, RECORD_OPTIONS, type RecordOptions } from './journal_options.ts';
import { LOCK_OPTIONS } from './lock.ts';
import type { AnswerSource, PasswordSource } from './passwords.ts';
import { POLL_OPTIONS, type PollOptions } from './polling/options.ts';
import { AID_OPTIONS, type AidOptions } from './run_aids.ts';
import { SELECTION_OPTIONS, type SelectionOptions } from './selection_options.ts';
import { resolveWarm, WARM_OPTIONS, type WarmFleetOptions } from './warm.ts';
import { WAVE_OPTIONS, type WaveOptions } from './waves.ts';

/** Which hosts, how to reach them, how many at once. */
export interface FleetOptions extends SelectionOptions, WarmFleetOptions, JournalingOptions {
  /** Host sets, such as `web[1-100].example.org`, `10.0.0.0/24` or `deploy@db1:2222`. */
  readonly hosts?: string | readonly string[];
  /** Files with one host set a line; blank lines and `#` comments are skipped. */
  readonly hostFiles?: string | readonly string[];
  /** Host sets to leave out; one that matches nothing is an error. */
  readonly exclude?: string | readonly string[];
  /** Login name of hosts that name none. @default as ssh_config says, else the local user's */
  readonly user?: string;
  /** Port of hosts that name none. @default as ssh_config says, else 22 */
  readonly port?: number;
  /** Which addresses of a name. @default as ssh_config says, else 'any' */
  readonly family?: 'any' | 4 | 6;
  /** How names become addresses: `dns`: own queries · `system`: the machine's nsswitch. @default 'dns' */
  readonly resolver?: 'dns' | 'system';
  /** ssh_config: a file instead of the usual two, or `none`. @default ~/.ssh/config and /etc/ssh/ssh_config */
  readonly config?: string;
  /** Options as ssh_config has them, `Keyword=value`; they count before the files. */
  readonly configOptions?: readonly string[];
  /** `auto`: our own client, and the ssh program for hosts whose configuration wants what only that has. @default 'auto' */
  readonly transport?: 'auto' | 'native' | 'openssh';
  /** Jump hosts on the way, `[user@]host[:port]`, the nearest first, with commas; `none`. @default as ssh_config says */
  readonly jump?: string;
  /** The SSH agent's socket; false: none. @default as ssh_config says, else $SSH_AUTH_SOCK */
  readonly agent?: string | false;
  /** Private key files, OpenSSH or PEM: these and no others. @default what ssh_config and the agent have, in OpenSSH's order */
  readonly identity?: string | readonly string[];
  /** Asked once per encrypted key file of `identity`. @default encrypted keys are refused */
  readonly passphrase?: string | ((file: string) => string | Promise<string>);
  /** One for all, or asked for per host. Tried after the keys of `identity`; without `identity`, instead of any key. */
  readonly password?: PasswordSource;
  /** As `password`: the first line of a file that nobody else may read. */
  readonly passwordFile?: string;
  /** As `password`: what a command line prints, run here by /bin/sh; with `{host}`, `{name}`, `{user}` or `{port}` once per host. */
  readonly passwordCommand?: string;
  /** Answers keyboard-interactive questions that a password does not. @default nobody does */
  readonly answer?: AnswerSource;
  /** `strict`: known keys only · `accept-new`: learns new ones · `off`: any key. @default as ssh_config says, else 'strict' */
  readonly hostKeys?: HostKeyPolicy;
  /** known_hosts files; new keys go to the first. @default as ssh_config says, else the usual four */
  readonly knownHosts?: string | readonly string[];
  /**
   * Tasks in progress at once. `auto`: 512 at first, or what the descriptor limit leaves; more while that helps, fewer where
   * something gives way. @default 'auto'
   */
  readonly fanout?: number | 'auto';
  /**
   * Logins per second; `max`: any number. @default with `fanout` auto and hosts off loopback 50 at first, and twice as many each
   * second while they stay fast; else `max`
   */
  readonly rate?: number | 'max';
  /**
   * Threads that talk to hosts; 1: the main thread does. `auto`: one less than there are cores, where a run has 2,000 tasks for each.
   * Split between them are `fanout`, `rate`, `handshakes` and `perAddress`, so that a small one of these makes them fewer. @default 'auto'
   */
  readonly threads?: number | 'auto';
  /** Key exchanges and logins at once. @default 64 at first, more while that helps */
  readonly handshakes?: number;
  /** Connections not yet authenticated per address: under sshd's MaxStartups. @default 8 */
  readonly perAddress?: number;
  /**
   * Tries after the first, for causes that pass and come before the job can have begun. Where it is given, a host that was silent for a
   * whole connect deadline is tried again, too. @default 3
   */
  readonly retries?: number;
  /** Variables of a host, for templates. Asked for every host before anything connects, and again when its turn comes. @default none */
  readonly variables?: Variables;
  /** Per phase, in milliseconds; null: none. @default see DEFAULT_DEADLINES */
  readonly deadlines?: Partial<Deadlines>;
}

/** One run on the hosts of a fleet. */
export interface RunOptions extends ExecutionOptions, AidOptions, WaveOptions, RecordOptions, PollOptions {
  /** How output is kept. @default 'collect' */
  readonly gather?: Exclude<Gather, 'file'>;
  /** Bytes kept per host over both streams. @default 1 MiB */
  readonly maxOutput?: number;
  /** Tasks per host; `{i}` counts them from 1 in templates. @default 1 */
  readonly repeat?: number;
  /** Replaces `{host} {name} {user} {port} {rank} {count} {i}` and variables in the command, shell-quoted. @default false */
  readonly template?: boolean;
  /** Exit statuses that are `ok`; `none`: a missing status is, too. @default [0] */
  readonly okStatus?: readonly (number | 'none')[];
  /**
   * What each match of becomes `[redacted]`: in output, in what is said about hosts and in the run's title, before anything of it is
   * kept or told. Matched by the line; hosts choose the text, so a pattern that goes back and forth costs time. Secrets that were
   * sent to hosts are taken out anyway. @default none
   */
  readonly redact?: readonly RegExp[];
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
  /** What a stop and a deadline do to what runs on hosts: TERM, then KILL, or nothing. @default 'terminate' */
  readonly onStop?: 'terminate' | 'leave';
  /** Stops the run: what runs is ended, the rest is `not-run`. */
  readonly signal?: AbortSignal;
  /** Hears every event of the run. */
  readonly listener?: RunListener;
}

const FLEET_OPTIONS: readonly (keyof FleetOptions)[] = [
  'hosts',
  'hostFiles',
  'exclude',
  ...SELECTION_OPTIONS,
  'user',
  'port',
  'family',
  'resolver',
  'config',
  'configOptions',
  'transport',
  'jump',
  'agent',
  'identity',
  'passphrase',
  'password',
  'passwordFile',
  'passwordCommand',
  'answer',
  'hostKeys',
  'knownHosts',
  'fanout',
  'rate',
  'threads',
  'handshakes',
  'perAddress',
  'retries',
  'variables',
  'deadlines',
  ...WARM_OPTIONS,
  ...JOURNALING_OPTIONS,
];

const RUN_OPTIONS: readonly (keyof RunOptions)[] = [
  'gather',
  'maxOutput',
  'repeat',
  'template',
  'okStatus',
  'redact',
  'commandMs',
  'idleMs',
  'runMs',
  'lingerMs',
  'graceMs',
  'onStop',
  'signal',
  'listener',
  ...EXECUTION_OPTIONS,
  ...LOCK_OPTIONS,
  ...AID_OPTIONS,
  ...WAVE_OPTIONS,
  ...RECORD_OPTIONS,
  ...POLL_OPTIONS,
];

/** Connection limits of a fleet, every default applied; `fanout` is settled per run. */
export interface ResolvedFleet {
  readonly limits: Omit<Limits, 'fanout'>;
  readonly fanout: number | 'auto';
  readonly asked: AskedLimits;
  readonly warm: WarmOptions;
}

const AUTO_FANOUT = 512;

/** Throws `usage` for unknown options and values that cannot be taken. */
export function resolveFleet(options: FleetOptions): ResolvedFleet {
  refuseUnknown('fleet', options, FLEET_OPTIONS);
  const descriptors = connectionLimit();
  const pools = options.threads === 1 ? 1 : 2;
  const warm = resolveWarm(options, descriptors, pools);
  const connections = descriptors - pools * warm.most;
  oneOf('hostKeys', options.hostKeys, ['strict', 'accept-new', 'off']);
  checkJournal(options.journal);
  oneOf('transport', options.transport, ['auto', 'native', 'openssh']);
  if (options.port !== undefined) integer('port', options.port, 1, 65_535);
  const { fanout = 'auto' } = options;
  if (fanout !== 'auto') integer('fanout', fanout, 1);
  const { threads = 'auto' } = options;
  if (threads !== 'auto') integer('threads', threads, 1, 256);
  const deadlines = { ...DEFAULT_DEADLINES };
  for (const [name, value] of Object.entries(options.deadlines ?? {})) {
    if (!(name in DEFAULT_DEADLINES)) throw new MyriadError('usage', `deadlines: unknown deadline "${name}"`);
    duration(`deadlines.${name}`, value);
    Object.assign(deadlines, { [name]: value });
  }
  return {
    fanout,
    asked: { fanout, handshakes: options.handshakes, rate: resolveRate(options.rate) },
    warm,
    limits: {
      handshakes: integer('handshakes', options.handshakes ?? 64, 1),
      perAddress: integer('perAddress', options.perAddress ?? 8, 1),
      connections,
      patienceMs: 250,
      deadlines,
      retries: integer('retries', options.retries ?? 3, 0),
      retrySilent: options.retries !== undefined,
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
  for (const pattern of options.redact ?? []) {
    if (!(pattern instanceof RegExp)) throw new MyriadError('usage', `redact: expected RegExps, got ${pattern}`);
  }
  oneOf('onStop', options.onStop, ['terminate', 'leave']);
  oneOf('journalOutput', options.journalOutput, ['all', 'head', 'none']);
  const { deadlines } = fleet.limits;
  const { connections, handshakes } = fleet.limits;
  const fanout = fleet.fanout === 'auto' ? Math.min(AUTO_FANOUT, connections) : fleet.fanout;
  const { gather = 'collect' } = options;
  const maxOutput = integer('maxOutput', options.maxOutput ?? 1024 * 1024, 0);
  const kept = gather === 'collect' ? maxOutput : 0;
  const available = process.availableMemory();
  return {
    limits: {
      ...fleet.limits,
      fanout,
      adapt: adaptation(fleet.asked, { fanout, handshakes, connections, kept, available }),
      deadlines: {
        ...deadlines,
        commandMs: duration('commandMs', options.commandMs === undefined ? deadlines.commandMs : options.commandMs),
        idleMs: duration('idleMs', options.idleMs === undefined ? deadlines.idleMs : options.idleMs),
        runMs: duration('runMs', options.runMs === undefined ? deadlines.runMs : options.runMs),
      },
    },
    gather,
    maxOutput,
    repeat: integer('repeat', options.repeat ?? 1, 1),
    lingerMs: integer('lingerMs', options.lingerMs ?? 2000, 0),
    graceMs: integer('graceMs', options.graceMs ?? 2000, 0),
  };
}

function checkJournal(journal: unknown): void {
  if (journal === undefined || typeof journal === 'boolean' || (typeof journal === 'string' && journal !== '')) return;
  throw new MyriadError('usage', `journal: expected true, false or a folder, got ${JSON.stringify(journal)}`);
}

function oneOf(name: string, value: string | undefined, words: readonly string[]): void {
  if (value === undefined || words.includes(value)) return;
  throw new MyriadError(
    'usage',
    `${name}: expected ${words.slice(0, -1).join(', ')} or ${words.at(-1)}, got "${value}"`,
  );
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
