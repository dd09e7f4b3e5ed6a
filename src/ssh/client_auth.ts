/**
 * User authentication, client half (RFC 4252).
 *
 *   idle ──begin──▶ trying ──SUCCESS──▶ done
 *                   trying ──FAILURE──▶ trying (next credential) │ failed (none left)
 *
 * With one key and no password, the request is signed and sent at once, together with SERVICE_REQUEST: no `none` probe,
 * no key query. With several credentials each key is queried first, because servers count refused signatures.
 */

import { protocolError, SshError } from './errors.ts';
import { MSG } from './messages.ts';
import type { UserKey } from './private_key.ts';
import type { TransportLayer } from './transport.ts';
import { type Reader, Writer } from './wire.ts';

export interface Credentials {
  readonly user: string;
  /** In the order in which they are tried. */
  readonly keys: readonly UserKey[];
  /** Tried after the keys. */
  readonly password?: string | undefined;
}

/** The service that authentication is for. */
const CONNECTION = 'ssh-connection';
/** Refusals before we stop of our own accord; sshd's MaxAuthTries is 6. */
const MAX_TRIES = 20;

type Attempt =
  | { readonly method: 'publickey'; readonly key: UserKey; readonly algorithm: string; readonly query: boolean }
  | { readonly method: 'password'; readonly password: string };

export interface AuthUser {
  /** True: CHANNEL_OPEN may ride with the request. Called when a request with no fallback leaves. */
  requested(only: boolean): void;
  succeeded(): void;
}

export class ClientAuth {
  readonly #transport: TransportLayer;
  readonly #credentials: Credentials;
  readonly #user: AuthUser;
  readonly #attempts: Attempt[];
  readonly #tried: string[] = [];
  #allowed: readonly string[] = [];
  #current: Attempt | undefined;
  #mode: 'idle' | 'trying' | 'done' | 'failed' = 'idle';
  #refusals = 0;

  constructor(transport: TransportLayer, credentials: Credentials, user: AuthUser) {
    this.#transport = transport;
    this.#credentials = credentials;
    this.#user = user;
    this.#attempts = plan(credentials);
  }

  get done(): boolean {
    return this.#mode === 'done';
  }

  /** Sends SERVICE_REQUEST and the first request in one write. Throws `auth` when there is nothing to try. */
  begin(): void {
    this.#transport.packet(MSG.SERVICE_REQUEST).text('ssh-userauth');
    this.#transport.send();
    this.#mode = 'trying';
    const only = this.#attempts.length === 1;
    this.#next();
    this.#user.requested(only);
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
        this.#user.succeeded();
        return;
      case MSG.USERAUTH_FAILURE:
        this.#refused(reader);
        return;
      case MSG.USERAUTH_60:
        this.#sixty(this.#current, reader);
        return;
      default:
        throw protocolError(`expected an answer to the authentication request, got message ${type}`);
    }
  }

  /** A server that hangs up on refused credentials (MaxAuthTries) has refused them: says so, with what was tried. */
  explain(error: SshError): SshError {
    const said = error.reason === 'disconnected' && /authentication/i.test(error.message);
    const hungUp = error.reason === 'disconnected' || error.reason === 'closed';
    if (!said && !(hungUp && this.#refusals > 0)) return error;
    if (this.#current && this.#mode === 'trying') this.#tried.push(describe(this.#current, false));
    const detail = { tried: this.#tried, allowed: this.#allowed };
    return new SshError('auth', `authentication failed; ${error.message}`, detail, { cause: error });
  }

  #refused(reader: Reader): void {
    this.#allowed = reader.nameList().slice(0, 16);
    const partial = reader.boolean();
    const current = this.#current!;
    this.#tried.push(describe(current, partial));
    this.#refusals++;
    this.#next();
  }

  /** PK_OK for a query; a request to change the password counts as a refusal, nobody is there to choose one. */
  #sixty(current: Attempt, reader: Reader): void {
    if (current.method === 'publickey' && current.query) {
      const algorithm = reader.text();
      const blob = reader.string();
      if (!blob.equals(current.key.publicBlob)) throw protocolError('expected PK_OK for the key that was asked about');
      this.#current = { ...current, algorithm, query: false };
      if (!current.key.signatureAlgorithms.includes(algorithm)) throw protocolError('expected PK_OK for our algorithm');
      this.#sendKey(this.#current, true);
      return;
    }
    if (current.method !== 'password') throw protocolError('unexpected authentication message 60');
    this.#tried.push('password (expired: must be changed)');
    this.#next();
  }

  #next(): void {
    for (;;) {
      const attempt = this.#attempts.shift();
      if (!attempt || this.#refusals >= MAX_TRIES) break;
      if (this.#refusals > 0 && !this.#allowed.includes(attempt.method)) continue;
      this.#current = this.#chooseAlgorithm(attempt);
      if (attempt.method === 'publickey')
        this.#sendKey(this.#current as Attempt & { method: 'publickey' }, !attempt.query);
      else this.#sendPassword(attempt.password);
      return;
    }
    this.#mode = 'failed';
    const what = this.#tried.length > 0 ? `tried ${this.#tried.join(', ')}` : 'there was nothing to try';
    throw new SshError('auth', `authentication failed; ${what}`, { tried: this.#tried, allowed: this.#allowed });
  }

  /** RSA keys: the server may have said by EXT_INFO which hashes it takes. */
  #chooseAlgorithm(attempt: Attempt): Attempt {
    if (attempt.method !== 'publickey' || attempt.key.signatureAlgorithms.length === 1) return attempt;
    const offered = this.#transport.serverSigAlgs;
    if (!offered) return attempt;
    const algorithm = attempt.key.signatureAlgorithms.find((name) => offered.includes(name));
    return algorithm ? { ...attempt, algorithm } : attempt;
  }

  #sendKey(attempt: Attempt & { method: 'publickey' }, signed: boolean): void {
    const { key, algorithm } = attempt;
    const signature = signed ? key.sign(this.#signedData(key, algorithm), algorithm) : undefined;
    const packet = this.#transport.packet(MSG.USERAUTH_REQUEST);
    packet.text(this.#credentials.user).text(CONNECTION).text('publickey').boolean(signed);
    packet.text(algorithm).string(key.publicBlob);
    if (signature) packet.string(signature);
    this.#transport.send();
  }

  /** RFC 4252 §7: the session identifier, then the request itself. */
  #signedData(key: UserKey, algorithm: string): Buffer {
    const writer = new Writer(512);
    writer.string(this.#transport.sessionId).byte(MSG.USERAUTH_REQUEST).text(this.#credentials.user).text(CONNECTION);
    return writer.text('publickey').boolean(true).text(algorithm).string(key.publicBlob).view();
  }

  #sendPassword(password: string): void {
    const packet = this.#transport.packet(MSG.USERAUTH_REQUEST);
    packet.text(this.#credentials.user).text(CONNECTION).text('password').boolean(false).text(password);
    this.#transport.send();
    // The packet buffer is shared and lives on: the secret does not stay in it.
    packet.buffer.fill(0);
  }
}

function plan(credentials: Credentials): Attempt[] {
  const { keys, password } = credentials;
  const many = keys.length + (password === undefined ? 0 : 1) > 1;
  const attempts: Attempt[] = keys.map((key) => ({
    method: 'publickey',
    key,
    algorithm: key.signatureAlgorithms[0]!,
    query: many,
  }));
  if (password !== undefined) attempts.push({ method: 'password', password });
  return attempts;
}

function describe(attempt: Attempt, partial: boolean): string {
  const more = partial ? ' (accepted, more is asked)' : '';
  return attempt.method === 'password' ? `password${more}` : `publickey ${attempt.key.fingerprint}${more}`;
}
