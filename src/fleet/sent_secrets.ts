/** Learns of secrets that are sent to hosts, so that no host can bring them back to light. */
import { Redactor } from '../engine/redact.ts';
import type { Secrets } from '../engine/secrets.ts';
import type { AnswerSource, LoginHost, PasswordSource } from './passwords.ts';

type AskedSource = Exclude<PasswordSource, string>;

export class SentSecrets {
  readonly #secrets: Secrets;
  readonly #redactor: Redactor;
  /** A source stays the same source: what is known of its passwords goes by it. */
  readonly #watched = new WeakMap<AskedSource, AskedSource>();

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
    this.#redactor = new Redactor([], secrets);
  }

  passwords(source: PasswordSource | undefined): PasswordSource | undefined {
    if (source === undefined) return undefined;
    if (typeof source === 'string') {
      this.#secrets.add(source);
      return source;
    }
    let watched = this.#watched.get(source);
    if (watched === undefined) {
      watched = (host) => this.#learn(source, host);
      this.#watched.set(source, watched);
    }
    return watched;
  }

  #learn(source: AskedSource, host: LoginHost): ReturnType<AskedSource> {
    const got = source(host);
    if (got instanceof Promise) {
      return got.then((value) => {
        if (value !== undefined) this.#secrets.add(value);
        return value;
      });
    }
    if (got !== undefined) this.#secrets.add(got);
    return got;
  }

  /** Answers that are not shown while they are typed are secrets; no later question shows them. */
  answers(source: AnswerSource | undefined): AnswerSource | undefined {
    if (source === undefined) return undefined;
    return async (host, prompts, about, signal) => {
      const asked = prompts.map((prompt) => ({ ...prompt, text: this.#redactor.text(prompt.text) }));
      const { name, instruction } = about;
      const said = { name: this.#redactor.text(name), instruction: this.#redactor.text(instruction) };
      const answers = await source(host, asked, said, signal);
      answers?.forEach((answer, at) => {
        if (prompts[at]?.echo === false) this.#secrets.add(answer);
      });
      return answers;
    };
  }
}
