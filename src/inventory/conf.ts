/** Files of sections with `name: value` or `name = value`, as Python's configparser reads them. */
import { problem, shown } from './problem.ts';

export type Sections = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Sections by name, values with continued lines joined by a line end. Throws `inventory` with the line. */
export function readSections(text: string, title: string): Sections {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  let last: string | undefined;
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const head = /^\[([^\]]+)\]/.exec(line)?.[1];
    if (head !== undefined) {
      section = sections.get(head) ?? new Map();
      sections.set(head, section);
      last = undefined;
    } else if (/^\s/.test(line) && section && last !== undefined) {
      section.set(last, `${section.get(last)}\n${line.trim()}`);
    } else {
      const found = /^([^:=]+?)\s*[:=]\s*(.*)$/.exec(line.trim());
      if (!found || !section)
        throw problem(title, `line ${number}: expected [section] or name: value, got ${shown(line)}`);
      last = found[1]!.toLowerCase();
      section.set(last, found[2]!);
    }
  }
  return sections;
}
