/**
 * Secrets that stay on the main thread: a thread asks for one when it is about to be sent, and tells what became of it. So one
 * guard sees the tries of all threads, and a password that is on trial in one is not tried in another.
 */
import type { Secret, SecretTry } from '../../ssh/client_auth_secret.ts';
import type { Caller, ThreadLink } from './link.ts';

interface Given {
  readonly value: string;
  readonly attempt: number;
}

/** In a thread: a secret that `service` gives out. `heard`: hears of its value before anybody uses it. */
export function remoteSecret(
  link: ThreadLink,
  service: string,
  question: unknown,
  heard: (value: string) => void,
): Secret {
  return {
    take: async (signal): Promise<SecretTry | undefined> => {
      const given = (await link.ask(service, question, signal)) as Given | undefined;
      if (given === undefined) return undefined;
      heard(given.value);
      const tell = (verdict: Verdict) => (): void => link.tell('verdict', { attempt: given.attempt, verdict });
      return { value: given.value, accepted: tell('accepted'), refused: tell('refused'), gone: tell('gone') };
    },
  };
}

type Verdict = 'accepted' | 'refused' | 'gone';

/** On the main thread: the tries that threads have. As many as tasks log in. */
export class SecretDesk {
  readonly #tries = new Map<number, SecretTry>();
  #last = 0;

  /** Gives a try to a thread; where that dies, its verdict never comes. */
  async give(secret: Secret | undefined, { signal, thread }: Caller): Promise<Given | undefined> {
    const got = await secret?.take(signal);
    if (got === undefined) return undefined;
    if (signal.aborted) {
      // It came too late.
      got.gone();
      return undefined;
    }
    this.#last += 1;
    const attempt = this.#last;
    this.#tries.set(attempt, got);
    thread.addEventListener('abort', () => this.verdict({ attempt, verdict: 'gone' }), { once: true });
    return { value: got.value, attempt };
  }

  verdict(told: unknown): void {
    const { attempt, verdict } = told as { attempt: number; verdict: Verdict };
    const found = this.#tries.get(attempt);
    this.#tries.delete(attempt);
    found?.[verdict]();
  }
}
