/** A connection and its processes, by the transport contract, over our own SSH client. */
import type { Began, RemoteFate } from '../../contracts/outcome.ts';
import type { Reached } from '../../contracts/task.ts';
import type { SshClient } from '../../ssh/client.ts';
import { SshError } from '../../ssh/errors.ts';
import type { Session } from '../../ssh/session.ts';
import type { Pty, SessionRequests } from '../../ssh/session_requests.ts';
import { KILL_COMMAND, type KillAnswer, killAnswer, killScript } from '../kill.ts';
import type { Connection, ExecOptions, ProcessEnd, RemoteProcess, Terminal } from '../transport.ts';

type SetTimer = (delayMs: number, callback: () => void) => { cancel(): void };

/** What the kill script may take beyond the grace, in milliseconds: a round trip, a shell, one look at all processes. */
const KILL_MARGIN_MS = 3000;
/** Of the kill script's output. */
const KILL_OUTPUT = 4096;
/** Where no kill script can run. */
const NO_ANSWER = Promise.resolve(undefined);

export interface NativeConnectionOptions {
  /** What each session asks for before its command. @default nothing */
  readonly requests?: SessionRequests | undefined;
  /** Keeps it for the next task once this one is done; false: it is to be closed. @default it is closed */
  readonly rest?: (() => boolean) | undefined;
}

export class NativeConnection implements Connection {
  readonly #client: SshClient;
  readonly #setTimer: SetTimer;
  readonly #requests: SessionRequests | undefined;
  readonly #rest: (() => boolean) | undefined;
  /** No command failed on it or had to be ended: what it leaves behind is what commands leave behind that have ended. */
  #sound = true;
  /** It may be another task's by now: nothing is done to it from here any more, whoever still asks. */
  #kept = false;
  readonly reached: Reached;

  constructor(
    client: SshClient,
    setTimer: SetTimer,
    address: string,
    port: number,
    { requests, rest }: NativeConnectionOptions = {},
  ) {
    this.#requests = requests;
    this.#rest = rest;
    this.#client = client;
    this.#setTimer = setTimer;
    const transport = 'native';
    this.reached = {
      transport,
      address,
      port,
      fingerprint: client.hostKey?.fingerprint ?? '',
      software: client.software,
    };
  }

  exec(command: string | readonly string[], options: ExecOptions): RemoteProcess {
    const line = typeof command === 'string' ? command : command.map(quote).join(' ');
    if (this.#kept) throw new SshError('stopped', 'the connection was given back');
    const session = this.#client.session();
    const { sink, pty } = options;
    const requests = pty ? { ...this.#requests, pty: ptyOf(pty) } : this.#requests;
    session.exec(line, {
      data: (extended, chunk) => sink.write(extended === 0 ? 'stdout' : 'stderr', chunk),
      begin: () => options.begin(),
      started: () => options.started(),
      lingerMs: options.lingerMs,
      ...(requests && { requests }),
    });
    session.ended.catch(() => {
      this.#sound = false;
    });
    const kill = (graceMs: number) => {
      this.#sound = false;
      // The script would find the next task's command.
      return options.ending === 'signal' || this.#kept ? NO_ANSWER : this.#kill(graceMs);
    };
    return new NativeProcess(session, kill);
  }

  /** Runs the kill script beside the command. Undefined: the server gave no second session, or no answer. */
  #kill(graceMs: number): Promise<KillAnswer> {
    const session = this.#client.session();
    let output = '';
    session.exec(KILL_COMMAND, {
      data: (_extended, chunk) => {
        if (output.length < KILL_OUTPUT) output += chunk.toString('latin1');
        return true;
      },
      begin: () => undefined,
      started() {},
      lingerMs: 100,
    });
    session.write(killScript(graceMs));
    session.end();
    const timer = this.#setTimer(graceMs + KILL_MARGIN_MS, () =>
      session.abandon(new SshError('stopped', 'the kill script did not end in time')),
    );
    return session.ended.then(
      () => {
        timer.cancel();
        return killAnswer(output);
      },
      () => {
        timer.cancel();
        return undefined;
      },
    );
  }

  close(): void {
    if (this.#kept) return;
    this.#kept = this.#sound && this.#rest?.() === true;
    if (!this.#kept) this.#client.close();
  }

  destroy(reason: Error): void {
    if (this.#kept) return;
    this.#client.destroy(new SshError('stopped', reason.message, {}, { cause: reason }));
  }
}

class NativeProcess implements RemoteProcess {
  readonly #session: Session;
  readonly #kill: (graceMs: number) => Promise<KillAnswer>;
  #terminating: Promise<RemoteFate> | undefined;
  readonly ended: Promise<ProcessEnd>;

  constructor(session: Session, kill: (graceMs: number) => Promise<KillAnswer>) {
    this.#session = session;
    this.#kill = kill;
    this.ended = session.ended;
  }

  get began(): Began {
    return this.#session.began;
  }

  write(chunk: Uint8Array): boolean {
    return this.#session.write(chunk);
  }

  drained(): Promise<void> {
    return this.#session.whenDrained();
  }

  end(): void {
    this.#session.end();
  }

  resume(): void {
    this.#session.resume();
  }

  signal(name: string): void {
    this.#session.signal(name);
  }

  resize(columns: number, rows: number): void {
    this.#session.resize(columns, rows);
  }

  /** Asked again while it is under way, the first answer counts. */
  terminate(graceMs: number): Promise<RemoteFate> {
    this.#terminating ??= this.#terminate(graceMs);
    return this.#terminating;
  }

  async #terminate(graceMs: number): Promise<RemoteFate> {
    const stopped = new SshError('stopped', 'the command was stopped');
    if (this.#session.began === 'no') {
      this.#session.abandon(stopped);
      return 'none';
    }
    // Not the `signal` request first: it may end the shell alone, and its orphans are out of the script's sight then.
    const answer = await this.#kill(graceMs);
    // Where there was no second session, or no shell for the script, it is all that is left to try; whom it reached is not known.
    if (answer === undefined) this.#session.signal('TERM');
    // Ended of itself meanwhile: nothing of it was left for the script to find.
    const over = this.#session.over;
    this.#session.abandon(stopped);
    if (answer === 'killed' || (answer === 'none' && over)) return 'killed';
    return answer === 'left' ? 'left-running' : 'unknown';
  }
}

/** RFC 4254 §8: 8 bits, nothing translated, echoed, swallowed or made a signal of. */
const RAW: NonNullable<Pty['modes']> = [
  ...[30, 31, 32, 33, 34, 35, 36, 38, 39, 40, 50, 51, 53, 59, 70].map((opcode) => [opcode, 0] as const),
  [91, 1],
];

function ptyOf({ raw, ...size }: Terminal): Pty {
  return raw ? { ...size, modes: RAW } : size;
}

/** One word for a POSIX shell. */
function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
