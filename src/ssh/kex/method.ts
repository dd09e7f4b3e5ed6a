/**
 * What a key exchange method is. Three kinds, by where the work is done and how many messages it takes:
 *
 * direct    under 1 ms, on the loop: the answer is there at once
 * pool      over 1 ms on some machine we run on, on Node's thread pool: the answer is a promise
 * grouped   as pool, in a group that the server chooses first (RFC 4419)
 *
 * Public values are the content of the string or mpint that carries them, which is one form on the wire: a length and bytes.
 */

export type KexHash = 'sha1' | 'sha256' | 'sha384' | 'sha512';

interface KexFacts {
  readonly name: string;
  readonly hash: KexHash;
  /** How the secret enters the exchange hash and the keys: hybrid methods hash it as a string. */
  readonly secretAs: 'mpint' | 'string';
}

export interface DirectKex extends KexFacts {
  readonly kind: 'direct';
  /** The client's half: `init` goes out, `finish` takes the answer and gives the secret. Throws `protocol`. */
  client(): { readonly init: Buffer; finish(reply: Buffer): Buffer };
  /** The server's half. Throws `protocol`. */
  server(init: Buffer): { readonly reply: Buffer; readonly secret: Buffer };
}

/** The halves of a method whose work is done on the thread pool. What they are handed must stay as it is until they resolve. */
export interface PoolHalves {
  client(): Promise<{ readonly init: Buffer; finish(reply: Buffer): Promise<Buffer> }>;
  server(init: Buffer): Promise<{ readonly reply: Buffer; readonly secret: Buffer }>;
}

export interface PoolKex extends KexFacts, PoolHalves {
  readonly kind: 'pool';
}

export interface GroupedKex extends KexFacts {
  readonly kind: 'grouped';
}

export type KexMethod = DirectKex | PoolKex | GroupedKex;
