/** A real ssh-agent, keys and certificates for it, and a login with a key that signs later. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { Agent, type AgentOptions } from '../../src/ssh/agent.ts';
import type { AgentUserKey } from '../../src/ssh/agent_key.ts';
import { DEFAULT_PREFERENCES, Offer } from '../../src/ssh/algorithms.ts';
import { Arena } from '../../src/ssh/arena.ts';
import { SshClient } from '../../src/ssh/client.ts';
import { ClientSocket, ClosingRoom, type SocketUser } from '../../src/ssh/socket.ts';
import { run as runCommand } from '../kit/client.ts';
import { leftover } from '../kit/leftovers.ts';
import { keygen } from '../kit/servers.ts';
import { until } from '../ssh/agent_fake.ts';

const run = promisify(execFile);

export interface RealAgent extends AsyncDisposable {
  readonly socketPath: string;
  /** Runs ssh-add for it; what it prints. A passphrase that is asked for is "word". */
  add(...args: string[]): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Ends it at once. */
  kill(): Promise<void>;
}

/** A folder that the caller removes. */
export function folder(): string {
  return mkdtempSync(join(tmpdir(), 'myriad-agent-'));
}

export function temporaryFolder(): string {
  const dir = folder();
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** `askpass`: the program that is asked whether a key may be used. */
export async function startAgent(dir: string, askpass = '/bin/false'): Promise<RealAgent> {
  const socketPath = join(dir, 'agent.sock');
  const word = join(dir, 'word');
  writeFileSync(word, '#!/bin/sh\necho word\n', { mode: 0o755 });
  const ask = (program: string) => ({ SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' });
  rmSync(socketPath, { force: true });
  const child: ChildProcess = spawn('ssh-agent', ['-D', '-a', socketPath], {
    stdio: 'ignore',
    env: { ...process.env, ...ask(askpass) },
  });
  child.once('exit', leftover('process', child.pid!));
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await until(() => existsSync(socketPath) || child.exitCode !== null);
  return {
    socketPath,
    async add(...args) {
      const env = { ...process.env, ...ask(word), SSH_AUTH_SOCK: socketPath };
      const { stdout } = await run('ssh-add', args, { env });
      return stdout;
    },
    signal: (name) => void child.kill(name),
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

const setTimer = (delayMs: number, callback: () => void) => {
  const timer = setTimeout(callback, delayMs);
  return { cancel: () => clearTimeout(timer) };
};

export function client(socketPath: string, more: Partial<AgentOptions> = {}): Agent {
  return new Agent({ socketPath, setTimer, ...more });
}

export const blobOf = (file: string) => Buffer.from(readFileSync(file, 'utf8').split(' ')[1]!, 'base64');

/** Signs FILE.pub for users (`principal`); returns FILE-cert.pub. */
export function certify(authority: string, file: string, principal: string): string {
  execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'test', '-n', principal, `${file}.pub`]);
  return `${file}-cert.pub`;
}

export interface KeyFlavour {
  readonly name: string;
  readonly keygen: readonly string[];
  readonly algorithms: readonly string[];
}

export const FLAVOURS: readonly KeyFlavour[] = [
  { name: 'ed25519', keygen: ['-t', 'ed25519'], algorithms: ['ssh-ed25519'] },
  { name: 'ecdsa256', keygen: ['-t', 'ecdsa', '-b', '256'], algorithms: ['ecdsa-sha2-nistp256'] },
  { name: 'ecdsa384', keygen: ['-t', 'ecdsa', '-b', '384'], algorithms: ['ecdsa-sha2-nistp384'] },
  { name: 'ecdsa521', keygen: ['-t', 'ecdsa', '-b', '521'], algorithms: ['ecdsa-sha2-nistp521'] },
  { name: 'rsa', keygen: ['-t', 'rsa', '-b', '2048'], algorithms: ['rsa-sha2-512', 'rsa-sha2-256'] },
];

/** A key pair of each flavour with a certificate each, its comment the flavour's name. */
export function makeKeys(dir: string, authority: string, principal: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const { name, keygen: args } of FLAVOURS) {
    const file = keygen(dir, name, ...args, '-C', name);
    certify(authority, file, principal);
    files.set(name, file);
  }
  return files;
}

export function publicKeyOf(file: string): KeyObject {
  const [type, x] = strings(blobOf(`${file}.pub`));
  if (type?.toString() === 'ssh-ed25519') {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: x!.toString('base64url') }, format: 'jwk' });
  }
  return createPublicKey(execFileSync('ssh-keygen', ['-e', '-m', 'PKCS8', '-f', `${file}.pub`]));
}

const HASHES: Readonly<Record<string, readonly [hash: string | null, size: number]>> = {
  'ssh-ed25519': [null, 0],
  'rsa-sha2-256': ['sha256', 0],
  'rsa-sha2-512': ['sha512', 0],
  'ecdsa-sha2-nistp256': ['sha256', 32],
  'ecdsa-sha2-nistp384': ['sha384', 48],
  'ecdsa-sha2-nistp521': ['sha512', 66],
};

/** Whether the blob is a signature by `algorithm` over `data`; read and checked without the code under test. */
export function verifies(key: KeyObject, algorithm: string, data: Uint8Array, blob: Buffer): boolean {
  const [name, signature] = strings(blob);
  const [hash, size] = HASHES[algorithm]!;
  if (name?.toString() !== algorithm || signature === undefined) return false;
  if (size === 0) return verify(hash, data, key, signature);
  const halves = strings(signature).map((half) => {
    const digits = half[0] === 0 ? half.subarray(1) : half;
    return Buffer.concat([Buffer.alloc(size - digits.length), digits]);
  });
  return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat(halves));
}

function strings(bytes: Buffer): Buffer[] {
  const all: Buffer[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const end = offset + 4 + bytes.readUInt32BE(offset);
    all.push(bytes.subarray(offset + 4, end));
    offset = end;
  }
  return all;
}

/** Logs in with one key by one algorithm and runs a command; resolves to what it says, rejects with SshError. */
export async function login(port: number, user: string, key: AgentUserKey, algorithm: string): Promise<string> {
  const arena = new Arena();
  const room = new ClosingRoom();
  const nothing = () => undefined;
  const options = {
    dial: (socketUser: SocketUser) => new ClientSocket({ address: '127.0.0.1', port }, arena, room, socketUser),
    credentials: { user, keys: [{ ...key, signatureAlgorithms: [algorithm] }] },
    offer: new Offer('client', DEFAULT_PREFERENCES),
    arena,
    session: true,
    setTimer,
  };
  const client = await new SshClient(options, { identified: nothing, hostKey: nothing, secured: nothing }).ready;
  const { stdout } = await runCommand(client, 'echo in');
  client.close();
  return stdout.toString();
}

/** The keys that the real client means to try, in order: `TYPE fingerprint agent? path-or-comment`. */
export async function keysOfOpenssh(args: readonly string[], socketPath: string): Promise<string[]> {
  const env = { ...process.env, SSH_AUTH_SOCK: socketPath };
  const { stderr } = await run('ssh', ['-vvv', '-o', 'BatchMode=yes', '-F', 'none', ...args], { env });
  return stderr
    .split('\n')
    .map((line) => /^debug1: Will attempt key: (.*)$/.exec(line.trim())?.[1])
    .filter((line) => line !== undefined);
}
