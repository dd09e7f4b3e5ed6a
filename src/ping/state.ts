/** How an address of a sweep ended: one byte each. */
import type { Outcome, UnreachableCause } from '../contracts/outcome.ts';

/**
 * In the order of their bytes. `not-probed`: the sweep ended before · `no-answer`: none within the timeout · `up` · what an ICMP error
 * or a TCP peer said: `net-unreachable` … `refused`, `no-banner` (it accepts, and says nothing that SSH says) · what kept us from
 * asking: `no-route`, `network-down`, `local-limit` (this machine refused to send), `name` (it has no address).
 */
export const ADDRESS_STATES = [
  'not-probed',
  'no-answer',
  'up',
  'net-unreachable',
  'host-unreachable',
  'prohibited',
  'time-exceeded',
  'icmp-error',
  'refused',
  'reset',
  'no-banner',
  'no-route',
  'network-down',
  'local-limit',
  'name',
] as const;

export type AddressState = (typeof ADDRESS_STATES)[number];

export const STATE = Object.fromEntries(ADDRESS_STATES.map((name, code) => [name, code])) as Readonly<
  Record<AddressState, number>
>;

/** Whether the address was not asked at all: it counts as neither up nor down. */
export function isUnasked(state: AddressState): boolean {
  return state === 'not-probed' || STATE[state] >= STATE['no-route'];
}

/** Why an address that is not up, and was not silent, counts as unreachable. */
const CAUSES: Readonly<Partial<Record<AddressState, UnreachableCause>>> = {
  refused: 'refused',
  reset: 'reset',
  'no-banner': 'throttled',
  'local-limit': 'local-limit',
  name: 'dns',
};

/** The outcome that a state is, as of a task. */
export function outcomeOf(state: AddressState): Outcome {
  if (state === 'up') return { kind: 'ok', began: 'yes', status: null };
  if (state === 'not-probed') return { kind: 'not-run', began: 'no' };
  if (state === 'no-answer') return { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' };
  return { kind: 'unreachable', began: 'no', cause: CAUSES[state] ?? 'no-route', message: state };
}

/** What an ICMP error says of the address it is about. */
export function stateOfError(family: 4 | 6, type: number, code: number): number {
  if (family === 4) {
    if (type === 11) return STATE['time-exceeded'];
    if (type !== 3) return STATE['icmp-error'];
    if (code === 0 || code === 6 || code === 11) return STATE['net-unreachable'];
    if (code === 1 || code === 7 || code === 12) return STATE['host-unreachable'];
    return code === 9 || code === 10 || code === 13 ? STATE.prohibited : STATE['icmp-error'];
  }
  if (type === 3) return STATE['time-exceeded'];
  if (type !== 1) return STATE['icmp-error'];
  if (code === 0) return STATE['net-unreachable'];
  if (code === 3) return STATE['host-unreachable'];
  return code === 1 || code === 5 || code === 6 ? STATE.prohibited : STATE['icmp-error'];
}

/** What errno of a send says of the address it went to. */
export function stateOfErrno(errno: number): number {
  // ENETUNREACH, EHOSTUNREACH.
  if (errno === 101 || errno === 113) return STATE['no-route'];
  // ENETDOWN, ENODEV, EADDRNOTAVAIL.
  if (errno === 100 || errno === 19 || errno === 99) return STATE['network-down'];
  return STATE['local-limit'];
}
