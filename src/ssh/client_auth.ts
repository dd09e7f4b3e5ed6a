/**
 * User authentication, client half (RFC 4252, 4256).
 *
 *   idle ──begin──▶ trying ──SUCCESS──▶ done
 *                   trying ──FAILURE──▶ trying (next credential; after a partial success the next step) │ failed
 *   trying ⇄ waiting   a signature (agent), a secret or an answer is asked for outside
 *
 * With one key and nothing else, the request is signed and sent at once, together with SERVICE_REQUEST: no `none` probe,
 * no key query. With several credentials each key is queried first, because servers count refused signatures.
 * One secret is tried once, by one method: where `password` was refused for being wrong, keyboard-interactive would only
 * count as a second wrong try, and the other way round.
 */
import { plainName } from './certificate.ts';
import { type Secret, SecretUse } from './client_auth_secret.ts';
import type { SessionProof, SignContext } from './client_auth_sign.ts';
import { printable, protocolError, SshError } from './errors.ts';
import { MSG } from './messages.ts';
import type { TransportLayer } from './transport.ts';
import { type Reader, Writer } from './wire.ts';

/** A key that can sign: from a file, at once, or through an agent, later. */
export interface AuthKey {
  readonly publicBlob: Buffer;
  readonly fingerprint: string;
  /** Most wanted first. */
  readonly signatureAlgorithms: readonly string[];
  /** The signature blob (RFC 4253 §6.6). `context` is of use to a key that signs later. */
  sign(data: Uint8Array, algorithm: string, context: SignContext): Buffer | Promise<Buffer>;
}

/** One question of the server. */
export interface Prompt {
  readonly text: string;
  /** False for secrets. */
  readonly echo: boolean;
}

/** Answers questions, one answer each; undefined gives up. `signal`: the connection is over, nobody waits any more. */
export type AnswerPrompts = (
  prompts: readonly Prompt[],
  about: { readonly name: string; readonly instruction: string },
  signal: AbortSignal,
) => Promise<readonly string[] | undefined>;

export interface Credentials {
  readonly user: string;
  /** In the order in which they are tried. */
  readonly keys: readonly AuthKey[];
  /** Tried after the keys; also the answer to a single hidden question where `password` itself is not offered. */
  readonly password?: string | Secret | undefined;
  /** Answers keyboard-interactive questions. */
  readonly answer?: AnswerPrompts | undefined;
  /** Methods that may be tried, in this order (PreferredAuthentications). @default publickey, password, keyboard-interactive */
  readonly methods?: readonly string[] | undefined;
  /**
   * How often `answer` is asked for answers that are refused (NumberOfPasswordPrompts); 0: neither it nor `password` is used.
   * A secret is tried once, whatever this says. @default 1
   */
  readonly prompts?: number | undefined;
}

/** The service that authentication is for. */
const CONNECTION = 'ssh-connection';
const METHODS = ['publickey', 'password', 'keyboard-interactive'] as const;
/** Refusals before we stop of our own accord; sshd's MaxAuthTries is 6. */
const MAX_TRIES = 20;
/** Rounds of questions, and questions in one: more is a server that wants to keep us busy. */
const MAX_ROUNDS = 10;
const MAX_PROMPTS = 16;
const MAX_TEXT = 1000;
/** What RSA keys sign with where the user allows SHA-1. */
const SHA1 = 'ssh-rsa';

type KeyAttempt = {
  readonly method: 'publickey';
  readonly key: AuthKey;
  readonly algorithm: string;
  readonly query: boolean;
};

type Attempt =
  | KeyAttempt
  | { readonly method: 'password' }
  /** `again`: once more, where a person has answered before. */
  | { readonly method: 'keyboard-interactive'; readonly again: boolean };

export interface AuthUser {
  /** The first request left; `only`: there is no other credential, so CHANNEL_OPEN may ride with it. */
  requested(only: boolean): void;
  succeeded(): void;
  /** Something failed outside of a message: the connection is to end with this. */
  failed(error: unknown): void;
  /** What proves the session to an agent; left out where nobody needs it. */
  proof?(): SessionProof | undefined;
  /** A secret or a person's answer is waited for: the server is not late. What it returns is called afterwards. */
  waits?(): () => void;
}

export class ClientAuth implements SignContext {
  readonly #transport: TransportLayer;
  readonly #credentials: Credentials;
  readonly #user: AuthUser;
  readonly #attempts: Attempt[];
  readonly #only: boolean;
  readonly #tried: string[] = [];
  readonly #secret: SecretUse;
  #allowed: readonly string[] = [];
  #current: Attempt | undefined;
  #mode: 'idle' | 'trying' | 'waiting' | 'done' | 'failed' = 'idle';
  #refusals = 0;
  #rounds = 0;
  /** Whether a person answered in the attempt before. */
  #answered = false;
  #stop: AbortController | undefined;

  constructor(transport: TransportLayer, credentials: Credentials, user: AuthUser) {
    this.#transport = transport;
    this.#credentials = credentials;
    this.#user = user;
    this.#secret = new SecretUse(credentials.prompts === 0 ? undefined : credentials.password);
    this.#attempts = plan(credentials);
    this.#only = this.#attempts.length === 1;
  }

  get done(): boolean {
    return this.#mode === 'done';
  }

  /** Made when it is asked for: file keys never do. */
  get signal(): AbortSignal {
    this.#stop ??= new AbortController();
    return this.#stop.signal;
  }

  get session(): SessionProof | undefined {
    return this.#user.proof?.();
  }

  /** Sends SERVICE_REQUEST and the first request in one write. Throws `auth` when there is nothing to try. */
  begin(): void {
    this.#transport.packet(MSG.SERVICE_REQUEST).text('ssh-userauth');
    this.#transport.send();
    this.#mode = 'trying';
    this.#next();
  }

  /** Takes messages 6 and 50–79. */
  message(type: number, reader: Reader): void {
    if (type === MSG.SERVICE_ACCEPT) {
      if (reader.text() !== 'ssh-userauth') throw protocolError('expected the service ssh-userauth to be accepted');
      return;
    }
    if (type === MSG.USERAUTH_BANNER) return;
    if (this.#mode !== 'trying' || !this.#current) throw protocolError(`unexpected authentication message ${type}`);
    switch (type) {
      case MSG.USERAUTH_SUCCESS:
        this.#mode = 'done';
        this.#secret.accepted();
        this.#user.succeeded();
        return;
      case MSG.USERAUTH_FAILURE:
        this.#refused(this.#current, reader);
        return;
      case MSG.USERAUTH_60:
        this.#sixty(this.#current, reader);
        return;
      default:
        throw protocolError(`expected an answer to the authentication request, got message ${type}`);
    }
  }

  /** The connection is over before it was authenticated: lets go of what is waited for. Returns the error as it is to be told. */
  ended(error: SshError): SshError {
    const explained = this.#explain(error);
    this.#mode = 'failed';
    // A server that hangs up on a password has refused it, as far as counting goes: some gear says it in no other way.
    this.#secret.over(explained !== error || error.reason === 'closed' || error.reason === 'disconnected');
    this.#stop?.abort(explained);
    return explained;
  }

  /** A server that hangs up on refused credentials (MaxAuthTries) has refused them: says so, with what was tried. */
  #explain(error: SshError): SshError {
    const said = error.reason === 'disconnected' && /authentication/i.test(error.message);
    const hungUp = error.reason === 'disconnected' || error.reason === 'closed';
    if (!said && !(hungUp && this.#refusals > 0)) return error;
    if (this.#current && this.#mode === 'trying') this.#tried.push(describe(this.#current, ''));
    const detail = { tried: this.#tried, allowed: this.#allowed };
    return new SshError('auth', `authentication failed; ${error.message}`, detail, { cause: error });
  }

  #refused(current: Attempt, reader: Reader): void {
    this.#allowed = reader.nameList().slice(0, 16);
    const partial = reader.boolean();
    this.#tried.push(describe(current, partial ? ' (accepted, more is asked)' : ''));
    if (partial) {
      this.#refusals = 0;
      this.#secret.accepted();
    } else {
      this.#refusals++;
      // A server that does not offer the method has not looked at the password.
      if (current.method === 'password' && !this.#allowed.includes('password')) this.#secret.ignored();
      else this.#secret.refused();
    }
    this.#next();
  }

  /** Message 60 means what the request was: PK_OK, PASSWD_CHANGEREQ or INFO_REQUEST. */
  #sixty(current: Attempt, reader: Reader): void {
    if (current.method === 'publickey' && current.query) this.#keyWanted(current, reader);
    else if (current.method === 'keyboard-interactive') this.#questions(reader);
    else if (current.method === 'password') {
      // It was right, but nobody is here to choose a new one.
      this.#secret.accepted();
      this.#tried.push('password (expired: must be changed)');
      this.#next();
    } else throw protocolError('unexpected authentication message 60');
  }

  #keyWanted(current: KeyAttempt, reader: Reader): void {
    const algorithm = reader.text();
    const blob = reader.string();
    if (!blob.equals(current.key.publicBlob)) throw protocolError('expected PK_OK for the key that was asked about');
    if (!current.key.signatureAlgorithms.includes(algorithm)) throw protocolError('expected PK_OK for our algorithm');
    const attempt: KeyAttempt = { ...current, algorithm, query: false };
    this.#current = attempt;
    this.#sign(attempt);
  }

  /** Tries the next credential that the server takes; throws `auth` when there is none. */
  #next(): void {
    for (;;) {
      const attempt = this.#attempts.shift();
      if (!attempt || this.#refusals >= MAX_TRIES) break;
      const known = this.#tried.length > 0;
      if (known && !this.#allowed.includes(attempt.method)) continue;
      if (attempt.method === 'publickey' && attempt.algorithm === SHA1 && this.#takesSha2) continue;
      if (attempt.method === 'password' && !this.#secret.usable) continue;
      if (attempt.method === 'keyboard-interactive' && !this.#mayAnswer(attempt.again)) continue;
      this.#try(attempt);
      return;
    }
    this.#mode = 'failed';
    const what = this.#tried.length > 0 ? `tried ${this.#tried.join(', ')}` : 'there was nothing to try';
    throw new SshError('auth', `authentication failed; ${what}`, { tried: this.#tried, allowed: this.#allowed });
  }

  /** With a callback always; with a password alone only where that password has not been found wrong. */
  #mayAnswer(again: boolean): boolean {
    if (again) return this.#answered;
    return this.#credentials.answer !== undefined || this.#secret.usable;
  }

  #try(attempt: Attempt): void {
    this.#current = attempt;
    if (attempt.method === 'publickey') {
      const chosen = this.#chooseAlgorithm(attempt);
      this.#current = chosen;
      if (chosen.query) this.#sendKey(chosen, undefined);
      else this.#sign(chosen);
    } else if (attempt.method === 'password') this.#takePassword();
    else this.#sendInteractive();
  }

  /** By its EXT_INFO, which comes before its first answer: a signature with SHA-1 is not worth a try. */
  get #takesSha2(): boolean {
    return this.#transport.serverSigAlgs?.some((name) => name.startsWith('rsa-sha2-')) ?? false;
  }

  /** RSA keys: the server may have said by EXT_INFO which hashes it takes. */
  #chooseAlgorithm(attempt: KeyAttempt): KeyAttempt {
    if (attempt.key.signatureAlgorithms.length === 1) return attempt;
    const offered = this.#transport.serverSigAlgs;
    const algorithm = offered && attempt.key.signatureAlgorithms.find((name) => offered.includes(plainName(name)));
    return algorithm ? { ...attempt, algorithm } : attempt;
  }

  #sign(attempt: KeyAttempt): void {
    const signature = attempt.key.sign(this.#signedData(attempt), attempt.algorithm, this);
    if (Buffer.isBuffer(signature)) {
      this.#sendKey(attempt, signature);
      return;
    }
    this.#wait(signature, (signed) => this.#sendKey(attempt, signed));
  }

  #takePassword(): void {
    const secret = this.#secret.take(this.signal);
    if (secret instanceof Promise) this.#waitHere(secret, (value) => this.#passOn(value));
    else this.#passOn(secret);
  }

  #passOn(password: string | undefined): void {
    if (password !== undefined) {
      this.#sendPassword(password);
      return;
    }
    this.#nothingSaid();
    this.#next();
  }

  /** Nothing was sent: where the server has not said what it takes, everything that is left may be tried. */
  #nothingSaid(): void {
    if (this.#allowed.length === 0) this.#allowed = METHODS;
  }

  /** Waits for what does not depend on this server. */
  #waitHere<T>(promise: Promise<T>, next: (value: T) => void): void {
    const over = this.#user.waits?.();
    this.#wait(over ? promise.finally(over) : promise, next);
  }

  /**
   * Goes on when something outside has answered; what it could not do counts as this credential's failure. A secret that
   * cannot be had ends the authentication.
   */
  #wait<T>(promise: Promise<T>, next: (value: T) => void): void {
    this.#mode = 'waiting';
    const resume = (step: () => void) => {
      if (this.#mode !== 'waiting') return;
      this.#mode = 'trying';
      try {
        step();
        this.#transport.flush();
      } catch (error) {
        this.#user.failed(error);
      }
    };
    promise.then(
      (value) => resume(() => next(value)),
      (error) =>
        resume(() => {
          if (this.#secret.failed) throw error;
          this.#tried.push(describe(this.#current!, ` (${printable(String((error as Error).message ?? error))})`));
          this.#nothingSaid();
          this.#next();
        }),
    );
  }

  #sendKey(attempt: KeyAttempt, signature: Buffer | undefined): void {
    const packet = this.#transport.packet(MSG.USERAUTH_REQUEST);
    packet
      .text(this.#credentials.user)
      .text(CONNECTION)
      .text('publickey')
      .boolean(signature !== undefined);
    packet.text(attempt.algorithm).string(attempt.key.publicBlob);
    if (signature) packet.string(signature);
    this.#transport.send();
    this.#requested();
  }

  #requested(): void {
    if (this.#tried.length === 0) this.#user.requested(this.#only);
  }

  /** RFC 4252 §7: the session identifier, then the request itself. */
  #signedData({ key, algorithm }: KeyAttempt): Buffer {
    const writer = new Writer(512);
    writer.string(this.#transport.sessionId).byte(MSG.USERAUTH_REQUEST).text(this.#credentials.user).text(CONNECTION);
    return writer.text('publickey').boolean(true).text(algorithm).string(key.publicBlob).view();
  }

  #sendPassword(password: string): void {
    const packet = this.#transport.packet(MSG.USERAUTH_REQUEST);
    packet.text(this.#credentials.user).text(CONNECTION).text('password').boolean(false).text(password);
    this.#sendSecret(packet);
    this.#requested();
  }

  /** The packet buffer is shared and lives on: the secret does not stay in it. */
  #sendSecret(packet: Writer): void {
    this.#transport.send();
    packet.buffer.fill(0);
  }

  #sendInteractive(): void {
    this.#answered = false;
    const packet = this.#transport.packet(MSG.USERAUTH_REQUEST);
    packet.text(this.#credentials.user).text(CONNECTION).text('keyboard-interactive').text('').text('');
    this.#transport.send();
  }

  /** INFO_REQUEST, RFC 4256 §3.2: questions go to the callback, or the password answers a single hidden one. */
  #questions(reader: Reader): void {
    const name = printable(reader.text().slice(0, MAX_TEXT));
    const instruction = printable(reader.text().slice(0, MAX_TEXT));
    reader.text();
    const count = reader.uint32();
    if (count > MAX_PROMPTS || ++this.#rounds > MAX_ROUNDS) {
      throw protocolError(`expected at most ${MAX_PROMPTS} questions in ${MAX_ROUNDS} rounds`);
    }
    const prompts: Prompt[] = [];
    for (let i = 0; i < count; i++)
      prompts.push({ text: printable(reader.text().slice(0, MAX_TEXT)), echo: reader.boolean() });
    this.#waitHere(this.#answers(prompts, { name, instruction }), (answers) => this.#sendAnswers(prompts, answers));
  }

  async #answers(prompts: readonly Prompt[], about: { name: string; instruction: string }): Promise<readonly string[]> {
    if (prompts.length === 0) return [];
    const single = prompts.length === 1 && !prompts[0]!.echo && this.#rounds === 1;
    if (single && this.#secret.usable) {
      const secret = await this.#secret.take(this.signal);
      if (secret !== undefined) return [secret];
      // Nobody is asked on behalf of a connection that went down in the meantime.
      this.signal.throwIfAborted();
    }
    const answers = await this.#credentials.answer?.(prompts, about, this.signal);
    if (!answers) throw new Error(`nobody answers "${prompts[0]!.text}"`);
    this.#answered = true;
    return answers;
  }

  #sendAnswers(prompts: readonly Prompt[], answers: readonly string[]): void {
    if (answers.length !== prompts.length) {
      throw new SshError(
        'local',
        `expected ${prompts.length} answers for the server's questions, got ${answers.length}`,
      );
    }
    const packet = this.#transport.packet(MSG.USERAUTH_INFO_RESPONSE).uint32(answers.length);
    for (const answer of answers) packet.text(answer);
    this.#sendSecret(packet);
  }
}

/** Where SHA-1 is allowed beside others it is tried after them: old servers do not say by EXT_INFO that they take nothing else. */
function keyAttempts(key: AuthKey, query: boolean): KeyAttempt[] {
  const algorithm = key.signatureAlgorithms[0]!;
  const first: KeyAttempt = { method: 'publickey', key, algorithm, query };
  const last = algorithm !== SHA1 && key.signatureAlgorithms.includes(SHA1);
  return last ? [first, { ...first, algorithm: SHA1 }] : [first];
}

function plan(credentials: Credentials): Attempt[] {
  const { keys, password, answer, methods = METHODS, prompts = 1 } = credentials;
  // The usual case, and the hot path: keys as they are.
  if (password === undefined && answer === undefined && methods === METHODS) {
    const query = keys.length > 1;
    return keys.flatMap((key) => keyAttempts(key, query));
  }
  const secret = password !== undefined && prompts > 0;
  const person = answer !== undefined && prompts > 0;
  const by: Readonly<Record<string, readonly Attempt[]>> = {
    publickey: keys.flatMap((key) => keyAttempts(key, false)),
    password: secret ? [{ method: 'password' }] : [],
    'keyboard-interactive': interactive(secret || person, person ? prompts : 1),
  };
  const attempts = [...new Set(methods)].flatMap((method) => (Object.hasOwn(by, method) ? by[method]! : []));
  const others = attempts.some(({ method }) => method !== 'publickey') || attempts.length > 1;
  return others ? attempts.map((one) => (one.method === 'publickey' ? { ...one, query: true } : one)) : attempts;
}

function interactive(wanted: boolean, times: number): Attempt[] {
  const count = wanted ? Math.min(times, MAX_ROUNDS) : 0;
  return Array.from({ length: count }, (_, before) => ({ method: 'keyboard-interactive', again: before > 0 }));
}

function describe(attempt: Attempt, note: string): string {
  return attempt.method === 'publickey' ? `publickey ${attempt.key.fingerprint}${note}` : `${attempt.method}${note}`;
}
