/** The terminal that tasks are shown: one size for all, that may change while they run. */
import type { RemoteProcess, Terminal } from '../transport/transport.ts';

export class TerminalSize {
  readonly #term: string;
  #columns: number;
  #rows: number;
  /** Running processes that have it: as many as the fanout. */
  readonly #processes = new Set<RemoteProcess>();

  constructor(terminal: Terminal) {
    this.#term = terminal.term;
    this.#columns = terminal.columns;
    this.#rows = terminal.rows;
  }

  /** As it is now, for a process that starts. */
  get now(): Terminal {
    return { term: this.#term, columns: this.#columns, rows: this.#rows };
  }

  /** Tells those that run, and those that start from now on. */
  resize(columns: number, rows: number): void {
    if (columns === this.#columns && rows === this.#rows) return;
    this.#columns = columns;
    this.#rows = rows;
    for (const process of this.#processes) process.resize?.(columns, rows);
  }

  /** `process` hears of changes until it ends. */
  follow(process: RemoteProcess): void {
    this.#processes.add(process);
    const forget = (): void => void this.#processes.delete(process);
    process.ended.then(forget, forget);
  }
}
