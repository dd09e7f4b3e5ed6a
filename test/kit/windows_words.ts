/** How cmd, programs of Windows and PowerShell read text, as far as tests need it: written from their rules, not from our quoting. */

/** What a line comes to: programs with their arguments, and whether it writes or reads files. */
export interface CmdLine {
  readonly commands: readonly (readonly string[])[];
  readonly redirects: boolean;
}

const escapeName = (name: string) => name.replace(/[^A-Za-z0-9]/g, '\\$&');

/** As `cmd /v:on /c` reads a line: variables, quotes and signs; then each program splits its own arguments. */
export function cmdRead(line: string, env: Readonly<Record<string, string>>): CmdLine {
  let text = line.split('\n')[0]!.replaceAll('\r', '');
  // %NAME% is replaced before quotes are looked at; what is not set stays.
  for (const [name, value] of Object.entries(env)) {
    text = text.replace(new RegExp(`%${escapeName(name)}%`, 'gi'), () => value);
  }
  const commands: string[] = [''];
  let quoted = false;
  let redirects = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') quoted = !quoted;
    if (!quoted && char === '^') {
      at++;
      commands.push(commands.pop()! + (text[at] ?? ''));
    } else if (!quoted && '&|()'.includes(char)) commands.push('');
    else if (!quoted && '<>'.includes(char)) redirects = true;
    else commands.push(commands.pop()! + char);
  }
  // !NAME! is replaced after that, within quotes as well.
  const delayed = commands.map((command) =>
    Object.entries(env).reduce(
      (left, [name, value]) => left.replace(new RegExp(`!${escapeName(name)}!`, 'gi'), () => value),
      command,
    ),
  );
  return { commands: delayed.map(programWords).filter((words) => words.length > 0), redirects };
}

/** As the C library of Windows splits a line: \ counts only before a quote. */
export function programWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!;
    if (!quoted && /[ \t]/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= '';
    if (char === '"') quoted = !quoted;
    else if (char === '\\') {
      const run = /^\\+/.exec(line.slice(at))![0].length;
      at += run - 1;
      if (line[at + 1] === '"') {
        word += '\\'.repeat(Math.floor(run / 2));
        if (run % 2 === 1) {
          word += '"';
          at++;
        }
      } else word += '\\'.repeat(run);
    } else word += char;
  }
  if (word !== undefined) words.push(word);
  return words;
}

const SINGLE = new Set(["'", '\u2018', '\u2019', '\u201a', '\u201b']);

/** The string in single quotes that begins at `at`, as PowerShell reads it, and where it ends. */
export function powershellString(text: string, at: number): { readonly value: string; readonly end: number } {
  if (!SINGLE.has(text[at] ?? '')) throw new Error(`no string at ${at} of ${JSON.stringify(text.slice(at, at + 40))}`);
  let value = '';
  for (let i = at + 1; i < text.length; i++) {
    const char = text[i]!;
    if (!SINGLE.has(char)) value += char;
    else if (SINGLE.has(text[i + 1] ?? '')) value += text[++i];
    else return { value, end: i + 1 };
  }
  throw new Error('a string without an end');
}
