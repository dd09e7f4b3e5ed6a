/** The private folder of the control sockets and of the logs of clients. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MyriadError } from '../../contracts/errors.ts';

/** `sun_path` holds 104 bytes with its NUL on BSD and macOS (108 on Linux). */
const SUN_PATH = 104;
/** OpenSSH binds the socket under a name that is longer by a dot and 16 letters, then renames it. */
const TEMPORARY = 17;
/** `/`, and a name in base 36: room for 2 billion sockets of one transport. */
const NAME = 7;
/** What mkdtemp makes of `myriad-`. */
const FOLDER = '/myriad-XXXXXX'.length;
const LIMIT = SUN_PATH - 1 - TEMPORARY - NAME - FOLDER;

export class ControlDir {
  readonly path: string;
  #next = 0;

  /** Makes a folder of mode 0700 in `base`. Throws MyriadError `usage` for one that is too long, `file` where it cannot be made. */
  constructor(base: string) {
    const length = Buffer.byteLength(base);
    if (length > LIMIT) {
      throw new MyriadError(
        'usage',
        `control folder "${base}" is too long for a Unix socket: ${length} bytes, at most ${LIMIT}; name a shorter one`,
      );
    }
    try {
      this.path = mkdtempSync(join(base, 'myriad-'));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MyriadError('file', `control folder "${base}" cannot be used: ${why}`, { cause });
    }
  }

  /** A path that no one has used. */
  name(): string {
    this.#next += 1;
    return join(this.path, this.#next.toString(36));
  }

  /** Removes the folder with all that is in it. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
