/** What the tests of keys and known_hosts share: a temporary directory and the real ssh-keygen. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** False, with a line that says so, where OpenSSH is not installed; in CI that is a failure. */
export function haveSshKeygen(): boolean {
  const found = spawnSync('ssh-keygen', ['-?'], { stdio: 'ignore' }).error === undefined;
  if (found) return true;
  if (process.env.CI) throw new Error('ssh-keygen is missing: install openssh-client');
  process.stderr.write('skipped: ssh-keygen is missing (install openssh-client)\n');
  return false;
}

/** A directory that is removed after the tests of the file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'myriad-test-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Makes a key pair FILE and FILE.pub; returns FILE. */
export function makeKey(file: string, ...options: string[]): string {
  const passphrase = options.includes('-N') ? [] : ['-N', ''];
  execFileSync('ssh-keygen', ['-q', '-C', 'a comment', '-f', file, ...passphrase, ...options]);
  return file;
}

/** A made-up Ed25519 host key: any 32 bytes will do. */
export function ed25519Blob(bytes: Uint8Array): Buffer {
  const type = Buffer.from('ssh-ed25519');
  return Buffer.concat([Buffer.of(0, 0, 0, type.length), type, Buffer.of(0, 0, 0, 32), bytes]);
}
