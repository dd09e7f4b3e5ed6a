/**
 * ProxyCommand: a program whose stdin and stdout are the way to a host, in a process group of its own.
 *
 *   starting ──spawn──▶ open ──stdout ended──▶ ending ──exit and all it said, or 250 ms──▶ over, told
 *   starting ──error──▶ over, told
 *   any ──destroy──▶ over, not told
 *   open ──end──▶ open, for two seconds more at most ──▶ over, told
 *
 * Once over, what is left of the group gets TERM, and KILL two seconds later. The group is signalled only while it is known
 * to be there: its number cannot belong to anyone else as long as a member lives, and once it was seen gone it is not used.
 *
 * Bounds: what it says on stdout is taken at once, nothing is kept; of stderr the last 1 KiB; what is written to it is
 * bounded by the connection above, which is told when it has left. How many run at once is the caller's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { SshError } from '../../ssh/errors.ts';
import type { ClientStream, SocketUser } from '../../ssh/socket.ts';
import { withUsualDescriptors } from '../../util/usual_descriptors.ts';
import type { Dial } from './jump.ts';

export interface ProxyCommandDeps {
  readonly setTimer: (delayMs: number, callback: () => void) => { cancel(): void };
}

const MOST_STDERR = 1024;
/** After the end of its output, for its status and its last words. */
const LAST_WORDS_MS = 250;
/** After our goodbye, for the host to close; between TERM and KILL. */
const PATIENCE_MS = 2_000;
/** How often a group that was sent TERM is looked at. */
const LOOK_MS = 50;

/** `command` is a line for `/bin/sh`, its tokens expanded. */
export function proxyCommand(command: string, deps: ProxyCommandDeps): Dial {
  return (user) => new ProxyStream(command, deps, user);
}

class ProxyStream implements ClientStream {
  readonly #program: string;
  readonly #setTimer: ProxyCommandDeps['setTimer'];
  readonly #user: SocketUser;
  readonly #child: ChildProcess | undefined;
  #state: 'starting' | 'open' | 'ending' | 'over' = 'starting';
  /** SSH has been spoken: from here on the host is there. */
  #identified = false;
  /** The last characters of what came before that. */
  #tail = '\n';
  #stderr: Buffer = Buffer.alloc(0);
  #draining = false;
  #timer: { cancel(): void } | undefined;
  #signalled = false;
  #gone = false;

  constructor(command: string, { setTimer }: ProxyCommandDeps, user: SocketUser) {
    this.#program = programOf(command);
    this.#setTimer = setTimer;
    this.#user = user;
    // `exec`, so that the program is the group's leader and its status is what we see; as OpenSSH, not twice.
    const line = /^\s*exec\s/.test(command) ? command : `exec ${command}`;
    try {
      this.#child = spawn('/bin/sh', ['-c', withUsualDescriptors(line)], { stdio: 'pipe', detached: true });
    } catch (error) {
      queueMicrotask(() => this.#failed(error as NodeJS.ErrnoException));
      return;
    }
    this.#listen(this.#child);
  }

  #listen(child: ChildProcess): void {
    child.once('spawn', () => this.#spawned());
    child.on('error', (error) => this.#failed(error));
    child.once('exit', () => this.#look());
    child.once('close', () => this.#ended());
    child.stdout?.on('data', (chunk: Buffer) => this.#received(chunk));
    child.stdout?.once('end', () => this.#outputEnded());
    child.stderr?.on('data', (chunk: Buffer) => this.#said(chunk));
    // A pipe that breaks is told by the end of the output.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on('error', () => {});
  }

  get waiting(): number {
    return this.#child?.stdin?.writableLength ?? 0;
  }

  write(bytes: Buffer): void {
    const stdin = this.#child?.stdin;
    if (!stdin?.writable || stdin.write(bytes) || this.#draining) return;
    this.#draining = true;
    stdin.once('drain', () => {
      this.#draining = false;
      if (this.#state !== 'over') this.#user.drained();
    });
  }

  /** The goodbye was said: the host closes first, and the program ends by itself. */
  end(): void {
    if (this.#state === 'starting') this.destroy();
    if (this.#state !== 'open') return;
    this.#child?.stdin?.end();
    this.#timer ??= this.#setTimer(PATIENCE_MS, () => this.#tell(undefined));
  }

  destroy(): void {
    this.#over();
  }

  #spawned(): void {
    if (this.#state === 'over') {
      // Dropped before it was there.
      this.#endGroup();
      return;
    }
    this.#state = 'open';
    this.#user.connected();
  }

  #failed(error: NodeJS.ErrnoException): void {
    // Without a process there is nothing to signal.
    if (this.#child?.pid === undefined) this.#gone = true;
    const why = error.code ?? error.message;
    this.#tell(
      new SshError('connect', `${this.#program} could not be started: ${why}`, { proxy: true }, { cause: error }),
    );
  }

  #received(chunk: Buffer): void {
    if (this.#state !== 'open') return;
    if (!this.#identified) {
      const text = this.#tail + chunk.toString('latin1');
      this.#identified = text.includes('\nSSH-');
      this.#tail = text.slice(-4);
    }
    this.#user.received(chunk);
  }

  #said(chunk: Buffer): void {
    const all = chunk.length < MOST_STDERR ? Buffer.concat([this.#stderr, chunk]) : chunk;
    this.#stderr = Buffer.from(all.subarray(-MOST_STDERR));
  }

  #outputEnded(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#timer?.cancel();
    this.#timer = this.#setTimer(LAST_WORDS_MS, () => this.#ended());
  }

  /** It has exited and said all, or has had its time. */
  #ended(): void {
    if (this.#state !== 'starting') this.#tell(this.#errorOfEnd());
  }

  /** Undefined where it ended as a connection does. */
  #errorOfEnd(): SshError | undefined {
    const { exitCode = null, signalCode = null } = this.#child ?? {};
    if (this.#identified && (exitCode === 0 || (exitCode === null && signalCode === null))) return undefined;
    const how = howEnded(exitCode, signalCode);
    const words = shown(this.#stderr.toString('utf8').trim());
    const message = `${this.#program} ${how}${words === '' ? '' : `: ${words}`}`;
    return new SshError(this.#identified ? 'closed' : 'connect', message, { proxy: true });
  }

  #tell(error: SshError | undefined): void {
    if (this.#state === 'over') return;
    this.#over();
    this.#user.ended(error);
  }

  #over(): void {
    if (this.#state === 'over') return;
    const started = this.#state !== 'starting';
    this.#state = 'over';
    this.#timer?.cancel();
    this.#timer = undefined;
    if (started) this.#endGroup();
  }

  /** TERM now, KILL later, unless nobody is there any more. */
  #endGroup(): void {
    if (this.#signalled) return;
    this.#signalled = true;
    const child = this.#child;
    child?.stdin?.destroy();
    // What it still says is not read: who writes on is told so.
    child?.stdout?.destroy();
    child?.stderr?.destroy();
    this.#signal('SIGTERM');
    this.#await(PATIENCE_MS);
  }

  #await(leftMs: number): void {
    if (this.#gone) return;
    this.#setTimer(LOOK_MS, () => {
      this.#look();
      if (leftMs > LOOK_MS) this.#await(leftMs - LOOK_MS);
      else this.#signal('SIGKILL');
    });
  }

  #look(): void {
    this.#signal(0);
  }

  #signal(signal: NodeJS.Signals | 0): void {
    const pid = this.#child?.pid;
    if (this.#gone || pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // EPERM: of another user by now, and alive.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') this.#gone = true;
    }
  }
}

function howEnded(status: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `was ended by ${signal}`;
  if (status === null) return 'closed its output without an SSH identification';
  return `exited with status ${status}${status === 0 ? ' without an SSH identification' : ''}`;
}

/** `ProxyCommand "nc"`: the program alone, because arguments may hold what nobody should read. */
function programOf(command: string): string {
  const words = command.trim().split(/\s+/);
  const name = (words[0] === 'exec' ? words[1] : words[0]) ?? '';
  return `ProxyCommand "${shown(name.slice(0, 64))}"`;
}

/** On one line, control characters as escapes. */
function shown(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, (run) => {
    if (/^[\r\n]+$/.test(run)) return '; ';
    return [...run].map((char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
  });
}
