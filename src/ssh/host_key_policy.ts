/** What to do with a host key: check it against known_hosts, learn it, or take anything. */
import { SshError } from './errors.ts';
import { type HostKeyAnswer, hostForm, type KnownHosts, keyTypeOf, knownHostsLine } from './known_hosts.ts';
import { KnownHostsWriter } from './known_hosts_writer.ts';
import { fingerprintOf } from './public_key.ts';

/** `strict`: only known keys (the default) · `accept-new`: the first key of an unknown host is learnt · `off`: any key. */
export type HostKeyPolicy = 'strict' | 'accept-new' | 'off';

export interface HostKeyVerifier {
  /**
   * Returns or resolves when the host may be used; a promise only while a new key is being written. Throws or rejects with SshError `host-key`
   * (unknown, changed, revoked, with advice), or `local` when a new key could not be written.
   */
  verify(host: { readonly name: string; readonly port: number }, keyType: string, blob: Buffer): void | Promise<void>;
  /** The key types to ask this host for first; none where nothing is known. */
  typesFor(name: string, port: number): readonly string[];
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
}

export function createHostKeyVerifier(options: HostKeyVerifierOptions): HostKeyVerifier {
  if (options.policy === 'off') return new TrustingVerifier();
  return new CheckingVerifier(options.known, options.file, options.policy === 'accept-new');
}

class TrustingVerifier implements HostKeyVerifier {
  readonly accepted = 0;

  verify(): void {}

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

class CheckingVerifier implements HostKeyVerifier {
  readonly #known: KnownHosts;
  readonly #file: string | undefined;
  readonly #acceptNew: boolean;
  readonly #writer: KnownHostsWriter | undefined;
  /** By name in known_hosts. As many as there are hosts in the handshake, because each waits for its line. */
  readonly #pending = new Map<string, Pending>();
  #accepted = 0;
  #closed = false;

  constructor(known: KnownHosts, file: string | undefined, acceptNew: boolean) {
    this.#known = known;
    this.#file = file;
    this.#acceptNew = acceptNew;
    this.#writer = acceptNew && file !== undefined ? new KnownHostsWriter(file) : undefined;
  }

  get accepted(): number {
    return this.#accepted;
  }

  typesFor(name: string, port: number): readonly string[] {
    return this.#known.keyTypesFor(name, port);
  }

  verify(host: { readonly name: string; readonly port: number }, keyType: string, blob: Buffer): void | Promise<void> {
    const answer = this.#known.check(host.name, host.port, blob);
    if (answer.kind === 'known') return undefined;
    if (answer.kind !== 'unknown' || !this.#acceptNew || this.#closed) throw this.#refusal(host, keyType, blob, answer);
    const form = hostForm(host.name, host.port).toLowerCase();
    const pending = this.#pending.get(form);
    if (pending === undefined) return this.#learn(host, form, Buffer.from(blob));
    if (pending.blob.equals(blob)) return pending.written;
    throw this.#refusal(host, keyType, blob, { kind: 'changed', knownTypes: [keyTypeOf(pending.blob)] });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#pending.values()].map(({ written }) => written));
  }

  #learn(host: { readonly name: string; readonly port: number }, form: string, blob: Buffer): Promise<void> {
    const line = knownHostsLine(host.name, host.port, blob);
    const written = (async () => {
      try {
        await this.#writer?.append(line);
        this.#known.add(host.name, host.port, keyTypeOf(blob), blob);
        this.#accepted++;
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new SshError('local', `the new host key could not be written to ${this.#file}: ${why}`, {}, { cause });
      } finally {
        this.#pending.delete(form);
      }
    })();
    this.#pending.set(form, { blob, written });
    return written;
  }

  #refusal(
    host: { readonly name: string; readonly port: number },
    keyType: string,
    blob: Buffer,
    answer: HostKeyAnswer,
  ): SshError {
    const cause = answer.kind === 'known' ? 'unknown' : answer.kind;
    const fingerprint = fingerprintOf(blob);
    const place = answer.file === undefined ? undefined : `${answer.file}:${answer.line}`;
    const advice = { unknown: unknownAdvice, changed: changedAdvice, revoked: revokedAdvice }[cause]({
      host,
      keyType,
      answer,
      place,
      file: this.#file ?? 'known_hosts',
    });
    const message = `the host key is ${cause} (${keyType} ${fingerprint})${place ? `, see ${place}` : ''}`;
    return new SshError('host-key', message, { hostKey: { cause, keyType, fingerprint, advice } });
  }
}

interface AdviceInput {
  readonly host: { readonly name: string; readonly port: number };
  readonly keyType: string;
  readonly answer: HostKeyAnswer;
  readonly place: string | undefined;
  readonly file: string;
}

function unknownAdvice({ host, file }: AdviceInput): string {
  const port = host.port === 22 ? '' : `-p ${host.port} `;
  const scan = `ssh-keyscan ${port}${shellWord(host.name)} >> ${shellWord(file)}`;
  return `add it with: ${scan} after verifying the fingerprint, or run with --host-keys accept-new`;
}

function changedAdvice({ host, keyType, answer, place }: AdviceInput): string {
  if (place === undefined) {
    return 'another key was accepted for this host earlier in this run: find out which of the two is the host';
  }
  const differs = answer.knownTypes.includes(keyType)
    ? `the key in ${place} differs`
    : `only other key types are known for this host (${answer.knownTypes.join(', ')}; ${place})`;
  const name = shellWord(hostForm(host.name, host.port));
  const remove = `ssh-keygen -f ${shellWord(answer.file ?? '')} -R ${name}`;
  return `${differs}: if the change is genuine remove that line (${remove})`;
}

function revokedAdvice({ place }: AdviceInput): string {
  return `the key is marked @revoked in ${place}: do not use this host until it has a new key`;
}

/** A word for a POSIX shell, always quoted: advice is made to be pasted. */
function shellWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
