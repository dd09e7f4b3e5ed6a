/**
 * A line of ssh_config as words. OpenSSH reads a line in two ways, and both are needed: the keyword (and the criteria of Match) are
 * cut at blanks, one `=` and double quotes; the arguments of everything else are cut like a shell's, with both kinds of quotes,
 * backslashes, and a comment at the end.
 */

/** `rest` is what follows the keyword, without the blanks between; empty when nothing follows. */
export interface ConfigLine {
  readonly keyword: string;
  readonly rest: string;
}

/** The keyword in lower case and the rest; undefined for a blank line or a comment. */
export function splitLine(line: string): ConfigLine | undefined {
  const zero = line.indexOf('\0');
  const words = new WordReader(trimEnd(zero < 0 ? line : line.slice(0, zero)));
  let keyword = words.next();
  if (keyword === '') keyword = words.next();
  if (keyword === undefined || keyword === '' || keyword.startsWith('#')) return undefined;
  return { keyword: keyword.toLowerCase(), rest: (words.rest ?? '').replace(/^[ \t\r\n]+/, '') };
}

/** A loop, because a pattern anchored at the end takes quadratic time on long runs of blanks elsewhere. */
function trimEnd(line: string): string {
  let end = line.length;
  while (end > 0 && ' \t\r\n\f'.includes(line[end - 1]!)) end--;
  return line.slice(0, end);
}

/** Words cut at blanks, at one `=`, and at double quotes, which lose their quotes but may hold blanks. */
export class WordReader {
  #rest: string | undefined;

  constructor(text: string) {
    this.#rest = text;
  }

  /** What was not read yet; undefined at the end. */
  get rest(): string | undefined {
    return this.#rest;
  }

  /** The next word; undefined at the end and at a quote that is not closed. */
  next(): string | undefined {
    const text = this.#rest;
    if (text === undefined) return undefined;
    const at = text.search(/[ \t\r\n"=]/);
    if (at < 0) {
      this.#rest = undefined;
      return text;
    }
    if (text[at] === '"') return this.#quoted(text.slice(0, at), text.slice(at + 1));
    let rest = skipBlanks(text.slice(at + 1));
    if (text[at] !== '=' && rest.startsWith('=')) rest = skipBlanks(rest.slice(1));
    this.#rest = rest;
    return text.slice(0, at);
  }

  #quoted(before: string, after: string): string | undefined {
    const end = after.indexOf('"');
    this.#rest = end < 0 ? undefined : skipBlanks(after.slice(end + 1));
    return end < 0 ? undefined : before + after.slice(0, end);
  }
}

function skipBlanks(text: string): string {
  return text.replace(/^[ \t\r\n]+/, '');
}

/** The arguments up to a comment; undefined when a quote is not closed. */
export function splitArguments(text: string): string[] | undefined {
  const words: string[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === ' ' || text[at] === '\t') continue;
    if (text[at] === '#') break;
    const argument = readArgument(text, at);
    if (argument === undefined) return undefined;
    words.push(argument.word);
    at = argument.end;
  }
  return words;
}

/** The argument that starts at `start`, and where it ends. */
function readArgument(text: string, start: number): { readonly word: string; readonly end: number } | undefined {
  let word = '';
  let quote = '';
  let at = start;
  for (; at < text.length; at++) {
    const char = text[at]!;
    if (char === '\\' && isEscaped(text[at + 1], quote)) word += text[++at];
    else if (quote !== '') {
      if (char === quote) quote = '';
      else word += char;
    } else if (char === ' ' || char === '\t') break;
    else if (char === '"' || char === "'") quote = char;
    else word += char;
  }
  return quote === '' ? { word, end: at } : undefined;
}

function isEscaped(next: string | undefined, quote: string): boolean {
  return next === "'" || next === '"' || next === '\\' || (quote === '' && next === ' ');
}
