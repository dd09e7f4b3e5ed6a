/** What is written into known_hosts: the name a host has there, and its line. */
import { createHmac } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';
import { KEY_TYPES, MAX_NAME } from './known_hosts_line.ts';

/** The name a host has in known_hosts. */
export function hostForm(name: string, port: number): string {
  return port === 22 ? name : `[${name}]:${port}`;
}

/** The key type that a blob names, '' if it does not even do that. */
export function keyTypeOf(blob: Uint8Array): string {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  if (bytes.length < 4) return '';
  const length = bytes.readUInt32BE(0);
  return length > 64 || length + 4 > bytes.length ? '' : bytes.toString('latin1', 4, 4 + length);
}

/**
 * The line for a host, with its line break: the bare name for port 22, `[name]:port` otherwise; hashed where a salt of 20 random bytes is
 * given. Throws `known-hosts` for a name that would mean something else there, or a key that is none.
 */
export function knownHostsLine(name: string, port: number, keyBlob: Uint8Array, salt?: Buffer): string {
  if (name === '' || name.length > MAX_NAME - 8 || /[\s\p{Cc},*?!|@#"]/u.test(name)) {
    const shown = JSON.stringify(name.slice(0, 80));
    throw new MyriadError('known-hosts', `the host name ${shown} cannot stand in a known_hosts file`);
  }
  const type = keyTypeOf(keyBlob);
  if (!KEY_TYPES.includes(type)) {
    throw new MyriadError('known-hosts', `the host key of "${name}" has a type that known_hosts does not take`);
  }
  const form = hostForm(name, port);
  return `${salt === undefined ? form : hashedForm(form, salt)} ${type} ${Buffer.from(keyBlob).toString('base64')}\n`;
}

function hashedForm(form: string, salt: Buffer): string {
  const folded = form.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(folded).digest('base64')}`;
}
