/** What all threads of a process can read without a copy each. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';

type Kind<T> = new (room: SharedArrayBuffer) => T;
type Numbers = Int32Array<ArrayBufferLike> | Uint32Array<ArrayBufferLike> | Uint8Array<ArrayBufferLike>;

/** A copy of smaller ones is nothing. */
const LARGE = 1024 * 1024;

/** The same numbers where all threads can read them; what is there already is given back. */
export function inSharedMemory<T extends Numbers>(numbers: T): T {
  if (numbers.buffer instanceof SharedArrayBuffer) return numbers;
  const shared = new (numbers.constructor as Kind<T>)(new SharedArrayBuffer(numbers.byteLength));
  shared.set(numbers);
  return shared;
}

/** A file's bytes, as `readFileSync` has them; those of a large one where all threads can read them. Throws as it does. */
export function readFileShared(file: string): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const found = fstatSync(descriptor);
    if (!found.isFile() || found.size < LARGE) return readFileSync(descriptor);
    const bytes = Buffer.from(new SharedArrayBuffer(found.size));
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}
