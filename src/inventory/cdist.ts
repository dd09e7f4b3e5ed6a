/** cdist's inventory: a folder with a file per host, one tag a line. Tags are groups. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Inventory, Reading } from './inventory.ts';
import { problem } from './problem.ts';
import { readText } from './source.ts';
import { Table } from './table.ts';

export function readCdist(folder: string, { title, warn }: Reading, warnings: readonly string[]): Inventory {
  const table = new Table(title, warn);
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory())
      throw problem(title, `${JSON.stringify(entry.name)} is a folder; expected a file per host`);
    table.addHost(entry.name);
    for (const tag of tagsIn(readText(join(folder, entry.name), title))) table.addHost(entry.name, tag);
  }
  return table.seal('cdist', warnings);
}

function tagsIn(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*$/, '').trim())
    .filter((tag) => tag !== '');
}
