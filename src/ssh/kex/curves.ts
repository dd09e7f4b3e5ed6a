/** Elliptic curves: X25519 (RFC 8731) and the curves of NIST (RFC 5656 §4). */
import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { protocolError, SshError } from '../errors.ts';
import type { DirectKex, KexHash, PoolHalves, PoolKex } from './method.ts';
import { agree, ecKeyPair } from './pool.ts';

/** One public value, and the secret shared with another one. */
export interface Agreement {
  readonly publicValue: Buffer;
  agree(peer: Buffer): Buffer;
}

/** JWK costs 1 + 4 µs for export and import on every Node we run on; DER costs 30 + 12 (Node 26), 83 + 114 (Node 20). */
export function x25519(): Agreement {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return {
    publicValue: Buffer.from((publicKey.export({ format: 'jwk' }) as { x: string }).x, 'base64url'),
    agree(peer) {
      if (peer.length !== 32) throw protocolError(`expected an X25519 public value of 32 bytes, got ${peer.length}`);
      const key = createPublicKey({
        key: { kty: 'OKP', crv: 'X25519', x: peer.toString('base64url') },
        format: 'jwk',
      });
      try {
        return diffieHellman({ privateKey, publicKey: key });
      } catch (cause) {
        // OpenSSL refuses the all-zero secret that RFC 8731 §3 wants refused.
        throw new SshError('protocol', 'expected an X25519 public value of full order', {}, { cause });
      }
    },
  };
}

function nistp256(): Agreement {
  const ecdh = createECDH('prime256v1');
  return {
    publicValue: ecdh.generateKeys(),
    agree(peer) {
      try {
        return ecdh.computeSecret(peer);
      } catch (cause) {
        throw new SshError('protocol', 'expected a point on nistp256', {}, { cause });
      }
    },
  };
}

function direct(name: string, generate: () => Agreement): DirectKex {
  return {
    name,
    kind: 'direct',
    hash: 'sha256',
    secretAs: 'mpint',
    client() {
      const { publicValue, agree } = generate();
      return { init: publicValue, finish: agree };
    },
    server(init) {
      const { publicValue, agree } = generate();
      return { reply: publicValue, secret: agree(init) };
    },
  };
}

interface LargeCurve {
  readonly name: string;
  /** What node:crypto calls it. */
  readonly crv: 'P-384' | 'P-521';
  readonly hash: KexHash;
  /** Bytes of a coordinate. */
  readonly size: number;
}

/** 0.6 ms for either step with nistp384, 1.4 with nistp521 (Node 26; 1.5 and 7 with OpenSSL 3.0): too long for the loop. */
function largeCurve({ name, crv, hash, size }: LargeCurve): PoolKex {
  const begin = async () => {
    const { publicKey, privateKey } = await ecKeyPair(crv);
    const { x, y } = publicKey.export({ format: 'jwk' }) as { x: string; y: string };
    return {
      publicValue: Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]),
      agree: async (peer: Buffer) => agree(privateKey, point(peer)),
    };
  };
  /** RFC 5656 §4 lets us refuse compressed points, which nobody sends. */
  const point = (peer: Buffer) => {
    if (peer.length !== 1 + 2 * size || peer[0] !== 4) {
      throw protocolError(`expected an uncompressed point of ${1 + 2 * size} bytes on ${name}, got ${peer.length}`);
    }
    const x = peer.toString('base64url', 1, 1 + size);
    const y = peer.toString('base64url', 1 + size);
    try {
      return createPublicKey({ key: { kty: 'EC', crv, x, y }, format: 'jwk' });
    } catch (cause) {
      throw new SshError('protocol', `expected a point on ${name}`, {}, { cause });
    }
  };
  const halves: PoolHalves = {
    async client() {
      const { publicValue, agree } = await begin();
      return { init: publicValue, finish: agree };
    },
    async server(init) {
      const { publicValue, agree } = await begin();
      return { reply: publicValue, secret: await agree(init) };
    },
  };
  return { name: `ecdh-sha2-${name}`, kind: 'pool', hash, secretAs: 'mpint', ...halves };
}

export const CURVES = [
  direct('curve25519-sha256', x25519),
  direct('curve25519-sha256@libssh.org', x25519),
  direct('ecdh-sha2-nistp256', nistp256),
  largeCurve({ name: 'nistp384', crv: 'P-384', hash: 'sha384', size: 48 }),
  largeCurve({ name: 'nistp521', crv: 'P-521', hash: 'sha512', size: 66 }),
] as const;
