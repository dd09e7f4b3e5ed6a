/** Cases of the executor suite, as data. Hosts do what their names say (`fake_transport.ts`). */
import type { Outcome } from '../../src/contracts/outcome.ts';
import { type Overrides, spec } from '../engine/support.ts';

/** One host, and how its task must end. */
export interface Case {
  readonly host: string;
  readonly label: string;
  readonly began: Outcome['began'];
  readonly more?: object;
  readonly overrides?: Overrides;
  /** How far time must go. */
  readonly ms?: number;
  readonly attempt?: number;
}

const unreachable = (cause: string): Case => ({
  host: `unreachable-${cause}`,
  label: `unreachable(${cause})`,
  began: 'no',
});

const limited = (deadlines: object): Overrides => ({ limits: { deadlines } });

/** Every outcome that an executor itself or a host can bring about. */
export const CASES: readonly Case[] = [
  { host: 'ok', label: 'ok', began: 'yes', more: { status: 0 } },
  { host: 'exit-3', label: 'failed(3)', began: 'yes' },
  {
    host: 'exit-3',
    label: 'ok',
    began: 'yes',
    more: { status: 3 },
    overrides: { job: spec('command', { command: 'x', okStatus: [0, 3] }) },
  },
  { host: 'signal-TERM', label: 'signalled(TERM)', began: 'yes', more: { coreDumped: true } },
  { host: 'no-status', label: 'no-status', began: 'yes' },
  {
    host: 'no-status',
    label: 'ok',
    began: 'yes',
    more: { status: null },
    overrides: { job: spec('command', { command: 'x', okStatus: ['none'] }) },
  },
  { host: 'refused-session', label: 'refused(session)', began: 'no', more: { reason: 'no more sessions' } },
  { host: 'silent-dns', label: 'timeout(dns)', began: 'no', more: { remote: 'none' }, ms: 5_010 },
  { host: 'silent-connect', label: 'timeout(connect)', began: 'no', more: { remote: 'none' }, ms: 10_010 },
  {
    host: 'silent-connect',
    label: 'timeout(connect)',
    began: 'no',
    more: { remote: 'none' },
    overrides: { limits: { retries: 2, retrySilent: true } },
    ms: 31_000,
    attempt: 3,
  },
  { host: 'silent-handshake', label: 'timeout(handshake)', began: 'no', more: { remote: 'none' }, ms: 15_010 },
  { host: 'silent-auth', label: 'timeout(auth)', began: 'no', more: { remote: 'none' }, ms: 30_010 },
  { host: 'silent-open', label: 'timeout(open)', began: 'no', more: { remote: 'none' }, ms: 15_010 },
  {
    host: 'silent-command',
    label: 'timeout(command)',
    began: 'yes',
    more: { remote: 'killed' },
    overrides: limited({ commandMs: 60_000 }),
    ms: 60_010,
  },
  {
    host: 'silent-command',
    label: 'timeout(idle)',
    began: 'yes',
    more: { remote: 'killed' },
    overrides: limited({ idleMs: 700 }),
    ms: 710,
  },
  {
    host: 'silent-command',
    label: 'timeout(run)',
    began: 'yes',
    more: { remote: 'killed' },
    overrides: limited({ runMs: 9_000 }),
    ms: 9_010,
  },
  {
    host: 'silent-connect',
    label: 'timeout(run)',
    began: 'no',
    more: { remote: 'none' },
    overrides: limited({ runMs: 900 }),
    ms: 910,
  },
  {
    host: 'stubborn',
    label: 'timeout(command)',
    began: 'yes',
    more: { remote: 'left-running' },
    overrides: limited({ commandMs: 1_000 }),
    ms: 4_020,
  },
  {
    host: 'deaf',
    label: 'timeout(command)',
    began: 'yes',
    more: { remote: 'unknown' },
    overrides: limited({ commandMs: 1_000 }),
    ms: 9_020,
  },
  { host: 'shy', label: 'timeout(connect)', began: 'no', ms: 10_010 },
  unreachable('dns'),
  unreachable('refused'),
  unreachable('no-route'),
  { ...unreachable('local-limit'), ms: 40_000 },
  { ...unreachable('reset'), ms: 6_000, attempt: 4 },
  { ...unreachable('throttled'), ms: 40_000 },
  { host: 'reset-3', label: 'ok', began: 'yes', ms: 6_000, attempt: 4 },
  { host: 'throttled-9', label: 'ok', began: 'yes', ms: 20_000, attempt: 10 },
  { host: 'auth-failed', label: 'auth-failed', began: 'no', more: { tried: ['key'], allowed: ['password'] } },
  { host: 'host-key', label: 'host-key(unknown)', began: 'no', more: { advice: 'trust it' } },
  { host: 'protocol', label: 'protocol', began: 'no' },
  { host: 'protocol-late', label: 'protocol', began: 'yes' },
  { host: 'lost', label: 'lost(peer-closed)', began: 'yes' },
  { host: 'lost-maybe', label: 'lost(peer-closed)', began: 'maybe' },
  { host: 'liar', label: 'lost(reset)', began: 'yes', attempt: 1 },
  { host: 'reset-open', label: 'ok', began: 'yes', ms: 200, attempt: 2 },
  { host: 'drip-5', label: 'ok', began: 'yes', overrides: limited({ idleMs: 700 }), ms: 2_600 },
  { host: 'sly', label: 'timeout(connect)', began: 'no', ms: 60_000, attempt: 1 },
  { host: 'throw-connect', label: 'error(fake)', began: 'no', more: { message: 'thrown by connect' } },
  { host: 'throw-exec', label: 'error(fake)', began: 'no', more: { message: 'thrown by exec' } },
  { host: 'twice', label: 'unreachable(refused)', began: 'no' },
];

/** Hosts of every temper, for runs that must account for each of them. */
export const TEMPERS = [
  'ok',
  'exit-1',
  'signal-KILL',
  'no-status',
  'left-open',
  'slow-40',
  'slow-3000',
  'late-400',
  'flood-5',
  'silent-dns',
  'silent-connect',
  'silent-handshake',
  'silent-open',
  'silent-command',
  'deaf',
  'stubborn',
  'shy',
  'unreachable-refused',
  'throttled-2',
  'reset-1',
  'auth-failed',
  'lost',
  'protocol-late',
  'throw-connect',
  'liar',
  'reset-open',
  'drip-3',
  'sly',
  'throw-exec',
  'twice',
];
