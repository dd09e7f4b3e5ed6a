/**
 * A host that answers as Windows' OpenSSH server does with cmd or PowerShell as login shell: our own server half, and what these shells
 * make of a line, as far as tests need it. No real command runs.
 *
 *   reading ──a line feed──▶ running      the reader's line; the rest of stdin is the command's
 *   reading ──end of stdin──▶ over        status 125
 */
import { createServer, type Socket } from 'node:net';
import { FleetKeys } from '../../src/simulator/keys.ts';
import { DEFAULT_PREFERENCES, Offer } from '../../src/ssh/algorithms.ts';
import { Arena } from '../../src/ssh/arena.ts';
import { SshServerConnection } from '../../src/ssh/server.ts';
import type { ServerCommand, ServerSession } from '../../src/ssh/server_session.ts';
import { cmdRead, powershellString } from './windows_words.ts';

/** One command line that came, and what it came to. */
export interface Ran {
  /** As an argument list on the host shows it. */
  readonly line: string;
  readonly signals: string[];
  by?: 'login' | 'cmd' | 'powershell';
  command?: string;
  cwd?: string | undefined;
  env: Record<string, string>;
  stdin: string;
  gone: boolean;
}

export interface WindowsHost extends AsyncDisposable {
  readonly port: number;
  readonly knownHosts: string;
  readonly ran: Ran[];
}

/** A value after `before`, as PowerShell reads it. */
function stringAfter(program: string, before: string): string | undefined {
  const at = program.indexOf(before);
  return at < 0 ? undefined : powershellString(program, at + before.length).value;
}

class WindowsCommand implements ServerCommand {
  readonly #session: ServerSession;
  readonly #ran: Ran;
  /** Of the reader, until its line is whole. */
  #line: string | undefined;

  constructor(session: ServerSession, ran: Ran) {
    this.#session = session;
    this.#ran = ran;
  }

  run(): void {
    const { line } = this.#ran;
    const [words = []] = cmdRead(line, {}).commands;
    const encoded = words[words.indexOf('-EncodedCommand') + 1];
    if (words[0] !== 'powershell' || encoded === undefined || !words.includes('-EncodedCommand')) {
      this.#ran.by = 'login';
      this.#start(line);
      return;
    }
    const reader = Buffer.from(encoded, 'base64').toString('utf16le');
    // PowerShell reads stdin too unless it is told not to; what reads more than a byte at a time takes what is the command's.
    const alone = /-InputFormat None/.test(line) && reader.includes('.ReadByte()');
    if (alone) this.#line = '';
    else this.#fail(`the reader is not what this host plays: ${reader}`);
  }

  stdin(chunk: Buffer): boolean {
    for (const byte of chunk) {
      if (this.#line === undefined) this.#ran.stdin += String.fromCharCode(byte);
      else if (byte !== 10) this.#line += String.fromCharCode(byte);
      else this.#take(this.#line);
    }
    return true;
  }

  #take(line: string): void {
    this.#line = undefined;
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(line)) {
      this.#fail(`no base64: ${line}`);
      return;
    }
    const program = Buffer.from(line, 'base64').toString('utf8');
    this.#ran.cwd = stringAfter(program, 'Set-Location -LiteralPath ');
    for (let at = 0; ; ) {
      const found = /^\$env:([A-Za-z_][A-Za-z0-9_]*)=/m.exec(program.slice(at));
      if (!found) break;
      const { value, end } = powershellString(program, at + found.index + found[0].length);
      this.#ran.env[found[1]!] = value;
      at = end;
    }
    if (this.#ran.cwd === 'C:\\missing') {
      this.#session.write(Buffer.from('myriad: the command was not started\n'), true);
      this.#session.exit(125);
      return;
    }
    const cmd = stringAfter(program, `.Arguments='/d /s /c "'+`);
    this.#ran.by = cmd === undefined ? 'powershell' : 'cmd';
    this.#start(cmd ?? stringAfter(program, '$_myriad_l=')!);
  }

  #start(command: string): void {
    this.#ran.command = command;
    const [, status] = /^exit (\d+)$/.exec(command) ?? [];
    if (status !== undefined) this.#session.exit(Number(status));
    else if (command.startsWith('hang')) this.#session.write(Buffer.from('up\n'));
  }

  #fail(message: string): void {
    this.#session.write(Buffer.from(`${message}\n`), true);
    this.#session.exit(1);
  }

  stdinEnd(): void {
    const { command, stdin } = this.#ran;
    if (this.#line !== undefined) this.#session.exit(125);
    else if (command !== undefined && !command.startsWith('hang')) {
      this.#session.write(Buffer.from(stdin, 'latin1'));
      this.#session.exit(0);
    }
  }

  /** As Windows' server has it, TERM ends the process; this one does not let on. */
  signal(name: string): void {
    this.#ran.signals.push(name);
  }

  drained(): void {}

  gone(): void {
    this.#ran.gone = true;
  }
}

export async function windowsHost(): Promise<WindowsHost> {
  const ran: Ran[] = [];
  const keys = new FleetKeys(1, 1);
  const arena = new Arena();
  const offer = new Offer('server', { ...DEFAULT_PREFERENCES, hostKey: ['ssh-ed25519'] });
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const stream = {
      get waiting() {
        return socket.writableLength;
      },
      write: (bytes: Buffer) => void socket.write(bytes),
      end: () => void socket.end(),
      destroy: () => void socket.destroy(),
    };
    const options = { arena, offer, keys: keys.server(0) };
    const connection = new SshServerConnection(stream, options, {
      authenticate: () => true,
      openSession: () => true,
      startCommand(line, session) {
        const one: Ran = { line, signals: [], env: {}, stdin: '', gone: false };
        ran.push(one);
        return new WindowsCommand(session, one);
      },
      closed: () => socket.end(),
    });
    socket.on('drain', () => connection.drained());
    socket.on('data', (chunk: Buffer) => connection.receive(chunk));
    socket.once('end', () => connection.ended(false));
    socket.once('close', () => connection.ended(true));
    connection.start();
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, () => resolve()));
  const { port } = server.address() as { port: number };
  return {
    port,
    ran,
    knownHosts: `[127.0.0.1]:${port} ssh-ed25519 ${keys.blob(0).toString('base64')}\n`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
