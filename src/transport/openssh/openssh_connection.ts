/** A connection: a master, lent for as long as the connection is open, and the commands that run through it. */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../contracts/limits.ts';
import type { Reached } from '../../contracts/task.ts';
import { KILL_COMMAND, type KillAnswer, killAnswer, killScript } from '../kill.ts';
import type { Connection, ExecOptions, RemoteProcess } from '../transport.ts';
import type { Master } from './master.ts';
import { stopped } from './openssh_error.ts';
import { OpensshProcess, type ProcessOwner } from './openssh_process.ts';
import { signalGroup } from './spawn.ts';

/** What the kill script may take beyond the grace: a client, a round trip, a shell, one look at all processes. */
const KILL_MARGIN_MS = 3_000;
/** Of the kill script's output. */
const KILL_OUTPUT = 4_096;

/** What a connection needs of the transport. */
export interface ConnectionSetting {
  readonly clock: Clock;
  /** A path in the private folder that no one has used. */
  newName(): string;
  /** The master is lent no more. */
  release(master: Master): void;
}

export class OpensshConnection implements Connection, ProcessOwner {
  readonly master: Master;
  readonly clock: Clock;
  readonly reached: Reached;
  readonly #setting: ConnectionSetting;
  readonly #running = new Set<OpensshProcess>();
  readonly #killers = new Set<ChildProcess>();
  #closed = false;

  constructor(master: Master, setting: ConnectionSetting) {
    const { heard, target } = master;
    this.master = master;
    this.clock = setting.clock;
    this.#setting = setting;
    this.reached = {
      transport: 'openssh',
      address: heard.address === '' ? target.host : heard.address,
      port: heard.port,
      fingerprint: heard.fingerprint,
      software: heard.software,
    };
    master.user = {
      accepted: (channel) => {
        for (const running of this.#running) running.accepted(channel);
      },
      status: (channel, status) => {
        for (const running of this.#running) running.statusCame(channel, status);
      },
      down: () => {
        for (const running of [...this.#running]) running.masterDown();
      },
    };
  }

  exec(command: string | readonly string[], options: ExecOptions): RemoteProcess {
    const line = typeof command === 'string' ? command : command.map(quote).join(' ');
    const process = new OpensshProcess(line, options, this, this.#setting.newName());
    this.#running.add(process);
    // A master that was given back may be another's by now.
    if (this.#closed) process.fail(stopped(new Error('the connection is closed')));
    else if (this.master.over) process.fail(this.master.failure());
    else process.start();
    return process;
  }

  /** A master that nothing runs through is kept for the next connection to its host. */
  close(): void {
    if (this.#closed) return;
    const left = stopped(new Error('the connection was closed, and the command left running'));
    // What is left running must not be found by the kill script of the next one.
    if (this.#running.size > 0) this.master.end(left);
    this.#leave(left);
  }

  destroy(reason: Error): void {
    if (this.#closed) return;
    this.master.kill(reason);
    this.#leave(stopped(reason));
  }

  over(process: OpensshProcess): void {
    this.#running.delete(process);
  }

  kill(graceMs: number): Promise<KillAnswer> {
    let child: ChildProcess;
    try {
      child = this.master.client(KILL_COMMAND, '/dev/null');
    } catch {
      return Promise.resolve(undefined);
    }
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      if (output.length < KILL_OUTPUT) output += chunk.toString('latin1');
    });
    child.stderr?.resume();
    child.stdin?.on('error', () => {});
    child.stdin?.end(killScript(graceMs));
    this.#killers.add(child);
    return new Promise((resolve) => {
      const give = (answer: KillAnswer): void => {
        timer.cancel();
        this.#killers.delete(child);
        resolve(answer);
      };
      const timer = this.clock.setTimer(graceMs + KILL_MARGIN_MS, () => {
        signalGroup(child, 'SIGKILL');
        give(undefined);
      });
      child.once('error', () => give(undefined));
      child.once('close', () => give(killAnswer(output)));
    });
  }

  #leave(reason: Error): void {
    this.#closed = true;
    for (const running of [...this.#running]) running.fail(reason);
    for (const child of this.#killers) signalGroup(child, 'SIGKILL');
    this.master.user = undefined;
    this.#setting.release(this.master);
  }
}

/** One word for a POSIX shell. */
function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
