/**
 * The keys of a host by its configuration: agent, IdentityFile, CertificateFile, IdentitiesOnly, in OpenSSH's order.
 *
 * Nobody named these keys on this command line: one that is missing, encrypted or damaged is passed over, with a warning
 * where a configuration file names it. Each file is read once, each agent asked once.
 */
import { existsSync, readFileSync } from 'node:fs';
import { MyriadError } from '../../contracts/errors.ts';
import { Agent } from '../../ssh/agent.ts';
import type { SetTimer } from '../../ssh/agent_connection.ts';
import { type HeldKeys, heldKeys, NO_HELD_KEYS } from '../../ssh/agent_held.ts';
import { identityOf } from '../../ssh/agent_identity.ts';
import { type CertificateFile, type KeyFile, type OrderedKey, orderKeys } from '../../ssh/agent_order.ts';
import { validityProblem } from '../../ssh/certificate.ts';
import { loadCertificate } from '../../ssh/certificate_user.ts';
import type { AuthKey } from '../../ssh/client_auth.ts';
import { parsePrivateKey, type UserKey } from '../../ssh/private_key.ts';
import { PublicKeyCache } from '../../ssh/public_key.ts';

/** What the keys of a host depend on. */
export interface KeyQuestion {
  /** The agent's socket; undefined: none. */
  readonly agent: string | undefined;
  /** An agent that was named must answer. */
  readonly agentNamed: boolean;
  readonly files: readonly string[];
  /** Nobody named the files: most do not exist. */
  readonly filesAreDefaults: boolean;
  readonly certificateFiles: readonly string[];
  readonly identitiesOnly: boolean;
}

/** A file that was looked at: with its private key, or with what is known of it without. */
interface ReadFile {
  readonly key: UserKey | undefined;
  readonly publicBlob: Buffer | undefined;
  /** Of PATH-cert.pub, where it is valid. */
  readonly certificate: Buffer | undefined;
}

/** Of what was passed over, in one error. */
const MOST_TOLD = 3;

export class ConfiguredKeys {
  readonly #setTimer: SetTimer;
  readonly #warn: (text: string) => void;
  /** What was passed over first: the reason where there is no way to log in. */
  readonly passedOver: string[] = [];
  readonly #agents: Agent[] = [];
  /** By the agent's socket. */
  readonly #held = new Map<string, Promise<HeldKeys>>();
  readonly #files = new Map<string, ReadFile | undefined>();
  readonly #certificates = new Map<string, Buffer | undefined>();

  /** `warn` hears of each thing that is passed over, once. */
  constructor(setTimer: SetTimer, warn: (text: string) => void) {
    this.#setTimer = setTimer;
    const tell = (text: string) => {
      if (this.passedOver.length < MOST_TOLD) this.passedOver.push(text);
      warn(text);
    };
    this.#warn = tell;
  }

  /** Rejects with `key` for an agent that was named and cannot be used. */
  async find(question: KeyQuestion): Promise<readonly AuthKey[]> {
    const { agent } = question;
    const held = agent === undefined ? NO_HELD_KEYS : await this.#heldBy(agent, question.agentNamed);
    const files: KeyFile[] = [];
    for (const path of question.files) {
      const read = this.#read(path, question.filesAreDefaults);
      if (read) files.push({ path, publicBlob: read.publicBlob, certificate: read.certificate });
    }
    const certificateFiles: CertificateFile[] = [];
    for (const path of question.certificateFiles) {
      const blob = this.#certificate(path);
      if (blob) certificateFiles.push({ path, blob });
    }
    const { identitiesOnly } = question;
    const ordered = orderKeys({ agent: held.identities, files, certificateFiles, identitiesOnly });
    return ordered.map((key) => this.#toKey(key, held)).filter((key) => key !== undefined);
  }

  #toKey({ signer, publicBlob }: OrderedKey, held: HeldKeys): AuthKey | undefined {
    if (signer?.kind === 'agent') {
      const other = publicBlob !== undefined && !publicBlob.equals(signer.identity.blob);
      return held.key(signer.identity, other ? publicBlob : undefined);
    }
    const key = signer && this.#files.get(signer.path)?.key;
    if (!key) return undefined;
    if (publicBlob === undefined || publicBlob.equals(key.publicBlob)) return key;
    return certified(publicBlob, key, signer.path);
  }

  #heldBy(socketPath: string, named: boolean): Promise<HeldKeys> {
    let held = this.#held.get(socketPath);
    if (!held) {
      const agent = new Agent({ socketPath, setTimer: this.#setTimer });
      this.#agents.push(agent);
      held = heldKeys(agent).catch((cause: Error) => {
        if (named) throw new MyriadError('key', `the SSH agent cannot be used: ${cause.message}`, { cause });
        this.#warn(`the SSH agent is passed over: ${cause.message}`);
        return NO_HELD_KEYS;
      });
      this.#held.set(socketPath, held);
    }
    return held;
  }

  #read(path: string, isDefault: boolean): ReadFile | undefined {
    if (!this.#files.has(path)) this.#files.set(path, this.#readNow(path, isDefault));
    return this.#files.get(path);
  }

  /** A file without its private half (only PATH.pub, or encrypted) still says which of the agent's keys is meant. */
  #readNow(path: string, isDefault: boolean): ReadFile | undefined {
    const beside = publicKeyIn(`${path}.pub`) ?? publicKeyIn(path);
    const certificate = this.#certificate(`${path}-cert.pub`, true);
    try {
      const key = parsePrivateKey(readFileSync(path), { source: path });
      return { key, publicBlob: key.publicBlob, certificate };
    } catch (error) {
      const { message } = error as Error;
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const encrypted = error instanceof MyriadError && error.code === 'passphrase';
      if (beside) {
        if (encrypted && !isDefault) {
          this.#warn(`IdentityFile "${path}" is encrypted: only an SSH agent that holds it can use it (ssh-add)`);
        }
        return { key: undefined, publicBlob: beside, certificate };
      }
      // Nobody asked for this one: an encrypted or foreign key in the usual place is nobody's mistake.
      if (!isDefault)
        this.#warn(`IdentityFile "${path}" is passed over: ${missing ? 'there is no such file' : message}`);
      return undefined;
    }
  }

  /** A certificate that is valid now; one that is not is passed over. */
  #certificate(path: string, isDefault = false): Buffer | undefined {
    if (this.#certificates.has(path)) return this.#certificates.get(path);
    const blob = existsSync(path) ? publicKeyIn(path) : undefined;
    const read = blob && certificateIn(blob);
    const problem = read ? validityProblem(read, Date.now()) : 'it is no certificate';
    const good = problem === undefined ? blob : undefined;
    if (!good && (blob || !isDefault)) {
      this.#warn(`certificate "${path}" is passed over: ${blob ? problem : 'there is none in it'}`);
    }
    this.#certificates.set(path, good);
    return good;
  }

  close(): void {
    for (const agent of this.#agents) agent.close();
    this.#agents.length = 0;
  }
}

function certified(blob: Buffer, key: UserKey, path: string): UserKey | undefined {
  try {
    return loadCertificate(`${identityOf(blob)?.keyType} ${blob.toString('base64')}`, path, key);
  } catch {
    return undefined;
  }
}

function certificateIn(blob: Buffer) {
  try {
    return new PublicKeyCache().get(blob).certificate;
  } catch {
    return undefined;
  }
}

/** The blob of a line `type base64 comment`; undefined where the file is not there, or no such line. */
function publicKeyIn(path: string): Buffer | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').slice(0, 64 * 1024);
  } catch {
    return undefined;
  }
  const found = /^\s*([a-z0-9@.-]+)\s+([A-Za-z0-9+/=]+)/.exec(text);
  if (!found) return undefined;
  const blob = Buffer.from(found[2]!, 'base64');
  return identityOf(blob)?.keyType === found[1] ? blob : undefined;
}
