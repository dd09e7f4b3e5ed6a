/**
 * What to do with a host key: check it against known_hosts, learn it, or take anything.
 *
 *   shown ──@revoked, or its authority is──▶ refused (revoked)
 *   shown ──certificate of a known authority, good for the host──▶ taken
 *   else the plain key ──known──▶ taken
 *                      ──fingerprint in DNS under DNSSEC──▶ taken
 *                      ──certificate of a known authority that is not good──▶ refused (certificate)
 *                      ──other keys known──▶ refused (changed)
 *                      ──nothing known──▶ learnt (accept-new) │ refused (unknown)
 *
 * As OpenSSH, a certificate that does not count leaves the plain key in it to be looked up. Unlike it, `accept-new` learns no key where a
 * known authority's certificate is bad, or where DNS names other keys.
 */
import { randomBytes } from 'node:crypto';
import type { HostKeyCause } from '../contracts/outcome.ts';
import { CERTIFICATE_ALGORITHMS, type Certificate, isCertificateType } from './certificate.ts';
import { hostCertificateProblem } from './certificate_host.ts';
import { SshError } from './errors.ts';
import {
  certificateAdvice,
  changedAdvice,
  type Host,
  revokedAdvice,
  revokedAuthorityAdvice,
  unknownAdvice,
  unknownAuthorityReason,
} from './host_key_advice.ts';
import type { HostKeyAnswer, KnownAuthority, KnownHosts } from './known_hosts.ts';
import {
  KnownHostsCommand,
  type KnownHostsCommandOptions,
  mergeAnswers,
  mergeAuthorities,
} from './known_hosts_command.ts';
import { hostForm, keyTypeOf, knownHostsLine } from './known_hosts_entry.ts';
import { KnownHostsWriter } from './known_hosts_writer.ts';
import { fingerprintOf, PublicKeyCache } from './public_key.ts';
import { compareSshfp, type SshfpResolver } from './sshfp.ts';

/** `strict`: only known keys (the default) · `accept-new`: the first key of an unknown host is learnt · `off`: any key. */
export type HostKeyPolicy = 'strict' | 'accept-new' | 'off';

export interface HostKeyVerifier {
  /**
   * Returns or resolves when the host may be used; a promise only while a new key is being written, many hashed lines are asked, or a
   * program or DNS is. Throws or rejects with SshError `host-key` (with advice), or `local` when a new key could not be written or a program
   * failed. `certificate`: what `blob` is, where it was read already (PublicKey.certificate); else it is read here.
   */
  verify(host: Host, keyType: string, blob: Buffer, certificate?: Certificate): void | Promise<void>;
  /** Resolves when `typesFor` can answer for a host; undefined: it can now. Rejects with SshError `local` when a program failed. */
  prepare(host: Host): Promise<void> | undefined;
  /** The key types, and for certificates the algorithms, to ask this host for first; none where nothing is known. */
  typesFor(host: Host): readonly string[];
  /** New keys that were accepted so far. */
  readonly accepted: number;
  /** Resolves when all accepted keys are written; new keys are refused from now on. */
  close(): Promise<void>;
}

export interface HostKeyVerifierOptions {
  readonly policy: HostKeyPolicy;
  readonly known: KnownHosts;
  /** Where `accept-new` appends; without it new keys are remembered for this run only. Advice for `strict` names it, too. */
  readonly file: string | undefined;
  /** The names of new lines are hashed (HashKnownHosts). @default false */
  readonly hashNames?: boolean;
  /** KnownHostsCommand. @default none */
  readonly command?: KnownHostsCommandOptions | undefined;
  /** CASignatureAlgorithms: what authorities may have signed with. @default all that we verify */
  readonly authoritySignatures?: readonly string[] | undefined;
  /** VerifyHostKeyDNS; `ask`: the answer stands in advice only, nobody is there to be asked. @default DNS is not asked */
  readonly dns?: { readonly mode: 'yes' | 'ask'; readonly resolve: SshfpResolver } | undefined;
  /** Milliseconds since 1970, for certificates. @default Date.now */
  readonly now?: () => number;
}

export function createHostKeyVerifier(options: HostKeyVerifierOptions): HostKeyVerifier {
  return options.policy === 'off' ? new TrustingVerifier() : new CheckingVerifier(options);
}

class TrustingVerifier implements HostKeyVerifier {
  readonly accepted = 0;

  verify(): void {}

  prepare(): undefined {
    return undefined;
  }

  typesFor(): readonly string[] {
    return [];
  }

  async close(): Promise<void> {}
}

/** A new key on its way to the file. */
interface Pending {
  readonly blob: Buffer;
  readonly written: Promise<void>;
}

/** One host key in question. */
interface Question {
  readonly host: Host;
  /** As it was shown; a certificate's is its own. */
  readonly keyType: string;
  /** The plain key. */
  readonly blob: Buffer;
  readonly certificate: Certificate | undefined;
}

/** What speaks against a certificate. */
interface CertificateFault {
  readonly trusted: boolean;
  readonly text: string;
}

class CheckingVerifier implements HostKeyVerifier {
  readonly #options: HostKeyVerifierOptions;
  readonly #known: KnownHosts;
  readonly #command: KnownHostsCommand | undefined;
  readonly #writer: KnownHostsWriter | undefined;
  readonly #now: () => number;
  #certificates: PublicKeyCache | undefined;
  /** By name in known_hosts. As many as there are hosts in the handshake, because each waits for its line. */
  readonly #pending = new Map<string, Pending>();
  #accepted = 0;
  #closed = false;

  constructor(options: HostKeyVerifierOptions) {
    const { policy, file, command } = options;
    this.#options = options;
    this.#known = options.known;
    this.#command = command === undefined ? undefined : new KnownHostsCommand(command);
    this.#writer = policy === 'accept-new' && file !== undefined ? new KnownHostsWriter(file) : undefined;
    this.#now = options.now ?? Date.now;
  }

  get accepted(): number {
    return this.#accepted;
  }

  prepare(host: Host): Promise<void> | undefined {
    const lines = this.#command?.lines(host, undefined);
    return lines instanceof Promise ? lines.then(() => {}) : undefined;
  }

  typesFor(host: Host): readonly string[] {
    const { name, port } = host;
    const more = this.#command?.linesNow(host, undefined);
    const own = this.#known.keyTypesFor(name, port);
    const types = more === undefined ? own : [...new Set([...own, ...more.keyTypesFor(name, port)])];
    return this.#authorities(host, more).length > 0 ? [...CERTIFICATE_ALGORITHMS, ...types] : types;
  }

  verify(host: Host, keyType: string, blob: Buffer, certificate?: Certificate): void | Promise<void> {
    const read = certificate ?? (isCertificateType(keyType) ? this.#read(blob) : undefined);
    const question = { host, keyType, blob: read?.plainBlob ?? blob, certificate: read };
    const more = this.#command?.lines(host, { keyType, blob });
    if (more instanceof Promise) return more.then((lines) => this.#judge(question, lines));
    return this.#judge(question, more);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#pending.values()].map(({ written }) => written));
  }

  #read(blob: Buffer): Certificate | undefined {
    this.#certificates ??= new PublicKeyCache();
    return this.#certificates.get(blob).certificate;
  }

  #authorities(host: Host, more: KnownHosts | undefined): readonly KnownAuthority[] {
    const own = this.#known.authoritiesFor(host.name, host.port);
    return more === undefined ? own : mergeAuthorities(own, more.authoritiesFor(host.name, host.port));
  }

  #judge(question: Question, more: KnownHosts | undefined): void | Promise<void> {
    const { host, blob, certificate } = question;
    const fault = certificate === undefined ? undefined : this.#faultOf(question, certificate, more);
    if (certificate !== undefined && fault === undefined) return undefined;
    const first = this.#known.ask(host.name, host.port, blob);
    // What a program printed is short enough to be asked at once.
    const second = more?.check(host.name, host.port, blob);
    const answered = (answer: HostKeyAnswer) =>
      this.#decide(question, second === undefined ? answer : mergeAnswers(answer, second), fault);
    return first instanceof Promise ? first.then(answered) : answered(first);
  }

  /** What speaks against a certificate; throws where it, or its authority, is revoked. Undefined: the host may be used. */
  #faultOf(question: Question, certificate: Certificate, more: KnownHosts | undefined): CertificateFault | undefined {
    const { name, port } = question.host;
    const revoked = (blob: Buffer) => this.#known.revoked(name, port, blob) ?? more?.revoked(name, port, blob);
    const key = revoked(certificate.plainBlob);
    if (key !== undefined) throw refusal(question, 'revoked', revokedAdvice(key), key);
    const signer = revoked(certificate.authority.blob);
    if (signer !== undefined) {
      throw refusal(question, 'revoked', revokedAuthorityAdvice(certificate, signer), signer);
    }
    const trusted = this.#authorities(question.host, more).some(({ blob }) => blob.equals(certificate.authority.blob));
    if (!trusted) return { trusted, text: unknownAuthorityReason(certificate) };
    const { authoritySignatures } = this.#options;
    const problem =
      authoritySignatures?.includes(certificate.signatureAlgorithm) === false
        ? `is signed with ${certificate.signatureAlgorithm}, which CASignatureAlgorithms does not allow: have it signed again`
        : hostCertificateProblem(certificate, name, this.#now());
    return problem === undefined ? undefined : { trusted, text: certificateAdvice(certificate, problem) };
  }

  /** Decides on the plain key. `fault`: why its certificate does not count. */
  #decide(question: Question, answer: HostKeyAnswer, fault: CertificateFault | undefined): void | Promise<void> {
    if (answer.kind === 'known') return undefined;
    if (answer.kind === 'revoked') throw refusal(question, 'revoked', revokedAdvice(answer), answer);
    const { dns } = this.#options;
    if (dns === undefined) return this.#learnOrRefuse(question, answer, fault, undefined);
    return this.#askDns(question, answer, fault, dns.mode, dns.resolve);
  }

  async #askDns(
    question: Question,
    answer: HostKeyAnswer,
    fault: CertificateFault | undefined,
    mode: 'yes' | 'ask',
    resolve: SshfpResolver,
  ): Promise<void> {
    const none = { records: [], secure: false };
    const { records, secure } = await resolve(question.host.name).catch(() => none);
    const verdict = compareSshfp(records, question.blob);
    if (verdict === 'match' && secure && mode === 'yes') return undefined;
    return this.#learnOrRefuse(question, answer, fault, { verdict, secure });
  }

  #learnOrRefuse(
    question: Question,
    answer: HostKeyAnswer,
    fault: CertificateFault | undefined,
    dns: { readonly verdict: 'match' | 'mismatch' | 'none'; readonly secure: boolean } | undefined,
  ): void | Promise<void> {
    if (fault?.trusted) throw refusal(question, 'certificate', fault.text, undefined);
    const dnsText = dns === undefined ? undefined : DNS_TEXTS[dns.verdict][dns.secure ? 'secure' : 'plain'];
    const reason = [fault?.text, dnsText].filter((text) => text !== undefined).join('; ') || undefined;
    const { host, keyType, blob } = question;
    if (answer.kind === 'changed') {
      throw refusal(question, 'changed', changedAdvice(host, keyTypeOf(blob) || keyType, answer, reason), answer);
    }
    const learns = this.#options.policy === 'accept-new' && !this.#closed && dns?.verdict !== 'mismatch';
    if (!learns) {
      throw refusal(question, 'unknown', unknownAdvice(host, this.#options.file ?? 'known_hosts', reason), undefined);
    }
    return this.#learnOnce(question, reason);
  }

  /** Learns a key, if no other one was learnt while a program, DNS or the hashed lines were asked. */
  #learnOnce(question: Question, reason: string | undefined): void | Promise<void> {
    const { host, keyType, blob } = question;
    const answer = this.#known.check(host.name, host.port, blob);
    if (answer.kind === 'known') return undefined;
    if (answer.kind === 'changed')
      throw refusal(question, 'changed', changedAdvice(host, keyType, answer, reason), answer);
    const form = hostForm(host.name, host.port).toLowerCase();
    const pending = this.#pending.get(form);
    if (pending === undefined) return this.#learn(host, form, Buffer.from(blob));
    if (pending.blob.equals(blob)) return pending.written;
    const other: HostKeyAnswer = { kind: 'changed', knownTypes: [keyTypeOf(pending.blob)] };
    throw refusal(question, 'changed', changedAdvice(host, keyType, other, reason), other);
  }

  #learn(host: Host, form: string, blob: Buffer): Promise<void> {
    const { file, hashNames } = this.#options;
    const line = knownHostsLine(host.name, host.port, blob, hashNames ? randomBytes(20) : undefined);
    const written = (async () => {
      try {
        await this.#writer?.append(line);
        this.#known.add(host.name, host.port, keyTypeOf(blob), blob);
        this.#accepted++;
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new SshError('local', `the new host key could not be written to ${file}: ${why}`, {}, { cause });
      } finally {
        this.#pending.delete(form);
      }
    })();
    this.#pending.set(form, { blob, written });
    return written;
  }
}

const DNS_TEXTS = {
  match: {
    secure: 'its SSHFP record in DNS has this key, validated by DNSSEC',
    plain: 'its SSHFP record in DNS has this key, but DNSSEC does not vouch for it',
  },
  mismatch: {
    secure: 'its SSHFP records in DNS, validated by DNSSEC, name other keys',
    plain: 'its SSHFP records in DNS name other keys',
  },
  none: { secure: undefined, plain: undefined },
} as const;

function refusal(question: Question, cause: HostKeyCause, advice: string, answer: HostKeyAnswer | undefined): SshError {
  const { keyType } = question;
  const fingerprint = fingerprintOf(question.blob);
  const place = answer?.file === undefined ? '' : `, see ${answer.file}:${answer.line}`;
  const what = cause === 'certificate' ? 'certificate is refused' : `key is ${cause}`;
  const message = `the host ${what} (${keyType} ${fingerprint})${place}`;
  return new SshError('host-key', message, { hostKey: { cause, keyType, fingerprint, advice } });
}
