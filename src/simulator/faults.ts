/**
 * The ways in which simulated hosts misbehave: each host has at most one fault, chosen by seed and address, so that a
 * fleet with the same seed misbehaves the same way again.
 */
import { createHash } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';

/** Name, and what the host does. The outcome a run gives it is in docs/simulate.md and in the table of the tests. */
export const FAULTS = {
  refuse: 'nothing listens on its port',
  silent: 'accepts, and says nothing',
  'silent-identification': 'says its identification, then nothing',
  slow: 'takes 300 ms for each answer',
  reset: 'resets the connection in the key exchange',
  'wrong-key': 'shows another host key',
  'auth-refused': 'takes no key and no password',
  'no-sessions': 'opens no session (MaxSessions 0)',
  'exec-refused': 'opens a session, and refuses the command',
  'exit-1': 'ends every command with status 1',
  killed: 'ends every command by signal KILL',
  'no-status': 'closes the channel without a status',
  lost: 'cuts the connection in mid-command',
  garbage: 'sends garbage after its identification',
  huge: 'answers with 8 MiB',
} as const;

export type FaultName = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** Shares of hosts, 0 to 1. */
export type FaultShares = Partial<Readonly<Record<FaultName, number>>>;

/** Draws each host's fault. Throws `usage` when the shares come to more than 1. */
export function assignFaults(shares: FaultShares, seed: number): (index: number) => FaultName | undefined {
  const bounds: { readonly name: FaultName; readonly below: number }[] = [];
  let below = 0;
  for (const name of FAULT_NAMES) {
    const share = shares[name] ?? 0;
    if (!(share >= 0 && share <= 1))
      throw new MyriadError('usage', `fault ${name}: expected a share from 0% to 100%, got ${share * 100}%`);
    below += share;
    if (share > 0) bounds.push({ name, below });
  }
  if (below > 1 + 1e-9) {
    throw new MyriadError(
      'usage',
      `faults: expected shares of at most 100% together, got ${(below * 100).toFixed(1)}%`,
    );
  }
  return (index) => {
    if (bounds.length === 0) return undefined;
    const draw = createHash('sha256').update(`${seed}:fault:${index}`).digest().readUInt32BE(0) / 2 ** 32;
    return bounds.find((bound) => draw < bound.below)?.name;
  };
}

/** `refuse=1%`, `silent=0.5%` or `huge=0.01`. Throws `usage`. */
export function parseFault(text: string): [FaultName, number] {
  const match = /^([a-z0-9-]+)=([0-9.]+)(%?)$/.exec(text);
  const name = match?.[1] as FaultName | undefined;
  if (!match || !name || !(name in FAULTS)) {
    throw new MyriadError('usage', `fault "${text}": expected NAME=SHARE%, with NAME one of ${FAULT_NAMES.join(', ')}`);
  }
  return [name, Number(match[2]) / (match[3] === '%' ? 100 : 1)];
}
