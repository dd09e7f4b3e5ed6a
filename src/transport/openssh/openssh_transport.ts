/**
 * The transport `openssh`: the system's ssh program, for what a library cannot have.
 *
 * A connection is a master process; commands are clients of it. A master is lent to one connection at a time, because
 * the kill script tells commands apart by their connection; between two connections to the same host it is kept.
 *
 *   connect ──▶ lent ──close, nothing runs──▶ idle ──connect──▶ lent
 *   idle ──60 s, or more than 16 idle──▶ gone        lent ──destroy, close while something runs──▶ gone
 *
 * It promises status and output, not signals: how a command was killed is not told, and `signal()` does nothing.
 */
import { MyriadError } from '../../contracts/errors.ts';
import type { Clock } from '../../contracts/limits.ts';
import type { Began, Outcome } from '../../contracts/outcome.ts';
import type { Target } from '../../contracts/task.ts';
import type { Connection, Transport, Watch } from '../transport.ts';
import { classify } from './classify.ts';
import { ControlDir } from './control_dir.ts';
import { Guard } from './guard.ts';
import { Master, type MasterSetting } from './master.ts';
import { OpensshConnection } from './openssh_connection.ts';
import { stopped } from './openssh_error.ts';
import { type Program, readProgram } from './program.ts';
import { type Spawn, systemSpawn } from './spawn.ts';

/** Masters kept for the next connection, each a process and a connection. */
const MAX_IDLE = 16;
const IDLE_MS = 60_000;

export interface OpensshTransportOptions {
  /** OpenSSH's client: a path, or a name that is looked for in PATH. @default ssh */
  readonly program?: string;
  /**
   * Arguments of ssh for a host: configuration file, user, port, identity, known hosts, `-o` options. They come before
   * the host's own configuration. Not `-J` (use `-o ProxyJump=`), `-v` or `-q`, and no command. Host keys are strict unless they say otherwise.
   */
  args(target: Target): readonly string[];
  readonly clock: Clock;
  /** Where a private folder for the sockets is made; at most 65 bytes long. */
  readonly controlDir: string;
  /** Starts a program. @default child_process.spawn */
  readonly spawn?: Spawn;
}

interface Idle {
  readonly key: string;
  readonly master: Master;
  readonly timer: { cancel(): void };
}

/** What is made with the first connection. */
interface Open {
  readonly dir: ControlDir;
  readonly setting: MasterSetting;
}

export class OpensshTransport implements Transport {
  readonly name = 'openssh';
  readonly #options: OpensshTransportOptions;
  readonly #spawn: Spawn;
  /** All that live, and the key of each. */
  readonly #masters = new Map<Master, string>();
  /** The longest idle first. */
  #idle: Idle[] = [];
  #program: Promise<Program> | undefined = undefined;
  #open: Open | undefined = undefined;
  #closed = false;

  constructor(options: OpensshTransportOptions) {
    this.#options = options;
    this.#spawn = options.spawn ?? systemSpawn;
  }

  /** ssh reports neither the end of name resolution nor of TCP before they are over: both are the phase `connect`. */
  async connect(target: Target, watch: Watch): Promise<Connection> {
    const args = this.#options.args(target);
    checkHost(target);
    const key = JSON.stringify([target.name, args]);
    let halted: Error | undefined;
    const stop = (reason: Error) => {
      halted = reason;
    };
    watch.stop = stop;
    // The address is ssh's affair; a name stands for it in the limit per address.
    const held = watch.enter('connect', `${target.name}:${target.port ?? 22}`);
    if (held) await held;
    const open = await this.#opened();
    const idle = await this.#takeIdle(key);
    if (this.#closed) throw new MyriadError('closed', 'the openssh transport is closed');
    if (halted !== undefined) {
      if (idle !== undefined) this.#release(idle);
      throw stopped(halted);
    }
    const master = idle ?? this.#dial(open, key, target.name, args, watch);
    const kill = (reason: Error) => master.kill(reason);
    watch.stop = kill;
    await master.ready;
    watch.stop = undefined;
    return new OpensshConnection(master, {
      clock: this.#options.clock,
      newName: () => open.dir.name(),
      release: (released) => this.#release(released),
    });
  }

  classify(error: unknown, began: Began): Outcome {
    return classify(error, began);
  }

  /** Ends all masters, and with them what runs through them; resolves when all are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#idle) timer.cancel();
    this.#idle = [];
    const masters = [...this.#masters.keys()];
    for (const master of masters) master.end(stopped(new Error('the openssh transport was closed')));
    await Promise.all(masters.map((master) => master.gone));
    const open = this.#open;
    this.#open = undefined;
    await open?.setting.guard.end();
    open?.dir.remove();
  }

  async #opened(): Promise<Open> {
    const { program: path = 'ssh', clock, controlDir } = this.#options;
    this.#program ??= readProgram(path, this.#spawn);
    let program: Program;
    try {
      program = await this.#program;
    } catch (error) {
      // A machine that is full now may not be full for the next one.
      this.#program = undefined;
      throw error;
    }
    if (this.#closed) throw new MyriadError('closed', 'the openssh transport is closed');
    if (this.#open === undefined) {
      const dir = new ControlDir(controlDir);
      const guard = new Guard(this.#spawn, dir.path);
      this.#open = { dir, setting: { program, spawn: this.#spawn, clock, guard } };
    }
    return this.#open;
  }

  #dial(open: Open, key: string, host: string, args: readonly string[], watch: Watch): Master {
    const master = new Master(
      open.setting,
      { host, args, socket: open.dir.name() },
      { identified: () => watch.enter('handshake'), secured: () => void watch.enter('auth') },
    );
    this.#masters.set(master, key);
    void master.gone.then(() => this.#forget(master));
    return master;
  }

  /** The latest idle master that still answers. */
  async #takeIdle(key: string): Promise<Master | undefined> {
    for (;;) {
      const found = this.#idle.findLast((idle) => idle.key === key);
      if (found === undefined) return undefined;
      this.#drop(found);
      if (await found.master.alive()) return found.master;
      found.master.end(stopped(new Error('the connection does not answer any more')));
    }
  }

  #release(master: Master): void {
    const key = this.#masters.get(master);
    if (key === undefined || master.over || this.#closed) return;
    const timer = this.#options.clock.setTimer(IDLE_MS, () => this.#retire(idle));
    const idle: Idle = { key, master, timer };
    this.#idle.push(idle);
    const [oldest] = this.#idle;
    if (this.#idle.length > MAX_IDLE && oldest !== undefined) this.#retire(oldest);
  }

  #retire(idle: Idle): void {
    this.#drop(idle);
    idle.master.end(stopped(new Error('the connection was idle')));
  }

  #drop(idle: Idle): void {
    idle.timer.cancel();
    this.#idle = this.#idle.filter((other) => other !== idle);
  }

  #forget(master: Master): void {
    this.#masters.delete(master);
    const idle = this.#idle.find((other) => other.master === master);
    if (idle !== undefined) this.#drop(idle);
  }
}

/** A name that ssh would take for something else. Throws MyriadError `usage`. */
function checkHost({ name }: Target): void {
  if (name !== '' && !/^-|[@/\s]/.test(name)) return;
  throw new MyriadError('usage', `host ${JSON.stringify(name)} is not a name or address that ssh takes`);
}
