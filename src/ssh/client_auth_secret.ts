/** Secrets as user authentication wants them: asked for when one is about to be sent, and told what became of it. */

/** One try of a secret at one host. Exactly one of the three is called, once. */
export interface SecretTry {
  readonly value: string;
  /** The server took it, be it as one step of several. */
  accepted(): void;
  /** The server found it wrong. */
  refused(): void;
  /** No verdict came: the connection went down, or the server does not take the method. */
  gone(): void;
}

/** A password that is not known yet, or that must not be tried everywhere at once. */
export interface Secret {
  /**
   * Called when it is about to be sent and not before; waits until it may be tried here. undefined: there is none for this
   * host, which is as if no password had been given. What it throws or rejects with ends the authentication. `signal`: the
   * connection is over.
   */
  take(signal: AbortSignal): SecretTry | undefined | Promise<SecretTry | undefined>;
}

const NOTHING = (): void => {};

/**
 * The secret of one authentication.
 *
 *   idle ──take──▶ asked ──its value──▶ tried ──accepted, not looked at──▶ idle
 *                                       tried ──refused──▶ spent
 *   asked ──there is none──▶ spent        asked ──rejected──▶ failed
 *   any ──the connection is over──▶ spent
 *
 * spent: it is not sent again, by no method. An accepted one may be asked for by the next step.
 */
export class SecretUse {
  readonly #secret: Secret | undefined;
  #mode: 'idle' | 'asked' | 'tried' | 'spent' | 'failed';
  #try: SecretTry | undefined;

  constructor(secret: string | Secret | undefined) {
    this.#secret = typeof secret === 'string' ? { take: () => known(secret) } : secret;
    this.#mode = secret === undefined ? 'spent' : 'idle';
  }

  /** Whether it may be sent. */
  get usable(): boolean {
    return this.#mode === 'idle';
  }

  /** It could not be had: the authentication is to end. */
  get failed(): boolean {
    return this.#mode === 'failed';
  }

  /** Its value, to be sent now; undefined where there is none. Throws or rejects with what its source does. */
  take(signal: AbortSignal): string | undefined | Promise<string | undefined> {
    this.#mode = 'asked';
    try {
      const got = this.#secret!.take(signal);
      if (!(got instanceof Promise)) return this.#got(got);
      return got.then(
        (attempt) => this.#got(attempt),
        (error) => this.#fail(error),
      );
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** The server took it. */
  accepted(): void {
    this.#settle('idle', (attempt) => attempt.accepted());
  }

  /** The server looked at it and found it wrong. */
  refused(): void {
    this.#settle('spent', (attempt) => attempt.refused());
  }

  /** The server takes no such method: it has not looked at it. */
  ignored(): void {
    this.#settle('idle', (attempt) => attempt.gone());
  }

  /** The connection is over; `refused`: that was the server's answer to it. */
  over(refused: boolean): void {
    const failed = this.failed;
    this.#settle('spent', (attempt) => (refused ? attempt.refused() : attempt.gone()));
    if (!failed) this.#mode = 'spent';
  }

  #got(attempt: SecretTry | undefined): string | undefined {
    if (this.#mode !== 'asked') {
      // It came too late.
      attempt?.gone();
      return undefined;
    }
    this.#mode = attempt ? 'tried' : 'spent';
    this.#try = attempt;
    return attempt?.value;
  }

  #fail(error: unknown): never {
    if (this.#mode === 'asked') this.#mode = 'failed';
    throw error;
  }

  #settle(mode: 'idle' | 'spent', tell: (attempt: SecretTry) => void): void {
    if (this.#mode !== 'tried') return;
    this.#mode = mode;
    const attempt = this.#try!;
    this.#try = undefined;
    tell(attempt);
  }
}

function known(value: string): SecretTry {
  return { value, accepted: NOTHING, refused: NOTHING, gone: NOTHING };
}
