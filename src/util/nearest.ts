/** Names that somebody may have meant. */

/** Names longer than this are not compared. */
const MOST_LENGTH = 100;

/** At most `most` of `names` that are a slip or two away from `name`, the nearest first. */
export function nearest(name: string, names: Iterable<string>, most = 3): string[] {
  if (name.length > MOST_LENGTH) return [];
  const reach = name.length < 4 ? 1 : 2;
  const found: { readonly known: string; readonly distance: number }[] = [];
  for (const known of names) {
    if (Math.abs(known.length - name.length) > reach) continue;
    const distance = distanceOf(name.toLowerCase(), known.toLowerCase(), reach);
    if (distance > reach) continue;
    found.push({ known, distance });
    found.sort((a, b) => a.distance - b.distance);
    found.length = Math.min(found.length, most);
  }
  return found.map(({ known }) => known);
}

/** `; nearest are "a" and "b"`, or nothing. */
export function nearestText(name: string, names: Iterable<string>): string {
  const found = nearest(name, names).map((known) => JSON.stringify(known));
  if (found.length === 0) return '';
  if (found.length === 1) return `; nearest is ${found[0]}`;
  return `; nearest are ${found.slice(0, -1).join(', ')} and ${found.at(-1)}`;
}

/** Insertions, deletions, replacements and swapped neighbours between two texts; above `reach` any number above it. */
function distanceOf(a: string, b: string, reach: number): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, place) => place);
  for (let row = 1; row <= a.length; row++) {
    const now = [row];
    for (let place = 1; place <= b.length; place++) {
      const same = a[row - 1] === b[place - 1];
      let least = Math.min(last[place]! + 1, now[place - 1]! + 1, last[place - 1]! + (same ? 0 : 1));
      const swapped = row > 1 && place > 1 && a[row - 1] === b[place - 2] && a[row - 2] === b[place - 1];
      if (swapped) least = Math.min(least, beforeLast[place - 2]! + 1);
      now.push(least);
    }
    if (Math.min(...now) > reach) return reach + 1;
    [beforeLast, last] = [last, now];
  }
  return last[b.length]!;
}
