/** Which hosts: host sets and host files, less what is excluded. An empty or mistyped selection is an error. */
import { readFileSync } from 'node:fs';
import { MyriadError } from '../contracts/errors.ts';
import { difference, type HostSet, parseHostFile, parseHostSet, union } from '../hostset/hostset.ts';
import { type HostParts, splitLabel } from '../hostset/label.ts';
import type { FleetOptions } from './options.ts';

/** Throws `host-set`, `file`, `empty-selection` or `unmatched`, naming the part at fault. */
export function selectHosts(options: FleetOptions): HostSet {
  const parts: HostSet[] = list(options.hosts).map((text) => parseHostSet(text));
  for (const file of list(options.hostFiles)) {
    const set = parseHostFile(readText(file), file);
    if (set.count === 0) throw new MyriadError('empty-selection', `hosts file "${file}" names no host`);
    parts.push(set);
  }
  if (parts.length === 0) {
    throw new MyriadError('empty-selection', 'no hosts were given; name them with -w or --hostfile');
  }
  let selected = parts.length === 1 ? parts[0]! : union(parts);
  for (const text of list(options.exclude)) {
    const { set, matched } = difference(selected, parseHostSet(text));
    if (matched === 0) throw new MyriadError('unmatched', `exclusion "${text}" matches none of the selected hosts`);
    selected = set;
  }
  if (selected.count === 0) throw new MyriadError('empty-selection', 'the exclusions leave no host');
  return selected;
}

/** The hops of `user@host:port,host2`, none for `none`; undefined where nothing was said. Throws `usage`. */
export function parseJump(text: string | undefined): readonly HostParts[] | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return [];
  return text.split(',').map((label) => {
    const parts = splitLabel(label.trim());
    if (parts) return parts;
    throw new MyriadError('usage', `jump "${text}": expected [user@]host[:port] with commas, got "${label}"`);
  });
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

function readText(file: string): string {
  try {
    // Not by its name: a socket, which is what a parent process may have given us, cannot be opened again.
    return readFileSync(file === '/dev/stdin' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new MyriadError('file', `hosts file "${file}" cannot be read: ${(cause as Error).message}`, { cause });
  }
}
