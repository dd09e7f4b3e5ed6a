/**
 * Plays the shell that a program of ours is sent to (`jobs/shell_program.ts`), and sudo: no shell, only what those programs say.
 *
 *   program ──a line that ends in a command──▶ running       the rest of stdin is the command's; a lease is always to be had
 *   program ──a line that calls sudo -S──▶ password ──a line──▶ inner      wrong: asked again, three times in all
 *   program ──a line that calls sudo -n──▶ inner ──a line──▶ running
 */
import type { ServerCommand, ServerSession } from '../ssh/server_session.ts';

/** A program's line may be so long, in bytes. */
const MAX_LINE = 4 * 1024 * 1024;
const PASSWORD_TRIES = 3;
const LINE_END = 0x0a;

export interface ProgramTools {
  /** What sudo takes; undefined: anything. */
  readonly sudoPassword: string | undefined;
  /** The command that the program ends in; `undefined` for one that stands for the kill script. */
  start(line: string | undefined): ServerCommand;
}

type Mode = 'program' | 'password' | 'inner' | 'running' | 'over';

export class ProgramCommand implements ServerCommand {
  readonly #session: ServerSession;
  readonly #tools: ProgramTools;
  #mode: Mode = 'program';
  #line: Buffer[] = [];
  #length = 0;
  #prompt = '';
  #marker = '';
  #words: string[] = [];
  #tries = 0;
  #command: ServerCommand | undefined;
  #ended = false;

  constructor(session: ServerSession, tools: ProgramTools) {
    this.#session = session;
    this.#tools = tools;
  }

  run(): void {}

  stdin(chunk: Buffer): boolean {
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#mode === 'over') return true;
      if (this.#command !== undefined) return this.#command.stdin(rest);
      const end = rest.indexOf(LINE_END);
      const piece = end < 0 ? rest : rest.subarray(0, end);
      this.#length += piece.length;
      if (this.#length > MAX_LINE) {
        this.#exit(2);
        return true;
      }
      this.#line.push(Buffer.from(piece));
      if (end < 0) return true;
      rest = rest.subarray(end + 1);
      const line = Buffer.concat(this.#line).toString('utf8');
      this.#line = [];
      this.#length = 0;
      this.#take(line);
    }
    return true;
  }

  stdinEnd(): void {
    this.#ended = true;
    if (this.#command !== undefined) this.#command.stdinEnd();
    else if (this.#mode !== 'over') this.#exit(1);
  }

  #take(line: string): void {
    if (this.#mode === 'password') this.#check(line);
    else if (this.#mode === 'program' && /^exec (sudo|doas) /.test(line)) this.#sudo(line);
    else this.#become(line);
  }

  #sudo(line: string): void {
    const words = splitQuoted(line);
    const shell = words.indexOf('-c');
    this.#prompt = words[words.indexOf('-p') + 1] ?? '';
    const [, first = '', second = ''] = /^printf %s%s ([0-9a-f]+) ([0-9a-f]+) /.exec(words[shell + 1] ?? '') ?? [];
    this.#marker = first + second;
    this.#words = words.slice(shell + 2);
    if (words.includes('-S')) {
      this.#mode = 'password';
      this.#session.write(Buffer.from(this.#prompt), true);
    } else this.#passed();
  }

  #check(line: string): void {
    const { sudoPassword } = this.#tools;
    if (sudoPassword === undefined || line === sudoPassword) this.#passed();
    else if (++this.#tries < PASSWORD_TRIES) {
      this.#session.write(Buffer.from(`Sorry, try again.\n${this.#prompt}`), true);
    } else {
      this.#session.write(Buffer.from(`sudo: ${PASSWORD_TRIES} incorrect password attempts\n`), true);
      this.#exit(1);
    }
  }

  #passed(): void {
    this.#mode = 'inner';
    this.#session.write(Buffer.from(this.#marker), true);
  }

  #become(program: string): void {
    this.#mode = 'running';
    const [, first, second] = /;\(set -- ([0-9a-f]+) ([0-9a-f]+) /.exec(program) ?? [];
    if (first !== undefined) this.#session.write(Buffer.from(`${first}${second} taken\n`), true);
    const kills = this.#words[0] === 'kill' && program.startsWith('eval ');
    this.#command = this.#tools.start(kills ? undefined : this.#commandOf(program));
    this.#command.run();
    if (this.#ended) this.#command.stdinEnd();
  }

  /** What the program ends in: the words after its last `sh -c`, or what sudo was given. */
  #commandOf(program: string): string {
    const at = program.lastIndexOf('exec /bin/sh -c ');
    if (at < 0) return 'program';
    const [word = ''] = splitQuoted(program.slice(at + 'exec /bin/sh -c '.length));
    return word === '$0' ? (this.#words[0] ?? '') : word;
  }

  #exit(status: number): void {
    this.#mode = 'over';
    this.#session.exit(status);
  }

  signal(name: string): void {
    if (this.#command !== undefined) this.#command.signal(name);
    else this.#session.exitSignal(name);
  }

  drained(): void {
    this.#command?.drained();
  }

  gone(): void {
    this.#mode = 'over';
    this.#command?.gone();
  }
}

/** Words as a POSIX shell splits them, with '…', "…" and \. */
function splitQuoted(line: string): string[] {
  const words: string[] = [];
  for (const [text] of line.matchAll(/(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+/g)) {
    words.push(text.replace(/'([^']*)'|"([^"]*)"|\\(.)/g, (_all, single, double, char) => single ?? double ?? char));
  }
  return words;
}
