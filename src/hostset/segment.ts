/**
 * Runs of digit strings. A digit string is its width and its value, so `01` and `1` are two, and `8-12` is two segments:
 * 8-9 of width 1 and 10-12 of width 2. Segments of different widths never meet.
 */

/** Most digits in one number: every value stays an exact integer. */
export const MAX_DIGITS = 15;

/** The values lo, lo + step … hi, each written with `width` digits. `hi` is always met; a single value has step 1. */
export interface Segment {
  readonly width: number;
  readonly lo: number;
  readonly hi: number;
  readonly step: number;
}

/** What two segments share, as places in the first: `first`, then every `stride`-th, `count` in all. */
export interface Overlap {
  readonly first: number;
  readonly stride: number;
  readonly count: number;
}

/** The segment from `lo` up to at most `hi`. Needs lo ≤ hi. */
export function segment(width: number, lo: number, hi: number, step = 1): Segment {
  const last = step === 1 ? hi : hi - ((hi - lo) % step);
  return { width, lo, hi: last, step: last === lo ? 1 : step };
}

export function sizeOf(run: Segment): number {
  return run.step === 1 ? run.hi - run.lo + 1 : (run.hi - run.lo) / run.step + 1;
}

/** `count` values from place `first` on; undefined where that is none. */
export function slice(run: Segment, first: number, count: number): Segment | undefined {
  if (count <= 0) return undefined;
  const lo = run.lo + first * run.step;
  return segment(run.width, lo, lo + (count - 1) * run.step, run.step);
}

/** A value as it is written. */
export function digits(width: number, value: number): string {
  const text = String(value);
  return text.length === width ? text : text.padStart(width, '0');
}

/** Every value as it is written. */
export function valuesOf({ width, lo, hi, step }: Segment): string[] {
  const values: string[] = [];
  for (let value = lo; value <= hi; value += step) values.push(digits(width, value));
  return values;
}

/** The segments of lo, lo + step … hi written without padding: one per number of digits. */
export function naturalSegments(lo: number, hi: number, step: number): Segment[] {
  const segments: Segment[] = [];
  for (let from = lo; from <= hi; ) {
    const width = String(from).length;
    const part = segment(width, from, Math.min(hi, 10 ** width - 1), step);
    segments.push(part);
    from = part.hi + step;
  }
  return segments;
}

/** Order by width, then by first value. */
export function compareSegments(a: Segment, b: Segment): number {
  return a.width - b.width || a.lo - b.lo;
}

/** What `a` shares with `b`; undefined where nothing. */
export function overlap(a: Segment, b: Segment): Overlap | undefined {
  if (a.width !== b.width || a.lo > b.hi || b.lo > a.hi) return undefined;
  const from = Math.max(a.lo, b.lo);
  const to = Math.min(a.hi, b.hi);
  if (b.step === 1) {
    const first = Math.ceil((from - a.lo) / a.step);
    const last = Math.floor((to - a.lo) / a.step);
    return first > last ? undefined : { first, stride: 1, count: last - first + 1 };
  }
  if (a.step === 1) {
    const first = from + ((b.step - ((from - b.lo) % b.step)) % b.step);
    if (first > to) return undefined;
    return strided(first - a.lo, b.step, Math.floor((to - first) / b.step) + 1);
  }
  return overlapStepped(a, b, from, to);
}

/** Both have a step: the common values are one residue class of the least common multiple, or none. */
function overlapStepped(a: Segment, b: Segment, from: number, to: number): Overlap | undefined {
  const common = gcd(a.step, b.step);
  const distance = b.lo - a.lo;
  if (distance % common !== 0) return undefined;
  // a.lo + i·a.step ≡ b.lo (mod b.step), solved for i modulo stride; products pass 2^53, hence BigInt.
  const stride = b.step / common;
  const modulus = BigInt(stride);
  const inverse = BigInt(inverseOf((a.step / common) % stride, stride));
  const residue = Number((((BigInt(distance / common) * inverse) % modulus) + modulus) % modulus);
  const least = Math.ceil((from - a.lo) / a.step);
  const first = least + ((((residue - least) % stride) + stride) % stride);
  const last = Math.floor((to - a.lo) / a.step);
  return first > last ? undefined : strided(first, stride, Math.floor((last - first) / stride) + 1);
}

/** A single place has stride 1, so that callers can take stride 1 as "one unbroken run". */
function strided(first: number, stride: number, count: number): Overlap {
  return { first, stride: count === 1 ? 1 : stride, count };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** The inverse of `a` modulo `modulus` (coprime); 0 where the modulus is 1. Coefficients stay below the modulus. */
function inverseOf(a: number, modulus: number): number {
  let [before, now] = [modulus, a];
  let [coefficientBefore, coefficient] = [0, 1];
  while (now > 0) {
    const quotient = Math.floor(before / now);
    [before, now] = [now, before - quotient * now];
    [coefficientBefore, coefficient] = [coefficient, coefficientBefore - quotient * coefficient];
  }
  return modulus === 1 ? 0 : ((coefficientBefore % modulus) + modulus) % modulus;
}

/**
 * Every digit string of `prefix` followed by every one of `suffix`, the suffix fastest: what brackets and digits side by
 * side mean. Undefined where that takes more than `most` segments.
 */
export function concatenate(
  prefix: readonly Segment[],
  suffix: readonly Segment[],
  most: number,
): Segment[] | undefined {
  const joined: Segment[] = [];
  const [only] = suffix;
  for (const run of prefix) {
    if (suffix.length === 1 && only && joinsInOne(run, only)) {
      const scale = 10 ** only.width;
      const step = only.lo === only.hi ? run.step * scale : 1;
      joined.push(segment(run.width + only.width, run.lo * scale + only.lo, run.hi * scale + only.hi, step));
    } else {
      if (joined.length + sizeOf(run) * suffix.length > most) return undefined;
      for (let value = run.lo; value <= run.hi; value += run.step) {
        for (const { width, lo, hi, step } of suffix) {
          const base = value * 10 ** width;
          joined.push(segment(run.width + width, base + lo, base + hi, step));
        }
      }
    }
    if (joined.length > most) return undefined;
  }
  return joined;
}

/** Whether a prefix run with this suffix is one segment: a single suffix, or a suffix that fills its width. */
function joinsInOne(run: Segment, suffix: Segment): boolean {
  if (suffix.lo === suffix.hi) return true;
  return run.step === 1 && suffix.step === 1 && suffix.lo === 0 && suffix.hi === 10 ** suffix.width - 1;
}
