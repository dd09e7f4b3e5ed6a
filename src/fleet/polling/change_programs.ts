/**
 * The command that is run here for each change, which it reads on stdin as one line.
 *
 *   change ──a place is free──▶ running ──it ended with status 0──▶ ok
 *   change ──none is──▶ waiting ──a place comes free──▶ running     in their order
 *   change ──1,000 wait──▶ dropped
 *   running ──another status, a signal, 30 s──▶ failed
 */
import { spawn } from 'node:child_process';
import type { Clock } from '../../contracts/limits.ts';
import { LocalTransport } from '../../transport/local/local_transport.ts';

/** Programs at once. */
const MOST_RUNNING = 4;
const MOST_WAITING = 1_000;
/** Of an answer, for a program: with as many as may wait, 22 MB. */
export const MOST_TOLD = 16 * 1024;
const DEADLINE_MS = 30_000;
/** Between TERM and KILL. */
const GRACE_MS = 2_000;

export interface ChangeProgramsParts {
  readonly command: string;
  readonly run: string;
  readonly clock: Clock;
}

export class ChangePrograms {
  readonly #parts: ChangeProgramsParts;
  readonly #transport: LocalTransport;
  readonly #waiting: string[] = [];
  readonly #running = new Set<Promise<void>>();
  #ok = 0;
  #failed = 0;
  #dropped = 0;

  constructor(parts: ChangeProgramsParts) {
    this.#parts = parts;
    const env = { ...process.env, MYRIAD_RUN: parts.run };
    this.#transport = new LocalTransport({
      clock: parts.clock,
      spawn: (program, args, options) => spawn(program, args, { ...options, env }),
    });
  }

  get counts(): { readonly ok: number; readonly failed: number; readonly dropped: number } {
    return { ok: this.#ok, failed: this.#failed, dropped: this.#dropped };
  }

  /** A change, as the line that its program reads. */
  add(line: string): void {
    if (this.#waiting.length >= MOST_WAITING) this.#dropped += 1;
    else this.#waiting.push(line);
    this.#next();
  }

  /** What went wrong, in a sentence; undefined: nothing did. */
  get trouble(): string | undefined {
    const { failed, dropped } = this.counts;
    const parts = [
      ...(failed > 0 ? [`${failed} of its programs did not end with status 0`] : []),
      ...(dropped > 0 ? [`${dropped} changes were dropped, as ${MOST_WAITING} others waited already`] : []),
    ];
    return parts.length === 0 ? undefined : `onChange: ${parts.join('; ')}`;
  }

  /** Resolves when all that was added is over: what still waits after 30 s is dropped. */
  async close(): Promise<void> {
    const late = this.#parts.clock.setTimer(DEADLINE_MS, () => {
      this.#dropped += this.#waiting.splice(0).length;
    });
    while (this.#running.size > 0) await Promise.all(this.#running);
    late.cancel();
    await this.#transport.close();
  }

  #next(): void {
    while (this.#running.size < MOST_RUNNING && this.#waiting.length > 0) {
      const running = this.#perform(this.#waiting.shift()!).then((ok) => {
        if (ok) this.#ok += 1;
        else this.#failed += 1;
        this.#running.delete(running);
        this.#next();
      });
      this.#running.add(running);
    }
  }

  /** Resolves true where it ended with status 0. Never rejects. */
  async #perform(line: string): Promise<boolean> {
    const here = { label: 'change', name: 'change', index: 0, iteration: 1 };
    try {
      const connection = await this.#transport.connect(here);
      const program = connection.exec(['/bin/sh', '-c', this.#parts.command], {
        // Its output would stand between those of hosts: a program that has something to say has a place for it.
        sink: { write: () => true },
        begin: () => undefined,
        started: () => {},
        lingerMs: 0,
      });
      program.write(Buffer.from(line));
      program.end();
      const deadline = this.#parts.clock.setTimer(DEADLINE_MS, () => void program.terminate(GRACE_MS));
      const { status } = await program.ended.finally(() => deadline.cancel());
      return status === 0;
    } catch {
      return false;
    }
  }
}
