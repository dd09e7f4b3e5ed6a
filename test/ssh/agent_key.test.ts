import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  certificateName,
  identityOf,
  isUserCertificate,
  needsTouch,
  signatureAlgorithmsOf,
} from '../../src/ssh/agent_identity.ts';
import { agentKey } from '../../src/ssh/agent_key.ts';
import type { AgentSigner } from '../../src/ssh/agent_requests.ts';
import { FrameReader } from '../../src/ssh/agent_wire.ts';
import { plainName } from '../../src/ssh/certificate.ts';
import { failure } from './agent_fake.ts';
import { str, u32 } from './bytes.ts';

/** Type, strings of the public key, algorithms. */
const TYPES: readonly (readonly [string, string, number, readonly string[]])[] = [
  ['ssh-ed25519', 'ssh-ed25519-cert-v01@openssh.com', 1, ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256-cert-v01@openssh.com', 2, ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp384-cert-v01@openssh.com', 2, ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', 'ecdsa-sha2-nistp521-cert-v01@openssh.com', 2, ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', 'ssh-rsa-cert-v01@openssh.com', 2, ['rsa-sha2-512', 'rsa-sha2-256']],
  ['sk-ssh-ed25519@openssh.com', 'sk-ssh-ed25519-cert-v01@openssh.com', 2, ['sk-ssh-ed25519@openssh.com']],
  [
    'sk-ecdsa-sha2-nistp256@openssh.com',
    'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com',
    3,
    ['sk-ecdsa-sha2-nistp256@openssh.com'],
  ],
];

const fieldsOf = (count: number) => Array.from({ length: count }, (_, i) => str(`field ${i}`));
const plainOf = (type: string, count: number) => Buffer.concat([str(type), ...fieldsOf(count)]);
const certificateOf = (type: string, count: number, role = 1) =>
  Buffer.concat([str(type), str('nonce'), ...fieldsOf(count), Buffer.alloc(8), u32(role), str('id')]);

describe('key types', () => {
  it.each(TYPES)('%s: its certificate, its algorithms', (plain, certificate, count, algorithms) => {
    expect(certificateName(plain)).toBe(certificate);
    expect(plainName(certificate)).toBe(plain);
    expect(plainName(plain)).toBe(plain);
    expect(signatureAlgorithmsOf(plain)).toEqual(algorithms);
    expect(signatureAlgorithmsOf(certificate)).toEqual(
      algorithms.map((name) => `${name.replace('@openssh.com', '')}-cert-v01@openssh.com`),
    );
    const key = identityOf(plainOf(plain, count), 'mine');
    expect(key).toMatchObject({ keyType: plain, plainKeyType: plain, isCertificate: false, comment: 'mine' });
    const certified = identityOf(certificateOf(certificate, count));
    expect(certified).toMatchObject({ keyType: certificate, plainKeyType: plain, isCertificate: true });
    expect(certified!.plainBlob).toEqual(key!.blob);
    expect(certified!.fingerprint).toBe(key!.fingerprint);
    expect(needsTouch(key!.blob)).toBe(plain.startsWith('sk-'));
    expect(needsTouch(certified!.blob)).toBe(plain.startsWith('sk-'));
    expect(isUserCertificate(certified!.blob)).toBe(true);
    expect(isUserCertificate(certificateOf(certificate, count, 2))).toBe(false);
    expect(isUserCertificate(key!.blob)).toBe(false);
  });

  it('no cut of a certificate makes it throw', () => {
    const whole = certificateOf('ssh-rsa-cert-v01@openssh.com', 2);
    for (let end = 0; end < whole.length; end++) {
      const cut = whole.subarray(0, end);
      // What follows the role is of no interest to a client.
      expect(isUserCertificate(cut)).toBe(end >= whole.length - 6);
      expect(identityOf(cut)?.isCertificate ?? true).toBe(true);
    }
  });

  it('any bytes are a key or are not', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...TYPES), (bytes, [, certificate]) => {
        identityOf(bytes);
        const identity = identityOf(Buffer.concat([str(certificate), bytes]));
        expect(identity === undefined || identity.isCertificate).toBe(true);
      }),
    );
  });
});

describe('frames', () => {
  it('come out whole however they are cut', () => {
    const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (payloads, cuts) => {
        const stream = Buffer.concat(payloads.map((payload) => str(payload)));
        const reader = new FrameReader('/agent');
        const taken: Buffer[] = [];
        for (let offset = 0, i = 0; offset < stream.length; i++) {
          const size = cuts[i % cuts.length]!;
          reader.push(stream.subarray(offset, offset + size), (payload) => taken.push(Buffer.from(payload)) > 0);
          offset += size;
        }
        expect(taken).toEqual(payloads.map((payload) => Buffer.from(payload)));
      }),
    );
  });

  it('stop where nobody takes more', () => {
    let taken = 0;
    new FrameReader('/agent').push(Buffer.concat([str('a'), str('b')]), () => {
      taken++;
      return false;
    });
    expect(taken).toBe(1);
  });
});

/** Answers with `signature` whatever it is asked. */
function signer(signature: Buffer): AgentSigner & { asked: { blob: Buffer; flags: number }[] } {
  const asked: { blob: Buffer; flags: number }[] = [];
  return {
    socketPath: '/agent',
    asked,
    async sign(blob, _data, flags) {
      asked.push({ blob: Buffer.from(blob), flags });
      return signature;
    },
  };
}

const DATA = Buffer.from('data');

describe('a key of an agent', () => {
  const flags: Readonly<Record<string, number>> = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 };
  for (const [plain, certificate, count, algorithms] of TYPES) {
    for (const [i, algorithm] of algorithms.entries()) {
      const rest = plain.startsWith('sk-') ? Buffer.alloc(5) : Buffer.alloc(0);
      const signature = Buffer.concat([str(algorithm), str('signature'), rest]);

      it(`signs with ${algorithm}: as itself, as its certificate, with a certificate from a file`, async () => {
        const key = identityOf(plainOf(plain, count), 'mine')!;
        const certified = identityOf(certificateOf(certificate, count))!;
        const agent = signer(signature);
        const asItself = agentKey(agent, key);
        expect(asItself).toMatchObject({ keyType: plain, publicBlob: key.blob, comment: 'mine' });
        expect(await asItself.sign(DATA, algorithm)).toBe(signature);
        for (const shown of [agentKey(agent, certified), agentKey(agent, key, certified.blob)]) {
          expect(shown).toMatchObject({
            keyType: certificate,
            publicBlob: certified.blob,
            fingerprint: key.fingerprint,
          });
          expect(await shown.sign(DATA, shown.signatureAlgorithms[i]!)).toBe(signature);
        }
        const want = flags[algorithm] ?? 0;
        expect(agent.asked).toEqual([key, certified, key].map(({ blob }) => ({ blob, flags: want })));
      });
    }
  }

  const rsa = identityOf(plainOf('ssh-rsa', 2))!;
  it.each([
    ['another algorithm, as agents do that do not know the flags', Buffer.concat([str('ssh-rsa'), str('s')])],
    ['nothing', Buffer.alloc(0)],
    ['no signature', str('rsa-sha2-512')],
    ['an empty signature', Buffer.concat([str('rsa-sha2-512'), str('')])],
    ['a signature and more', Buffer.concat([str('rsa-sha2-512'), str('s'), Buffer.of(0)])],
    ['a length that lies', Buffer.concat([str('rsa-sha2-512'), u32(99), Buffer.of(0)])],
  ])('says so when it gets %s', async (_name, signature) => {
    const error = await failure(agentKey(signer(signature), rsa).sign(DATA, 'rsa-sha2-512'));
    expect(error.reason).toBe('protocol');
    expect(error.message).toMatch(/^the SSH agent at "\/agent" broke the agent protocol: /);
  });

  it('wants the flags and the counter after a security key signature', async () => {
    const type = 'sk-ssh-ed25519@openssh.com';
    const key = agentKey(signer(Buffer.concat([str(type), str('s')])), identityOf(plainOf(type, 2))!);
    expect((await failure(key.sign(DATA, type))).reason).toBe('protocol');
  });

  it('is not made of a kind that cannot be used, nor with a certificate of another key', () => {
    const agent = signer(Buffer.alloc(0));
    const dsa = identityOf(plainOf('ssh-dss', 4))!;
    expect(() => agentKey(agent, dsa)).toThrow(expect.objectContaining({ code: 'key' }));
    const other = Buffer.concat([str('ssh-rsa-cert-v01@openssh.com'), str('n'), str('e'), str('n'), Buffer.alloc(12)]);
    expect(() => agentKey(agent, rsa, other)).toThrow(expect.objectContaining({ code: 'key' }));
    expect(() => agentKey(agent, rsa, Buffer.from('no certificate'))).toThrow(expect.objectContaining({ code: 'key' }));
  });

  it('does not sign with an algorithm it does not have', async () => {
    const key = agentKey(signer(Buffer.alloc(0)), rsa);
    await expect(key.sign(DATA, 'ssh-ed25519')).rejects.toMatchObject({ code: 'internal' });
  });

  it('asks for SHA-1 where the caller names it', async () => {
    const signature = Buffer.concat([str('ssh-rsa'), str('signed')]);
    const key = agentKey(signer(signature), rsa);
    expect(key.signatureAlgorithms).toEqual(['rsa-sha2-512', 'rsa-sha2-256']);
    expect(await key.sign(DATA, 'ssh-rsa')).toEqual(signature);
  });
});
