/**
 * Which keys are tried, and in which order: OpenSSH's, so that a fleet's MaxAuthTries meets nothing new.
 *
 *   1. certificates of CertificateFile, in the order of the configuration
 *   2. keys of the agent that are an IdentityFile, too, in the order of the agent
 *   3. the agent's other keys, in its order; not with IdentitiesOnly
 *   4. the other IdentityFiles, each followed by its own -cert.pub where there is no CertificateFile
 *
 * A certificate signs with the first key of that list that has its public key; without one, with itself where the agent holds it.
 */
import { type AgentIdentity, identityOf, isUserCertificate, signatureAlgorithmsOf } from './agent_identity.ts';

/** An IdentityFile. */
export interface KeyFile {
  readonly path: string;
  /** Its public key; left out where that is not known without a passphrase. */
  readonly publicBlob?: Uint8Array | undefined;
  /** Of PATH-cert.pub: counts only where `certificateFiles` is empty. */
  readonly certificate?: Uint8Array | undefined;
}

/** A CertificateFile. */
export interface CertificateFile {
  readonly path: string;
  readonly blob: Uint8Array;
}

export interface KeyChoice {
  /** As listed by the agent; empty where there is none. */
  readonly agent: readonly AgentIdentity[];
  /** IdentityFile, or the default ones. */
  readonly files: readonly KeyFile[];
  /** @default none */
  readonly certificateFiles?: readonly CertificateFile[];
  /** IdentitiesOnly: only what is configured, though the agent has more. */
  readonly identitiesOnly: boolean;
}

/** Who makes the signature: the agent, with the key it holds, or the private key file. */
export type KeyHolder =
  | { readonly kind: 'agent'; readonly identity: AgentIdentity }
  | { readonly kind: 'file'; readonly path: string };

export interface OrderedKey {
  /** What the server is asked about; undefined where the file has to be opened first. */
  readonly publicBlob: Buffer | undefined;
  /** The file it was configured by; undefined for a key that only the agent has. */
  readonly path: string | undefined;
  /** undefined: a certificate whose key nobody has, which OpenSSH asks about and then passes over. */
  readonly signer: KeyHolder | undefined;
}

interface Candidate {
  /** Public key or certificate; undefined where it is not known. */
  readonly key: AgentIdentity | undefined;
  readonly path: string | undefined;
  readonly agent: AgentIdentity | undefined;
  /** A certificate of CertificateFile: its file holds no private key. */
  readonly bare: boolean;
}

/**
 * Orders the keys. Left out are keys of the agent whose type cannot be used, and certificates of files that are not for users.
 * A key that is configured twice is tried twice, as OpenSSH does.
 */
export function orderKeys(choice: KeyChoice): readonly OrderedKey[] {
  const { certificateFiles = [], identitiesOnly } = choice;
  const files = fileCandidates(choice.files, certificateFiles.length === 0);
  const configured: Candidate[] = [];
  const others: Candidate[] = [];
  for (const identity of choice.agent) {
    if (signatureAlgorithmsOf(identity.keyType).length === 0) continue;
    const place = files.findIndex(({ key }) => key?.blob.equals(identity.blob));
    if (place >= 0) configured.push({ ...files.splice(place, 1)[0]!, agent: identity });
    else if (!identitiesOnly) others.push({ key: identity, path: undefined, agent: identity, bare: false });
  }
  const ordered = [...bareCertificates(certificateFiles), ...configured, ...others, ...files];
  return ordered.map((candidate) => ({
    publicBlob: candidate.key?.blob,
    path: candidate.path,
    signer: signerOf(candidate, ordered),
  }));
}

function bareCertificates(files: readonly CertificateFile[]): Candidate[] {
  return files
    .filter(({ blob }) => isUserCertificate(blob))
    .map(({ path, blob }) => ({ key: identityOf(blob), path, agent: undefined, bare: true }));
}

function fileCandidates(files: readonly KeyFile[], withCertificates: boolean): Candidate[] {
  const candidates: Candidate[] = [];
  for (const { path, publicBlob, certificate } of files) {
    const key = publicBlob && identityOf(publicBlob);
    if (!key?.isCertificate || isUserCertificate(key.blob)) {
      candidates.push({ key, path, agent: undefined, bare: false });
    }
    if (withCertificates && certificate && isUserCertificate(certificate)) {
      candidates.push({ key: identityOf(certificate), path, agent: undefined, bare: false });
    }
  }
  return candidates;
}

function signerOf(candidate: Candidate, all: readonly Candidate[]): KeyHolder | undefined {
  const { key, bare } = candidate;
  if (!key?.isCertificate) return holderOf(candidate);
  const plain = all.find((other) => other.key?.isCertificate === false && other.key.blob.equals(key.plainBlob));
  if (plain) return holderOf(plain);
  return bare ? undefined : holderOf(candidate);
}

function holderOf({ agent, path }: Candidate): KeyHolder | undefined {
  if (agent) return { kind: 'agent', identity: agent };
  return path === undefined ? undefined : { kind: 'file', path };
}
