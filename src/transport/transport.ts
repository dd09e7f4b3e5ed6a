/**
 * The transport contract: how a host is reached. The engine knows this file, never SSH.
 *
 * transport   reaches hosts: native (own SSH client), openssh (the ssh binary), local (programs here), scan (host keys only)
 * connection  one way to one host, open; carries processes
 * process     one command, program or subsystem in progress on a connection
 * watch       what the engine lends to an attempt: it hears of phases, may hold the attempt back, may stop it
 */
import type { Began, Outcome, Phase, RemoteFate } from '../contracts/outcome.ts';
import type { Reached, StreamName, Target } from '../contracts/task.ts';

export type TransportName = 'native' | 'openssh' | 'local' | 'scan';

/** `open`: a session is asked for on a connection that was there; where it turns out dead, the others follow. */
export type ConnectPhase = Extract<Phase, 'dns' | 'connect' | 'handshake' | 'auth' | 'open'>;

/** The engine's side of one attempt. */
export interface Watch {
  /**
   * The attempt enters a phase. Where a promise comes back, a limit is full and the attempt must wait for it before it
   * goes on. `address` (`ip:port`) is given with `connect`, for the limit per address; `ownMs` is the host's own deadline
   * of the phase, where it has one.
   */
  enter(phase: ConnectPhase, address?: string, ownMs?: number): Promise<void> | undefined;
  /**
   * The attempt waits for something on this side (a person, a secret that is on trial elsewhere): its deadline stands still until
   * what comes back is called.
   */
  hold?(): () => void;
  /**
   * The attempt stands in a queue at what many hosts share, a jump host, until the function that comes back is called: its deadline
   * stands still, its place is no hindrance to those that the queue waits for, and the summary names what held a run back.
   */
  queues?(what: string): () => void;
  /** Set by the transport while it can be stopped; the engine calls it at most once, with the reason. */
  stop: ((reason: Error) => void) | undefined;
}

/** A terminal for a process. */
export interface Terminal {
  readonly term: string;
  readonly columns: number;
  readonly rows: number;
  /** Every byte passes as it is, and none is echoed. @default false: as the host's terminals are */
  readonly raw?: boolean;
}

/** Where output goes. */
export interface OutputSink {
  /**
   * A piece of output; `chunk` is valid only during the call. False: the consumer is full; the process stops reading
   * from the host until `RemoteProcess.resume()`.
   */
  write(stream: StreamName, chunk: Uint8Array): boolean;
}

export interface ExecOptions {
  readonly sink: OutputSink;
  /** The gate before the job may begin: called once the channel is open, awaited before the start request leaves. */
  begin(): Promise<void> | undefined;
  /** The host confirmed the start. */
  started(): void;
  /** How long output may stay silent after the status before the channel is closed, in milliseconds. */
  readonly lingerMs: number;
  /** The process gets a terminal; stderr comes with stdout then. @default none */
  readonly pty?: Terminal | undefined;
  /**
   * What `terminate` has: `program`: one of ours that a POSIX shell there runs · `signal`: TERM and the end of the channel, after
   * which nobody knows what became of it. @default 'program'
   */
  readonly ending?: 'program' | 'signal';
}

/** How a process ended. Exactly one of `status` and `signal` is set, or neither: the peer closed without a status. */
export interface ProcessEnd {
  readonly status: number | null;
  readonly signal: { readonly name: string; readonly coreDumped: boolean } | null;
  /** The status came, but something still held the output open when the linger was over. */
  readonly outputLeftOpen: boolean;
  /** The connection went down after the status and before the end of the output: some of it may be missing. */
  readonly outputCut: boolean;
}

export interface RemoteProcess {
  /** Whether it may have run. */
  readonly began: Began;
  /** Resolves when it is over by the completion rule (architecture §4); rejects with the transport's error. */
  readonly ended: Promise<ProcessEnd>;
  /** Sends stdin; false: wait for `drained()` before the next write. Copies nothing: `chunk` must stay as it is until then. */
  write(chunk: Uint8Array): boolean;
  /** Resolves when everything written has left, or the process ended. */
  drained(): Promise<void>;
  /** Ends stdin. */
  end(): void;
  /** The sink has room again. */
  resume(): void;
  /** Sends a signal by its RFC 4254 name (`TERM`); silently ignored by servers that do not take it. */
  signal(name: string): void;
  /** Its terminal has another size now; missing where none can be told. */
  resize?(columns: number, rows: number): void;
  /** Ends the process with all its children: TERM, after `graceMs` KILL; says what became of it. Never rejects. */
  terminate(graceMs: number): Promise<RemoteFate>;
}

/** What a host showed to who only looks at its keys. Plain data. */
export interface ShownKeys {
  /** Under what its keys are known: HostKeyAlias, else name and port. */
  readonly name: string;
  readonly port: number;
  /** `known`: by a line of known_hosts, or by what stands in for one · `certificate`: an authority that is known vouches for it. */
  readonly trusted: 'no' | 'known' | 'certificate';
  /** Plain keys that are not known, each proven by its signature; base64. None where it is trusted. */
  readonly keys: readonly { readonly type: string; readonly blob: string }[];
  /** Whether its SSHFP records have these keys; `secure`: validated by DNSSEC. */
  readonly sshfp: 'match' | 'secure' | 'none';
}

export interface Connection {
  readonly reached: Reached;
  /** Of the transport `scan`, which logs in nowhere and starts nothing. */
  readonly shown?: ShownKeys;
  /** Starts a command: a line for the host's shell (native, openssh), or program and arguments without a shell (local). */
  exec(command: string | readonly string[], options: ExecOptions): RemoteProcess;
  /** It is not needed any more: says goodbye and lets the peer close first, or is kept for the next task. Returns at once. */
  close(): void;
  /** Drops it now. */
  destroy(reason: Error): void;
}

export interface ConnectOptions {
  /**
   * A session will be wanted at once: it may be asked for together with the authentication, or on a connection that is there from
   * an earlier task. False: it is the login that is wanted.
   */
  readonly session: boolean;
  /** The job's options, for a transport that is made for one kind of job. */
  readonly job?: unknown;
}

export interface Transport {
  readonly name: TransportName;
  /** Resolves authenticated and verified; rejects with the transport's own error, to be given to `classify`. */
  connect(target: Target, watch: Watch, options: ConnectOptions): Promise<Connection>;
  /** Turns an error of connect, exec or a process into an outcome: the only place that does. */
  classify(error: unknown, began: Began): Outcome;
  /** Closes what it holds; connections that are open go down. */
  close(): Promise<void>;
}
