/** What host keys are verified against: known_hosts files, read once each, and one verifier for all hosts that agree on them. */
import { execFile } from 'node:child_process';
import { MyriadError } from '../../contracts/errors.ts';
import { isCertificateType } from '../../ssh/certificate.ts';
import { SshError } from '../../ssh/errors.ts';
import { createHostKeyVerifier, type HostKeyPolicy, type HostKeyVerifier } from '../../ssh/host_key_policy.ts';
import { KnownHosts, type SharedKnownHosts } from '../../ssh/known_hosts.ts';
import type { KnownHostsCommandOptions } from '../../ssh/known_hosts_command.ts';
import type { SshfpResolver } from '../../ssh/sshfp.ts';
import { readFileShared } from '../../util/shared_memory.ts';

/** What a verifier depends on. */
export interface TrustQuestion {
  readonly policy: HostKeyPolicy;
  /** Where new keys go is the first one. */
  readonly files: readonly string[];
  /** The caller named the files: one that is missing is a mistake. */
  readonly filesNamed: boolean;
  readonly hashNames: boolean;
  /** What authorities may sign with; undefined: all that we verify. */
  readonly authoritySignatures?: readonly string[] | undefined;
  /** VerifyHostKeyDNS. */
  readonly dns?: 'yes' | 'ask' | undefined;
  /** One object for all hosts of one command. */
  readonly command?: KnownHostsCommandOptions | undefined;
}

/** What is known of a host's keys, for who adds to it. */
export interface HostKeyStore {
  /** Strict, whatever the policy of runs is. */
  readonly verifier: HostKeyVerifier;
  readonly known: KnownHosts;
  /** Where new keys go; undefined: nowhere. */
  readonly file: string | undefined;
  readonly hashNames: boolean;
  /** The file as it was read; undefined: it was not there. */
  readonly text: Buffer | undefined;
}

/** A key that a thread does not know, for the main thread: the only one that learns. Plain data. */
export interface LearnQuestion {
  readonly trust: Omit<TrustQuestion, 'command'>;
  readonly host: { readonly name: string; readonly port: number };
  readonly keyType: string;
  readonly blob: Uint8Array;
}

/** What was read of known_hosts, by the list of its files, in memory that threads share. Crosses as it is. */
export type SharedHostKeys = ReadonlyMap<string, SharedKnownHosts>;

/** Resolves when the key was learnt elsewhere; rejects as a verifier does. */
export type LearnElsewhere = (question: LearnQuestion) => Promise<void>;

/** For one run of a KnownHostsCommand, in milliseconds; and what it may print. */
const COMMAND_MS = 30_000;
const COMMAND_BYTES = 1024 * 1024;

export class HostKeyVerifiers {
  readonly #sshfp: SshfpResolver | undefined;
  readonly #verifiers = new Map<string, HostKeyVerifier>();
  readonly #texts = new Map<string, Buffer>();
  /** By the list of files. */
  readonly #known = new Map<string, KnownHosts>();
  readonly #commands = new Map<KnownHostsCommandOptions, number>();
  readonly #learn: LearnElsewhere | undefined;
  readonly #warn: (text: string) => void;

  /**
   * `sshfp`: asks for SSHFP records; without it VerifyHostKeyDNS does nothing. `learn`: who learns new keys. @default we
   * `shared`: what another thread has read. @default nothing · `warn`: hears of lines that do not count. @default nobody does
   */
  constructor(
    sshfp: SshfpResolver | undefined,
    learn?: LearnElsewhere,
    shared: SharedHostKeys = new Map(),
    warn: (text: string) => void = () => {},
  ) {
    this.#sshfp = sshfp;
    this.#warn = warn;
    this.#learn = learn;
    for (const [id, known] of shared) this.#known.set(id, KnownHosts.from(known));
  }

  /** Throws `known-hosts` for a file that was named and cannot be read; one that `accept-new` will make may be missing. */
  find(question: TrustQuestion): HostKeyVerifier {
    const { policy, files, hashNames, authoritySignatures, dns: mode, command } = question;
    const id = JSON.stringify([
      policy,
      files,
      hashNames,
      authoritySignatures,
      mode,
      command ? this.#number(command) : 0,
    ]);
    let verifier = this.#verifiers.get(id);
    if (verifier === undefined) {
      const known = this.load(question);
      const learn = policy === 'accept-new' ? this.#learn : undefined;
      const dns = mode === undefined || this.#sshfp === undefined ? undefined : { mode, resolve: this.#sshfp };
      const own = learn ? 'strict' : policy;
      const options = { policy: own, known, file: files[0], hashNames, authoritySignatures, dns, command } as const;
      verifier = createHostKeyVerifier(options);
      if (learn) verifier = new AskingVerifier(verifier, known, question, learn);
      this.#verifiers.set(id, verifier);
    }
    return verifier;
  }

  /** What hosts of this question teach goes here; the first file may be missing. Throws as `find`. */
  store(question: TrustQuestion): HostKeyStore {
    // Read first as who would make the file: then strict is content with it, too.
    const known = this.load({ ...question, policy: 'accept-new' });
    const verifier = this.find({ ...question, policy: 'strict' });
    const [file] = question.files;
    return { verifier, known, file, hashNames: question.hashNames, text: this.#texts.get(file ?? '') };
  }

  /** The lines of these files, read once; what one host teaches, all others know. Throws as `find`. */
  load({ policy, files, filesNamed }: Pick<TrustQuestion, 'policy' | 'files' | 'filesNamed'>): KnownHosts {
    const id = JSON.stringify(files);
    let known = this.#known.get(id);
    if (known === undefined) {
      const texts: { file: string; text: Buffer }[] = [];
      // Any key is taken: nothing needs to be read.
      for (const [place, file] of policy === 'off' ? [] : files.entries()) {
        const text = read(file, filesNamed && !(policy === 'accept-new' && place === 0));
        if (!text) continue;
        texts.push({ file, text });
        this.#texts.set(file, text);
      }
      known = KnownHosts.parse(texts);
      this.#tellBadLines(known);
      if (policy !== 'off') this.#known.set(id, known);
    }
    return known;
  }

  /** The first of them, and how many more there are: the other lines count. */
  #tellBadLines({ problems, problemCount }: KnownHosts): void {
    const [first] = problems;
    if (first === undefined) return;
    const more = problemCount > 1 ? `, nor do ${problemCount - 1} more` : '';
    this.#warn(`known_hosts "${first.file}", line ${first.line} does not count${more}: ${first.reason}`);
  }

  /** What was read so far, for other threads: they need not read it again, nor hold it. */
  share(): SharedHostKeys {
    const shared = new Map<string, SharedKnownHosts>();
    for (const [id, known] of this.#known) {
      shared.set(id, known.share());
      const [file, ...others] = (JSON.parse(id) as string[]).filter((each) => this.#texts.has(each));
      // Where one file is all the text there is, it is there once.
      if (file === undefined || others.length > 0) continue;
      if (this.#texts.get(file)!.length === known.text.length) this.#texts.set(file, known.text);
    }
    return shared;
  }

  #number(command: KnownHostsCommandOptions): number {
    let number = this.#commands.get(command);
    if (number === undefined) {
      number = this.#commands.size + 1;
      this.#commands.set(command, number);
    }
    return number;
  }

  /** Resolves when all accepted keys are written. */
  async close(): Promise<void> {
    await Promise.all([...this.#verifiers.values()].map((verifier) => verifier.close()));
  }
}

/** Verifies here, and has keys of unknown hosts learnt elsewhere: what is learnt there, it knows from then on. */
class AskingVerifier implements HostKeyVerifier {
  readonly accepted = 0;
  readonly #strict: HostKeyVerifier;
  readonly #known: KnownHosts;
  readonly #trust: LearnQuestion['trust'];
  readonly #learn: LearnElsewhere;

  constructor(strict: HostKeyVerifier, known: KnownHosts, question: TrustQuestion, learn: LearnElsewhere) {
    const { command: _, ...trust } = question;
    this.#strict = strict;
    this.#known = known;
    this.#trust = trust;
    this.#learn = learn;
  }

  verify(...of: Parameters<HostKeyVerifier['verify']>): void | Promise<void> {
    try {
      return this.#strict.verify(...of)?.catch((error: unknown) => this.#ask(error, of));
    } catch (error) {
      return this.#ask(error, of);
    }
  }

  prepare(host: Parameters<HostKeyVerifier['prepare']>[0]): Promise<void> | undefined {
    return this.#strict.prepare(host);
  }

  typesFor(host: Parameters<HostKeyVerifier['typesFor']>[0]): readonly string[] {
    return this.#strict.typesFor(host);
  }

  close(): Promise<void> {
    return this.#strict.close();
  }

  async #ask(error: unknown, [{ name, port }, keyType, blob]: Parameters<HostKeyVerifier['verify']>): Promise<void> {
    if (!(error instanceof SshError) || error.detail.hostKey?.cause !== 'unknown') throw error;
    await this.#learn({ trust: this.#trust, host: { name, port }, keyType, blob: Uint8Array.from(blob) });
    // The plain key of a certificate was learnt there; here it is asked for again.
    if (!isCertificateType(keyType)) this.#known.add(name, port, keyType, blob);
  }
}

/** Runs a KnownHostsCommand, without a shell and without input. Rejects where it fails, with what it said. */
export function runKnownHostsCommand(args: readonly string[]): Promise<string> {
  const [program = '', ...rest] = args;
  return new Promise((resolve, reject) => {
    const limits = { timeout: COMMAND_MS, maxBuffer: COMMAND_BYTES, killSignal: 'SIGKILL' as const };
    execFile(program, rest, { ...limits, encoding: 'latin1' }, (error, stdout) => {
      if (error) reject(error);
      else resolve(stdout);
    }).stdin?.end();
  });
}

function read(file: string, needed: boolean): Buffer | undefined {
  try {
    return readFileShared(file);
  } catch (cause) {
    if (!needed && (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MyriadError('known-hosts', `known hosts file "${file}" cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}
