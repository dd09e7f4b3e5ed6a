/** What of an answer is looked at: the first group of a pattern, or a place in a JSON document. */
import { MyriadError } from '../../contracts/errors.ts';
import type { Output } from '../../contracts/task.ts';

/** Undefined: it is not in there. */
export type Extract = (stdout: Output) => string | undefined;

/** Hosts choose the text, and a pattern may go back and forth in it. */
const MOST_SEARCHED = 64 * 1024;
/** What is longer is no value to look at. */
const MOST_VALUE = 256;

const STEP = /\.([A-Za-z_][\w-]*)|\.?\[(\d{1,9})\]|\.?\["([^"\\]*)"\]/y;

/** A path where the text is one from end to end (`.load[0]`, `.disks["/var"].used`), else a pattern. Throws `usage`. */
export function parseExtract(text: string): Extract {
  const path = parsePath(text);
  return path === undefined ? byPattern(text) : byPath(path);
}

/** The value as a number, where it is one. */
export function numberOf(value: string): number | undefined {
  const number = value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : undefined;
}

function parsePath(text: string): readonly (string | number)[] | undefined {
  const steps: (string | number)[] = [];
  STEP.lastIndex = 0;
  for (let at = 0; at < text.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const found = STEP.exec(text);
    if (found === null) return undefined;
    const [, name, place, quoted] = found;
    steps.push(place === undefined ? (name ?? quoted ?? '') : Number(place));
  }
  // "[0]" alone is a pattern as much as a path; paths begin with a dot.
  return steps.length > 0 && text.startsWith('.') ? steps : undefined;
}

function byPattern(text: string): Extract {
  let pattern: RegExp;
  try {
    pattern = new RegExp(text, 'mu');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MyriadError('usage', `extract: "${text}" is neither a path such as .load[0] nor a pattern: ${why}`, {
      cause,
    });
  }
  if (text === '')
    throw new MyriadError('usage', 'extract: expected a pattern or a path such as .load[0], got nothing');
  return (stdout) => {
    const found = pattern.exec(stdout.bytes.subarray(0, MOST_SEARCHED).toString('utf8'));
    return found === null ? undefined : shorten(found[1] ?? found[0]);
  };
}

function byPath(path: readonly (string | number)[]): Extract {
  return (stdout) => {
    let value: unknown;
    try {
      value = JSON.parse(stdout.text());
    } catch {
      return undefined;
    }
    for (const step of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
      value = (value as Readonly<Record<string | number, unknown>>)[step];
    }
    return shorten(typeof value === 'string' ? value : JSON.stringify(value));
  };
}

function shorten(value: string): string {
  return value.length <= MOST_VALUE ? value : `${value.slice(0, MOST_VALUE - 1)}…`;
}
