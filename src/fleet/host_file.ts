/** Files of hosts, as they are read. */
import { readFileSync } from 'node:fs';
import { MyriadError } from '../contracts/errors.ts';

/** Throws MyriadError `file`. */
export function readHostFile(file: string): string {
  try {
    // Not by its name: a socket, which is what a parent process may have given us, cannot be opened again.
    return readFileSync(file === '/dev/stdin' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new MyriadError('file', `hosts file "${file}" cannot be read: ${(cause as Error).message}`, { cause });
  }
}
