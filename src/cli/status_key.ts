/**
 * Enter on the terminal while a run is under way.
 *
 *   waiting ──the run has lasted a moment──▶ listening ⇄ quiet ──release──▶ over
 *
 * listening: what is typed is read. quiet: somebody else reads (a question, ^C's keys), or this is not the terminal's foreground. The
 * terminal stays as it is: it gives a line when Enter is typed. In the background nothing may be read, for the kernel stops who tries;
 * so after each SIGCONT, which `fg` and `bg` of a shell send, it is looked up where we are.
 */
import { readFileSync } from 'node:fs';

/** A short run takes nothing away of what is typed or pasted for the shell that comes next. */
const FIRST_MS = 1000;

export class StatusKey {
  readonly #onEnter: () => void;
  readonly #timer: NodeJS.Timeout;
  #mode: 'waiting' | 'listening' | 'quiet' | 'over' = 'waiting';
  readonly #onData = (chunk: Buffer) => {
    if (chunk.includes(0x0a) || chunk.includes(0x0d)) this.#onEnter();
  };
  readonly #onContinue = () => this.listen();
  /** The terminal has gone away; the run has not. */
  readonly #onError = () => this.hold();

  constructor(onEnter: () => void) {
    this.#onEnter = onEnter;
    this.#timer = setTimeout(() => {
      this.#mode = 'quiet';
      this.listen();
    }, FIRST_MS);
    this.#timer.unref();
    process.on('SIGCONT', this.#onContinue);
  }

  /** Others have read what they wanted, and have left it paused. */
  listen(): void {
    if (this.#mode === 'waiting' || this.#mode === 'over') return;
    if (process.stdin.readableEnded || !isForeground()) {
      this.hold();
      return;
    }
    if (this.#mode === 'quiet') process.stdin.on('data', this.#onData).on('error', this.#onError);
    this.#mode = 'listening';
    process.stdin.resume();
  }

  /** Somebody else wants to read. */
  hold(): void {
    if (this.#mode !== 'listening') return;
    this.#mode = 'quiet';
    process.stdin.off('data', this.#onData).pause();
  }

  release(): void {
    this.hold();
    this.#mode = 'over';
    clearTimeout(this.#timer);
    process.off('SIGCONT', this.#onContinue);
  }
}

/** Whether our process group is the one that the terminal gives keys to; where the system does not say, it is taken not to be. */
function isForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    // The name before it may hold anything, blanks and brackets included: state, parent, group, session, terminal, foreground group.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return false;
  }
}
