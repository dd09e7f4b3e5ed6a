/** A number as it stands, or as a percentage of a whole: `10`, `2.5%`. */
export type Share = { readonly count: number } | { readonly percent: number };

/** Undefined for what is neither a whole number nor a percentage above 0 and up to 100. */
export function parseShare(value: string | number): Share | undefined {
  const text = String(value);
  if (/^\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? { count: Number(text) } : undefined;
  const percent = Number(/^(\d+(?:\.\d+)?)%$/.exec(text)?.[1]);
  return percent > 0 && percent <= 100 ? { percent } : undefined;
}

/** Rounded down: never more than was asked for. */
export function shareOf(share: Share, whole: number): number {
  return 'count' in share ? share.count : Math.floor((whole * share.percent) / 100);
}

/** As it was written. */
export function shareText(share: Share): string {
  return 'count' in share ? String(share.count) : `${share.percent}%`;
}
