/** The host keys of a simulated fleet: a few distinct ones, derived from the seed, shared out by address. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { ServerKeys } from '../ssh/exchange.ts';
import { Writer } from '../ssh/wire.ts';

/** PKCS#8 wrapping of a 32-byte ed25519 seed, RFC 8410 §7. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

const USER_SIGNATURES = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'];

interface FleetKey {
  readonly blob: Buffer;
  readonly server: ServerKeys;
}

export class FleetKeys {
  readonly #seed: number;
  readonly #count: number;
  readonly #made = new Map<number, FleetKey>();

  constructor(seed: number, count: number) {
    this.#seed = seed;
    this.#count = count;
  }

  /** What the server half needs to be host `index`. `wrong` gives a key that the host should not have. */
  server(index: number, wrong = false): ServerKeys {
    return this.#key(wrong ? -1 : index % this.#count).server;
  }

  /** The wire form of host `index`'s key. */
  blob(index: number): Buffer {
    return this.#key(index % this.#count).blob;
  }

  #key(id: number): FleetKey {
    const known = this.#made.get(id);
    if (known) return known;
    const seed = createHash('sha256').update(`${this.#seed}:host-key:${id}`).digest();
    const made = makeKey(createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' }));
    this.#made.set(id, made);
    return made;
  }
}

function makeKey(privateKey: KeyObject): FleetKey {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' }) as { x: string };
  const blob = new Writer(64).text('ssh-ed25519').string(Buffer.from(x, 'base64url')).copy();
  const hostKey = {
    blob,
    sign: (data: Uint8Array) =>
      new Writer(128)
        .text('ssh-ed25519')
        .string(sign(null, data, privateKey))
        .copy(),
  };
  return { blob, server: { hostKeys: new Map([['ssh-ed25519', hostKey]]), userSignatures: USER_SIGNATURES } };
}
