/**
 * A master: one ssh process that holds one authenticated connection, for clients to run commands through.
 *
 *   connecting ──"Entering interactive session", and its socket is there──▶ open
 *   connecting, open ──end (TERM, KILL), kill, the peer, the network──▶ over
 *
 * It is a child of ours and stays in the foreground, so its number is known as long as it lives, and TERM is all that
 * `ssh -O exit` would do.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import type { Clock } from '../../contracts/limits.ts';
import { lastWords } from './classify.ts';
import type { Guard } from './guard.ts';
import { type Heard, MasterLog } from './master_log.ts';
import { OpensshError, spawnError, stopped } from './openssh_error.ts';
import { clientArgs, masterArgs, type Program } from './program.ts';
import { type Spawn, signalGroup } from './spawn.ts';

/** How long after TERM until KILL: it only has to say goodbye. */
const END_PATIENCE_MS = 2_000;
/** How long a master may take to greet a client. */
const GREETING_MS = 5_000;

/** What a master needs of the transport. */
export interface MasterSetting {
  readonly program: Program;
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly guard: Guard;
}

/** Where a master goes. */
export interface MasterTarget {
  readonly host: string;
  /** The user's own arguments of ssh for this host. */
  readonly args: readonly string[];
  /** The path of its control socket. */
  readonly socket: string;
}

/** Phases, as they are heard; a promise holds the process back until it resolves. */
export interface MasterPhases {
  identified(): Promise<void> | undefined;
  secured(): void;
}

/** Who runs commands through it. */
export interface MasterUser {
  /** The server accepted the command on this channel. */
  accepted(channel: number): void;
  status(channel: number, status: number): void;
  /** The master is gone. */
  down(): void;
}

export class Master {
  readonly target: MasterTarget;
  /** Resolves when it is open; rejects with OpensshError `spawn`, `connect` or `stopped`. */
  readonly ready: Promise<void>;
  /** Resolves when the process is gone and all it said was heard. */
  readonly gone: Promise<void>;
  user: MasterUser | undefined = undefined;
  readonly #setting: MasterSetting;
  readonly #log: MasterLog;
  readonly #phases: MasterPhases;
  readonly #child: ChildProcess;
  #mode: 'connecting' | 'open' | 'over' = 'connecting';
  #secured = false;
  #reason: OpensshError | undefined = undefined;
  #ending: { cancel(): void } | undefined = undefined;
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();
  /** What was said of channels that still have their number. As many as there are commands. */
  readonly #statuses = new Map<number, number>();
  readonly #answers = new Map<number, boolean>();

  /** Starts it. Throws OpensshError `spawn`. */
  constructor(setting: MasterSetting, target: MasterTarget, phases: MasterPhases) {
    this.#setting = setting;
    this.target = target;
    this.#phases = phases;
    this.ready = this.#ready.promise;
    this.gone = this.#gone.promise;
    this.ready.catch(() => {});
    this.#log = new MasterLog({
      identified: () => this.#hold(),
      secured: () => this.#newKeys(),
      interactive: () => this.#interactive(),
      opened: (channel) => {
        this.#statuses.delete(channel);
        this.#answers.delete(channel);
      },
      answered: (channel, accepted) => {
        this.#answers.set(channel, accepted);
        if (accepted) this.user?.accepted(channel);
      },
      status: (channel, status) => {
        this.#statuses.set(channel, status);
        this.user?.status(channel, status);
      },
    });
    this.#child = this.#start();
  }

  get heard(): Heard {
    return this.#log.heard;
  }

  /** It takes no more commands. */
  get over(): boolean {
    return this.#mode === 'over';
  }

  /** The status of the command on a channel, if it is known already. */
  status(channel: number): number | undefined {
    return this.#statuses.get(channel);
  }

  /** The server's answer to the request to run the command on a channel; undefined: none yet. */
  answer(channel: number): 'accepted' | 'refused' | undefined {
    // A program that does not tell answers has asked by the time it tells the channel: as much as can be known.
    if (!this.#setting.program.logVerbose) return 'accepted';
    const accepted = this.#answers.get(channel);
    if (accepted === undefined) return undefined;
    return accepted ? 'accepted' : 'refused';
  }

  /** Starts a client for `command`, in a process group of its own; `term`: with a terminal. Throws what spawn throws. */
  client(command: string, log: string, term?: string): ChildProcess {
    const { program, spawn } = this.#setting;
    const { socket, args, host } = this.target;
    const words = clientArgs(program, socket, log, args, host, command, term !== undefined);
    const env = term === undefined ? {} : { env: { ...process.env, TERM: term } };
    return spawn(program.path, words, { detached: true, ...env });
  }

  /** Whether it still answers: it greets whoever connects. */
  alive(): Promise<boolean> {
    if (this.#mode !== 'open') return Promise.resolve(false);
    return new Promise((resolve) => {
      const socket = connect(this.target.socket);
      const timer = this.#setting.clock.setTimer(GREETING_MS, () => socket.destroy());
      let greeted = false;
      socket.once('data', () => {
        greeted = true;
        socket.destroy();
      });
      socket.once('error', () => {});
      socket.once('end', () => socket.destroy());
      socket.once('close', () => {
        timer.cancel();
        resolve(greeted);
      });
    });
  }

  /** How it ended, as the error of what ran through it. */
  failure(): OpensshError {
    return this.#reason ?? new OpensshError('lost', this.#said(), { heard: this.heard });
  }

  /** Says goodbye to the server and ends it; it is gone after 2 s at the latest. */
  end(reason: OpensshError): void {
    this.#reason ??= reason;
    this.#over();
    if (this.#ending !== undefined || !signalGroup(this.#child, 'SIGTERM')) return;
    signalGroup(this.#child, 'SIGCONT');
    this.#ending = this.#setting.clock.setTimer(END_PATIENCE_MS, () => signalGroup(this.#child, 'SIGKILL'));
  }

  /** Ends it now. */
  kill(reason: Error): void {
    this.#reason ??= stopped(reason);
    signalGroup(this.#child, 'SIGKILL');
    this.#over();
  }

  #start(): ChildProcess {
    const { program, spawn } = this.#setting;
    const { socket, args, host } = this.target;
    // LC_ALL: the system's errors in words that we know; it does not reach the host, a master has no session. ASKPASS:
    // BatchMode does not reach the ssh that leads to a jump host.
    const env = { ...process.env, LC_ALL: 'C', SSH_ASKPASS_REQUIRE: 'never' };
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    let child: ChildProcess;
    try {
      child = spawn(program.path, masterArgs(program, socket, args, host), { detached: true, stdio: [...stdio], env });
    } catch (error) {
      throw spawnError(program.path, error);
    }
    child.once('error', (error) => {
      this.#reason ??= spawnError(program.path, error);
      // Without a process there is nothing whose streams could close.
      if (child.pid === undefined) this.#closed();
    });
    child.stderr?.on('data', (chunk: Buffer) => this.#log.feed(chunk));
    child.once('exit', () => this.#exited());
    child.once('close', () => this.#closed());
    if (child.pid !== undefined) this.#setting.guard.came(child.pid);
    return child;
  }

  /** A limit is full: the process stands still until there is room. */
  #hold(): void {
    const held = this.#mode === 'connecting' ? this.#phases.identified() : undefined;
    if (held === undefined) return;
    signalGroup(this.#child, 'SIGSTOP');
    const goOn = (): void => void signalGroup(this.#child, 'SIGCONT');
    held.then(goOn, goOn);
  }

  #newKeys(): void {
    // Keys are exchanged again now and then.
    if (this.#secured || this.#mode !== 'connecting') return;
    this.#secured = true;
    this.#phases.secured();
  }

  /** The server could say these words in its banner; the socket it cannot make. */
  #interactive(): void {
    if (this.#mode !== 'connecting' || !existsSync(this.target.socket)) return;
    this.#mode = 'open';
    this.#ready.resolve();
  }

  /** Its proxy may outlive it, and hold its stderr open. */
  #exited(): void {
    const pid = this.#child.pid!;
    this.#setting.guard.went(pid);
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // No one is left.
    }
    this.#ending?.cancel();
    this.#ending = this.#setting.clock.setTimer(END_PATIENCE_MS, () => this.#child.stderr?.destroy());
  }

  #closed(): void {
    this.#ending?.cancel();
    this.#log.end();
    this.#over();
    this.#gone.resolve();
  }

  #over(): void {
    if (this.#mode === 'over') return;
    const connecting = this.#mode === 'connecting';
    this.#mode = 'over';
    if (connecting) {
      this.#ready.reject(this.#reason ?? new OpensshError('connect', this.#said(), { heard: this.heard }));
    }
    this.user?.down();
  }

  #said(): string {
    return (
      lastWords(this.heard.words) ?? `ssh ended without a word (${this.#child.signalCode ?? this.#child.exitCode})`
    );
  }
}
