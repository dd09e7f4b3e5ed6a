/** The names of runs. */
import { randomBytes } from 'node:crypto';

/** Sorts by time: seconds since 2020 and 40 random bits, in base 36. */
export function newRunId(): string {
  const seconds = Math.floor(Date.now() / 1000) - 1_577_836_800;
  return `${seconds.toString(36)}-${BigInt(`0x${randomBytes(5).toString('hex')}`)
    .toString(36)
    .padStart(8, '0')}`;
}
