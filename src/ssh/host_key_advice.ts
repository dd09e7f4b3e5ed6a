/** What is said about a host key that is refused: one line each, with what to do about it. */
import type { Certificate } from './certificate.ts';
import { quoted } from './certificate_host.ts';
import type { HostKeyAnswer } from './known_hosts.ts';
import { hostForm } from './known_hosts_entry.ts';

export interface Host {
  readonly name: string;
  readonly port: number;
}

/** `ssh-keyscan` and where to put what it finds. `reason`: why the host is unknown although a certificate or DNS spoke for it. */
export function unknownAdvice(host: Host, file: string, reason: string | undefined): string {
  const port = host.port === 22 ? '' : `-p ${host.port} `;
  const scan = `ssh-keyscan ${port}${shellWord(host.name)} >> ${shellWord(file)}`;
  const advice = `add it with: ${scan} after verifying the fingerprint, or run with --host-keys accept-new`;
  return reason === undefined ? advice : `${reason}; ${advice}`;
}

export function changedAdvice(host: Host, keyType: string, answer: HostKeyAnswer, reason: string | undefined): string {
  const suffix = reason === undefined ? '' : `; ${reason}`;
  if (answer.file === undefined) {
    return `another key was accepted for this host earlier in this run: find out which of the two is the host${suffix}`;
  }
  const place = `${answer.file}:${answer.line}`;
  const differs = answer.knownTypes.includes(keyType)
    ? `the key in ${place} differs`
    : `only other key types are known for this host (${answer.knownTypes.join(', ')}; ${place})`;
  const remove = `ssh-keygen -f ${shellWord(answer.file)} -R ${shellWord(hostForm(host.name, host.port))}`;
  return `${differs}: if the change is genuine remove that line (${remove})${suffix}`;
}

export function revokedAdvice(answer: HostKeyAnswer): string {
  return `the key is marked @revoked in ${answer.file}:${answer.line}: do not use this host until it has a new key`;
}

export function revokedAuthorityAdvice({ authority }: Certificate, answer: HostKeyAnswer): string {
  const key = `${authority.keyType} ${authority.fingerprint}`;
  const place = `${answer.file}:${answer.line}`;
  return `the authority of its certificate (${key}) is marked @revoked in ${place}: have the host's key signed by another`;
}

/** Why a certificate alone does not make the host known. */
export function unknownAuthorityReason({ authority }: Certificate): string {
  const key = `${authority.keyType} ${authority.fingerprint}`;
  return `its certificate is signed by ${key}, and no @cert-authority line for this host has that key`;
}

export function certificateAdvice(certificate: Certificate, problem: string): string {
  return `the certificate ${quoted(certificate.keyId)} (serial ${certificate.serial}) ${problem}`;
}

/** A word for a POSIX shell, always quoted: advice is made to be pasted. */
function shellWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
