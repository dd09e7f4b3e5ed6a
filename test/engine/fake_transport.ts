/**
 * A transport whose hosts do what their name says: `exit-3.17` is host 17 of those that exit with status 3. Names are
 * data, so that every executor can meet the same hosts.
 *
 *   ok · exit-N · signal-NAME · no-status · left-open · cut · slow-MS (runs so long) · flood-N (N pieces of 1 KiB)
 *   silent-dns, -connect, -handshake, -auth, -open, -command (starts, then nothing) · shy (never names a phase)
 *   unreachable-CAUSE · throttled-N, reset-N (so many times, then ok) · auth-failed · host-key · refused-session
 *   barred-MS (lets nobody in until then) · startups-N (lets no more than N in at once, each for 50 ms), in the same words
 *   emfile-N (so many times, then ok) · crowded-N (no room for its session so many times) · login-MS (takes so long)
 *   protocol · protocol-late · lost · error · late-MS (identification comes so late)
 *   drip-N (a piece each 500 ms) · reset-open (the first time, before it began) · liar (says so although it began)
 *   sly (silent, and says it was throttled when it is stopped) · deaf-MS (begins so late, terminate hangs)
 *   behind-MS (behind a jump host that lets two log in at once; identification comes so late)
 *   ask-MS (its login waits so long for somebody on this side, then takes 20 s of the host's own)
 *   throw-connect · throw-exec · twice (settles more than once) · stubborn (cannot be ended) · deaf (terminate hangs)
 */

import type { Clock } from '../../src/contracts/limits.ts';
import type { Began, Outcome, RemoteFate } from '../../src/contracts/outcome.ts';
import type { Reached, Target } from '../../src/contracts/task.ts';
import { JumpPlaces } from '../../src/transport/native/jump_places.ts';
import type {
  Connection,
  ConnectPhase,
  ExecOptions,
  ProcessEnd,
  RemoteProcess,
  Transport,
  Watch,
} from '../../src/transport/transport.ts';

/** The fake's own error: carries its outcome. */
class FakeError extends Error {
  readonly outcome: (began: Began) => Outcome;

  constructor(outcome: (began: Began) => Outcome) {
    super('fake');
    this.outcome = outcome;
  }
}

/** How many there are, and the most there ever were. */
export class Gauge {
  now = 0;
  most = 0;

  up(): void {
    this.now += 1;
    this.most = Math.max(this.most, this.now);
  }

  down(): void {
    this.now -= 1;
  }
}

const END: ProcessEnd = { status: 0, signal: null, outputLeftOpen: false, outputCut: false };

export class FakeTransport implements Transport {
  readonly name = 'native';
  readonly clock: Clock;
  readonly sockets = new Gauge();
  readonly handshakes = new Gauge();
  readonly processes = new Gauge();
  readonly unauthenticated = new Map<string, Gauge>();
  /** Connect attempts per host name. */
  readonly attempts = new Map<string, number>();
  /** Every command that left for a host, as `name: command`. */
  readonly commands: string[] = [];
  readonly terminated: string[] = [];
  readonly stdin: string[] = [];
  /** At the jump host of those behind it. */
  readonly jump = new JumpPlaces(2);

  constructor(clock: Clock) {
    this.clock = clock;
  }

  connect(target: Target, watch: Watch): Promise<Connection> {
    const [script, argument] = parse(target.name);
    this.attempts.set(target.name, (this.attempts.get(target.name) ?? 0) + 1);
    if (script === 'throw' && argument === 'connect') throw new Error('thrown by connect');
    if (script === 'twice') {
      return new Promise((resolve, reject) => {
        reject(new FakeError(() => unreachable('refused')));
        reject(new Error('again'));
        resolve(new FakeConnection(this, target, 'ok', ''));
      });
    }
    if (script === 'shy') return new Promise(() => {});
    return new Dial(this, target, watch, script, argument).run();
  }

  classify(error: unknown, began: Began): Outcome {
    if (error instanceof FakeError) return error.outcome(began);
    return { kind: 'error', began, code: 'fake', message: error instanceof Error ? error.message : String(error) };
  }

  async close(): Promise<void> {}

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(ms, resolve));
  }

  address(target: Target): string {
    return `${target.port === undefined ? target.name : 'shared'}:22`;
  }
}

function parse(name: string): [script: string, argument: string] {
  const [behaviour = ''] = name.split('.');
  const dash = behaviour.indexOf('-');
  return dash === -1 ? [behaviour, ''] : [behaviour.slice(0, dash), behaviour.slice(dash + 1)];
}

type FakeCause = 'dns' | 'refused' | 'no-route' | 'reset' | 'local-limit' | 'throttled';

function unreachable(cause: FakeCause, message = `fake ${cause}`): Outcome {
  return { kind: 'unreachable', began: 'no', cause, message };
}

/** One attempt to connect. */
class Dial {
  readonly #transport: FakeTransport;
  readonly #target: Target;
  readonly #watch: Watch;
  readonly #script: string;
  readonly #argument: string;
  readonly #stopped: Promise<never>;
  #undo: (() => void)[] = [];

  constructor(transport: FakeTransport, target: Target, watch: Watch, script: string, argument: string) {
    this.#transport = transport;
    this.#target = target;
    this.#watch = watch;
    this.#script = script;
    this.#argument = argument;
    this.#stopped = new Promise<never>((_, reject) => {
      watch.stop = (reason) => {
        this.#clear();
        reject(script === 'sly' ? new FakeError(() => unreachable('throttled')) : reason);
      };
    });
    this.#stopped.catch(() => {});
  }

  async run(): Promise<Connection> {
    try {
      await Promise.race([this.#phases(), this.#stopped]);
    } catch (error) {
      this.#clear();
      throw error;
    }
    this.#watch.stop = undefined;
    const [socket, ...rest] = this.#undo;
    for (const undo of rest) undo();
    this.#undo = [];
    return new FakeConnection(this.#transport, this.#target, this.#script, this.#argument, socket);
  }

  async #phases(): Promise<void> {
    const transport = this.#transport;
    // The jump host resolves the names of those behind it.
    if (this.#script === 'behind') await this.#queue();
    else await this.#enter('dns', undefined);
    const address = transport.address(this.#target);
    await this.#enter('connect', () => transport.sockets.down(), address);
    transport.sockets.up();
    if (this.#script === 'behind') this.#undo.push(() => transport.jump.release());
    this.#countUnauthenticated(address);
    this.#fail();
    const { clock, unauthenticated } = transport;
    const barred = this.#script === 'barred' && clock.now() < Number(this.#argument);
    if (barred || (this.#script === 'startups' && unauthenticated.get(address)!.now > Number(this.#argument))) {
      throw new FakeError(() => unreachable('throttled', 'hung up, saying "Not allowed at this time"'));
    }
    if (this.#script === 'startups') await transport.sleep(50);
    if (this.#script === 'late' || this.#script === 'behind') await transport.sleep(Number(this.#argument));
    await this.#enter('handshake', () => transport.handshakes.down());
    transport.handshakes.up();
    await this.#enter('auth', () => {});
    if (this.#script === 'ask') await this.#ask();
    if (this.#script === 'login') await transport.sleep(Number(this.#argument));
    if (this.#script === 'auth') {
      throw new FakeError(() => ({ kind: 'auth-failed', began: 'no', tried: ['key'], allowed: ['password'] }));
    }
  }

  async #queue(): Promise<void> {
    const { jump } = this.#transport;
    const turnCame = this.#watch.queues!('jump host b1');
    const turn = jump.take();
    if (turn instanceof Promise) await turn;
    turnCame();
  }

  async #ask(): Promise<void> {
    await this.#transport.sleep(5_000);
    const goOn = this.#watch.hold!();
    await this.#transport.sleep(Number(this.#argument));
    goOn();
    await this.#transport.sleep(20_000);
  }

  async #enter(phase: ConnectPhase, undo: (() => void) | undefined, address?: string): Promise<void> {
    await this.#watch.enter(phase, address);
    if (undo !== undefined) this.#undo.push(undo);
    const silent = this.#script === 'silent' && this.#argument === phase;
    if (!silent && !(this.#script === 'sly' && phase === 'connect')) return;
    // What was entered is held: the silent host keeps its socket.
    if (phase === 'handshake') this.#transport.handshakes.up();
    if (phase === 'connect') this.#transport.sockets.up();
    await this.#stopped;
  }

  #countUnauthenticated(address: string): void {
    const gauge = this.#transport.unauthenticated.get(address) ?? new Gauge();
    this.#transport.unauthenticated.set(address, gauge);
    gauge.up();
    this.#undo.push(() => gauge.down());
  }

  /** Ends where the script says so before the identification. */
  #fail(): void {
    const times = this.#transport.attempts.get(this.#target.name) ?? 0;
    const cause = this.#argument as 'refused';
    if (this.#script === 'unreachable') throw new FakeError(() => unreachable(cause));
    if (this.#script === 'throttled' && times <= Number(this.#argument)) {
      throw new FakeError(() => unreachable('throttled'));
    }
    if (this.#script === 'reset' && times <= Number(this.#argument)) throw new FakeError(() => unreachable('reset'));
    if (this.#script === 'emfile' && times <= Number(this.#argument)) {
      throw new FakeError(() => unreachable('local-limit', 'connect EMFILE 10.0.0.1:22'));
    }
    if (this.#script === 'host') {
      const fingerprint = 'SHA256:fake';
      const outcome = { kind: 'host-key', began: 'no', cause: 'unknown', keyType: 'ssh-ed25519' } as const;
      throw new FakeError(() => ({ ...outcome, fingerprint, advice: 'trust it' }));
    }
  }

  #clear(): void {
    for (const undo of this.#undo) undo();
    this.#undo = [];
  }
}

class FakeConnection implements Connection {
  readonly reached: Reached;
  readonly #transport: FakeTransport;
  readonly #target: Target;
  readonly #script: string;
  readonly #argument: string;
  #socket: (() => void) | undefined;
  #process: FakeProcess | undefined;

  constructor(transport: FakeTransport, target: Target, script: string, argument: string, socket?: () => void) {
    this.#transport = transport;
    this.#target = target;
    this.#script = script;
    this.#argument = argument;
    this.#socket = socket;
    this.reached = {
      transport: 'native',
      address: target.name,
      port: 22,
      fingerprint: 'SHA256:fake',
      software: 'Fake_1',
    };
  }

  exec(command: string | readonly string[], options: ExecOptions): RemoteProcess {
    if (this.#script === 'throw') throw new Error('thrown by exec');
    const line = typeof command === 'string' ? command : command.join(' ');
    this.#process = new FakeProcess(this.#transport, this.#target, this.#script, this.#argument, line, options);
    return this.#process;
  }

  close(): void {
    this.#socket?.();
    this.#socket = undefined;
  }

  destroy(reason: Error): void {
    this.close();
    this.#process?.fail(reason);
  }
}

class FakeProcess implements RemoteProcess {
  began: Began = 'no';
  readonly ended: Promise<ProcessEnd>;
  readonly #transport: FakeTransport;
  readonly #target: Target;
  readonly #script: string;
  readonly #argument: string;
  readonly #options: ExecOptions;
  #resolve!: (end: ProcessEnd) => void;
  #reject!: (error: unknown) => void;
  #over = false;
  #room: (() => void) | undefined;
  #written = 0;

  constructor(
    transport: FakeTransport,
    target: Target,
    script: string,
    argument: string,
    line: string,
    options: ExecOptions,
  ) {
    this.#transport = transport;
    this.#target = target;
    this.#script = script;
    this.#argument = argument;
    this.#options = options;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.ended.catch(() => {});
    transport.processes.up();
    this.#live(line).catch((error: unknown) => this.fail(error));
  }

  write(chunk: Uint8Array): boolean {
    this.#transport.stdin.push(Buffer.from(chunk).toString());
    this.#written += chunk.length;
    return this.#written < 100_000;
  }

  drained(): Promise<void> {
    this.#written = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }

  end(): void {
    this.#transport.stdin.push('<end>');
  }

  resume(): void {
    this.#room?.();
    this.#room = undefined;
  }

  signal(): void {}

  async terminate(graceMs: number): Promise<RemoteFate> {
    this.#transport.terminated.push(this.#target.name);
    if (this.#script === 'deaf') return new Promise(() => {});
    if (this.#script === 'stubborn') await this.#transport.sleep(graceMs);
    if (this.began === 'no') return 'none';
    this.fail(new Error('terminated'));
    return this.#script === 'stubborn' ? 'left-running' : 'killed';
  }

  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#transport.processes.down();
    this.#reject(error);
  }

  async #live(line: string): Promise<void> {
    if (this.#script === 'refused') {
      throw new FakeError(() => ({ kind: 'refused', began: 'no', what: 'session', reason: 'no more sessions' }));
    }
    if (this.#script === 'crowded' && this.#transport.attempts.get(this.#target.name)! <= Number(this.#argument)) {
      const reason = 'connect failed: open failed';
      throw new FakeError(() => ({ kind: 'refused', began: 'no', what: 'session', reason }));
    }
    if (this.#script === 'protocol' && this.#argument === '') throw new FakeError((began) => protocol(began));
    if (this.#silent('open')) return;
    const attempts = this.#transport.attempts.get(this.#target.name);
    if (this.#script === 'reset' && this.#argument === 'open' && attempts === 1) throw lost();
    if (this.#script === 'deaf' && this.#argument !== '') await this.#transport.sleep(Number(this.#argument));
    await this.#options.begin();
    if (this.#over) return;
    this.began = 'maybe';
    this.#transport.commands.push(`${this.#target.name}: ${line}`);
    if (this.#script === 'lost' && this.#argument === 'maybe') throw lost();
    await Promise.resolve();
    this.began = 'yes';
    this.#options.started();
    if (this.#script === 'lost') throw lost();
    if (this.#script === 'liar') throw new FakeError(() => unreachable('reset'));
    if (this.#script === 'protocol') throw new FakeError((began) => protocol(began));
    if (this.#silent('command') || this.#script === 'stubborn' || this.#script === 'deaf') return;
    if (this.#script === 'slow') await this.#transport.sleep(Number(this.#argument));
    await this.#output();
    this.#end();
  }

  #silent(phase: string): boolean {
    return this.#script === 'silent' && this.#argument === phase;
  }

  async #output(): Promise<void> {
    const drips = this.#script === 'drip';
    const pieces = drips || this.#script === 'flood' ? Number(this.#argument) : 1;
    const piece = Buffer.from(this.#script === 'flood' ? 'x'.repeat(1024) : `out of ${this.#target.name}\n`);
    for (let i = 0; i < pieces && !this.#over; i++) {
      if (drips) await this.#transport.sleep(500);
      const room = this.#options.sink.write(i % 2 === 0 ? 'stdout' : 'stderr', piece);
      if (!room) {
        await new Promise<void>((resolve) => {
          this.#room = resolve;
        });
      }
    }
    // The engine must have copied what it keeps.
    piece.fill(0);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#transport.processes.down();
    const signal = this.#script === 'signal' ? { name: this.#argument, coreDumped: true } : null;
    const exits = this.#script === 'exit' ? Number(this.#argument) : 0;
    const status = signal !== null || this.#script === 'no' ? null : exits;
    const outputLeftOpen = this.#script === 'left';
    this.#resolve({ ...END, status, signal, outputLeftOpen, outputCut: this.#script === 'cut' });
  }
}

function lost(): FakeError {
  return new FakeError((began) =>
    began === 'no' ? unreachable('reset') : { kind: 'lost', began, cause: 'peer-closed', message: 'fake lost' },
  );
}

function protocol(began: Began): Outcome {
  return { kind: 'protocol', began, message: 'expected something else' };
}
