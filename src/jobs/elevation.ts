/**
 * The talk with sudo (or doas) on a host, until it lets a program run as another user or does not.
 *
 *   asked ──marker──▶ passed                 the program goes out; from here on the streams are the command's
 *   asked ──our prompt──▶ answering ──the secret──▶ tried      it is taken from the lock-out guard now, not before
 *   tried ──marker──▶ passed                 the secret was accepted
 *   asked, answering, tried ──our prompt again, another question, no secret──▶ refused     stdin is ended, nothing more is said;
 *                                            a terminal, which has no such end, is taken away
 *   asked, answering, tried ──the process ends──▶ refused
 *
 * Prompt and marker are random per task (128 bits), so that no text of a host passes for them: a password goes to our own prompt
 * only, and what never showed the marker never began. What sudo says before it is for us: it becomes the message of a refusal,
 * and is no output of the command.
 */
import { randomBytes } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';
import type { Secret, SecretTry } from '../ssh/client_auth_secret.ts';
import type { ExecOptions, ProcessEnd, RemoteProcess } from '../transport/transport.ts';
import type { TaskContext } from './job.ts';
import { BOOTSTRAP, elevatedBootstrap, lineQuote, oneLine } from './shell_program.ts';

export interface Elevation {
  readonly program: 'sudo' | 'doas';
  /** As whom; undefined: root. */
  readonly user: string | undefined;
  /** True: what the program asks for with our prompt is answered with the run's secret; false: it is told not to ask. */
  readonly asks: boolean;
}

/** How a talk ended that did not pass. */
export interface Refusal {
  readonly words: string;
  /** It would not go on without a terminal, and has not been given a secret yet. */
  readonly wantsTerminal: boolean;
}

export interface TalkOptions {
  readonly task: Pick<TaskContext, 'connection' | 'secret' | 'hold' | 'setTimer'>;
  readonly elevation: Elevation;
  readonly exec: Pick<ExecOptions, 'sink' | 'lingerMs' | 'begin'>;
  /** Arguments of the program, from `$0` on, as words of a shell. */
  readonly words: readonly string[];
  readonly terminal: boolean;
  /** It runs as the other user: its program is to be sent now. */
  passed(process: RemoteProcess): void;
}

export type TalkEnd = { readonly refusal: undefined; readonly end: ProcessEnd } | { readonly refusal: Refusal };

type Mode = 'asked' | 'answering' | 'tried' | 'passed' | 'refused';

/** Of what sudo says: a lecture has 400 bytes. The newest is kept. */
const MAX_WORDS = 16 * 1024;
/** Silence after words that are no line, which is a question then. */
const QUESTION_MS = 3_000;
/** How long sudo may take to end once its input has. */
const GOING_MS = 2_000;
const MAX_MESSAGE = 300;

/** All input goes on as it is: modes of RFC 4254 §8 that would change or swallow a byte, off. */
const TERMINAL = { term: 'dumb', columns: 80, rows: 24, raw: true } as const;

export class Talk {
  readonly process: RemoteProcess;
  /** Resolves when it is over, as a command or without one. Rejects with the transport's error. */
  readonly ended: Promise<TalkEnd>;
  readonly #options: TalkOptions;
  readonly #prompt = randomBytes(16).toString('hex');
  readonly #marker = randomBytes(16).toString('hex');
  readonly #over = new AbortController();
  #mode: Mode = 'asked';
  #words = Buffer.alloc(0);
  /** Of stdout before the marker: a login shell's own files may print. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  readonly #refused = Promise.withResolvers<TalkEnd>();
  #going: { cancel(): void } | undefined;
  #try: SecretTry | undefined;
  #triedOnce = false;
  #why: string | undefined;
  #question: { cancel(): void } | undefined;

  constructor(options: TalkOptions) {
    const { task, exec, terminal, elevation } = options;
    this.#options = options;
    this.process = task.connection.exec(BOOTSTRAP, {
      ...exec,
      sink: { write: (stream, chunk) => this.#heard(stream, chunk) },
      started() {},
      ...(terminal ? { pty: TERMINAL } : {}),
    });
    this.process.write(Buffer.from(this.#outerProgram()));
    const ended = this.process.ended.then(
      (end) => this.#ended(end),
      (error: unknown) => {
        this.#leave();
        // Its process was taken away after the refusal, which is what is to be told.
        if (this.#mode === 'refused' && this.#why !== undefined) return { refusal: this.#refusal(this.#why, false) };
        throw error;
      },
    );
    this.ended = Promise.race([ended, this.#refused.promise]);
    this.ended.catch(() => {});
    // Without a question there is nothing to wait for.
    if (!elevation.asks) this.#early = [];
  }

  get passed(): boolean {
    return this.#mode === 'passed';
  }

  /** Ends the talk where it has not passed; sudo, which nobody but root can signal, sees the end of its input. */
  giveUp(): void {
    if (this.#mode !== 'passed') this.#refuse('it was stopped');
  }

  #outerProgram(): string {
    const { program, user, asks } = this.#options.elevation;
    const how = asks ? `-S -p ${this.#prompt}` : '-n';
    const as = user === undefined ? '' : ` -u ${lineQuote(user)}`;
    const words = this.#options.words.map((word) => ` ${word}`).join('');
    // doas takes no `--` before the command in all of its versions; what follows is no option for either.
    const inner = `/bin/sh -c ${lineQuote(elevatedBootstrap(this.#marker))}${words}`;
    return oneLine(`exec ${program} ${how}${as} ${inner}`);
  }

  #heard(stream: 'stdout' | 'stderr', chunk: Uint8Array): boolean {
    const { sink } = this.#options.exec;
    if (this.#mode === 'passed') return sink.write(stream, chunk);
    if (stream === 'stdout' && !this.#options.terminal) {
      if (this.#earlyBytes + chunk.length <= MAX_WORDS) {
        this.#early.push(Buffer.from(chunk));
        this.#earlyBytes += chunk.length;
      }
      return true;
    }
    this.#question?.cancel();
    this.#words = Buffer.concat([this.#words, chunk]);
    const marker = this.#words.indexOf(this.#marker);
    if (marker >= 0) return this.#pass(stream, this.#words.subarray(marker + this.#marker.length));
    const prompt = this.#words.indexOf(this.#prompt);
    if (prompt >= 0) {
      this.#words = Buffer.concat([this.#words.subarray(0, prompt), this.#words.subarray(prompt + 32)]);
      this.#prompted();
    }
    if (this.#words.length > MAX_WORDS) this.#words = Buffer.from(this.#words.subarray(-MAX_WORDS / 2));
    this.#listenForQuestion();
    return true;
  }

  #pass(stream: 'stdout' | 'stderr', rest: Buffer): boolean {
    const { sink } = this.#options.exec;
    this.#mode = 'passed';
    this.#settleTry((secret) => secret.accepted());
    let more = true;
    this.#options.passed(this.process);
    for (const chunk of this.#early) more = sink.write('stdout', chunk);
    if (rest.length > 0) more = sink.write(stream, rest);
    this.#early = [];
    this.#words = Buffer.alloc(0);
    return more;
  }

  #prompted(): void {
    if (this.#mode === 'refused') return;
    if (this.#mode !== 'asked') {
      this.#settleTry((secret) => secret.refused());
      this.#refuse('the password was refused');
      return;
    }
    this.#mode = 'answering';
    let got: ReturnType<Secret['take']>;
    try {
      got = this.#options.task.secret('sudo')?.take(this.#over.signal);
    } catch (error) {
      this.#refuse(textOf(error));
      return;
    }
    if (!(got instanceof Promise)) {
      this.#answer(got);
      return;
    }
    const goOn = this.#options.task.hold();
    got
      .then(
        (secret) => this.#answer(secret),
        (error: unknown) => this.#refuse(textOf(error)),
      )
      .finally(goOn);
  }

  #answer(secret: SecretTry | undefined): void {
    if (this.#mode !== 'answering') {
      secret?.gone();
      return;
    }
    if (secret === undefined) {
      this.#refuse('it asks for a password, and there is none for this host');
      return;
    }
    if (/[\n\r\0]/.test(secret.value)) {
      secret.gone();
      this.#refuse('the password has a line break or a NUL in it, which cannot be sent');
      return;
    }
    this.#mode = 'tried';
    this.#try = secret;
    this.#triedOnce = true;
    const line = Buffer.from(`${secret.value}\n`);
    this.process.write(line);
    void this.process.drained().then(() => line.fill(0));
  }

  /** Words without an end of line, then silence: a question that is not ours. */
  #listenForQuestion(): void {
    if ((this.#mode !== 'asked' && this.#mode !== 'tried') || this.#words.length === 0) return;
    if (this.#words.at(-1) === 0x0a) return;
    this.#question = this.#options.task.setTimer(QUESTION_MS, () => {
      this.#refuse(`it asks ${JSON.stringify(lastLines(this.#words, 1))}, which is not the prompt it was given`);
    });
  }

  #refuse(why: string): void {
    if (this.#mode === 'passed' || this.#mode === 'refused') return;
    this.#mode = 'refused';
    this.#why = why;
    this.process.end();
    this.#leave();
    this.#going = this.#options.task.setTimer(this.#options.terminal ? 0 : GOING_MS, () => {
      const wayOut = () => this.#refused.resolve({ refusal: this.#refusal(why, false) });
      this.process.terminate(0).then(wayOut, wayOut);
    });
  }

  #ended(end: ProcessEnd): TalkEnd {
    // Of what is refused, the user knows the command, and not what we put before it.
    const words = lastLines(this.#words, 2).replace(`/bin/sh -c ${elevatedBootstrap(this.#marker)} `, '');
    // Without a second prompt: where only the verdict on the account is bad, the password was not.
    if (this.#mode === 'tried' && !/sudoers|not allowed|may not run|not permitted/i.test(words)) {
      this.#settleTry((secret) => secret.refused());
    }
    this.#leave();
    if (this.#mode === 'passed') return { end, refusal: undefined };
    this.#going?.cancel();
    const said = this.#why ?? (words || `it ended with ${end.status === null ? 'no status' : `status ${end.status}`}`);
    const wantsTerminal = !this.#triedOnce && this.#why === undefined && /\btty\b|terminal/i.test(words);
    return { refusal: this.#refusal(said, wantsTerminal) };
  }

  #refusal(said: string, wantsTerminal: boolean): Refusal {
    const short = said.length > MAX_MESSAGE ? `${said.slice(0, MAX_MESSAGE)}…` : said;
    return { words: `${this.#options.elevation.program} refused: ${short}`, wantsTerminal };
  }

  #leave(): void {
    this.#question?.cancel();
    this.#over.abort(new MyriadError('aborted', `${this.#options.elevation.program} is over`));
    this.#settleTry((secret) => secret.gone());
  }

  #settleTry(tell: (secret: SecretTry) => void): void {
    const secret = this.#try;
    this.#try = undefined;
    if (secret !== undefined) tell(secret);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'the password could not be had';
}

/** The last lines that say something, on one line. */
function lastLines(bytes: Buffer, count: number): string {
  const lines = bytes.toString('utf8').split(/[\r\n]+/);
  const said = lines
    .map((line) => line.trim().replace(/^(sudo|doas|sh|\/bin\/sh): /, ''))
    .filter((line) => line !== '');
  return said.slice(-count).join('; ');
}
