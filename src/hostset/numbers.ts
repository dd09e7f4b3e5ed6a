/** Digits and brackets side by side in a name, as levels of a tree. */
import { compareSegments, concatenate, MAX_DIGITS, type Segment, segment } from './segment.ts';
import { productOf, TreeIndex } from './tree.ts';

/** Most segments that brackets side by side may make. */
const MAX_SEGMENTS = 100_000;

/** A stretch of a name: text, digits as they stand, or a bracket. Neighbours of the last two make one number. */
export interface NamePart {
  readonly position: number;
  readonly bracket: boolean;
  readonly segments: readonly Segment[];
  readonly width: number;
  readonly text: string;
}

type Fail = (position: number, expected: string) => never;

/** The stretches of a text without brackets that stands at `position`. */
export function textParts(text: string, position: number): NamePart[] {
  let at = position;
  return (text.match(/[0-9]+|[^0-9]+/g) ?? []).map((piece) => {
    const value = Number(piece);
    const number = /^[0-9]/.test(piece) && piece.length <= MAX_DIGITS;
    const segments = number ? [segment(piece.length, value, value)] : [];
    const part = { position: at, bracket: false, segments, width: piece.length, text: piece };
    at += piece.length;
    return part;
  });
}

/** Numbers side by side become one level each; digits that are too long for a number are text, away from brackets. */
export function levelsOf(parts: readonly NamePart[], fail: Fail): { pattern: string; levels: Segment[][] } {
  let pattern = '';
  const levels: Segment[][] = [];
  for (let at = 0; at < parts.length; ) {
    const group: NamePart[] = [];
    while (at < parts.length && isNumeric(parts[at]!)) group.push(parts[at++]!);
    if (group.length === 0) pattern += parts[at++]!.text;
    else if (group.length === 1 && group[0]!.segments.length === 0) pattern += group[0]!.text;
    else {
      pattern += '%';
      levels.push(numberOf(group, fail));
    }
  }
  return { pattern, levels };
}

/** The values of digits and brackets side by side, each once, in the order in which they are written. */
function numberOf(group: readonly NamePart[], fail: Fail): Segment[] {
  const { position } = group.find((part) => part.bracket) ?? group[0]!;
  if (group.reduce((sum, part) => sum + part.width, 0) > MAX_DIGITS) {
    fail(position, `a number of at most ${MAX_DIGITS} digits, those next to the bracket included`);
  }
  let segments = group[0]!.segments;
  for (const part of group.slice(1)) {
    segments =
      concatenate(segments, part.segments, MAX_SEGMENTS) ??
      fail(part.position, `text between two brackets, which together make more than ${MAX_SEGMENTS} ranges`);
  }
  return distinct(segments);
}

function isNumeric(part: NamePart): boolean {
  return part.bracket || /^[0-9]/.test(part.text);
}

/** The segments with every value at its first place only. */
function distinct(segments: readonly Segment[]): Segment[] {
  const sorted = segments.toSorted(compareSegments);
  const apart = sorted.every((run, at) => {
    const before = sorted[at - 1];
    return !before || before.width < run.width || before.hi < run.lo;
  });
  if (apart) return [...segments];
  const seen = new TreeIndex();
  const kept: Segment[] = [];
  for (const run of segments) {
    const rest = seen.subtractFrom(productOf([[run]]));
    if (!rest) continue;
    seen.add(rest);
    for (const edge of rest.edges) kept.push(edge.segment);
  }
  return kept;
}
