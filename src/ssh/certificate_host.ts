/** What a host certificate must say before the host may be used. Whether its authority is known is asked in known_hosts. */
import { type Certificate, validityProblem } from './certificate.ts';

/** Principals and options that a sentence shows. */
const SHOWN = 8;

/**
 * Why a certificate does not stand for the host `name`: a clause with advice; undefined when it does. Principals are compared as OpenSSH
 * does: exactly, with the name in lower case, and no wildcards. One thing is stricter than in OpenSSH before 10.3: a certificate without
 * principals stands for no host, not for every one.
 */
export function hostCertificateProblem(certificate: Certificate, name: string, nowMs: number): string | undefined {
  const { kind, principals, criticalOptions } = certificate;
  if (kind !== 'host') return 'is for users, not for hosts: give sshd a HostCertificate made with ssh-keygen -h';
  const invalid = validityProblem(certificate, nowMs);
  if (invalid !== undefined) {
    return invalid.startsWith('expired')
      ? `${invalid}: have the host's key signed again`
      : `${invalid}: check this machine's clock`;
  }
  if (principals.length === 0) return 'names no host: sign it with -n and the names of the host';
  const wanted = name.toLowerCase();
  if (!principals.includes(wanted)) {
    return `is for [${shownList(principals)}] and not for ${quoted(wanted)}: sign it with -n and that name too`;
  }
  if (criticalOptions.length > 0) {
    return `has critical options that are not known for hosts (${shownList(criticalOptions)}): sign it without them`;
  }
  return undefined;
}

/** Words from the host for people: quoted, so that nothing in them acts on a terminal, and not too many. */
function shownList(words: readonly string[]): string {
  const more = words.length > SHOWN ? `, and ${words.length - SHOWN} more` : '';
  return words.slice(0, SHOWN).map(quoted).join(', ') + more;
}

/** A word from the host, printable, in quotes, cut where nobody reads on. */
export function quoted(word: string): string {
  const cut = word.length > 80 ? `${word.slice(0, 80)}…` : word;
  return JSON.stringify(cut.replace(/[^\x20-\x7e…]/g, '?'));
}
