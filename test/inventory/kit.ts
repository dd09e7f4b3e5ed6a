/** Files of inventories in a folder of their own. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { parseHostSet } from '../../src/hostset/hostset.ts';
import { NamedHosts } from '../../src/hostset/named_hosts.ts';
import type { Inventory, InventoryHost } from '../../src/inventory/inventory.ts';

/** A folder with these files; a text that begins with `#!` may be executed. Gone when the test is over. */
export function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'myriad-inventory-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    if (text.startsWith('#!')) chmodSync(path, 0o755);
  }
  return folder;
}

/** The labels that a host set comes to with the groups of an inventory. */
export function select(inventory: Inventory, text: string): string[] {
  return Array.from(parseHostSet(text, { names: new NamedHosts(inventory.groups) }), ({ label }) => label);
}

export function find(inventory: Inventory, name: string): InventoryHost {
  const found = inventory.find({ label: name, name });
  if (!found) throw new Error(`no host ${name}`);
  return found;
}
