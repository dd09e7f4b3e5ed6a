/** Files that the user named and that must be regular ones: opened so that nothing is waited for, and closed again. */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { MyriadError } from '../contracts/errors.ts';

/** Gives an open regular file to `read`. Throws `file` where it cannot be opened, or is none. `name`: what sentences call it. */
export function withRegularFile<T>(path: string, name: string, read: (descriptor: number, stat: Stats) => T): T {
  let descriptor: number;
  try {
    // A pipe without a writer would be waited for.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new MyriadError('file', `${name} cannot be read (${code ?? 'unknown'})`, { cause });
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new MyriadError('file', `${name} is not a regular file`);
    return read(descriptor, stat);
  } finally {
    closeSync(descriptor);
  }
}
