/** Passwords and answers from the terminal: one question at a time, each secret asked for once, hosts named. */
import { MyriadError } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { askLine, askSecret } from './prompt.ts';

const NO_TERMINAL = 'there is no terminal to ask on; run it on one';

/** A host that a person has to be told of. */
export interface AskingHost {
  readonly label: string;
  readonly user: string;
}

/** One question of a host, in the host's own words. */
export interface HostQuestion {
  readonly text: string;
  /** False for secrets. */
  readonly echo: boolean;
}

/** The terminal, as this file needs it. */
export interface Terminal {
  askSecret(question: string, refusal: string, signal?: AbortSignal): Promise<string>;
  askLine(question: string, refusal: string, signal?: AbortSignal): Promise<string>;
  say(line: string): void;
}

export interface TerminalSecretsOptions {
  /** @default stdin and stderr */
  readonly terminal?: Terminal;
  /** Called before the terminal is written to, so that progress makes room; what it returns is called afterwards. */
  readonly makeRoom?: () => () => void;
  /** ^C was typed at a question: the run is to end. Called once. */
  readonly onInterrupt?: () => void;
}

const TERMINAL: Terminal = { askSecret, askLine, say: (line) => void process.stderr.write(`${line}\n`) };

/** Questions of one host at once are 16 of 1,000 characters; a person is shown so much of each. */
const MAX_SHOWN = 200;

export class TerminalSecrets {
  readonly #terminal: Terminal;
  readonly #makeRoom: () => () => void;
  readonly #onInterrupt: () => void;
  /** By user name: a jump host is asked for the same secret as the targets where the user is the same. */
  readonly #passwords = new Map<string, Promise<string>>();
  #sudo: string | Promise<string> | undefined;
  /** The question before has been answered. Who waits here is bounded by the logins in progress. */
  #before: Promise<unknown> = Promise.resolve();
  #interrupted = false;

  constructor(options: TerminalSecretsOptions = {}) {
    this.#terminal = options.terminal ?? TERMINAL;
    this.#makeRoom = options.makeRoom ?? (() => () => {});
    this.#onInterrupt = options.onInterrupt ?? (() => {});
  }

  /** The password of `user`, asked for once. Rejects with `usage` without a terminal, with `aborted` at ^C. */
  password(user: string): Promise<string> {
    const known = this.#passwords.get(user);
    if (known) return known;
    const refusal = `--ask-password (-k): ${NO_TERMINAL}, or log in with a key, --password-file or --password-command`;
    const asked = this.#inTurn(() => this.#terminal.askSecret(`Password of ${escapeText(user)}: `, refusal));
    this.#passwords.set(user, asked);
    return asked;
  }

  /** The password that sudo gets on all hosts, asked for once. Rejects as `password` does. */
  sudoPassword(): string | Promise<string> {
    if (this.#sudo !== undefined) return this.#sudo;
    const refusal = `--ask-sudo-password (-K): ${NO_TERMINAL}, or give --sudo-password-file`;
    const asked = this.#inTurn(() => this.#terminal.askSecret('Password for sudo: ', refusal));
    this.#sudo = asked;
    asked.then(
      (password) => {
        this.#sudo = password;
      },
      () => {},
    );
    return asked;
  }

  /** Answers a host's questions; its words are shown escaped, under its name. `signal`: it has gone away. */
  answer(
    host: AskingHost,
    questions: readonly HostQuestion[],
    about: { readonly name: string; readonly instruction: string },
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const name = escapeText(host.label);
    return this.#inTurn(async () => {
      signal.throwIfAborted();
      for (const text of [about.name, about.instruction]) {
        if (text.trim() !== '') this.#terminal.say(`${name}: ${shown(text)}`);
      }
      const answers: string[] = [];
      for (const { text, echo } of questions) {
        const question = `${name}: ${shown(text)} `;
        const refusal = `${name} asks ${JSON.stringify(shown(text))}: ${NO_TERMINAL}`;
        const ask = echo ? this.#terminal.askLine : this.#terminal.askSecret;
        answers.push(await ask(question, refusal, signal));
      }
      return answers;
    });
  }

  #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    const asked = this.#before.then(async () => {
      if (this.#interrupted) throw new MyriadError('aborted', 'interrupted');
      const giveBack = this.#makeRoom();
      try {
        return await ask();
      } catch (error) {
        this.#failed(error);
        throw error;
      } finally {
        giveBack();
      }
    });
    this.#before = asked.catch(() => {});
    return asked;
  }

  #failed(error: unknown): void {
    if (this.#interrupted || !(error instanceof MyriadError) || error.code !== 'aborted') return;
    this.#interrupted = true;
    this.#onInterrupt();
  }
}

function shown(text: string): string {
  const line = escapeText(text.replace(/\s+/g, ' ').trim());
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line;
}
