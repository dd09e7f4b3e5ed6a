/** Real SSH servers for the third ring of tests: started on a free loopback port with keys of their own, stopped by id. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { leftover } from './leftovers.ts';

/** True when the program is there. In CI a missing one is a failure; elsewhere the reason of the skip is printed. */
export function present(program: string): boolean {
  const found = ['/usr/sbin', '/usr/bin', '/bin', '/usr/local/bin'].some((dir) => existsSync(join(dir, program)));
  if (found) return true;
  const message = `${program} is not installed: run scripts/install-test-deps as root`;
  if (process.env.CI || process.env.MYRIAD_REQUIRE_SERVERS) throw new Error(message);
  console.warn(`skipped: ${message}`);
  return false;
}

export interface RealServer extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  /** Of keys, logs and known_hosts. */
  readonly dir: string;
  /** A private key file that may log in. */
  readonly identity: string;
  /** Names the server as 127.0.0.1 with its ed25519 key. */
  readonly knownHosts: string;
  log(): string;
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export function keygen(dir: string, name: string, ...args: string[]): string {
  const file = join(dir, name);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-f', file, ...(args.length > 0 ? args : ['-t', 'ed25519'])]);
  return file;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

/** Waits until the server says its identification, at most 15 s. */
async function ready(port: number, child: ChildProcess, log: () => string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`the server ended: ${log()}`);
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the server does not answer: ${log()}`);
}

interface Start {
  readonly dir: string;
  readonly port: number;
  readonly identity: string;
  readonly hostKey: string;
  /** Removes the folder. */
  readonly done: () => void;
}

/** Ends it and waits until it is gone. */
async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode === null && child.signalCode === null && child.kill('SIGTERM')) await gone;
}

async function launch(command: string, args: string[], start: Start): Promise<RealServer> {
  const { dir, port, identity, hostKey, done } = start;
  let text = '';
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.once('exit', leftover('process', child.pid!));
  for (const stream of [child.stdout, child.stderr]) {
    stream!.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-100_000);
    });
  }
  try {
    await ready(port, child, () => text);
  } catch (error) {
    await end(child);
    done();
    throw error;
  }
  const knownHosts = join(dir, 'known_hosts');
  const [type, blob] = readFileSync(`${hostKey}.pub`, 'utf8').split(' ');
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${type} ${blob}\n`);
  return {
    port,
    dir,
    identity,
    knownHosts,
    user: userInfo().username,
    log: () => text,
    async [Symbol.asyncDispose]() {
      await end(child);
      done();
    },
  };
}

async function prepare(): Promise<Start> {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-server-'));
  const removed = leftover('path', dir);
  const identity = keygen(dir, 'user');
  const done = () => {
    rmSync(dir, { recursive: true, force: true });
    removed();
  };
  return { dir, port: await freePort(), identity, hostKey: keygen(dir, 'host'), done };
}

/** A proxy in front of a server, for one connection at a time: cuts it when told to, and counts flights. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** How often the client sent after it had heard something new: each flight costs a round trip. */
  readonly flights: number;
  cut(): void;
}

/** `delayMs`: what either side says is passed on so much later, so that flights stay apart. */
export async function startProxy(target: number, delayMs = 0): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let flights = 0;
  let heard = true;
  const server = createServer((front) => {
    const back = connect({ host: '127.0.0.1', port: target });
    front.on('data', () => {
      if (heard) flights++;
      heard = false;
    });
    for (const [from, to] of [
      [front, back],
      [back, front],
    ] as const) {
      from.on('data', (chunk) =>
        setTimeout(() => {
          if (to === front) heard = true;
          to.write(chunk);
        }, delayMs),
      );
      from.once('end', () => setTimeout(() => to.end(), delayMs));
    }
    for (const [from, to] of [
      [front, back],
      [back, front],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.once('close', () => sockets.delete(from));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    get flights() {
      return flights;
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** OpenSSH's sshd, or a copy of it; `config` adds lines to its configuration, all else is as shipped. */
export async function startSshd(config: readonly string[] = [], program = '/usr/sbin/sshd'): Promise<RealServer> {
  const start = await prepare();
  const { dir, port, identity, hostKey } = start;
  const authorized = join(dir, 'authorized_keys');
  writeFileSync(authorized, readFileSync(`${identity}.pub`), { mode: 0o644 });
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true });
  // sshd reads authorized keys as the user who logs in.
  chmodSync(dir, 0o755);
  const file = join(dir, 'sshd_config');
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorized}`,
    // The first line of a keyword counts, so a test's own stand before the usual ones.
    ...config,
    'StrictModes no',
    'PidFile none',
    'UsePAM no',
    'PermitRootLogin yes',
    // bash reads ~/.bashrc under sshd: the tests must not depend on what the machine's own one does.
    `SetEnv HOME=${dir}`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return launch(program, ['-D', '-e', '-f', file], start);
}

/**
 * Dropbear, as root: it reads the authorized keys of a user's home only, so the user is made for the test, with a home
 * in the test's folder, and removed afterwards.
 */
export async function startDropbear(): Promise<RealServer> {
  const start = await prepare();
  const { dir, port, identity, hostKey } = start;
  const converted = join(dir, 'dropbear_host');
  execFileSync('dropbearconvert', ['openssh', 'dropbear', hostKey, converted], { stdio: 'ignore' });
  const user = `myriad-test-${process.pid % 100_000}`;
  const home = join(dir, 'home');
  mkdirSync(join(home, '.ssh'), { recursive: true });
  writeFileSync(join(home, '.ssh', 'authorized_keys'), readFileSync(`${identity}.pub`));
  chmodSync(dir, 0o755);
  const removed = leftover('account', user);
  execFileSync('useradd', ['-M', '-d', home, '-s', '/bin/sh', user]);
  const removeUser = () => {
    execFileSync('userdel', ['-f', user], { stdio: 'ignore' });
    removed();
  };
  execFileSync('chown', ['-R', user, home]);
  execFileSync('chmod', ['-R', 'go-rwx', home]);
  const args = ['-F', '-E', '-r', converted, '-p', `127.0.0.1:${port}`, '-P', ''];
  const server = await launch('/usr/sbin/dropbear', args, start).catch((error) => {
    removeUser();
    throw error;
  });
  return {
    ...server,
    user,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      removeUser();
    },
  };
}
