/** Builds the Go programs of the benchmark against Debian's golang-golang-x-crypto-dev; nothing is downloaded. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const BUILD = join(import.meta.dirname, '..', '.tmp', 'bench');

/** Builds `bench/NAME` and returns the path of the program; rejects with one sentence when that cannot be done. */
export async function buildGo(name: 'fleet-go' | 'client-go'): Promise<string> {
  const binary = join(BUILD, name);
  await mkdir(BUILD, { recursive: true });
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOCACHE: join(BUILD, 'gocache'),
    GOFLAGS: '',
    GOTOOLCHAIN: 'local',
  };
  try {
    await promisify(execFile)('go', ['build', '-o', binary, `./${name}`], { cwd: import.meta.dirname, env });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n').slice(0, 3).join(' ') : String(cause);
    throw new Error(`bench/${name} was not built; install golang-go and golang-golang-x-crypto-dev: ${why}`, { cause });
  }
  return binary;
}
