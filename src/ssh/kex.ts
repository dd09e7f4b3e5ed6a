/**
 * Key exchange methods. All of ours so far have the shape of RFC 5656 §4: the client sends one public value, the server
 * answers with its own, both know the secret. (Hybrid and group methods come into this table as further `KexMethod`s.)
 */
import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { protocolError, SshError } from './errors.ts';

export interface KexMethod {
  readonly name: string;
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** The client's half: `init` goes out, `finish` takes the answer and gives the secret. */
  client(): { readonly init: Buffer; finish(reply: Buffer): Buffer };
  /** The server's half. */
  server(init: Buffer): { readonly reply: Buffer; readonly secret: Buffer };
}

/** JWK costs 1 + 4 µs for export and import on every Node we run on; DER costs 30 + 12 (Node 26), 83 + 114 (Node 20). */
function x25519(): { publicValue: Buffer; agree(peer: Buffer): Buffer } {
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

function nistp256(): { publicValue: Buffer; agree(peer: Buffer): Buffer } {
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

function diffieHellmanLike(
  name: string,
  generate: () => { publicValue: Buffer; agree(peer: Buffer): Buffer },
): KexMethod {
  return {
    name,
    hash: 'sha256',
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

const METHODS: ReadonlyMap<string, KexMethod> = new Map(
  [
    diffieHellmanLike('curve25519-sha256', x25519),
    diffieHellmanLike('curve25519-sha256@libssh.org', x25519),
    diffieHellmanLike('ecdh-sha2-nistp256', nistp256),
  ].map((method) => [method.name, method]),
);

export function kexMethod(name: string): KexMethod {
  const method = METHODS.get(name);
  if (!method) throw protocolError(`expected a known key exchange method, got ${name}`);
  return method;
}
