/**
 * Control sequences made visible, for bytes and text that come from a host and go to a terminal: no host may move the
 * cursor, write over another host's line, set the title or make the terminal answer.
 *
 * Bytes pass where they are: printable ASCII, tab, newline, CR before a newline, colour (`ESC [ digits ; : m`), UTF-8
 * characters other than C1 controls, and stray bytes from 0xA0 on (text in another encoding). The rest is written in
 * caret form (`^[`, `^G`, `^?`), C1 controls (0x80–0x9F, as one byte or as UTF-8) as `\x9b`.
 */

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const DEL = 0x7f;
const RESET = Buffer.from('\x1b[0m');
/** Parameters of a colour sequence: the longest that is of use sets two RGB colours and some attributes. */
const MAX_SGR = 64;

/**
 * Makes control sequences visible in a whole line or several. The end of the input counts as the end of a line: a colour
 * that is still set there, or at any newline, is reset, so that it cannot run into what other hosts print.
 * Returns the same Buffer where there is nothing to do. At most four times as long as the input, plus a reset a line.
 */
export function escapeControls(bytes: Buffer): Buffer {
  let at = firstSuspect(bytes);
  if (at === bytes.length) return bytes;
  const parts: Buffer[] = [];
  let clean = 0;
  let coloured = false;
  const put = (replacement: Buffer, width: number): void => {
    if (at > clean) parts.push(bytes.subarray(clean, at));
    parts.push(replacement);
    at += width;
    clean = at;
  };
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (byte === LF && coloured) {
      put(RESET, 0);
      coloured = false;
    }
    const colour = byte === ESC ? sgrLength(bytes, at) : 0;
    if (colour > 0) coloured = !isReset(bytes, at, colour);
    const pass = colour > 0 ? colour : passes(bytes, at);
    if (pass > 0) at += pass;
    else if (byte === 0xc2 && isC1(bytes[at + 1])) put(visible(bytes[at + 1]!), 2);
    else put(visible(byte), 1);
  }
  if (coloured) put(RESET, 0);
  if (parts.length === 0) return bytes;
  parts.push(bytes.subarray(clean));
  return Buffer.concat(parts);
}

/** Text inside a sentence of ours: one line, no control, no colour, nothing that turns the direction of writing. */
export function escapeText(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? visibleText(code) : `\\u${code.toString(16)}`;
  });
}

/** Where plain ASCII ends: most output has no other bytes and is scanned once. */
function firstSuspect(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (byte >= DEL || (byte < 0x20 && byte !== LF && byte !== TAB)) break;
    at++;
  }
  return at;
}

/** How many bytes at `at` pass as they are; 0: this byte is a control. */
function passes(bytes: Buffer, at: number): number {
  const byte = bytes[at]!;
  if (byte < 0x20) {
    if (byte === TAB || byte === LF) return 1;
    return byte === CR && (at + 1 === bytes.length || bytes[at + 1] === LF) ? 1 : 0;
  }
  if (byte < DEL) return 1;
  if (byte < 0xa0) return 0;
  const length = utf8Length(bytes, at);
  if (length === 0) return 1;
  return byte === 0xc2 && isC1(bytes[at + 1]) ? 0 : length;
}

function isC1(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte < 0xa0;
}

/** The length of the well-formed UTF-8 sequence of more than one byte that starts here; 0: there is none. */
function utf8Length(bytes: Buffer, at: number): number {
  const lead = bytes[at]!;
  const length =
    lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  // RFC 3629 §4: the second byte is narrower after these, against overlong forms, surrogates and beyond U+10FFFF.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  const second = bytes[at + 1]!;
  if (second < low || second > high) return 0;
  for (let next = at + 2; next < at + length; next++) if ((bytes[next]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** The length of the colour sequence that starts at this ESC; 0: it is none. */
function sgrLength(bytes: Buffer, at: number): number {
  if (bytes[at + 1] !== 0x5b) return 0;
  for (let next = at + 2; next < bytes.length && next - at <= MAX_SGR + 2; next++) {
    const byte = bytes[next]!;
    if (byte === 0x6d) return next + 1 - at;
    if (byte < 0x30 || byte > 0x3b) return 0;
  }
  return 0;
}

/** `ESC [ m` or `ESC [ 0 m`, however many zeros. */
function isReset(bytes: Buffer, at: number, length: number): boolean {
  for (let next = at + 2; next < at + length - 1; next++) if (bytes[next] !== 0x30) return false;
  return true;
}

function visible(byte: number): Buffer {
  return Buffer.from(visibleText(byte));
}

function visibleText(code: number): string {
  return code >= 0x80 ? `\\x${code.toString(16)}` : `^${String.fromCharCode(code ^ 0x40)}`;
}
