/** A session channel of the server half: takes one exec request and carries its streams, status and signal. */
import type { Channel, ChannelUser } from './channel.ts';
import type { TransportLayer } from './transport.ts';
import type { Reader } from './wire.ts';

/** What runs in a session. */
export interface ServerCommand {
  /** Starts it: the client was told that it runs. */
  run(): void;
  /** stdin; false holds it back until `ServerSession.resume`. */
  stdin(chunk: Buffer): boolean;
  stdinEnd(): void;
  /** A signal by its RFC 4254 name. */
  signal(name: string): void;
  /** What was written has left. */
  drained(): void;
  /** The client is gone: nothing that is written arrives any more. */
  gone(): void;
}

/** Starts a command line; undefined refuses it. */
export type StartCommand = (line: string, session: ServerSession) => ServerCommand | undefined;

export class ServerSession implements ChannelUser {
  readonly #transport: TransportLayer;
  readonly #channel: Channel;
  readonly #start: StartCommand;
  readonly #ended: () => void;
  #command: ServerCommand | undefined;
  #over = false;
  #last: (() => void) | undefined;

  constructor(transport: TransportLayer, channel: Channel, start: StartCommand, ended: () => void) {
    this.#transport = transport;
    this.#channel = channel;
    this.#start = start;
    this.#ended = ended;
  }

  opened(): void {}
  openFailed(): void {}
  reply(): void {}

  request(name: string, wantReply: boolean, reader: Reader): void {
    if (name === 'signal') {
      this.#command?.signal(reader.text().slice(0, 32));
      return;
    }
    if (name === 'env' || name === 'pty-req' || name === 'window-change') {
      // What it sets is of no meaning here; RFC 4254 allows it before the command, and a new size at any time.
      const valid = name === 'window-change' || this.#command === undefined;
      readPreparation(name, reader);
      if (wantReply) this.#channel.answer(valid);
      return;
    }
    const starts = name === 'exec' && this.#command === undefined;
    if (starts) this.#command = this.#start(reader.text(), this);
    const success = starts && this.#command !== undefined;
    if (wantReply) this.#channel.answer(success);
    if (starts) this.#command?.run();
  }

  data(_extended: number, chunk: Buffer): boolean {
    return this.#command ? this.#command.stdin(chunk) : true;
  }

  eof(): void {
    this.#command?.stdinEnd();
  }

  drained(): void {
    if (this.#last) this.#finish(this.#last);
    else this.#command?.drained();
  }

  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#command?.gone();
    this.#ended();
  }

  /** Takes more stdin. */
  resume(): void {
    this.#channel.resume();
  }

  /** False: wait for `drained`. */
  write(bytes: Uint8Array, stderr = false): boolean {
    const more = this.#channel.write(bytes, stderr ? 1 : 0);
    this.#transport.flush();
    return more;
  }

  /** When what was written has left: sends EOF, the status, and closes. */
  exit(status: number): void {
    this.#end(() => this.#channel.request('exit-status', false).uint32(status));
  }

  /** As `exit`, but ended by a signal. */
  exitSignal(name: string): void {
    this.#end(() => this.#channel.request('exit-signal', false).text(name).boolean(false).text('').text(''));
  }

  #end(last: () => void): void {
    if (this.#over || this.#last) return;
    this.#last = last;
    if (this.#channel.waiting === 0) this.#finish(last);
  }

  #finish(last: () => void): void {
    this.#channel.end();
    last();
    this.#channel.sendRequest();
    this.close();
  }

  /** Closes the channel, without a status where none was sent. */
  close(): void {
    this.#channel.close();
    this.#transport.flush();
  }
}

/** Reads a request's fields, so that one that is cut short is told from a whole one. Throws `protocol`. */
function readPreparation(name: 'env' | 'pty-req' | 'window-change', reader: Reader): void {
  if (name === 'window-change') {
    reader.raw(16);
    return;
  }
  reader.string();
  if (name === 'pty-req') reader.raw(16);
  reader.string();
}
