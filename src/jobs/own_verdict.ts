/** What the end of a function of the caller's comes to: a value, a no, or a fault. */
import { basename } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';

/** Characters of what a function says. */
const MOST_SAID = 4_096;

export const DONE: Outcome = { kind: 'ok', began: 'yes', status: null };

export function saidNo(message: string): Outcome {
  return { kind: 'failed', began: 'yes', status: null, cause: 'job', message };
}

/** A function that throws is at fault itself, whatever its host is like. `how`: ahead of its words. */
export function faulted(error: unknown, how = ''): Outcome {
  return { kind: 'error', began: 'yes', code: 'job', message: `${how}${wordsOf(error)}` };
}

/** `{ ok: false, message }`. */
export function isNo(value: unknown): value is { readonly ok: false; readonly message?: unknown } {
  return typeof value === 'object' && value !== null && 'ok' in value && value.ok === false;
}

/** The value on one line. Throws MyriadError `usage` for what JSON does not have. */
export function jsonOf(value: unknown): string {
  let text: string | undefined;
  let why = `JSON has no ${typeof value}`;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    why = textOf(error).split('\n', 1)[0]!;
  }
  if (text !== undefined) return text;
  throw new MyriadError('usage', `what the function returned cannot be printed: ${why}`);
}

/** What was said, as text of a bounded length; never throws itself. */
export function textOf(value: unknown): string {
  try {
    const text = value instanceof Error ? value.message || value.name : String(value);
    return text.length <= MOST_SAID ? text : `${text.slice(0, MOST_SAID)}…`;
  } catch {
    return 'something that has no text';
  }
}

/** `TypeError: x is not a function (probe.js:12)`: with the place in the caller's file, where the error knows it. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error) || error instanceof MyriadError) return textOf(error);
  const name = error.name === 'Error' ? '' : `${error.name}: `;
  const [, file, line] = /^\s+at (?:.*\()?(?:file:\/\/)?(\/[^\n()]*):(\d+):\d+\)?$/m.exec(String(error.stack)) ?? [];
  return `${name}${textOf(error)}${file === undefined ? '' : ` (${basename(file)}:${line})`}`;
}

/** The first of the error and its causes that passes `test`; they may be wrapped up to eight deep. */
export function causeIn(error: unknown, test: (error: unknown) => boolean): unknown {
  let each = error;
  for (let depth = 0; depth < 8 && each !== undefined; depth++) {
    if (test(each)) return each;
    each = each instanceof Error ? each.cause : undefined;
  }
  return undefined;
}
