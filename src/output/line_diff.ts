/**
 * What tells two lists of lines apart: the shortest way of taking lines away and adding lines that leads from one to the other
 * (Myers, "An O(ND) Difference Algorithm", 1986, the greedy form), within a bound.
 */

/** ` `: in both · `-`: only before · `+`: only after. The places are those of both lists at which it happens. */
export interface Edit {
  readonly kind: ' ' | '-' | '+';
  readonly before: number;
  readonly after: number;
}

/** Neighbouring edits with the equal lines around them; places as diff -u writes them, `12,3`. */
export interface Hunk {
  readonly before: string;
  readonly after: string;
  readonly edits: readonly Edit[];
}

/** Lines taken away and added. The way back is kept for each: 4 MB at this bound. Beyond, what differs is replaced whole. */
const MOST_EDITS = 1000;

/** Every line of both lists, in order. */
export function diffLines(before: readonly string[], after: readonly string[]): Edit[] {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let same = 0;
  while (same < most - start && before[before.length - 1 - same] === after[after.length - 1 - same]) same++;
  const edits: Edit[] = [];
  for (let at = 0; at < start; at++) edits.push({ kind: ' ', before: at, after: at });
  const [n, m] = [before.length - same, after.length - same];
  for (const edit of middle(before.slice(start, n), after.slice(start, m))) {
    edits.push({ kind: edit.kind, before: edit.before + start, after: edit.after + start });
  }
  for (let at = 0; at < same; at++) edits.push({ kind: ' ', before: n + at, after: m + at });
  return edits;
}

function middle(before: readonly string[], after: readonly string[]): Edit[] {
  const trace = before.length > 0 && after.length > 0 ? search(before, after) : undefined;
  if (trace) return walkBack(trace, before.length, after.length);
  return [
    ...before.map((_, at): Edit => ({ kind: '-', before: at, after: 0 })),
    ...after.map((_, at): Edit => ({ kind: '+', before: before.length, after: at })),
  ];
}

/**
 * For each number d of edits how far each diagonal k = x − y is reached, −d ≤ k ≤ d, at place k + d; undefined beyond the bound. The
 * list at d is that after d edits.
 */
function search(before: readonly string[], after: readonly string[]): Int32Array[] | undefined {
  const [n, m] = [before.length, after.length];
  const trace: Int32Array[] = [];
  let last = new Int32Array(0);
  for (let d = 0; d <= Math.min(n + m, MOST_EDITS); d++) {
    const reached = new Int32Array(2 * d + 1);
    for (let k = -d; k <= d; k += 2) {
      let x = d === 0 ? 0 : comesFromAbove(last, d, k) ? last[k + d]! : last[k + d - 2]! + 1;
      let y = x - k;
      while (x < n && y < m && before[x] === after[y]) {
        x++;
        y++;
      }
      reached[k + d] = x;
      if (x >= n && y >= m) return [...trace, reached];
    }
    trace.push(reached);
    last = reached;
  }
  return undefined;
}

/** Whether diagonal k is best reached from k + 1, by adding a line. In `last`, which is of d − 1, k + 1 is at k + d. */
function comesFromAbove(last: Int32Array, d: number, k: number): boolean {
  return k === -d || (k !== d && last[k + d - 2]! < last[k + d]!);
}

function walkBack(trace: readonly Int32Array[], n: number, m: number): Edit[] {
  const edits: Edit[] = [];
  let [x, y] = [n, m];
  for (let d = trace.length - 1; d >= 0; d--) {
    const k = x - y;
    const last = trace[d - 1];
    const adds = last !== undefined && comesFromAbove(last, d, k);
    const from = last === undefined ? 0 : adds ? last[k + d]! : last[k + d - 2]!;
    const start = last === undefined || adds ? from : from + 1;
    while (x > start) {
      x--;
      y--;
      edits.push({ kind: ' ', before: x, after: y });
    }
    if (last === undefined) break;
    edits.push(adds ? { kind: '+', before: x, after: --y } : { kind: '-', before: --x, after: y });
  }
  return edits.reverse();
}

/** The edits that change something, with so many equal lines around them; those that would touch are one. */
export function hunks(edits: readonly Edit[], context: number): Hunk[] {
  const found: Hunk[] = [];
  for (let at = 0; at < edits.length; ) {
    if (edits[at]!.kind === ' ') {
      at++;
      continue;
    }
    const start = Math.max(0, at - context);
    let end = at;
    for (let next = at; next < edits.length && next <= end + 2 * context + 1; next++) {
      if (edits[next]!.kind !== ' ') end = next;
    }
    const part = edits.slice(start, Math.min(edits.length, end + 1 + context));
    found.push({ before: span(part, 'before', '+'), after: span(part, 'after', '-'), edits: part });
    at = end + 1 + context;
  }
  return found;
}

/** `first,count`, the count left out where it is 1; where there is none the line before it, as diff -u does. */
function span(edits: readonly Edit[], side: 'before' | 'after', other: '+' | '-'): string {
  const count = edits.filter(({ kind }) => kind !== other).length;
  const first = edits[0]![side];
  if (count === 0) return `${first},0`;
  return count === 1 ? String(first + 1) : `${first + 1},${count}`;
}
