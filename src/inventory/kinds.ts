/** What kind of inventory a path is: by what is asked for, by its name, by what it holds. */
import { readdirSync, type Stats } from 'node:fs';
import { basename } from 'node:path';
import { splitLabel } from '../hostset/label.ts';
import { sectionOf } from './ansible/ini.ts';
import { looksLikeGroups } from './ansible/tree.ts';
import { looksLikeSources } from './clustershell.ts';
import { looksLikeJson } from './lines.ts';
import { problem } from './problem.ts';

export const KINDS = ['hosts', 'ssh-config', 'clustershell', 'genders', 'ansible', 'json', 'command', 'cdist'] as const;
export type Kind = (typeof KINDS)[number];

/** `TYPE:PATH` as its parts; a path alone has no kind. */
export function splitKind(text: string): { readonly kind: Kind | undefined; readonly path: string } {
  const kind = KINDS.find((word) => text.startsWith(`${word}:`));
  return { kind, path: kind === undefined ? text : text.slice(kind.length + 1) };
}

/** Throws `inventory` where two kinds are as likely. */
export function kindOfFolder(path: string, title: string): Kind {
  const names = readdirSync(path).filter((name) => !name.startsWith('.'));
  if (names.includes('groups.conf') || names.includes('groups.d')) return 'clustershell';
  const known = /^(?:hosts|inventory|group_vars|host_vars)$|\.(?:ini|ya?ml|json)$/;
  if (names.some((name) => known.test(name))) return 'ansible';
  if (names.length > 0 && names.every((name) => splitLabel(name))) return 'cdist';
  throw problem(
    title,
    `it is not plain what the folder holds; write ansible:${path}, clustershell:${path} or cdist:${path}`,
  );
}

/** `yaml`: the text as YAML. Throws `inventory` where two kinds are as likely. */
export function kindOfFile(path: string, text: string, title: string, yaml: () => unknown): Kind {
  const name = basename(path);
  if (name === 'genders') return 'genders';
  if (name === 'groups.conf' || (name.endsWith('.cfg') && isFlatGroups(text))) return 'clustershell';
  if (/^(?:config|ssh_config)$/.test(name) && /^\s*Host[\s=]/im.test(text)) return 'ssh-config';
  if (name.endsWith('.ini')) return 'ansible';
  if (/\.ya?ml$/.test(name)) return kindOfYaml(path, yaml(), title);
  if (/\.(?:json|ndjson|jsonl)$/.test(name) || looksLikeJson(text)) return 'json';
  if (/^---\s*$/m.test(text)) return kindOfYaml(path, yaml(), title);
  return kindOfText(path, text, title);
}

function kindOfYaml(path: string, value: unknown, title: string): Kind {
  const [groups, sources] = [looksLikeGroups(value), looksLikeSources(value)];
  // Nothing but hosts, children and vars: that is no chance.
  if (groups) return 'ansible';
  if (sources) return 'clustershell';
  throw problem(title, `it is not plain whose groups these are; write ansible:${path} or clustershell:${path}`);
}

function kindOfText(path: string, text: string, title: string): Kind {
  let [assigned, listed] = [false, false];
  for (const full of text.split('\n')) {
    const line = full.replace(/(?:^|\s)[#;].*$/, '').trim();
    if (line === '') continue;
    if (sectionOf(line) || /\sansible_\w+=/.test(line)) return 'ansible';
    if (/^Host\s+\S/i.test(line) && /^\s*Host(?:Name)?\s/im.test(text)) return 'ssh-config';
    const words = line.split(/\s+/);
    if (words.slice(1).some((word) => word.includes('='))) {
      assigned = true;
      // A list of attributes, as only genders has it.
      if (words.length === 2 && words[1]!.includes(',')) listed = true;
    }
  }
  if (listed) return 'genders';
  if (!assigned) return 'hosts';
  throw problem(title, `name=value behind a host is for Ansible or genders; write ansible:${path} or genders:${path}`);
}

function isFlatGroups(text: string): boolean {
  const lines = text.split('\n').filter((line) => !/^\s*(?:#|$)/.test(line));
  return lines.length > 0 && lines.every((line) => /^[^\s:[\]]+\s*:/.test(line));
}

/** A program is what may be executed and begins as one; a list of hosts on a disk of another system may be executed, too. */
export function isProgram(stat: Stats, start: Buffer): boolean {
  if (!stat.isFile() || (stat.mode & 0o111) === 0) return false;
  return (
    start.subarray(0, 2).toString('latin1') === '#!' || start.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))
  );
}
