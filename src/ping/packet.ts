/**
 * Our echo requests, and what comes back, as bytes (RFC 792, RFC 4443).
 *
 *    0 type (8; ICMPv6 128) · 1 code · 2 checksum · 4 identifier · 6 sequence · 8 tag · 12 position · 16 block · 20 pass · 24 time
 *
 * An answer carries all of it, so that nothing has to be remembered of a probe. An ICMP error quotes it, or only its first eight
 * bytes: the sequence is made from position and pass, so that even those are known for ours.
 */
import type { Family } from './addresses.ts';
import type { Instruction } from './ffi.ts';
import { scramble } from './permutation.ts';

/** Bytes of an echo request. */
export const PROBE_SIZE = 28;

const ECHO_REQUEST: Readonly<Record<Family, number>> = { 4: 8, 6: 128 };
const ECHO_REPLY: Readonly<Record<Family, number>> = { 4: 0, 6: 129 };
/** Errors that quote what they are about: unreachable, time exceeded, parameter problem (and ICMPv6's packet too big). */
const ERRORS: Readonly<Record<Family, readonly number[]>> = { 4: [3, 11, 12], 6: [1, 2, 3, 4] };
const ICMP_PROTOCOL: Readonly<Record<Family, number>> = { 4: 1, 6: 58 };

/** What a probe says of itself. */
export interface Probe {
  tag: number;
  position: number;
  block: number;
  pass: number;
  /** Microseconds since the start of the sweep, modulo 2^32. */
  time: number;
}

/** The sequence of a probe: 16 bits that depend on `salt`, which only we know. */
export function sequenceOf(salt: number, position: number, pass: number): number {
  return ((scramble(position ^ salt) >>> 8) + pass) & 0xffff;
}

/** Writes an echo request at `at`; its checksum only where the kernel does not do that. */
export function writeProbe(
  to: Uint8Array,
  at: number,
  family: Family,
  identifier: number,
  sequence: number,
  probe: Probe,
): void {
  to[at] = ECHO_REQUEST[family];
  to[at + 1] = 0;
  to[at + 2] = 0;
  to[at + 3] = 0;
  to[at + 4] = identifier >>> 8;
  to[at + 5] = identifier;
  to[at + 6] = sequence >>> 8;
  to[at + 7] = sequence;
  writeWord(to, at + 8, probe.tag);
  writeWord(to, at + 12, probe.position);
  writeWord(to, at + 16, probe.block);
  writeWord(to, at + 20, probe.pass);
  writeWord(to, at + 24, probe.time);
  // ICMPv6 has addresses in its checksum, which only the kernel knows.
  if (family === 6) return;
  const sum = checksum(to, at, PROBE_SIZE);
  to[at + 2] = sum >>> 8;
  to[at + 3] = sum;
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
export function checksum(bytes: Uint8Array, at: number, length: number): number {
  let sum = 0;
  for (let i = at; i < at + length; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function writeWord(to: Uint8Array, at: number, word: number): void {
  to[at] = word >>> 24;
  to[at + 1] = word >>> 16;
  to[at + 2] = word >>> 8;
  to[at + 3] = word;
}

function readWord(from: Uint8Array, at: number): number {
  return ((from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!) >>> 0;
}

/** What came: one object for all packets of a sweep. */
export class Incoming {
  /** `answer` · `error`, one that quotes an echo request · `other`: nothing that can be ours. */
  kind: 'answer' | 'error' | 'other' = 'other';
  identifier = 0;
  sequence = 0;
  /** Whether there is a whole probe; errors need not quote it. */
  whole = false;
  readonly probe: Probe = { tag: 0, position: 0, block: 0, pass: 0, time: 0 };
  /** Of an error. */
  type = 0;
  code = 0;
  /** Of an error about IPv4: where the packet went. */
  destination = 0;

  /** Reads `length` bytes at `at`, which begin with an IP header where `headed`. No byte of it is trusted. */
  read(from: Uint8Array, at: number, length: number, family: Family, headed: boolean): void {
    this.kind = 'other';
    const end = at + length;
    let icmp = at;
    if (headed) {
      if (length < 20) return;
      icmp += (from[at]! & 15) * 4;
    }
    if (icmp + 8 > end) return;
    const type = from[icmp]!;
    if (type === ECHO_REPLY[family]) {
      this.#echo(from, icmp, end);
      this.kind = 'answer';
    } else if (ERRORS[family].includes(type)) {
      this.type = type;
      this.code = from[icmp + 1]!;
      this.#quoted(from, icmp + 8, end, family);
    }
  }

  #echo(from: Uint8Array, at: number, end: number): void {
    this.identifier = (from[at + 4]! << 8) | from[at + 5]!;
    this.sequence = (from[at + 6]! << 8) | from[at + 7]!;
    this.whole = at + PROBE_SIZE <= end;
    if (!this.whole) return;
    const { probe } = this;
    probe.tag = readWord(from, at + 8);
    probe.position = readWord(from, at + 12);
    probe.block = readWord(from, at + 16);
    probe.pass = readWord(from, at + 20);
    probe.time = readWord(from, at + 24);
  }

  /** The packet that an error is about: its IP header, and what was quoted of the rest. */
  #quoted(from: Uint8Array, at: number, end: number, family: Family): void {
    const size = family === 4 ? (from[at]! & 15) * 4 : 40;
    const icmp = at + size;
    if (at + 20 > end || icmp + 8 > end || size < 20) return;
    if (from[at + (family === 4 ? 9 : 6)] !== ICMP_PROTOCOL[family]) return;
    if (from[icmp] !== ECHO_REQUEST[family]) return;
    if (family === 4) this.destination = readWord(from, at + 16);
    this.#echo(from, icmp, end);
    this.kind = 'error';
  }
}

/** ICMP types that a raw socket must see. */
export function wantedTypes(family: Family): readonly number[] {
  return [ECHO_REPLY[family], ...ERRORS[family]];
}

/** Opcodes of classic BPF. */
const LOAD_BYTE = 0x30;
const LOAD_BYTE_X = 0x50;
const LOAD_HALF_X = 0x48;
const LOAD_HALF = 0x28;
const HEADER_LENGTH_TO_X = 0xb1;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
const TAKE: Instruction = [RETURN, 0, 0, 0xffff];
const DROP: Instruction = [RETURN, 0, 0, 0];

/**
 * A program that lets the kernel drop answers to others before it copies them. Raw IPv4 sockets see the IP header, raw IPv6
 * sockets begin with ICMPv6. An error is taken where the quoted request has our identifier; one whose quoted header has options is dropped.
 */
export function answersOnly(family: Family, identifier: number): readonly Instruction[] {
  if (family === 6) {
    return [
      [LOAD_BYTE, 0, 0, 0],
      [JUMP_EQUAL, 0, 2, ECHO_REPLY[6]],
      [LOAD_HALF, 0, 0, 4],
      [JUMP_EQUAL, 3, 2, identifier],
      // An error: 8 bytes of its own, 40 of the quoted header, then the request.
      [LOAD_HALF, 0, 0, 8 + 40 + 4],
      [JUMP_EQUAL, 1, 0, identifier],
      DROP,
      TAKE,
    ];
  }
  return [
    [HEADER_LENGTH_TO_X, 0, 0, 0],
    [LOAD_BYTE_X, 0, 0, 0],
    [JUMP_EQUAL, 0, 2, ECHO_REPLY[4]],
    [LOAD_HALF_X, 0, 0, 4],
    [JUMP_EQUAL, 3, 2, identifier],
    [LOAD_HALF_X, 0, 0, 8 + 20 + 4],
    [JUMP_EQUAL, 1, 0, identifier],
    DROP,
    TAKE,
  ];
}
