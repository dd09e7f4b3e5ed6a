/** The options of waves and of limits on failures: what callers may give, and what it comes to. */
import { MyriadError } from '../contracts/errors.ts';
import type { WaveRules } from '../engine/waves/rules.ts';
import { parseShare, type Share } from '../util/share.ts';

/** A number of tasks, or a percentage of the plan: `10`, `'5%'`. */
export type ShareOption = number | string;

/** In which pieces a run goes over its hosts, and what stops it. */
export interface WaveOptions {
  /**
   * Sizes of waves, `'1,5%,100%'` or a list: the next wave begins when the one before it has passed. Percentages are of the plan; the
   * last size repeats until the plan is done. @default the whole plan at once
   */
  readonly serial?: string | readonly ShareOption[];
  /**
   * Run here by /bin/sh after each wave; any end but status 0 stops the run. It finds the hosts of the wave, one a line, in the file
   * `$MYRIAD_WAVE_HOSTS`, the wave's number in `$MYRIAD_WAVE` and the run's id in `$MYRIAD_RUN`. @default none
   */
  readonly check?: string;
  /** Run after each wave on its hosts that were ok, before `check`; where one is not ok, the run stops. @default none */
  readonly checkOn?: string;
  /** How long a check may take, in milliseconds. @default 600000 */
  readonly checkMs?: number;
  /** Between a wave that has passed and the next, in milliseconds. @default 0 */
  readonly betweenMs?: number;
  /** The starts of each wave are spread over so many milliseconds. @default 0 */
  readonly splayMs?: number;
  /** Tasks that may have begun and not ended ok: one more, and nothing new starts. @default any number */
  readonly maxFail?: ShareOption;
  /** Tasks whose hosts may not be reached: one more, and nothing new starts. @default any number */
  readonly maxUnreached?: ShareOption;
  /** The same as `maxFail: 0`. @default false */
  readonly failFast?: boolean;
}

export const WAVE_OPTIONS: readonly (keyof WaveOptions)[] = [
  'serial',
  'check',
  'checkOn',
  'checkMs',
  'betweenMs',
  'splayMs',
  'maxFail',
  'maxUnreached',
  'failFast',
];

export interface ResolvedWaves {
  readonly rules: WaveRules;
  readonly check: string | undefined;
  readonly checkOn: string | undefined;
  readonly checkMs: number;
}

const CHECK_MS = 600_000;

/** Undefined: none of the options is set. Throws `usage` for what cannot be taken or does not go together. */
export function resolveWaves(options: WaveOptions, runMs: number | null): ResolvedWaves | undefined {
  if (WAVE_OPTIONS.every((name) => options[name] === undefined)) return undefined;
  const { check, checkOn, checkMs, maxFail, failFast = false } = options;
  const serial = options.serial === undefined ? undefined : sizes(options.serial);
  line('check', check);
  line('checkOn', checkOn);
  if (failFast && maxFail !== undefined) throw new MyriadError('usage', 'failFast and maxFail: give one of them');
  const betweenMs = milliseconds('betweenMs', options.betweenMs, runMs);
  const splayMs = milliseconds('splayMs', options.splayMs, runMs);
  const ofWaves = { check, checkOn, checkMs, betweenMs: options.betweenMs };
  const [lonely] = Object.entries(ofWaves).find(([, value]) => value !== undefined) ?? [];
  if (serial === undefined && lonely !== undefined) {
    throw new MyriadError('usage', `${lonely}: there are no waves without serial; add it`);
  }
  if (checkMs !== undefined && check === undefined && checkOn === undefined) {
    throw new MyriadError('usage', 'checkMs: there is no check; add check or checkOn');
  }
  const checked = check !== undefined || checkOn !== undefined;
  const limits = {
    maxFail: failFast ? { count: 0 } : share('maxFail', maxFail),
    maxUnreached: share('maxUnreached', options.maxUnreached),
  };
  return {
    rules: { serial, checked, betweenMs, splayMs, ...limits },
    check,
    checkOn,
    checkMs: milliseconds('checkMs', checkMs, null) || CHECK_MS,
  };
}

function sizes(serial: string | readonly ShareOption[]): Share[] {
  const given = typeof serial === 'string' ? serial.split(',').map((part) => part.trim()) : serial;
  const shares = given.map((part) => parseShare(part));
  if (shares.length > 0 && shares.every((part) => part !== undefined && !('count' in part && part.count === 0))) {
    return shares as Share[];
  }
  throw new MyriadError(
    'usage',
    `serial: expected sizes of waves such as 1,5%,100%, each of at least 1 or from above 0% to 100%, got "${given.join(',')}"`,
  );
}

function share(name: string, value: ShareOption | undefined): Share | undefined {
  if (value === undefined) return undefined;
  const parsed = parseShare(value);
  if (parsed !== undefined) return parsed;
  throw new MyriadError(
    'usage',
    `${name}: expected a whole number or a percentage above 0% and up to 100%, got "${value}"`,
  );
}

function milliseconds(name: string, value: number | undefined, runMs: number | null): number {
  if (value === undefined) return 0;
  if (!(Number.isFinite(value) && value > 0)) {
    throw new MyriadError('usage', `${name}: expected milliseconds above 0, got ${value}`);
  }
  if (runMs === null || value < runMs) return value;
  throw new MyriadError('usage', `${name} ${value}: the deadline of the run, ${runMs}, would be over before`);
}

function line(name: string, value: string | undefined): void {
  if (value === undefined || (value.trim() !== '' && !value.includes('\0'))) return;
  throw new MyriadError('usage', `${name}: expected a command, got ${JSON.stringify(value)}`);
}
