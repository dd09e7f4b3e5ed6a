/**
 * Our own mistakes, and the user's, throw; a host's failure never does (see `outcome.ts`).
 * Callers match `code`, not class.
 */

/**
 * `usage`: an option, argument or combination that cannot be taken · `host-set`: a host set that does not parse, with the
 * position · `empty-selection`: nothing to run on · `unmatched`: a selection or exclusion that matches nothing ·
 * `inventory`: an inventory that cannot be read or understood · `file`: a file that cannot be read or written · `key`: a
 * private key that cannot be used · `passphrase`: a wrong or missing passphrase · `known-hosts`: a known_hosts file that
 * cannot be used · `guard`: the size of the run was not confirmed · `journal`: a journal that cannot be read, written or
 * resumed · `locked`: another run has the lock on hosts of this one, or it cannot be had · `closed`: the fleet is closed ·
 * `aborted`: stopped by the caller's AbortSignal · `internal`: ours.
 */
export type ErrorCode =
  | 'usage'
  | 'host-set'
  | 'empty-selection'
  | 'unmatched'
  | 'inventory'
  | 'file'
  | 'key'
  | 'passphrase'
  | 'known-hosts'
  | 'guard'
  | 'journal'
  | 'locked'
  | 'closed'
  | 'aborted'
  | 'internal';

/** The base of everything Myriad throws. The message is one sentence: what, where, which value, what to do. */
export class MyriadError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MyriadError';
    this.code = code;
  }
}

/** A host set that does not parse: `position` is the offset in `text` (in UTF-16 units) where `expected` should stand. */
export class HostSetError extends MyriadError {
  readonly text: string;
  readonly position: number;
  readonly expected: string;

  constructor(text: string, position: number, expected: string) {
    super('host-set', `host set "${shorten(text, position)}": at position ${position + 1}: expected ${expected}`);
    this.name = 'HostSetError';
    this.text = text;
    this.position = position;
    this.expected = expected;
  }
}

/** At most 80 characters around the position, so that a host set of a megabyte still gives one readable sentence. */
function shorten(text: string, position: number): string {
  if (text.length <= 80) return text;
  const from = Math.max(0, Math.min(position - 40, text.length - 80));
  return `${from > 0 ? '…' : ''}${text.slice(from, from + 80)}${from + 80 < text.length ? '…' : ''}`;
}
