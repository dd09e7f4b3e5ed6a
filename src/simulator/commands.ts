/**
 * What simulated hosts answer: a small table, no shell and no real command. Answers differ per host where real ones
 * would. Understood: one simple command, words with '…' and "…", and `;` or `&&` between several.
 */
import { createHash, type Hash } from 'node:crypto';
import { BOOTSTRAP } from '../jobs/shell_program.ts';
import type { ServerCommand, ServerSession } from '../ssh/server_session.ts';
import { KILL_COMMAND } from '../transport/kill.ts';
import { ProgramCommand } from './shell_program.ts';

/** The host that a command runs on. */
export interface SimulatedHost {
  readonly index: number;
  readonly address: string;
  /** Ends what else runs on this connection; gives how many there were. */
  killOthers(): number;
}

type SetTimer = (delayMs: number, callback: () => void) => { cancel(): void };

/** Output is written in pieces of this size, as the client's window allows. */
const PIECE = 32 * 1024;
const HUGE = 8 * 1024 * 1024;

/** What a program gives: output at once or `bytes` of a repeated pattern, after `delayMs`, then its status. */
interface Answer {
  readonly text?: string;
  readonly stderr?: string;
  readonly repeat?: { readonly pattern: Buffer; readonly bytes: number };
  readonly delayMs?: number;
  readonly status?: number;
}

type Program = (words: readonly string[], host: SimulatedHost) => Answer;

const PROGRAMS: Readonly<Record<string, Program>> = {
  echo: (words) => ({ text: `${words.slice(1).join(' ')}\n` }),
  hostname: (_words, host) => ({ text: `sim-${host.index}\n` }),
  uptime: (_words, host) => ({ text: uptime(host.index) }),
  uname: () => ({ text: 'Linux\n' }),
  cat: (words, host) => ({ text: words[1] === '/etc/debian_version' ? debianVersion(host.index) : '' }),
  true: () => ({}),
  ':': () => ({}),
  false: () => ({ status: 1 }),
  exit: (words) => ({ status: Number(words[1] ?? 0) & 0xff }),
  sleep: (words) => ({ delayMs: Math.max(0, Number(words[1] ?? 0)) * 1000 }),
  yes: (words) => ({ repeat: { pattern: Buffer.from('y\n'), bytes: 2 * (Number(words[1]) || 1000) } }),
};

function uptime(index: number): string {
  const days = 1 + (index % 7);
  return ` 12:00:00 up ${days} days,  0 users,  load average: 0.0${index % 10}, 0.01, 0.00\n`;
}

/** Most are up to date; some racks of 256 are not, and a few hosts were forgotten. */
function debianVersion(index: number): string {
  if (index % 997 === 7) return '11.11\n';
  return (index >> 8) % 10 === 3 ? '12.10\n' : '12.11\n';
}

/** Words of one line; `;` and `&&` are words of their own. */
function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/;|&&|(?:'[^']*'|"[^"]*"|[^\s;&'"]|&(?!&))+/g)) {
    words.push(match[0].replace(/'([^']*)'|"([^"]*)"/g, (_all, single, double) => single ?? double));
  }
  return words;
}

/** A line's answers, in order. */
function answers(line: string, host: SimulatedHost): Answer[] {
  const found: Answer[] = [];
  let words: string[] = [];
  const finish = () => {
    if (words.length > 0) found.push(run(words, host));
    words = [];
  };
  for (const word of splitWords(line)) {
    if (word === ';' || word === '&&') finish();
    else words.push(word);
  }
  finish();
  return found;
}

function run(words: string[], host: SimulatedHost): Answer {
  const toStderr = words.at(-1) === '>&2' || words.at(-1) === '1>&2';
  const program = PROGRAMS[words[0]!];
  if (!program) return { text: 'a simulated host runs no real command\n' };
  const answer = program(toStderr ? words.slice(0, -1) : words, host);
  return toStderr && answer.text !== undefined ? { ...answer, text: '', stderr: answer.text } : answer;
}

/** How a command of a host with a fault ends. */
export type CommandFault = 'exit-1' | 'killed' | 'no-status' | 'lost' | 'huge' | undefined;

export interface CommandTools {
  readonly setTimer: SetTimer;
  /** What sudo takes; undefined: anything. */
  readonly sudoPassword?: string | undefined;
  cut(): void;
}

/** Starts a command line. `cut` drops the connection, for the fault `lost`. */
export function startCommand(
  line: string,
  session: ServerSession,
  host: SimulatedHost,
  fault: CommandFault,
  tools: CommandTools,
): ServerCommand {
  if (line === KILL_COMMAND) return new KillCommand(session, host);
  if (line === BOOTSTRAP) {
    return new ProgramCommand(session, {
      sudoPassword: tools.sudoPassword,
      start: (command) =>
        command === undefined ? new KillCommand(session, host) : startCommand(command, session, host, fault, tools),
    });
  }
  if (fault === undefined && (line === 'cat' || line === 'sha256sum')) return new StdinCommand(session, line);
  return new TableCommand(line, session, host, fault, tools);
}

class TableCommand implements ServerCommand {
  readonly #session: ServerSession;
  readonly #fault: CommandFault;
  readonly #tools: { readonly setTimer: SetTimer; cut(): void };
  readonly #answers: Answer[];
  #repeat: { pattern: Buffer; left: number } | undefined;
  #timer: { cancel(): void } | undefined;
  #status = 0;
  #over = false;

  constructor(
    line: string,
    session: ServerSession,
    host: SimulatedHost,
    fault: CommandFault,
    tools: { readonly setTimer: SetTimer; cut(): void },
  ) {
    this.#session = session;
    this.#fault = fault;
    this.#tools = tools;
    const huge: Answer = { repeat: { pattern: Buffer.from('0123456789abcdef\n'), bytes: HUGE } };
    this.#answers = fault === 'huge' ? [huge] : answers(line, host);
  }

  run(): void {
    if (this.#fault === 'lost') {
      this.#session.write(Buffer.from('half a li'));
      this.#tools.cut();
      return;
    }
    this.#next();
  }

  #next(): void {
    if (this.#over) return;
    const answer = this.#answers.shift();
    if (!answer) {
      this.#end();
      return;
    }
    this.#timer = answer.delayMs ? this.#tools.setTimer(answer.delayMs, () => this.#give(answer)) : undefined;
    if (!this.#timer) this.#give(answer);
  }

  #give(answer: Answer): void {
    if (this.#over) return;
    this.#status = answer.status ?? 0;
    if (answer.text) this.#session.write(Buffer.from(answer.text));
    if (answer.stderr) this.#session.write(Buffer.from(answer.stderr), true);
    if (answer.repeat) {
      this.#repeat = { pattern: answer.repeat.pattern, left: answer.repeat.bytes };
      this.#pump();
      return;
    }
    this.#next();
  }

  /** Writes until the client's window is full; `drained` goes on. */
  #pump(): void {
    const repeat = this.#repeat!;
    while (repeat.left > 0) {
      const size = Math.min(PIECE, repeat.left);
      const piece = Buffer.alloc(size, repeat.pattern);
      repeat.left -= size;
      // Pieces must join seamlessly: the pattern goes on where the last piece ended.
      const shift = size % repeat.pattern.length;
      repeat.pattern = Buffer.concat([repeat.pattern.subarray(shift), repeat.pattern.subarray(0, shift)]);
      if (!this.#session.write(piece)) return;
    }
    this.#repeat = undefined;
    this.#next();
  }

  #end(): void {
    this.#over = true;
    if (this.#fault === 'killed') this.#session.exitSignal('KILL');
    else if (this.#fault === 'no-status') this.#session.close();
    else this.#session.exit(this.#fault === 'exit-1' ? 1 : this.#status);
  }

  signal(name: string): void {
    if (this.#over) return;
    this.gone();
    this.#session.exitSignal(name);
  }

  stdin(): boolean {
    return true;
  }

  stdinEnd(): void {}

  drained(): void {
    if (this.#repeat && !this.#over) this.#pump();
  }

  gone(): void {
    this.#over = true;
    this.#repeat = undefined;
    this.#timer?.cancel();
  }
}

/** `cat` gives stdin back; `sha256sum` its hash. */
class StdinCommand implements ServerCommand {
  readonly #session: ServerSession;
  readonly #hash: Hash | undefined;

  constructor(session: ServerSession, line: string) {
    this.#session = session;
    this.#hash = line === 'sha256sum' ? createHash('sha256') : undefined;
  }

  run(): void {}

  stdin(chunk: Buffer): boolean {
    if (this.#hash) {
      this.#hash.update(chunk);
      return true;
    }
    return this.#session.write(Buffer.from(chunk));
  }

  stdinEnd(): void {
    if (this.#hash) this.#session.write(Buffer.from(`${this.#hash.digest('hex')}  -\n`));
    this.#session.exit(0);
  }

  drained(): void {
    this.#session.resume();
  }

  signal(name: string): void {
    this.#session.exitSignal(name);
  }

  gone(): void {}
}

/** Stands for the script that ends what else the connection started. */
class KillCommand implements ServerCommand {
  readonly #session: ServerSession;
  readonly #host: SimulatedHost;

  constructor(session: ServerSession, host: SimulatedHost) {
    this.#session = session;
    this.#host = host;
  }

  run(): void {}

  stdin(): boolean {
    return true;
  }

  stdinEnd(): void {
    const killed = this.#host.killOthers();
    this.#session.write(Buffer.from(killed > 0 ? 'myriad: killed\n' : 'myriad: none\n'));
    this.#session.exit(0);
  }

  drained(): void {}
  signal(): void {}
  gone(): void {}
}
