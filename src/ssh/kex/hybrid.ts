/**
 * mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex): ML-KEM-768 (FIPS 203) and X25519 at once, so that whoever records
 * a connection today needs to break both. Public values are the two behind each other, the secret is the hash of both
 * secrets, and enters the exchange hash as a string.
 */
// By its name space: older ones have no such exports.
import * as crypto from 'node:crypto';
import { protocolError, SshError } from '../errors.ts';
import { x25519 } from './curves.ts';
import type { DirectKex } from './method.ts';

/** Bytes of an encapsulation key and of a ciphertext of ML-KEM-768. */
const KEY = 1184;
const CIPHERTEXT = 1088;
const X25519 = 32;

/**
 * Whether this Node has ML-KEM with keys as JWK: 24.21 and 26 have it, where they are built with OpenSSL 3.5. To make a key and see
 * takes 0.5 ms of every start.
 */
function canMlKem(): boolean {
  const [node = 0, nodeMinor = 0] = process.versions.node.split('.').map(Number);
  const [openssl = 0, opensslMinor = 0] = process.versions.openssl.split('.').map(Number);
  const hasJwk = node >= 26 || (node === 24 && nodeMinor >= 21);
  return hasJwk && (openssl > 3 || (openssl === 3 && opensslMinor >= 5));
}

const rawOf = (key: crypto.KeyObject) =>
  Buffer.from((key.export({ format: 'jwk' }) as { pub: string }).pub, 'base64url');

function secretOf(mlKem: Buffer, x: Buffer): Buffer {
  return crypto.hash('sha256', Buffer.concat([mlKem, x]), 'buffer');
}

/** 0.13 ms for a client where X25519 alone takes 0.06. */
const MLKEM768_X25519: DirectKex = {
  name: 'mlkem768x25519-sha256',
  kind: 'direct',
  hash: 'sha256',
  secretAs: 'string',
  client() {
    const { publicKey, privateKey } = crypto.generateKeyPairSync('ml-kem-768');
    const curve = x25519();
    return {
      init: Buffer.concat([rawOf(publicKey), curve.publicValue]),
      finish(reply) {
        if (reply.length !== CIPHERTEXT + X25519) {
          throw protocolError(`expected a hybrid public value of ${CIPHERTEXT + X25519} bytes, got ${reply.length}`);
        }
        // A ciphertext that was tampered with gives another secret (FIPS 203 §6.3), and the signature does not hold.
        const mlKem = crypto.decapsulate(privateKey, reply.subarray(0, CIPHERTEXT)) as Buffer;
        return secretOf(mlKem, curve.agree(reply.subarray(CIPHERTEXT)));
      },
    };
  },
  server(init) {
    if (init.length !== KEY + X25519) {
      throw protocolError(`expected a hybrid public value of ${KEY + X25519} bytes, got ${init.length}`);
    }
    const { sharedKey, ciphertext } = encapsulated(init.subarray(0, KEY));
    const curve = x25519();
    const secret = secretOf(sharedKey, curve.agree(init.subarray(KEY)));
    return { reply: Buffer.concat([ciphertext, curve.publicValue]), secret };
  },
};

function encapsulated(key: Buffer): { sharedKey: Buffer; ciphertext: Buffer } {
  try {
    // The modulus check that FIPS 203 §7.2 asks for is part of the import.
    const jwk = { kty: 'AKP', alg: 'ML-KEM-768', pub: key.toString('base64url') };
    return crypto.encapsulate(crypto.createPublicKey({ key: jwk, format: 'jwk' })) as {
      sharedKey: Buffer;
      ciphertext: Buffer;
    };
  } catch (cause) {
    throw new SshError('protocol', 'expected an encapsulation key of ML-KEM-768', {}, { cause });
  }
}

/** Empty where Node has no ML-KEM. */
export const HYBRIDS: readonly DirectKex[] = canMlKem() ? [MLKEM768_X25519] : [];
