/** Values out of a file that may be damaged: SQLite gives what is there, of whatever type. */
import { damaged } from '../packing.ts';

export type Row = Readonly<Record<string, unknown>>;

export function blob(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw damaged();
}

export function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw damaged();
}

/** A whole number from 0 on. */
export function whole(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw damaged();
}

export function orNull<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null ? null : read(value);
}

/** A key: it fits a uint32. */
export function key(value: unknown): number {
  const read = whole(value);
  if (read > 0xffffffff) throw damaged();
  return read;
}
