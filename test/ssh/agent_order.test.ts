import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AgentIdentity, identityOf } from '../../src/ssh/agent_identity.ts';
import { type KeyChoice, type KeyFile, orderKeys } from '../../src/ssh/agent_order.ts';
import { str, u32 } from './bytes.ts';

const blobOf = (name: string) => Buffer.concat([str('ssh-ed25519'), str(name)]);
const certificateOf = (name: string, role = 1) =>
  Buffer.concat([str('ssh-ed25519-cert-v01@openssh.com'), str('nonce'), str(name), Buffer.alloc(8), u32(role)]);
const held = (name: string): AgentIdentity => identityOf(blobOf(name), name)!;
const heldCertificate = (name: string): AgentIdentity => identityOf(certificateOf(name), `${name}+`)!;
const file = (name: string, more: Partial<KeyFile> = {}): KeyFile => ({
  path: `/${name}`,
  publicBlob: blobOf(name),
  ...more,
});

/** `a`: key a; `a+`: its certificate; then who signs: `@` the agent, a path, or nobody. */
function shown(choice: Partial<KeyChoice>): string[] {
  const nameOf = (blob: Buffer | undefined) => {
    const identity = blob && identityOf(blob);
    return identity ? `${identity.plainBlob.subarray(19).toString()}${identity.isCertificate ? '+' : ''}` : '?';
  };
  return orderKeys({ agent: [], files: [], identitiesOnly: false, ...choice }).map(({ publicBlob, signer }) => {
    const who =
      signer === undefined ? 'nobody' : signer.kind === 'file' ? signer.path : `@${nameOf(signer.identity.blob)}`;
    return `${nameOf(publicBlob)} ${who}`;
  });
}

describe('the order of keys', () => {
  const cases: readonly (readonly [string, Partial<KeyChoice>, readonly string[]])[] = [
    ['nothing', {}, []],
    ['files alone, in their order', { files: [file('b'), file('a')] }, ['b /b', 'a /a']],
    ['the agent alone, in its order', { agent: [held('b'), held('a')] }, ['b @b', 'a @a']],
    ['keys of the agent before files', { agent: [held('x')], files: [file('a')] }, ['x @x', 'a /a']],
    [
      'configured keys of the agent first, in its order, then its others, then the other files',
      { agent: [held('x'), held('c'), held('a')], files: [file('a'), file('b'), file('c')] },
      ['c @c', 'a @a', 'x @x', 'b /b'],
    ],
    [
      'IdentitiesOnly: the others of the agent are left out',
      { agent: [held('x'), held('c'), held('a')], files: [file('a'), file('b'), file('c')], identitiesOnly: true },
      ['c @c', 'a @a', 'b /b'],
    ],
    ['IdentitiesOnly without files: nothing', { agent: [held('x')], identitiesOnly: true }, []],
    ['a file whose public key is not known', { files: [{ path: '/e' }, file('a')] }, ['? /e', 'a /a']],
    [
      'a certificate beside its file comes after its key, and is signed by the file',
      { files: [file('a', { certificate: certificateOf('a') }), file('b')] },
      ['a /a', 'a+ /a', 'b /b'],
    ],
    [
      'a certificate beside its file whose key is with the agent is signed by the agent',
      { agent: [held('a')], files: [file('a', { certificate: certificateOf('a') })] },
      ['a @a', 'a+ @a'],
    ],
    [
      'certificates of the agent are keys of their own',
      { agent: [held('a'), heldCertificate('a')], files: [file('a', { certificate: certificateOf('a') })] },
      ['a @a', 'a+ @a'],
    ],
    ['a certificate of the agent alone signs for itself', { agent: [heldCertificate('a')] }, ['a+ @a+']],
    [
      'CertificateFile comes first, and certificates beside files do not count then',
      {
        agent: [held('x')],
        files: [file('a', { certificate: certificateOf('a') })],
        certificateFiles: [{ path: '/c', blob: certificateOf('x') }],
      },
      ['x+ @x', 'x @x', 'a /a'],
    ],
    [
      'CertificateFile with IdentitiesOnly and its key only with the agent: nobody signs',
      { agent: [held('x')], certificateFiles: [{ path: '/c', blob: certificateOf('x') }], identitiesOnly: true },
      ['x+ nobody'],
    ],
    [
      'certificates for hosts are left out',
      {
        files: [file('a', { certificate: certificateOf('a', 2) })],
        certificateFiles: [{ path: '/c', blob: certificateOf('a', 2) }],
      },
      ['a /a'],
    ],
    [
      'a CertificateFile for hosts still means that there is one',
      {
        files: [file('a', { certificate: certificateOf('a') })],
        certificateFiles: [{ path: '/c', blob: certificateOf('a', 2) }],
      },
      ['a /a'],
    ],
    ['the same key in two files', { agent: [held('a')], files: [file('a'), file('a')] }, ['a @a', 'a /a']],
    [
      'types that cannot be used are left out',
      { agent: [identityOf(Buffer.concat([str('ssh-dss'), str('p')]))!, held('a')] },
      ['a @a'],
    ],
  ];
  it.each(cases)('%s', (_name, choice, order) => {
    expect(shown(choice)).toEqual(order);
  });

  it('every file and, without IdentitiesOnly, every key of the agent is there once', () => {
    const names = fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 8 });
    fc.assert(
      fc.property(names, names, fc.boolean(), (agent, files, identitiesOnly) => {
        const order = shown({ agent: agent.map(held), files: files.map((name) => file(name)), identitiesOnly });
        const both = agent.filter((name) => files.includes(name)).map((name) => `${name} @${name}`);
        const others = agent.filter((name) => !files.includes(name)).map((name) => `${name} @${name}`);
        const rest = files.filter((name) => !agent.includes(name)).map((name) => `${name} /${name}`);
        expect(order).toEqual([...both, ...(identitiesOnly ? [] : others), ...rest]);
      }),
    );
  });
});
