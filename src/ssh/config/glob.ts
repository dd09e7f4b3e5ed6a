/** Paths with glob(7) wildcards, for Include: `*`, `?` and `[...]` within one part of a path; a leading dot must be written out. */

/** Lists a directory and tells whether a path exists; both answer nothing for what cannot be read. */
export interface Directory {
  readonly list: (directory: string) => readonly string[];
  readonly exists: (path: string) => boolean;
}

/** An Include that names more files than this is refused elsewhere; the bound keeps wildcards in several parts from running on. */
const MAX_PATHS = 100_000;

/** The existing paths, in the order of their bytes. `pattern` is absolute. */
export function expandGlob(pattern: string, directory: Directory): readonly string[] {
  if (!/[*?[\\]/.test(pattern)) return directory.exists(pattern) ? [pattern] : [];
  let paths = [''];
  for (const part of pattern.split('/').slice(1)) {
    paths = /[*?[]/.test(part)
      ? paths.flatMap((path) => matching(path, part, directory)).slice(0, MAX_PATHS)
      : paths.map((path) => `${path}/${part.replace(/\\(.)/g, '$1')}`);
  }
  return paths.filter((path) => directory.exists(path)).sort(compareBytes);
}

function matching(path: string, part: string, directory: Directory): string[] {
  const test = new RegExp(`^${source(part)}$`, 's');
  return directory
    .list(path === '' ? '/' : path)
    .filter((name) => (!name.startsWith('.') || part.startsWith('.')) && test.test(name))
    .map((name) => `${path}/${name}`);
}

function source(part: string): string {
  return part.replace(/\\(.)|\[(!|\^)?(\]?[^\]]*)\]|[\s\S]/g, (all, escaped, negated, set) => {
    if (escaped !== undefined) return quote(escaped);
    if (set !== undefined) return `[${negated === undefined ? '' : '^'}${set.replace(/[\\\][^]/g, '\\$&')}]`;
    return all === '*' ? '.*' : all === '?' ? '.' : quote(all);
  });
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
