/**
 * Keys longer than one hash (RFC 4253 §7.2: K2 = HASH(K || H || K1)), and the proof of the first key exchange, by node:crypto
 * alone: nothing of what is checked is used to check it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MSG } from '../../src/ssh/messages.ts';
import { bool, mpint, msg, plainPacket, str, u32 } from './bytes.ts';
import { ClientHalf, Link } from './halves.ts';

const raw = (key: KeyObject) => Buffer.from((key.export({ format: 'jwk' }) as { x: string }).x, 'base64url');
const x25519 = (value: Buffer) =>
  createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: value.toString('base64url') }, format: 'jwk' });

const CIPHER = 'aes256-ctr';
const MAC = 'hmac-sha2-512-etm@openssh.com';

/** A server by hand up to NEWKEYS: SHA-256 gives 32 bytes, aes256 wants 32 and the MAC 64. */
async function meet() {
  const link = new Link();
  const client = new ClientHalf(link.stream('toServer'), { preferences: { kex: ['curve25519-sha256'] } });
  const heard: Buffer[] = [];
  link.client = client;
  link.server = { receive: (chunk) => void heard.push(Buffer.from(chunk)), ended() {} };
  const back = link.stream('toClient');
  client.transport.start();
  const ours = 'SSH-2.0-Byhand_1';
  back.write(Buffer.from(`${ours}\r\n`));
  const names = ['curve25519-sha256', 'ssh-ed25519', CIPHER, CIPHER, MAC, MAC, 'none', 'none', '', ''];
  const init = msg(MSG.KEXINIT, Buffer.alloc(16, 5), ...names.map((name) => str(name)), bool(false), u32(0));
  back.write(plainPacket(init));
  await link.settle();
  let bytes = Buffer.concat(heard.splice(0));
  const theirs = bytes.toString('latin1', 0, bytes.indexOf('\r\n'));
  bytes = bytes.subarray(theirs.length + 2);
  const payload = () => {
    const length = bytes.readUInt32BE(0);
    const whole = bytes.subarray(5, 4 + length - bytes[4]!);
    bytes = bytes.subarray(4 + length);
    return whole;
  };
  const theirInit = payload();
  const clientValue = payload().subarray(5);
  expect(bytes.length).toBe(0);
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const host = generateKeyPairSync('ed25519');
  const hostKey = Buffer.concat([str('ssh-ed25519'), str(raw(host.publicKey))]);
  const secret = mpint(diffieHellman({ privateKey, publicKey: x25519(clientValue) }));
  const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  const fields = [Buffer.from(theirs), Buffer.from(ours), theirInit, init, hostKey, clientValue, raw(publicKey)];
  const digest = sha256(...fields.map((field) => str(field)), secret);
  const signature = Buffer.concat([str('ssh-ed25519'), str(sign(null, digest, host.privateKey))]);
  back.write(plainPacket(msg(MSG.KEX_ECDH_REPLY, str(hostKey), str(raw(publicKey)), str(signature))));
  back.write(plainPacket(msg(MSG.NEWKEYS)));
  await link.settle();
  bytes = Buffer.concat(heard);
  expect(payload()).toEqual(msg(MSG.NEWKEYS));
  const derive = (letter: string, length: number) => {
    const first = sha256(secret, digest, Buffer.from(letter), digest);
    return Buffer.concat([first, sha256(secret, digest, first)]).subarray(0, length);
  };
  return { client, link, back, protectedBytes: bytes, derive, digest, signature, hostKey };
}

describe('keys of 64 bytes after a SHA-256 key exchange', () => {
  it('protect what the client says as RFC 4253 and hmac-sha2-512-etm have it', async () => {
    const { protectedBytes, derive } = await meet();
    // Without strict KEX: identification apart, KEXINIT 0, INIT 1, NEWKEYS 2, so this is packet 3.
    const length = protectedBytes.readUInt32BE(0);
    const tag = createHmac('sha512', derive('E', 64))
      .update(u32(3))
      .update(protectedBytes.subarray(0, 4 + length))
      .digest();
    expect(protectedBytes.subarray(4 + length, 4 + length + 64)).toEqual(tag);
    const plain = createDecipheriv('aes-256-ctr', derive('C', 32), derive('A', 16)).update(
      protectedBytes.subarray(4, 4 + length),
    );
    expect(plain.subarray(1, plain.length - plain[0]!)).toEqual(msg(MSG.SERVICE_REQUEST, str('ssh-userauth')));
  });

  it('open what the server says', async () => {
    const { client, link, back, derive } = await meet();
    const payload = msg(MSG.DISCONNECT, u32(11), str('by hand'), str(''));
    const padding = 16 - ((1 + payload.length) % 16) + 16;
    const plain = Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)]);
    const sealed = createCipheriv('aes-256-ctr', derive('D', 32), derive('B', 16)).update(plain);
    const packet = Buffer.concat([u32(plain.length), sealed]);
    const tag = createHmac('sha512', derive('F', 64)).update(u32(3)).update(packet).digest();
    back.write(Buffer.concat([packet, tag]));
    await link.settle();
    expect(client.closed).toMatchObject({ reason: 'disconnected', message: expect.stringContaining('by hand') });
  });
});

describe('the first key exchange', () => {
  it('leaves its hash and the host key’s signature over it', async () => {
    const { client, digest, signature } = await meet();
    expect(client.transport.sessionId).toEqual(digest);
    // A copy: the bytes that came have been overwritten since.
    expect(client.transport.exchangeSignature).toEqual(signature);
  });
});
