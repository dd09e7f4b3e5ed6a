/**
 * The lock-out guard: a mistyped password must not be tried on every host of a fleet, for it may lock its account everywhere.
 *
 * Of each secret (an account name and a password):
 *
 *   untried ──first try──▶ on trial    one host; after 5 s of its silence one more, and so on
 *   on trial ──accepted──▶ proven      everyone may use it; what refuses it from here on counts for its host only
 *   on trial ──refused──▶ on trial     the next host, at once
 *   on trial ──third refusal──▶ spent  nobody tries it any more; the run is stopped, and who waits is rejected
 *
 * Tries in flight and refusals together are never more than three. A host that goes away without a verdict hands its try on.
 * Where each host has a password of its own nothing waits for anything: each is a secret of its own.
 */
import type { Clock } from '../contracts/limits.ts';
import type { Secret, SecretTry } from '../ssh/client_auth_secret.ts';
import { SshError } from '../ssh/errors.ts';

/** Refusals that spend a secret: under the usual bounds of pam_faillock (3 to 5) and Active Directory (5 and more). */
const MAX_REFUSALS = 3;
/** Silence of the host that tries it, after which one more host may. */
const SILENCE_MS = 5_000;
/** Secrets that are remembered: a typed one is one, and of more than these most belong to one host each. */
const MAX_SECRETS = 10_000;

/** What every host gets that would have tried a spent secret. */
export class SecretSpentError extends SshError {
  constructor() {
    super('auth', 'the password was refused three times and never accepted: it is not tried here', {
      tried: ['password (not tried: it was refused three times, and never accepted)'],
      allowed: [],
    });
    this.name = 'SecretSpentError';
  }
}

export interface SecretGuardOptions {
  readonly clock: Pick<Clock, 'setTimer'>;
  /** Called once per secret, before anyone who waits is rejected: stops the run. `reason`: one sentence without the secret. */
  readonly onSpent: (reason: string) => void;
}

export class SecretGuard {
  readonly #options: SecretGuardOptions;
  /** The oldest first. */
  readonly #secrets = new Map<string, GuardedSecret>();

  constructor(options: SecretGuardOptions) {
    this.#options = options;
  }

  /** The same password of the same account is the same secret, wherever it comes from. */
  secret(account: string, value: string): Secret {
    const name = `${account}\0${value}`;
    const known = this.#secrets.get(name);
    if (known) return known;
    if (this.#secrets.size >= MAX_SECRETS) this.#forgetOne();
    const secret = new GuardedSecret(account, value, this.#options);
    this.#secrets.set(name, secret);
    return secret;
  }

  /** Forgets every secret. Who still waits keeps waiting for what is on trial. */
  clear(): void {
    this.#secrets.clear();
  }

  #forgetOne(): void {
    for (const [name, secret] of this.#secrets) {
      if (!secret.idle) continue;
      this.#secrets.delete(name);
      return;
    }
  }
}

interface Waiter {
  admit(attempt: SecretTry): void;
  reject(error: SshError): void;
}

/** One secret and who tries it. */
class GuardedSecret implements Secret {
  readonly #account: string;
  readonly #value: string;
  readonly #options: SecretGuardOptions;
  #mode: 'on trial' | 'proven' | 'spent' = 'on trial';
  readonly #waiting = new Set<Waiter>();
  readonly #trials = new Set<SecretTry>();
  #refusals = 0;
  #newest: SecretTry | undefined;
  /** Runs while the newest trial may still be answered soon. */
  #silence: { cancel(): void } | undefined;
  /** The run has been told that it is spent. */
  #told = false;

  constructor(account: string, value: string, options: SecretGuardOptions) {
    this.#account = account;
    this.#value = value;
    this.#options = options;
  }

  /** Nobody has to do with it now, and it need not be remembered. */
  get idle(): boolean {
    return this.#trials.size === 0 && this.#waiting.size === 0 && this.#mode !== 'spent';
  }

  take(signal: AbortSignal): SecretTry | Promise<SecretTry> {
    if (signal.aborted) throw signal.reason;
    if (this.#mode === 'proven') return this.#proven();
    if (this.#told) throw new SecretSpentError();
    if (this.#mayTry()) return this.#trial();
    return new Promise((resolve, reject) => {
      const left = () => {
        this.#waiting.delete(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        admit: (attempt) => {
          signal.removeEventListener('abort', left);
          resolve(attempt);
        },
        reject: (error) => {
          signal.removeEventListener('abort', left);
          reject(error);
        },
      };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', left, { once: true });
    });
  }

  #mayTry(): boolean {
    const room = MAX_REFUSALS - this.#refusals - this.#trials.size;
    return this.#mode === 'on trial' && this.#silence === undefined && room > 0;
  }

  #trial(): SecretTry {
    const attempt: SecretTry = {
      value: this.#value,
      accepted: () => this.#ended(attempt, () => this.#prove()),
      refused: () => this.#ended(attempt, () => this.#refuse()),
      gone: () => this.#ended(attempt, () => {}),
    };
    this.#trials.add(attempt);
    this.#newest = attempt;
    this.#silence = this.#options.clock.setTimer(SILENCE_MS, () => {
      this.#silence = undefined;
      this.#next();
    });
    return attempt;
  }

  /** It is known to be right: what becomes of it there concerns nobody else. */
  #proven(): SecretTry {
    const nothing = () => {};
    return { value: this.#value, accepted: nothing, refused: nothing, gone: nothing };
  }

  #ended(attempt: SecretTry, then: () => void): void {
    if (!this.#trials.delete(attempt) || this.#mode !== 'on trial') return;
    // Where another one ends, the newest is still waited for.
    if (attempt === this.#newest) {
      this.#silence?.cancel();
      this.#silence = undefined;
    }
    then();
    this.#next();
  }

  #prove(): void {
    this.#mode = 'proven';
    this.#silence?.cancel();
    this.#trials.clear();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.admit(this.#proven());
  }

  #refuse(): void {
    if (++this.#refusals < MAX_REFUSALS) return;
    this.#mode = 'spent';
    // A turn later: the host that has just refused it gets its own outcome first, and is not one that was never tried.
    this.#options.clock.setTimer(0, () => {
      this.#told = true;
      this.#options.onSpent(spentReason(this.#account));
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const waiter of waiting) waiter.reject(new SecretSpentError());
    });
  }

  /** Hands the secret to whoever has waited longest, as far as there is room. */
  #next(): void {
    for (const waiter of this.#waiting) {
      if (!this.#mayTry()) return;
      this.#waiting.delete(waiter);
      waiter.admit(this.#trial());
    }
  }
}

/** The account's name is the user's own; it may still hold anything. */
function spentReason(account: string): string {
  const who = account === '' ? '' : ` of ${JSON.stringify(account)}`;
  return `the password${who} was refused three times and never accepted; the rest was not tried, so that no account is locked`;
}
