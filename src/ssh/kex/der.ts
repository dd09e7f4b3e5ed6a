/** Public keys of Diffie-Hellman groups as DER: node:crypto takes and gives them in no other form. X.509, PKCS #3. */
import { createPublicKey, type KeyObject } from 'node:crypto';

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const SEQUENCE = 0x30;
/** dhKeyAgreement, 1.2.840.113549.1.3.1. */
const DH = Buffer.from('06092a864886f70d010301', 'hex');

function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

/** `y`, `prime`: big-endian, positive, as mpints have them. */
export function dhPublicKey(prime: Buffer, generator: Buffer, y: Buffer): KeyObject {
  const group = element(SEQUENCE, element(INTEGER, prime), element(INTEGER, generator));
  const value = element(BIT_STRING, Buffer.of(0), element(INTEGER, y));
  return createPublicKey({
    key: element(SEQUENCE, element(SEQUENCE, DH, group), value),
    format: 'der',
    type: 'spki',
  });
}

/** The content of an element at `at`, and where it starts; ours are never longer than 64 KiB. */
function contentAt(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der[at + 1]!;
  const start = at + 2 + (first & 0x80 ? first & 0x7f : 0);
  const length = first < 0x80 ? first : der.readUIntBE(at + 2, first & 0x7f);
  return { start, end: start + length };
}

/** The public value of a key of ours, as an mpint has it. */
export function dhPublicValue(key: KeyObject): Buffer {
  const der = key.export({ format: 'der', type: 'spki' });
  const { start } = contentAt(der, 0);
  const value = contentAt(der, contentAt(der, start).end);
  // Behind the count of unused bits.
  const integer = contentAt(der, value.start + 1);
  return der.subarray(integer.start, integer.end);
}
