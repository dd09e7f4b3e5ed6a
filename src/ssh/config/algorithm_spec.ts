/** Lists of algorithms as ssh_config writes them: a list, or `+`, `-` or `^` and a list to change the defaults. */
import { matchPatternList } from './pattern.ts';

/**
 * The names that `spec` allows, in order of preference; without a spec the defaults. `known` are the names that can be used at all:
 * what is not among them is left out, and wildcards stand for those that match, in the order of `known`. Empty when nothing is
 * left, which is the caller's to refuse.
 */
export function applySpec(spec: string | undefined, defaults: readonly string[], known: readonly string[]): string[] {
  if (spec === undefined || spec === '') return [...defaults];
  const list = spec.slice(1).split(',');
  switch (spec[0]) {
    case '-':
      return defaults.filter((name) => !matchPatternList(name, spec.slice(1)));
    case '+':
      return select([...defaults, ...list], known);
    case '^':
      return select([...list, ...defaults], known);
    default:
      return select(spec.split(','), known);
  }
}

function select(patterns: readonly string[], known: readonly string[]): string[] {
  const selected = new Set<string>();
  for (const pattern of patterns) {
    for (const name of known) if (matchPatternList(name, pattern)) selected.add(name);
  }
  return [...selected];
}

/** What is wrong with a spec, apart from names that only its user can know; undefined when nothing is. */
export function specProblem(spec: string): string | undefined {
  const names = (/^[+^-]/.test(spec) ? spec.slice(1) : spec).split(',');
  if (names.some((name) => name === '')) return `the list of algorithms "${spec}" has an empty name`;
  if (!spec.startsWith('-') && names.some((name) => name.startsWith('!'))) {
    return `the list of algorithms "${spec}" has a "!"; write "-" at its start to take names away`;
  }
  return undefined;
}
