/** Options of the command line as settings: `-o Keyword=text`. */
import { ALIASES, DEPRECATED, KEYWORDS, UNSUPPORTED } from './keywords.ts';
import { splitArguments } from './lexer.ts';
import { type ConfigProblem, SshConfigError } from './problems.ts';
import { type ReadContext, readSetting, type Setting } from './setting.ts';

/** Keyword, in any case, to the texts that follow it. */
export type Overrides = ReadonlyMap<string, readonly string[]>;

/** Throws SshConfigError with all options that cannot be used. */
export function readOverrides(overrides: Overrides, context: ReadContext): readonly Setting[] {
  const settings: Setting[] = [];
  const problems: ConfigProblem[] = [];
  for (const [name, texts] of overrides) {
    for (const text of texts) {
      const problem = readOverride(name, text, context, settings);
      if (problem !== undefined) problems.push({ file: `option ${name}`, line: 0, reason: problem });
    }
  }
  if (problems.length > 0) throw new SshConfigError(problems);
  return settings;
}

function readOverride(name: string, text: string, context: ReadContext, into: Setting[]): string | undefined {
  const word = name.toLowerCase();
  if (DEPRECATED.has(word) || UNSUPPORTED.has(word)) return undefined;
  if (['host', 'match', 'include'].includes(word)) return `${name} counts in a file only`;
  const keyword = KEYWORDS.get(ALIASES.get(word) ?? word);
  if (keyword === undefined) return 'there is no such option in ssh_config';
  const args = splitArguments(text);
  if (args === undefined) return `a quote is not closed in "${text}"`;
  const values = readSetting(keyword, args, text, context);
  if (typeof values === 'string') return values;
  for (const [slot, words] of values) into.push({ slot, values: words, file: `option ${name}`, line: 0, byUser: true });
  return undefined;
}
