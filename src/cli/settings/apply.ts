/** Settings, before a verb takes its words. Where there are none that costs three looks into the file system. */
import type { NamedVerb } from '../definitions.ts';
import { findFiles, surroundings } from './files.ts';

/** Verbs that settings say nothing of, or that look at them themselves. */
const WITHOUT = new Set(['doctor', 'completion', '__complete']);

/** A line for its verb. */
export interface Completed {
  /** With what settings add. */
  readonly words: readonly string[];
  /** Without; what is to be typed again. */
  readonly own: readonly string[];
  /** What was said of settings themselves, as `--profile NAME`. */
  readonly asked: readonly string[];
}

/** The words with what settings add to them. Throws `usage`. */
export async function withSettings(
  verbs: readonly NamedVerb[],
  name: string,
  words: readonly string[],
): Promise<Completed> {
  const unchanged = { words, own: words, asked: [] };
  if (WITHOUT.has(name)) return unchanged;
  const around = surroundings();
  // A word of the command may look like one of ours: then it is looked at closely, and nothing is changed.
  const asked = words.some((word) => /^--(?:settings|profile)(?:=|$)|^--no-/.test(word));
  const named = around.env.MYRIAD_SETTINGS || around.env.MYRIAD_PROFILE;
  if (!asked && !named && findFiles(around, undefined).length === 0) return unchanged;
  const [{ completed, effective }, { Definitions }] = await Promise.all([
    import('./effective.ts'),
    import('../definitions.ts'),
  ]);
  const definitions = new Definitions(verbs);
  const { verb, head, rest } = definitions.verbOf(name, words);
  const found = await effective(definitions, verb, rest, around);
  const { head: run, rest: own, asked: said } = found.scanned;
  return { words: [...head, ...completed(found)], own: [...head, ...run, ...own], asked: said };
}
