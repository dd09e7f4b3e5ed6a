/**
 * What the guards need to know of a source file, read without a parser: TypeScript 7 has no API to ask. Three things make
 * that enough: biome has formatted every file, comments and literals are blanked out first, and the tests of the guards
 * hold the odd cases.
 */

/** An import or a re-export of another module. */
export interface ImportSite {
  readonly specifier: string;
  readonly line: number;
  /** Vanishes when types are stripped. */
  readonly typeOnly: boolean;
  /** `export … from`, or an import whose name an `export { … }` of the same file gives on. */
  readonly reExport: boolean;
}

export interface FunctionSpan {
  /** The first line of its head, shortened: what a reader finds it by. */
  readonly head: string;
  readonly line: number;
  readonly lines: number;
}

/** A `/` after one of these starts a regular expression; after anything else it divides. */
const BEFORE_REGEXP = /(?:^|[=([{,;:!&|?+\-*%<>~^}]|\b(?:return|typeof|case|in|of|void|throw|await|yield))\s*$/;

/**
 * The text with every character of comments, strings, templates and regular expressions replaced by a blank, line breaks
 * and delimiters of strings kept: same length, same lines. Code in `${…}` of a template goes with its template.
 */
export function blankLiterals(text: string): string {
  let out = '';
  let at = 0;
  while (at < text.length) {
    const end = literalEnd(text, at, out);
    if (end === at) {
      out += text[at];
      at += 1;
      continue;
    }
    const literal = text.slice(at, end);
    const quote = literal[0];
    const inner = literal.replace(/[^\n]/g, ' ');
    out += quote === "'" || quote === '"' ? quote + inner.slice(1, -1) + quote : inner;
    at = end;
  }
  return out;
}

/** Where the literal or comment that starts at `at` ends; `at` itself where none starts there. */
function literalEnd(text: string, at: number, before: string): number {
  const two = text.slice(at, at + 2);
  if (two === '//' || (at === 0 && two === '#!')) return endOf(text, '\n', at);
  if (two === '/*') return endOf(text, '*/', at + 2) + 2;
  const char = text[at];
  if (char === "'" || char === '"') return quotedEnd(text, at, char);
  if (char === '`') return templateEnd(text, at);
  if (char === '/' && BEFORE_REGEXP.test(before.slice(-40))) return regexpEnd(text, at);
  return at;
}

function endOf(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from);
  return found < 0 ? text.length : found;
}

function quotedEnd(text: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < text.length && text[at] !== quote) at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** A slash within `[…]` does not end a regular expression. */
function regexpEnd(text: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\\') at += 1;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return at + 1;
  }
  return text.length;
}

/** Templates nest: `${…}` may hold strings, comments and templates of its own. */
function templateEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '`') {
    if (text[at] === '\\') at += 2;
    else if (text.startsWith('${', at)) at = substitutionEnd(text, at + 2);
    else at += 1;
  }
  return at + 1;
}

function substitutionEnd(text: string, start: number): number {
  let depth = 1;
  let at = start;
  while (at < text.length) {
    const end = literalEnd(text, at, text.slice(start, at));
    if (end > at) {
      at = end;
      continue;
    }
    if (text[at] === '{') depth += 1;
    if (text[at] === '}') depth -= 1;
    at += 1;
    if (depth === 0) return at;
  }
  return at;
}

const STATIC_IMPORT = /^(import|export)\b([^;'"]*?)(?:\bfrom\s*)?(['"])(\s*)\3/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*(['"])(\s*)\1/g;

/** Every import of a file: static, for types, for effects, dynamic with a literal, and in types (`import('x').Y`). */
export function findImports(text: string): ImportSite[] {
  const code = blankLiterals(text);
  const given = namesGivenOn(code);
  const sites: ImportSite[] = [];
  const add = (end: number, length: number, start: number, typeOnly: boolean, reExport: boolean): void => {
    const specifier = text.slice(end - 1 - length, end - 1);
    sites.push({ specifier, line: lineOf(text, start), typeOnly, reExport });
  };
  for (const match of code.matchAll(STATIC_IMPORT)) {
    const [whole, keyword = '', clause = '', , blanks = ''] = match;
    // `export const x = 'y'` is no module reference; only `export … from` is.
    if (keyword === 'export' && !/\bfrom\s*['"]\s*['"]$/.test(whole)) continue;
    const reExport = keyword === 'export' || localNames(clause).some((name) => given.has(name));
    add(match.index + whole.length, blanks.length, match.index, onlyTypes(clause), reExport);
  }
  for (const match of code.matchAll(DYNAMIC_IMPORT)) {
    const [whole, , blanks = ''] = match;
    add(match.index + whole.length, blanks.length, match.index, false, false);
  }
  return sites;
}

/** `type X from`, or braces in which every name is a `type`: nothing of the module is left at run time. */
function onlyTypes(clause: string): boolean {
  if (/^\s*type\s+[^\s,]/.test(clause)) return true;
  const names = /^\s*\{([^}]*)\}\s*$/.exec(clause)?.[1]?.split(',') ?? [];
  const kept = names.filter((name) => name.trim() !== '');
  return kept.length > 0 && kept.every((name) => name.trim().startsWith('type '));
}

/** The names that an import clause brings into the file. */
function localNames(clause: string): string[] {
  return clause
    .replace(/[{}*]/g, ',')
    .split(',')
    .map(
      (part) =>
        part
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+/)
          .at(-1) ?? '',
    )
    .filter((name) => name !== '' && name !== 'from');
}

/** The names in `export { … };` lists without `from`. */
function namesGivenOn(code: string): Set<string> {
  const names = new Set<string>();
  for (const match of code.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}(?!\s*from)/gm)) {
    for (const part of (match[1] ?? '').split(',')) {
      const name = part
        .trim()
        .replace(/^type\s+/, '')
        .split(/\s+/)[0];
      if (name) names.add(name);
    }
  }
  return names;
}

function lineOf(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

const ARROW_BODY = /=> \{$/;
const FUNCTION_HEAD = /\bfunction\b\*?\s*[\w$]*\s*[<(]/;
const METHOD_HEAD =
  /^\s+(?:(?:static|async|override|public|private|protected|abstract) )*(?:[gs]et )?\*?[#\w$\]['"]+(?:<.*>)?\(/;
const CONTROL_HEAD = /^\s*(?:\} )?(?:else )?(?:if|for|while|switch|catch|with)\b/;

/**
 * Every function, method and arrow function with a body in braces that spans lines, in the order of their heads. By
 * indentation: a line that ends in `{` is closed by the next line at the same depth that starts with `}`.
 */
export function findFunctions(text: string): FunctionSpan[] {
  const lines = blankLiterals(text).split('\n');
  const source = text.split('\n');
  const found: FunctionSpan[] = [];
  for (const [at, line] of lines.entries()) {
    const head = functionHead(lines, at);
    if (head === undefined) continue;
    const end = closingLine(lines, at, indentation(line));
    found.push({ head: (source[head] ?? '').trim().slice(0, 60), line: head + 1, lines: end - head + 1 });
  }
  return found.sort((a, b) => a.line - b.line);
}

/** The line where the function starts whose body opens at the end of line `at`; undefined where none opens there. */
function functionHead(lines: readonly string[], at: number): number | undefined {
  const line = lines[at]?.trimEnd() ?? '';
  // `): {` opens the type of what is returned; the body opens on its closing line, `} {`.
  if (!line.endsWith('{') || /\): \{$/.test(line)) return undefined;
  const head = /^\s*(?:\)|\} \{)/.test(line) ? startOfHead(lines, at, indentation(line)) : at;
  const first = lines[head] ?? '';
  if (CONTROL_HEAD.test(first)) return undefined;
  const isFunction = ARROW_BODY.test(line) || FUNCTION_HEAD.test(first) || METHOD_HEAD.test(first);
  return isFunction ? head : undefined;
}

/** A head over several lines: back to the line at the same depth that opened its parameters. */
function startOfHead(lines: readonly string[], at: number, depth: number): number {
  for (let above = at - 1; above >= 0; above -= 1) {
    const line = lines[above] ?? '';
    if (line.trim() !== '' && indentation(line) === depth && !/^\s*[)}]/.test(line)) return above;
  }
  return at;
}

function closingLine(lines: readonly string[], opened: number, depth: number): number {
  for (let below = opened + 1; below < lines.length; below += 1) {
    const line = lines[below] ?? '';
    if (indentation(line) === depth && line.trim().startsWith('}')) return below;
  }
  return lines.length - 1;
}

function indentation(line: string): number {
  return line.length - line.trimStart().length;
}
