/**
 * Text with places in it, filled per task: `{host}` the host as it was written, `{name}` its name or address alone,
 * `{user}`, `{port}` empty where none was written, `{rank}` the task's place in the plan from 0, `{count}` the tasks of
 * the plan, `{i}` the iteration of `--repeat` from 1. `{host:raw}` is not quoted. `{{` and `}}` are braces.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Target } from '../contracts/task.ts';

/** How a value is put into the text: as one word of a POSIX shell, or as it is. */
export type Quoting = 'shell' | 'none';

type Value = (target: Target, count: number) => string;

const VALUES: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['host', (target) => target.label],
  ['name', (target) => target.name],
  ['user', (target) => target.user ?? ''],
  ['port', (target) => (target.port === undefined ? '' : String(target.port))],
  ['rank', (target) => String(target.index)],
  ['count', (_target, count) => String(count)],
  ['i', (target) => String(target.iteration)],
]);

interface Place {
  readonly value: Value;
  readonly quoted: boolean;
  /** The text that follows it. */
  readonly after: string;
}

/** Characters that mean nothing to a shell anywhere in a word. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-]+$/;

/** `value` as one word of a POSIX shell. Throws MyriadError `usage` for a NUL, which no command line can carry. */
export function shellQuote(value: string): string {
  if (value.includes('\0')) {
    throw new MyriadError('usage', `${JSON.stringify(value)} contains a NUL, which no command line can carry`);
  }
  return PLAIN.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** A text that was compiled once and is filled once per task. */
export class Template {
  readonly #before: string;
  readonly #places: readonly Place[];

  private constructor(before: string, places: readonly Place[]) {
    this.#before = before;
    this.#places = places;
  }

  /** Throws MyriadError `usage` for an unknown name or an unpaired brace; `what` names the text in the message. */
  static compile(text: string, quoting: Quoting, what: string): Template {
    let before = '';
    let literal = '';
    const places: { value: Value; quoted: boolean; after: string }[] = [];
    const flush = (): void => {
      const last = places.at(-1);
      if (last === undefined) before = literal;
      else last.after = literal;
      literal = '';
    };
    for (let at = 0; at < text.length; ) {
      const char = text[at]!;
      if (char !== '{' && char !== '}') {
        const brace = nextBrace(text, at);
        literal += text.slice(at, brace);
        at = brace;
      } else if (text[at + 1] === char) {
        literal += char;
        at += 2;
      } else {
        const place = readPlace(text, at, what);
        flush();
        places.push({ value: place.value, quoted: quoting === 'shell' && !place.raw, after: '' });
        at = place.end;
      }
    }
    flush();
    return new Template(before, places);
  }

  /** The text for one task. */
  render(target: Target, count: number): string {
    let text = this.#before;
    for (const { value, quoted, after } of this.#places) {
      const filled = value(target, count);
      text += (quoted ? shellQuote(filled) : filled) + after;
    }
    return text;
  }
}

function nextBrace(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (text[at] === '{' || text[at] === '}') return at;
  return text.length;
}

/** The place whose brace opens at `at`. */
function readPlace(text: string, at: number, what: string): { value: Value; raw: boolean; end: number } {
  const close = text[at] === '{' ? text.indexOf('}', at) : -1;
  if (close === -1) {
    throw new MyriadError(
      'usage',
      `${what}: the brace at position ${at + 1} of ${JSON.stringify(text)} has no partner: write "${text[at]}${text[at]}" for a brace`,
    );
  }
  const inside = text.slice(at + 1, close);
  const raw = inside.endsWith(':raw');
  const value = VALUES.get(raw ? inside.slice(0, -4) : inside);
  if (value === undefined) {
    throw new MyriadError(
      'usage',
      `${what}: nothing is known as "{${inside}}"; there are ${[...VALUES.keys()].map((name) => `{${name}}`).join(' ')}, and {host:raw} for the value without quotes; write "{{" for a brace`,
    );
  }
  return { value, raw, end: close + 1 };
}
