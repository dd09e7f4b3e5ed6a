/**
 * A session channel of the client half (RFC 4254 §6) that runs one command.
 *
 *   opening ──opened──▶ idle ──exec + gate──▶ starting ──success──▶ running ──status, then CLOSE or linger──▶ ended
 *   any ──refused, connection lost──▶ ended
 *
 * When it is over: exit-status or exit-signal fixes how it ended; DATA, EOF, status and CLOSE come in any order that RFC
 * 4254 allows. sshd closes the channel only when every holder of the command's stdout is gone, so once the status is
 * here the session waits `lingerMs` without data, closes the channel itself, and says so.
 */
import type { Began } from '../contracts/outcome.ts';
import type { Channel, ChannelUser } from './channel.ts';
import { printable, SshError } from './errors.ts';
import { type SessionRequests, sendSessionRequests, sendWindowChange } from './session_requests.ts';
import type { TransportLayer } from './transport.ts';
import type { Reader } from './wire.ts';

export interface SessionOptions {
  /** `extended`: 0 for stdout, 1 for stderr. False: hold the window shut until `resume`. */
  data(extended: number, chunk: Buffer): boolean;
  /** The gate before the exec request leaves. */
  begin(): Promise<void> | undefined;
  /** The server confirmed the request. */
  started(): void;
  readonly lingerMs: number;
  /** What else is asked for, before the command. */
  readonly requests?: SessionRequests;
}

export interface SessionEnd {
  readonly status: number | null;
  readonly signal: { readonly name: string; readonly coreDumped: boolean } | null;
  /** The linger was over before the output was. */
  readonly outputLeftOpen: boolean;
  /** The connection went down after the status and before the end of the output. */
  readonly outputCut: boolean;
}

type SetTimer = (delayMs: number, callback: () => void) => { cancel(): void };

type SessionMode = 'opening' | 'idle' | 'starting' | 'running' | 'ended';

export class Session implements ChannelUser {
  readonly #transport: TransportLayer;
  readonly #setTimer: SetTimer;
  #channel!: Channel;
  #mode: SessionMode = 'opening';
  #command: string | undefined;
  #options: SessionOptions | undefined;
  #status: number | null = null;
  #signal: SessionEnd['signal'] = null;
  #eof = false;
  #linger: { cancel(): void } | undefined;
  #early: Uint8Array[] = [];
  #endWanted = false;
  /** Of the terminal, where it has changed before the command started. */
  #size: { readonly columns: number; readonly rows: number } | undefined;
  #failure: SshError | undefined;
  #whenOpen: ((error: unknown) => void) | undefined;
  #drained: (() => void)[] = [];
  readonly #ended = Promise.withResolvers<SessionEnd>();
  began: Began = 'no';

  constructor(transport: TransportLayer, setTimer: SetTimer) {
    this.#transport = transport;
    this.#setTimer = setTimer;
    // Nobody may be listening yet when the connection goes down.
    this.#ended.promise.catch(() => {});
  }

  /** Called once by the client, before anything else. */
  attach(channel: Channel): void {
    this.#channel = channel;
  }

  get ended(): Promise<SessionEnd> {
    return this.#ended.promise;
  }

  get over(): boolean {
    return this.#mode === 'ended';
  }

  /** Calls back once: the channel is open, or, with the error, never will be. To be asked for before either. */
  whenOpen(callback: (error: unknown) => void): void {
    this.#whenOpen = callback;
  }

  /** Asks for the command as soon as the channel is open; at most once. */
  exec(command: string, options: SessionOptions): void {
    this.#command = command;
    this.#options = options;
    if (this.#mode === 'idle') this.#pass();
  }

  opened(): void {
    this.#mode = 'idle';
    this.#tellOpen(undefined);
    if (this.#options) this.#pass();
  }

  openFailed(error: SshError): void {
    this.#finish(error);
  }

  #tellOpen(error: unknown): void {
    const tell = this.#whenOpen;
    this.#whenOpen = undefined;
    tell?.(error);
  }

  /** Through the gate; nothing has begun until it opens. */
  #pass(): void {
    let gate: Promise<void> | undefined;
    try {
      gate = this.#options!.begin();
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (gate === undefined) this.#start();
    else
      gate.then(
        () => this.#start(),
        (error) => this.#refuse(error),
      );
  }

  #refuse(error: unknown): void {
    this.#channel.close();
    this.#transport.flush();
    this.#finish(error);
  }

  #start(): void {
    if (this.#mode !== 'idle') return;
    this.#mode = 'starting';
    this.began = 'maybe';
    const { requests } = this.#options!;
    if (requests !== undefined) this.#ask(requests);
    this.#channel.request('exec', true).text(this.#command!);
    this.#channel.sendRequest();
    for (const chunk of this.#early) this.#channel.write(chunk);
    this.#early = [];
    if (this.#channel.waiting === 0) this.drained();
    if (this.#endWanted) this.#channel.end();
    // Stdin, or its end, mostly follows in the same turn.
    queueMicrotask(() => this.#transport.flush());
  }

  #ask(requests: SessionRequests): void {
    const { pty } = requests;
    const resized = pty && this.#size ? { ...requests, pty: { ...pty, ...this.#size } } : requests;
    sendSessionRequests(this.#channel, resized);
  }

  reply(success: boolean): void {
    if (this.#mode !== 'starting') return;
    if (!success) {
      this.began = 'no';
      this.#refuse(new SshError('request-refused', 'the server refused the command', { request: 'exec' }));
      return;
    }
    this.#mode = 'running';
    this.began = 'yes';
    this.#options!.started();
  }

  data(extended: number, chunk: Buffer): boolean {
    if (!this.#options) return true;
    this.#alive();
    if (this.#linger) this.#rearm();
    // RFC 4254 defines stderr (1) only; other types are dropped.
    if (extended > 1) return true;
    return this.#options.data(extended, chunk);
  }

  /** Output or a status proves that the command runs, whatever the order of the messages. */
  #alive(): void {
    if (this.began !== 'yes') this.began = 'yes';
  }

  eof(): void {
    this.#eof = true;
  }

  request(name: string, wantReply: boolean, reader: Reader): void {
    if (name === 'exit-status') {
      this.#alive();
      this.#status = reader.uint32();
      this.#rearm();
    } else if (name === 'exit-signal') {
      this.#alive();
      this.#signal = { name: printable(reader.text().slice(0, 32)), coreDumped: reader.boolean() };
      this.#rearm();
    }
    if (wantReply) this.#channel.answer(name === 'exit-status' || name === 'exit-signal');
  }

  #rearm(): void {
    this.#linger?.cancel();
    this.#linger = this.#setTimer(this.#options?.lingerMs ?? 0, () => {
      this.#channel.close();
      this.#transport.flush();
      this.#settle(!this.#eof, false);
    });
  }

  closed(error: SshError | undefined): void {
    const known = this.#status !== null || this.#signal !== null;
    if (error !== undefined && !known) this.#finish(this.#failure ?? error);
    else this.#settle(false, error !== undefined && !this.#eof);
  }

  #settle(outputLeftOpen: boolean, outputCut: boolean): void {
    if (this.#mode === 'ended') return;
    this.#over();
    const status = this.#signal ? null : this.#status;
    this.#ended.resolve({ status, signal: this.#signal, outputLeftOpen, outputCut });
  }

  #finish(error: unknown): void {
    if (this.#mode === 'ended') return;
    this.#over();
    this.#tellOpen(error);
    this.#ended.reject(error);
  }

  #over(): void {
    this.#mode = 'ended';
    this.#linger?.cancel();
    this.#early = [];
    this.drained();
  }

  /** Sends stdin; keeps `chunk` until it left. False: wait for `whenDrained`. */
  write(chunk: Uint8Array): boolean {
    if (this.#mode === 'ended') return true;
    if (this.#mode === 'opening' || this.#mode === 'idle') {
      this.#early.push(chunk);
      return false;
    }
    const more = this.#channel.write(chunk);
    this.#transport.flush();
    return more;
  }

  /** Resolves when all of stdin has left, or the session ended. */
  whenDrained(): Promise<void> {
    if (this.#mode === 'ended') return Promise.resolve();
    const started = this.#mode === 'starting' || this.#mode === 'running';
    if (started && this.#channel.waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  drained(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const resolve of waiting) resolve();
  }

  /** Ends stdin. */
  end(): void {
    this.#endWanted = true;
    if (this.#mode !== 'starting' && this.#mode !== 'running') return;
    this.#channel.end();
    queueMicrotask(() => this.#transport.flush());
  }

  /** The sink has room again. */
  resume(): void {
    this.#channel.resume();
  }

  /** Sends a signal by its RFC 4254 name, without `SIG`. */
  signal(name: string): void {
    if (this.#mode !== 'running' && this.#mode !== 'starting') return;
    this.#channel.request('signal', false).text(name);
    this.#channel.sendRequest();
    this.#transport.flush();
  }

  /** The terminal asked for has another size now. */
  resize(columns: number, rows: number): void {
    if (this.#mode === 'opening' || this.#mode === 'idle') this.#size = { columns, rows };
    if ((this.#mode !== 'running' && this.#mode !== 'starting') || !this.#options?.requests?.pty) return;
    sendWindowChange(this.#channel, columns, rows);
    this.#transport.flush();
  }

  /** Stops waiting: closes the channel; `ended` rejects with `error`. */
  abandon(error: SshError): void {
    if (this.#mode === 'ended') return;
    this.#failure = error;
    this.#channel.close();
    this.#transport.flush();
    this.#finish(error);
  }
}
