/** `myriad __complete -- WORDS`: what the last of the words may become, a line each, with a TAB before what it means. */

import { makeTable, readTable } from './completion/table.ts';
import { candidates, FILES } from './completion/words.ts';
import type { NamedVerb } from './definitions.ts';

export async function complete(argv: readonly string[], verbs: readonly NamedVerb[]): Promise<number> {
  if (argv[0] === '--table') {
    process.stdout.write(`${JSON.stringify(await makeTable(verbs))}\n`);
    return 0;
  }
  const found = await candidates(await readTable(verbs), argv.slice(1));
  const lines = found === FILES ? [FILES] : found.map(({ word, what }) => (what ? `${word}\t${oneLine(what)}` : word));
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return 0;
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ');
}
