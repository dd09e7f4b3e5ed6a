/** The size of RSA keys, for RequiredRSASize. */
import { Reader } from './wire.ts';

/** Bits of the modulus of a plain public key; undefined for one that is not RSA. Throws SshError `protocol` for a damaged one. */
export function rsaBits(blob: Buffer): number | undefined {
  const reader = new Reader(blob);
  if (reader.text() !== 'ssh-rsa') return undefined;
  reader.mpint();
  const modulus = reader.mpint();
  return modulus.length === 0 ? 0 : modulus.length * 8 - (Math.clz32(modulus[0]!) - 24);
}
