/** Mistakes in inventories: which one, where in it, what was expected. */
import { MyriadError } from '../contracts/errors.ts';

export function problem(title: string, text: string, cause?: unknown): MyriadError {
  return new MyriadError('inventory', `${title}: ${text}`, cause === undefined ? undefined : { cause });
}

/** Text of a file or program as a JSON string of at most 60 characters. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
