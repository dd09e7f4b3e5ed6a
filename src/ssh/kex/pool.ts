/** Work on Node's thread pool: what takes a callback there gives a promise here. */
import { generateKeyPair, type KeyObject, diffieHellman as nodeDiffieHellman } from 'node:crypto';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

type Done<T> = (error: Error | null, value?: T) => void;

let underWay = 0;

/** Operations under way in this thread, for who waits until all is quiet. */
export function poolBusy(): number {
  return underWay;
}

/** Rejects with what node:crypto says. */
async function onPool<T>(begin: (done: Done<T>) => void): Promise<T> {
  underWay++;
  try {
    return await new Promise<T>((resolve, reject) => {
      begin((error, value) => (error ? reject(error) : resolve(value as T)));
    });
  } finally {
    underWay--;
  }
}

export function ecKeyPair(namedCurve: string): Promise<KeyPair> {
  return onPool((done) =>
    generateKeyPair('ec', { namedCurve }, (error, publicKey, privateKey) => done(error, { publicKey, privateKey })),
  );
}

export function dhKeyPair(prime: Buffer, generator: number): Promise<KeyPair> {
  return onPool((done) =>
    generateKeyPair('dh', { prime, generator }, (error, publicKey, privateKey) =>
      done(error, { publicKey, privateKey }),
    ),
  );
}

export function agree(privateKey: KeyObject, publicKey: KeyObject): Promise<Buffer> {
  return onPool((done) => nodeDiffieHellman({ privateKey, publicKey }, done));
}
