/** A key of an agent in the shape that user authentication wants: like UserKey, but the signature comes later. */
import { MyriadError } from '../contracts/errors.ts';
import { type AgentError, brokenProtocol } from './agent_errors.ts';
import { type AgentIdentity, identityOf, signatureAlgorithmsOf } from './agent_identity.ts';
import type { AgentSigner, WaitOptions } from './agent_requests.ts';
import { SIGN_FLAGS } from './agent_wire.ts';
import { plainName } from './certificate.ts';
import { SshError } from './errors.ts';
import { Reader } from './wire.ts';

/** A key that signs in to hosts, its private half with an agent. */
export interface AgentUserKey {
  /** `ssh-ed25519`, `ssh-rsa-cert-v01@openssh.com`, `sk-ssh-ed25519@openssh.com`. */
  readonly keyType: string;
  /** What the server is asked about: a public key, or a certificate. */
  readonly publicBlob: Buffer;
  /** Of the plain key: `SHA256:` and unpadded base64. */
  readonly fingerprint: string;
  readonly comment: string;
  /** Preferred first; in certificate form for a certificate, which server-sig-algs does not list: compare `plainName`. */
  readonly signatureAlgorithms: readonly string[];
  /** Signs `data`. Resolves to the RFC 4253 §6.6 blob; rejects with AgentError, or MyriadError `internal` for another algorithm. */
  sign(data: Uint8Array, algorithm: string, options?: WaitOptions): Promise<Buffer>;
}

const FLAGS: Readonly<Record<string, number | undefined>> = {
  'rsa-sha2-256': SIGN_FLAGS.RSA_SHA2_256,
  'rsa-sha2-512': SIGN_FLAGS.RSA_SHA2_512,
};

/**
 * Makes a key of what `signer` holds as `identity`. `certificate`, from a file, is presented in its place and must be one for that
 * key. Throws MyriadError `key` for a type that cannot be used, or a certificate that does not fit.
 */
export function agentKey(signer: AgentSigner, identity: AgentIdentity, certificate?: Uint8Array): AgentUserKey {
  const shown = certificate === undefined ? identity : identityOf(certificate);
  if (!shown?.plainBlob.equals(identity.plainBlob)) {
    throw new MyriadError(
      'key',
      `the certificate given for the key ${identity.fingerprint} of the SSH agent is not for it`,
    );
  }
  const { keyType, blob: publicBlob, fingerprint } = shown;
  const signatureAlgorithms = signatureAlgorithmsOf(keyType);
  if (signatureAlgorithms.length === 0) {
    const what = `the key ${fingerprint} of the SSH agent is of a kind that cannot be used (${keyType})`;
    throw new MyriadError('key', `${what}; use Ed25519, ECDSA or RSA`);
  }
  return {
    keyType,
    publicBlob,
    fingerprint,
    comment: identity.comment,
    signatureAlgorithms,
    async sign(data, algorithm, options) {
      // SHA-1 is not among them, but whoever names it gets it.
      const sha1 = algorithm === 'ssh-rsa' && keyType === 'ssh-rsa';
      if (!sha1 && !signatureAlgorithms.includes(algorithm)) {
        throw new MyriadError('internal', `a ${keyType} key cannot sign with "${algorithm}"`);
      }
      const plain = plainName(algorithm);
      const signature = await signer.sign(identity.blob, data, FLAGS[plain] ?? 0, options);
      const fault = faultOf(signature, plain);
      if (fault !== undefined) throw wrongSignature(signer.socketPath, fault);
      return signature;
    },
  };
}

/** Agents that do not know the flags sign RSA with SHA-1: the server would refuse that, and count it. */
function faultOf(signature: Buffer, wanted: string): string | undefined {
  try {
    const reader = new Reader(signature);
    const name = reader.text();
    if (name !== wanted) return `it signed with ${JSON.stringify(name.slice(0, 64))} where ${wanted} was asked for`;
    const bytes = reader.string();
    // A security key's signature is followed by its flags and its counter.
    const rest = wanted.startsWith('sk-') ? 5 : 0;
    return bytes.length > 0 && reader.remaining === rest ? undefined : 'its signature is cut off or too long';
  } catch (error) {
    if (error instanceof SshError) return 'its signature is cut off';
    throw error;
  }
}

function wrongSignature(socketPath: string, fault: string): AgentError {
  return brokenProtocol(socketPath, fault);
}
