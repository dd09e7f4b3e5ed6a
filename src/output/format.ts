/** Numbers for people: counts, durations, sizes, rates. No locale: the same text on every machine. */

/** A whole number with thousands separators: `10,000`. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A duration in at most two units: `350 ms`, `1.2 s`, `2 m 5 s`, `1 h 3 m`, `2 d 4 h`. */
export function formatDuration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return 'unknown';
  const ms = Math.max(0, milliseconds);
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${seconds % 60} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
  const hours = Math.round(ms / 3_600_000);
  return `${formatCount(Math.floor(hours / 24))} d ${hours % 24} h`;
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** A size in bytes: `512 B`, `64 KiB`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let value = bytes / 1024;
  let unit = 0;
  // Rounded before it is compared, so that 1,048,575 bytes are `1 MiB` and not `1024 KiB`.
  while (Math.round(value * 10) / 10 >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = value < 100 ? String(Math.round(value * 10) / 10) : formatCount(value);
  return `${text} ${UNITS[unit]}`;
}

/** Events per second, without the unit of what is counted: `813/s`, `4.2/s`, `0/s`. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond) || perSecond <= 0) return '0/s';
  const tenths = Math.round(perSecond * 10);
  if (tenths === 0) return '<0.1/s';
  return `${tenths < 100 ? String(tenths / 10) : formatCount(perSecond)}/s`;
}

/** `1 retry`, `3 retries`: a count with its noun. */
export function formatNumberOf(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
