/** All settings of a host in the format of `ssh -G`. */
import { applySpec } from './algorithm_spec.ts';
import { KEYWORDS } from './keywords.ts';

/** By keyword: the names that are used by default, and all names that can be used. */
export type AlgorithmTables = Readonly<
  Record<string, { readonly defaults: readonly string[]; readonly known: readonly string[] }>
>;

/** Those `ssh -G` of the day does not print. */
const NOT_PRINTED: ReadonlySet<string> = new Set(['obscurekeystroketiming', 'warnweakcrypto']);

export function dumpHost(name: string, get: (keyword: string) => readonly string[], tables: AlgorithmTables): string {
  const lines = [`host ${name}`];
  for (const keyword of KEYWORDS.keys()) {
    if (NOT_PRINTED.has(keyword)) continue;
    const table = tables[keyword];
    const values = get(keyword);
    const printed = table === undefined ? values : [applySpec(values[0], table.defaults, table.known).join(',')];
    for (const value of printed) lines.push(`${keyword} ${value}`);
  }
  return `${lines.join('\n')}\n`;
}
