/** The transport `local`: programs here, without a network and without a shell. */
import { spawn } from 'node:child_process';
import { MyriadError } from '../../contracts/errors.ts';
import type { Clock } from '../../contracts/limits.ts';
import type { Began, Outcome } from '../../contracts/outcome.ts';
import type { Reached, Target } from '../../contracts/task.ts';
import type { Connection, ExecOptions, RemoteProcess, Transport } from '../transport.ts';
import { classifyLocal } from './local_error.ts';
import { LocalProcess, type Spawn } from './local_process.ts';

export interface LocalTransportOptions {
  readonly clock: Clock;
  /** Starts a program with all three streams piped. @default child_process.spawn */
  readonly spawn?: Spawn;
}

/** A place to run programs for one host; several at once, each in a process group of its own. */
class LocalConnection implements Connection {
  readonly reached: Reached;
  readonly #clock: Clock;
  readonly #spawn: Spawn;
  readonly #all: Set<LocalProcess>;
  readonly #mine = new Set<LocalProcess>();

  constructor(name: string, clock: Clock, spawnProgram: Spawn, all: Set<LocalProcess>) {
    this.reached = { transport: 'local', address: name, port: 0, fingerprint: '', software: '' };
    this.#clock = clock;
    this.#spawn = spawnProgram;
    this.#all = all;
  }

  /** Throws MyriadError `internal` for a line: there is no shell here that could take it. */
  exec(command: string | readonly string[], options: ExecOptions): RemoteProcess {
    if (typeof command === 'string' || command.length === 0) {
      throw new MyriadError(
        'internal',
        `the local transport runs a program with its arguments, not ${JSON.stringify(command)}`,
      );
    }
    if (options.pty) throw new MyriadError('usage', 'programs here run without a terminal');
    const started = new LocalProcess(command, options, this.#clock, this.#spawn, (over) => {
      this.#mine.delete(over);
      this.#all.delete(over);
    });
    this.#mine.add(started);
    this.#all.add(started);
    started.start();
    return started;
  }

  /** Programs that still run are left running. */
  close(): void {
    for (const running of [...this.#mine]) running.leave();
  }

  /** Programs that still run are killed, with all their children. */
  destroy(reason: Error): void {
    for (const running of [...this.#mine]) running.destroy(reason);
  }
}

export class LocalTransport implements Transport {
  readonly name = 'local';
  readonly #clock: Clock;
  readonly #spawn: Spawn;
  readonly #running = new Set<LocalProcess>();
  #closed = false;

  constructor(options: LocalTransportOptions) {
    this.#clock = options.clock;
    this.#spawn = options.spawn ?? ((program, args, settings) => spawn(program, args, settings));
  }

  connect(target: Target): Promise<Connection> {
    if (this.#closed) return Promise.reject(new MyriadError('closed', 'the local transport is closed'));
    return Promise.resolve(new LocalConnection(target.name, this.#clock, this.#spawn, this.#running));
  }

  classify(error: unknown, began: Began): Outcome {
    return classifyLocal(error, began);
  }

  /** Kills what still runs, and resolves when it is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running].map((running) => running.terminate(0)));
  }
}
