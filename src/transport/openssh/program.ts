/** The ssh program: its version, and what it is called with. */
import { Lines } from './lines.ts';
import { OpensshError, spawnError } from './openssh_error.ts';
import type { Spawn } from './spawn.ts';

/** What a version knows: options that it does not know end it. */
export interface Program {
  readonly path: string;
  /** RemoteCommand, since 7.6. */
  readonly remoteCommand: boolean;
  /** LogVerbose, since 8.5: without it a command's start is not confirmed, and its status known only with its output's end. */
  readonly logVerbose: boolean;
  /** SessionType and its like, since 8.7. */
  readonly sessionType: boolean;
}

const NO_TERMINAL = 'RequestTTY=no';

/** What stands before everything else on each command line: of each option, ssh takes the first that it finds. */
const COMMON: readonly string[] = [
  // No question reaches a terminal, nor an askpass program.
  'BatchMode=yes',
  // Ports are no one's business here; a host's LocalForward would fail in all but one of its masters.
  'ClearAllForwardings=yes',
  'ForwardX11=no',
  'ControlPersist=no',
  NO_TERMINAL,
];

/**
 * What the user's own words may change: no host key unseen, and a host that has died is noticed, as the native
 * transport does it.
 */
const DEFAULTS: readonly string[] = ['StrictHostKeyChecking=yes', 'ServerAliveInterval=30', 'ServerAliveCountMax=3'];

/** What a master says of commands only when it is asked to: their statuses, and the server's answers to their requests. */
const VERBOSE: readonly string[] = ['mux.c:mux_exit_message():*', 'channels.c:channel_input_status_confirm():*'];

/** Asks the program for its version. Rejects with OpensshError `spawn`, or `local` for what is not OpenSSH. */
export function readProgram(path: string, spawn: Spawn): Promise<Program> {
  return new Promise((resolve, reject) => {
    let first = '';
    const lines = new Lines((line) => {
      first ||= line;
    });
    const child = spawn(path, ['-V'], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.once('error', (error) => reject(spawnError(path, error)));
    child.stderr?.on('data', (chunk: Buffer) => lines.feed(chunk));
    child.once('close', () => {
      lines.end();
      const version = versionOf(first);
      if (version === undefined) reject(notOpenssh(path, first));
      else resolve(programOf(path, version));
    });
  });
}

function notOpenssh(path: string, said: string): OpensshError {
  const what = said === '' ? 'it says no version' : `it says "${said.slice(0, 80)}"`;
  return new OpensshError('local', `program ${JSON.stringify(path)} is not OpenSSH's ssh: ${what}`);
}

/** `OpenSSH_9.2p1 Debian-2`: 902. */
export function versionOf(text: string): number | undefined {
  const match = /^OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : Number(match[1]) * 100 + Number(match[2]);
}

function programOf(path: string, version: number): Program {
  return { path, remoteCommand: version >= 706, logVerbose: version >= 805, sessionType: version >= 807 };
}

/** A master: authenticates, makes the socket, and waits for clients. */
export function masterArgs(program: Program, socket: string, args: readonly string[], host: string): string[] {
  const options = [...COMMON, 'LogLevel=DEBUG1'];
  if (program.logVerbose) options.push(`LogVerbose=${VERBOSE.join(',')}`);
  if (program.sessionType) options.push('ForkAfterAuthentication=no');
  return ['-M', '-N', '-T', '-S', percentFree(socket), ...flags(options), ...args, ...flags(DEFAULTS), '--', host];
}

/**
 * A client: one command through a master. Where the master does not take it ssh would connect by itself, unasked and
 * uncounted; a proxy that is `false` sees to it that it cannot. Its log goes to a file: its stderr is the command's.
 */
export function clientArgs(
  program: Program,
  socket: string,
  log: string,
  args: readonly string[],
  host: string,
  command: string,
  terminal = false,
): string[] {
  const options = [
    ...COMMON.filter((option) => !terminal || option !== NO_TERMINAL),
    'LogLevel=DEBUG2',
    'ControlMaster=no',
    'ProxyCommand=false',
  ];
  if (program.remoteCommand) options.push('RemoteCommand=none');
  if (program.sessionType) options.push('SessionType=default', 'StdinNull=no', 'ForkAfterAuthentication=no');
  return [
    terminal ? '-tt' : '-T',
    '-S',
    percentFree(socket),
    '-E',
    log,
    ...flags(options),
    ...args,
    '--',
    host,
    command,
  ];
}

function flags(options: readonly string[]): string[] {
  return options.flatMap((option) => ['-o', option]);
}

/** A path where ssh would replace `%h` and the like. */
function percentFree(path: string): string {
  return path.replaceAll('%', '%%');
}
