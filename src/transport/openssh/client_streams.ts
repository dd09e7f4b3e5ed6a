/** The three streams of a client: output into a sink that may be full, stdin with its back-pressure. */
import type { ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { StreamName } from '../../contracts/task.ts';

export class ClientStreams {
  readonly #write: (stream: StreamName, chunk: Buffer) => boolean;
  #child: ChildProcess | undefined = undefined;
  /** What was written before there was a client: one piece, because the writer waits then. */
  #early: Uint8Array[] = [];
  #inputEnded = false;
  /** The client has started, and its host is not ready for input. */
  #inputHeld: boolean;
  #waiters: (() => void)[] = [];
  #heldBack = false;
  #closed = false;

  /** `write`: where output goes; false: nothing more until `resume`. `held`: input waits for `releaseInput`. */
  constructor(write: (stream: StreamName, chunk: Buffer) => boolean, held: boolean) {
    this.#write = write;
    this.#inputHeld = held;
  }

  /** The consumer has not said yet that it has room again. */
  get heldBack(): boolean {
    return this.#heldBack;
  }

  /** Both outputs have ended. */
  get outputEnded(): boolean {
    return this.#child?.stdout?.closed === true && this.#child.stderr?.closed === true;
  }

  /** Takes the streams of a client that has started. */
  attach(child: ChildProcess): void {
    this.#child = child;
    this.#read('stdout', child);
    this.#read('stderr', child);
    const { stdin } = child;
    if (stdin === null) return;
    // EPIPE: the command does not read it; that is its business.
    for (const event of ['error', 'drain', 'close']) stdin.on(event, () => this.#wake());
    if (!this.#inputHeld) this.#openInput(stdin);
  }

  /** The host is ready for input. */
  releaseInput(): void {
    if (!this.#inputHeld) return;
    this.#inputHeld = false;
    const stdin = this.#child?.stdin;
    if (stdin && !this.#closed) this.#openInput(stdin);
  }

  #openInput(stdin: Writable): void {
    for (const chunk of this.#early) stdin.write(chunk);
    this.#early = [];
    if (this.#inputEnded) stdin.end();
    else if (!stdin.writableNeedDrain) this.#wake();
  }

  input(chunk: Uint8Array): boolean {
    if (this.#closed || this.#inputEnded) return true;
    const stdin = this.#child?.stdin;
    if (stdin && !this.#inputHeld) return stdin.write(chunk);
    this.#early.push(chunk);
    return false;
  }

  drained(): Promise<void> {
    const stdin = this.#child?.stdin;
    if (this.#closed || (stdin && !this.#inputHeld && !stdin.writableNeedDrain)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  endInput(): void {
    this.#inputEnded = true;
    if (!this.#inputHeld) this.#child?.stdin?.end();
  }

  resume(): void {
    if (!this.#heldBack) return;
    this.#heldBack = false;
    this.#child?.stdout?.resume();
    this.#child?.stderr?.resume();
  }

  /** Lets go of everything. */
  close(): void {
    this.#closed = true;
    this.#early = [];
    this.#child?.stdin?.destroy();
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
    this.#wake();
  }

  #read(name: StreamName, child: ChildProcess): void {
    const stream = child[name];
    stream?.on('error', () => {});
    stream?.on('data', (chunk: Buffer) => {
      if (this.#closed || this.#write(name, chunk)) return;
      // Said again at each chunk: Node resumes both streams by itself when the client exits.
      this.#heldBack = true;
      child.stdout?.pause();
      child.stderr?.pause();
    });
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
