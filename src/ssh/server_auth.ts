/** User authentication, server half (RFC 4252): publickey, password, none; the handler decides. */
import type { Arena } from './arena.ts';
import { DISCONNECT, protocolError, SshError } from './errors.ts';
import { MSG } from './messages.ts';
import { checkSignature } from './public_key.ts';
import type { TransportLayer } from './transport.ts';
import { type Reader, Writer } from './wire.ts';

/** One request to log in. A key is only offered here (`signed` false), or proven (`signed` true). */
export type LoginAttempt =
  | { readonly user: string; readonly method: 'publickey'; readonly blob: Buffer; readonly signed: boolean }
  | { readonly user: string; readonly method: 'password'; readonly password: string };

export interface ServerAuthUser {
  /** True lets the user in, or, for a key that is only offered, asks for the signature. */
  authenticate(attempt: LoginAttempt): boolean;
  succeeded(user: string): void;
}

/** As sshd's MaxAuthTries. */
const MAX_TRIES = 6;

export class ServerAuth {
  readonly #transport: TransportLayer;
  readonly #arena: Arena;
  readonly #user: ServerAuthUser;
  #tries = 0;
  #done = false;

  constructor(transport: TransportLayer, arena: Arena, user: ServerAuthUser) {
    this.#transport = transport;
    this.#arena = arena;
    this.#user = user;
  }

  get done(): boolean {
    return this.#done;
  }

  /** Takes messages 5 and 50–79. */
  message(type: number, reader: Reader): void {
    if (type === MSG.SERVICE_REQUEST) {
      const service = reader.text();
      if (service !== 'ssh-userauth')
        throw protocolError(`expected a request for ssh-userauth, got ${service.slice(0, 40)}`);
      this.#transport.packet(MSG.SERVICE_ACCEPT).text(service);
      this.#transport.send();
      return;
    }
    if (type !== MSG.USERAUTH_REQUEST) throw protocolError(`expected USERAUTH_REQUEST, got message ${type}`);
    // RFC 4252 §5.1: requests after success are ignored.
    if (!this.#done) this.#request(reader);
  }

  #request(reader: Reader): void {
    const user = reader.text();
    const service = reader.text();
    const method = reader.text();
    if (service !== 'ssh-connection')
      throw protocolError(`expected the service ssh-connection, got ${service.slice(0, 40)}`);
    if (method === 'publickey') this.#publickey(user, reader);
    else if (method === 'password') {
      reader.boolean();
      this.#answer(user, this.#user.authenticate({ user, method, password: reader.text() }));
    } else this.#refuse(method !== 'none');
  }

  #publickey(user: string, reader: Reader): void {
    const signed = reader.boolean();
    const algorithm = reader.text();
    const blob = reader.string();
    // SHA-1, as no server of today takes it.
    if (algorithm === 'ssh-rsa') {
      this.#refuse(true);
      return;
    }
    const attempt: LoginAttempt = { user, method: 'publickey', blob, signed };
    if (!signed) {
      if (!this.#user.authenticate(attempt)) {
        this.#refuse(true);
        return;
      }
      this.#transport.packet(MSG.USERAUTH_60).text(algorithm).string(blob);
      this.#transport.send();
      return;
    }
    const writer = new Writer(512).string(this.#transport.sessionId).byte(MSG.USERAUTH_REQUEST).text(user);
    writer.text('ssh-connection').text('publickey').boolean(true).text(algorithm).string(blob);
    const accepted = this.#user.authenticate(attempt);
    if (accepted) checkSignature(this.#arena.publicKeys.get(blob), algorithm, writer.view(), reader.string());
    this.#answer(user, accepted);
  }

  #answer(user: string, accepted: boolean): void {
    if (!accepted) {
      this.#refuse(true);
      return;
    }
    this.#done = true;
    this.#transport.packet(MSG.USERAUTH_SUCCESS);
    this.#transport.send();
    this.#user.succeeded(user);
  }

  #refuse(counts: boolean): void {
    if (counts) this.#tries++;
    if (this.#tries >= MAX_TRIES) {
      const error = new SshError('auth', 'Too many authentication failures');
      this.#transport.disconnect(DISCONNECT.PROTOCOL_ERROR, error);
      return;
    }
    this.#transport.packet(MSG.USERAUTH_FAILURE).text('publickey,password').boolean(false);
    this.#transport.send();
  }
}
