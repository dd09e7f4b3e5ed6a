import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  CIPHERS,
  DEFAULT_PREFERENCES,
  HOST_KEY_ALGORITHMS,
  KEX_ALGORITHMS,
  MACS,
  type Negotiated,
  Offer,
  type Preferences,
} from '../../src/ssh/algorithms.ts';
import { isCertificateType } from '../../src/ssh/certificate.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { bool, str, u32 } from './bytes.ts';

interface Lists {
  kex: string;
  hostKey: string;
  ciphers: string;
  macs: string;
  compression: string;
  follows: boolean;
}

const PEER: Lists = {
  kex: 'curve25519-sha256',
  hostKey: 'ssh-ed25519',
  ciphers: 'aes128-gcm@openssh.com',
  macs: 'hmac-sha2-256',
  compression: 'none',
  follows: false,
};

/** A KEXINIT payload after type and cookie. */
function tail(lists: Partial<Lists>): Buffer {
  const { kex, hostKey, ciphers, macs, compression, follows } = { ...PEER, ...lists };
  const names = [kex, hostKey, ciphers, ciphers, macs, macs, compression, compression, '', ''];
  return Buffer.concat([...names.map(str), bool(follows), u32(0)]);
}

const ours = (preferences: Partial<Preferences> = {}) => ({ ...DEFAULT_PREFERENCES, ...preferences });

function negotiate(role: 'client' | 'server', lists: Partial<Lists>, preferences: Partial<Preferences> = {}) {
  return new Offer(role, ours(preferences)).negotiate(tail(lists));
}

function refusal(lists: Partial<Lists>, preferences: Partial<Preferences> = {}): SshError {
  try {
    negotiate('client', lists, preferences);
  } catch (error) {
    if (error instanceof SshError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

const chosen = ({ kex, hostKey, clientCipher, serverCipher, clientMac, serverMac }: Negotiated) =>
  [kex, hostKey, clientCipher.name, serverCipher.name, clientMac?.name, serverMac?.name].join(' ');

describe('negotiation', () => {
  it.each<[string, 'client' | 'server', Partial<Lists>, Partial<Preferences>, string]>([
    ['one of each', 'client', {}, {}, 'curve25519-sha256 ssh-ed25519 aes128-gcm@openssh.com aes128-gcm@openssh.com  '],
    [
      'the client’s wish counts when we are the client',
      'client',
      { ciphers: 'aes256-ctr,aes128-ctr', macs: 'hmac-sha2-256,hmac-sha2-512' },
      { ciphers: ['aes128-ctr', 'aes256-ctr'], macs: ['hmac-sha2-512', 'hmac-sha2-256'] },
      'curve25519-sha256 ssh-ed25519 aes128-ctr aes128-ctr hmac-sha2-512 hmac-sha2-512',
    ],
    [
      'and when we are the server',
      'server',
      { ciphers: 'aes256-ctr,aes128-ctr', macs: 'hmac-sha2-256,hmac-sha2-512' },
      { ciphers: ['aes128-ctr', 'aes256-ctr'], macs: ['hmac-sha2-512', 'hmac-sha2-256'] },
      'curve25519-sha256 ssh-ed25519 aes256-ctr aes256-ctr hmac-sha2-256 hmac-sha2-256',
    ],
    [
      'an AEAD needs no MAC in common',
      'client',
      { ciphers: 'aes256-gcm@openssh.com', macs: 'hmac-md5' },
      {},
      'curve25519-sha256 ssh-ed25519 aes256-gcm@openssh.com aes256-gcm@openssh.com  ',
    ],
    [
      'unknown names are passed over',
      'client',
      {
        kex: 'sntrup761x25519-sha512,ecdh-sha2-nistp256',
        hostKey: 'ssh-dss,rsa-sha2-256',
        ciphers: '3des-cbc,aes192-ctr',
      },
      {},
      'ecdh-sha2-nistp256 rsa-sha2-256 aes192-ctr aes192-ctr hmac-sha2-256 hmac-sha2-256',
    ],
    [
      'zlib beside none is none',
      'client',
      { compression: 'zlib@openssh.com,none' },
      {},
      'curve25519-sha256 ssh-ed25519 aes128-gcm@openssh.com aes128-gcm@openssh.com  ',
    ],
  ])('%s', (_what, role, lists, preferences, result) => {
    expect(chosen(negotiate(role, lists, preferences))).toBe(result);
  });

  it.each<[Partial<Lists>, string]>([
    [{ kex: 'diffie-hellman-group1-sha1' }, 'server: diffie-hellman-group1-sha1; client: curve25519-sha256,'],
    [{ hostKey: 'ssh-dss' }, 'no common host key algorithm;'],
    [{ ciphers: '3des-cbc,aes128-cbc' }, 'server: 3des-cbc,aes128-cbc'],
    [{ ciphers: 'aes128-ctr', macs: 'hmac-md5' }, 'no common MAC to the server;'],
    [{ compression: 'zlib' }, 'no common compression to the server; server: zlib; client: none'],
    [{ kex: '' }, 'no common key exchange;'],
    [{ kex: 'ext-info-s,kex-strict-s-v00@openssh.com' }, 'no common key exchange;'],
  ])('%j is refused with both lists', (lists, message) => {
    const error = refusal(lists);
    expect(error.reason).toBe('algorithm');
    expect(error.message).toContain(message);
  });

  it('the marks are never chosen as algorithms', () => {
    const marks = 'ext-info-c,kex-strict-c-v00@openssh.com,ext-info-s,kex-strict-s-v00@openssh.com';
    const both = `${marks},ecdh-sha2-nistp256`;
    for (const role of ['client', 'server'] as const)
      expect(negotiate(role, { kex: both }).kex).toBe('ecdh-sha2-nistp256');
  });

  it('a list of 100,000 names is refused, and not repeated in the message', () => {
    const error = refusal({ kex: Array.from({ length: 100_000 }, () => 'x').join(',') });
    expect(error.reason).toBe('algorithm');
    expect(error.message.length).toBeLessThan(2000);
  });

  it('bytes of a list’s names that do not belong in a terminal do not reach the message', () => {
    expect(refusal({ kex: 'a\x1b[2Jb\n' }).message).not.toMatch(/[^\x20-\x7e]/);
  });

  it('every truncation is `protocol`', () => {
    const offer = new Offer('client');
    const whole = tail({});
    for (let length = 0; length < whole.length; length++) {
      expect(() => offer.negotiate(whole.subarray(0, length))).toThrow(expect.objectContaining({ reason: 'protocol' }));
    }
  });

  it('is the same for the same bytes again', () => {
    const offer = new Offer('client');
    expect(offer.negotiate(tail({}))).toEqual(offer.negotiate(tail({})));
    expect(offer.negotiate(tail({ ciphers: 'aes256-ctr' })).clientCipher.name).toBe('aes256-ctr');
  });
});

describe('marks', () => {
  it.each<['client' | 'server', string, boolean, boolean]>([
    ['client', 'curve25519-sha256', false, false],
    ['client', 'curve25519-sha256,kex-strict-s-v00@openssh.com', true, false],
    ['client', 'curve25519-sha256,kex-strict-c-v00@openssh.com', false, false],
    ['client', 'curve25519-sha256,ext-info-s', false, true],
    ['server', 'curve25519-sha256,kex-strict-c-v00@openssh.com,ext-info-c', true, true],
    ['server', 'curve25519-sha256,kex-strict-s-v00@openssh.com,ext-info-s', false, false],
  ])('a %s that reads %s', (role, kex, strict, extInfo) => {
    expect(negotiate(role, { kex })).toMatchObject({ strict, extInfo });
  });

  it('are announced by both halves, each its own', () => {
    expect(new Offer('client').tail.toString()).toContain('ext-info-c,kex-strict-c-v00@openssh.com');
    expect(new Offer('server').tail.toString()).toContain('ext-info-s,kex-strict-s-v00@openssh.com');
  });
});

describe('a guessed packet', () => {
  // RFC 4253 §7: right only where both sides want the same key exchange and host key most.
  it.each<[string, Partial<Lists>, boolean]>([
    ['is not announced', { follows: false, kex: 'ecdh-sha2-nistp256' }, false],
    ['is right', { follows: true }, false],
    ['is right behind the marks', { follows: true, kex: 'kex-strict-c-v00@openssh.com,curve25519-sha256' }, false],
    ['is of another key exchange', { follows: true, kex: 'x,curve25519-sha256' }, true],
    ['is of another host key', { follows: true, hostKey: 'ssh-dss,ssh-ed25519' }, true],
    ['is of what was agreed on, but not what we want most', { follows: true, kex: 'ecdh-sha2-nistp256' }, true],
  ])('%s', (_what, lists, ignored) => {
    expect(negotiate('server', lists).ignoreGuess).toBe(ignored);
  });
});

it('says which option would allow an algorithm that both have, and none where there is none', () => {
  const messageOf = (lists: Partial<typeof PEER>) => {
    try {
      new Offer('client').negotiate(tail(lists));
    } catch (error) {
      return error instanceof SshError ? error.message : '';
    }
    return 'agreed';
  };
  expect(messageOf({ kex: 'diffie-hellman-group14-sha1,x' })).toMatch(
    /key exchange; KexAlgorithms=\+diffie-hellman-group14-sha1 would allow one that both have; server: /,
  );
  expect(messageOf({ ciphers: '3des-cbc,aes256-cbc' })).toContain('Ciphers=+aes256-cbc would');
  expect(messageOf({ hostKey: 'ssh-rsa' })).toContain('HostKeyAlgorithms=+ssh-rsa would');
  expect(messageOf({ ciphers: 'aes128-ctr', macs: 'hmac-sha1' })).toContain('MACs=+hmac-sha1 would');
  expect(messageOf({ ciphers: '3des-cbc' })).toMatch(/to the server; server: 3des-cbc; client: aes/);
});

describe('the page about ssh_config', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/ssh-config.md'), 'utf8');
  const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
  const rest = (known: readonly string[], offered: readonly string[]) =>
    known.filter((name) => !offered.includes(name));

  it.each([
    ['KexAlgorithms', DEFAULT_PREFERENCES.kex, KEX_ALGORITHMS],
    ['HostKeyAlgorithms', DEFAULT_PREFERENCES.hostKey.filter((name) => !isCertificateType(name)), HOST_KEY_ALGORITHMS],
    ['Ciphers', DEFAULT_PREFERENCES.ciphers, CIPHERS.map(({ name }) => name)],
    ['MACs', DEFAULT_PREFERENCES.macs, MACS.map(({ name }) => name)],
  ])('says of %s what is offered, in this order, and what is not', (keyword, offered, known) => {
    const row = page.split('\n').find((line) => line.startsWith(`| \`${keyword}\` | \`${offered[0]}`))!;
    const [, , told, weak] = row.split('|');
    expect(names(told!)).toEqual(offered);
    const plain = known.filter((name) => !isCertificateType(name));
    expect(names(weak!)).toEqual(rest(plain, offered));
  });
});
