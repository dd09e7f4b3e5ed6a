/** The hosts that an ssh_config names: aliases without wildcards. How they are reached is for ssh_config itself to say. */
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { setOfLabels } from '../hostset/hostset.ts';
import { splitLabel } from '../hostset/label.ts';
import { nodeFileSystem } from '../ssh/config/files.ts';
import { splitArguments } from '../ssh/config/lexer.ts';
import type { Inventory, Reading } from './inventory.ts';
import { shown } from './problem.ts';
import { SetInventory } from './set_inventory.ts';
import { readText } from './source.ts';

/** As deep as ssh goes. */
const MOST_DEPTH = 16;

export function readSshConfig(path: string, { title, warn }: Reading, warnings: readonly string[]): Inventory {
  const labels: string[] = [];
  for (const alias of aliasesIn(path, title, 0)) {
    if (splitLabel(alias)) labels.push(alias);
    else warn(`${title}: Host ${shown(alias)} cannot be a host here and is left out`);
  }
  const all = setOfLabels(labels);
  const groups = { sources: ['ssh-config'], members: () => undefined, names: () => [], all: () => all };
  return new SetInventory(title, groups, warnings, all);
}

function* aliasesIn(path: string, title: string, depth: number): Generator<string> {
  for (const line of readText(path, title).split('\n')) {
    const found = /^\s*(host|include)(?:\s*=\s*|\s+)(.*)$/i.exec(line);
    if (!found) continue;
    const words = splitArguments(found[2]!) ?? [];
    if (found[1]!.toLowerCase() === 'host') {
      for (const word of words) if (!/[*?!]/.test(word)) yield word;
    } else if (depth < MOST_DEPTH) {
      for (const file of words.flatMap((word) => nodeFileSystem.glob(included(word, path)))) {
        yield* aliasesIn(file, title, depth + 1);
      }
    }
  }
}

/** `~` is the home folder; what is relative lies beside the file, which is where ssh's own files have it. */
function included(pattern: string, path: string): string {
  if (pattern.startsWith('~/')) return join(homedir(), pattern.slice(2));
  return isAbsolute(pattern) ? pattern : join(dirname(path), pattern);
}
