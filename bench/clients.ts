/**
 * The clients, as data: how each is told the same job. All verify host keys against a known_hosts file with one line
 * per host, log in with the same ed25519 key, run the same command, and print "HOST: ANSWER" for every host.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildGo } from './go.ts';
import type { Command } from './measure.ts';

/** Everything a client is told. */
export interface Site {
  /** Exactly these hosts, as a host set. */
  readonly set: string;
  /** The smallest block that has all of them, for clients that are told the count beside it. */
  readonly cidr: string;
  readonly hosts: readonly string[];
  /** One host a line, for clients that know neither. */
  readonly hostFile: string;
  readonly knownHosts: string;
  readonly identity: string;
  readonly user: string;
  readonly port: number;
  readonly command: string;
}

export interface Client {
  readonly name: string;
  readonly label: string;
  /** Hosts in progress at once: the value at which the client did best here, or its customary one. */
  readonly fanout: number;
  /** Fewer hosts for slow clients; what counts is the cost per host. @default no limit */
  readonly maxHosts?: number;
  /** Builds what has to be built and returns the version; rejects with the reason why it cannot be measured. */
  readonly prepare: () => Promise<string>;
  /** `options` are words more for its command line, where that takes any. */
  readonly command: (site: Site, fanout: number, options?: readonly string[]) => Command;
}

const ROOT = join(import.meta.dirname, '..');
const MYRIAD = join(ROOT, 'dist', 'cli', 'main.js');
const PEERS = join(import.meta.dirname, 'peers');
const CLIENT_GO = join(ROOT, '.tmp', 'bench', 'client-go');
/** Debian's own: python3-asyncssh is not seen by another Python that may come first in PATH. */
const PYTHON = '/usr/bin/python3';
/** Clients that fork an ssh per host. */
const FORKING = { fanout: 64, maxHosts: 256 };

/** First line of a program's version, or a sentence that it is not there. */
async function version(argv: readonly string[], hint: string): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(argv[0]!, argv.slice(1));
    return (stdout || stderr).split('\n')[0]!.trim();
  } catch {
    throw new Error(`not installed (${hint})`);
  }
}

/** The path of the built command line; throws when it is not built. */
export function existingMyriad(): string {
  if (!existsSync(MYRIAD)) throw new Error('not built (npm run build)');
  return MYRIAD;
}

function sshOptions(site: Site): string[] {
  const o = (option: string) => ['-o', option];
  return [
    ...['-F', 'none', '-p', `${site.port}`, '-i', site.identity],
    ...o(`UserKnownHostsFile=${site.knownHosts}`),
    ...o('GlobalKnownHostsFile=/dev/null'),
    ...o('StrictHostKeyChecking=yes'),
    ...o('IdentitiesOnly=yes'),
    ...o('BatchMode=yes'),
  ];
}

/** The words that both scripts in peers/ take. */
function scriptArguments(site: Site, fanout: number): string[] {
  const { hostFile, port, user, identity, knownHosts, command } = site;
  return [hostFile, `${port}`, user, identity, knownHosts, `${fanout}`, command];
}

const myriad: Client = {
  name: 'myriad',
  label: 'Myriad',
  fanout: 64,
  prepare: async () => version([process.execPath, existingMyriad(), '--version'], 'dist/cli/main.js --version failed'),
  command: (site, fanout, options = []) => ({
    argv: [
      // By its first line, as users start it.
      ...[MYRIAD, 'run', '-w', site.set, '-l', site.user, '-p', `${site.port}`],
      ...['--identity', site.identity, '--known-hosts', site.knownHosts, '-F', 'none', '--host-keys', 'strict'],
      ...['-f', `${fanout}`, '--yes', '--output', 'text', '-q', '--progress', 'never', ...options, '--', site.command],
    ],
  }),
};

const go: Client = {
  name: 'go',
  label: 'Go x/crypto/ssh',
  fanout: 64,
  prepare: async () => {
    await buildGo('client-go');
    return version(['go', 'version'], 'golang-go');
  },
  command: (site, fanout) => ({
    argv: [
      ...[CLIENT_GO, '-hosts', site.cidr, '-port', `${site.port}`, '-user', site.user, '-identity', site.identity],
      ...['-count', `${site.hosts.length}`, '-known-hosts', site.knownHosts, '-workers', `${fanout}`, site.command],
    ],
  }),
};

const ssh2: Client = {
  name: 'ssh2',
  label: 'ssh2 (npm)',
  fanout: 256,
  maxHosts: 2048,
  prepare: () => version([process.execPath, join(PEERS, 'run_ssh2.mjs'), '--version'], 'npm install'),
  command: (site, fanout) => ({
    argv: [process.execPath, join(PEERS, 'run_ssh2.mjs'), ...scriptArguments(site, fanout)],
  }),
};

const asyncssh: Client = {
  name: 'asyncssh',
  label: 'asyncssh',
  fanout: 64,
  maxHosts: 2048,
  prepare: () => version([PYTHON, '-W', 'ignore', join(PEERS, 'run_asyncssh.py'), '--version'], 'python3-asyncssh'),
  command: (site, fanout) => ({
    argv: [PYTHON, '-W', 'ignore', join(PEERS, 'run_asyncssh.py'), ...scriptArguments(site, fanout)],
  }),
};

const pdsh: Client = {
  name: 'pdsh',
  label: 'pdsh + ssh',
  ...FORKING,
  prepare: () => version(['pdsh', '-V'], 'pdsh'),
  command: (site, fanout) => ({
    argv: ['pdsh', '-R', 'ssh', '-f', `${fanout}`, '-l', site.user, '-w', `^${site.hostFile}`, site.command],
    env: { PDSH_SSH_ARGS_APPEND: sshOptions(site).join(' ') },
  }),
};

const clush: Client = {
  name: 'clush',
  label: 'clush + ssh',
  ...FORKING,
  prepare: () => version(['clush', '--version'], 'clustershell'),
  command: (site, fanout) => ({
    argv: [
      ...['clush', '-n', '-f', `${fanout}`, '-l', site.user, '--hostfile', site.hostFile],
      ...['-o', sshOptions(site).join(' '), site.command],
    ],
  }),
};

const pssh: Client = {
  name: 'pssh',
  label: 'pssh + ssh',
  ...FORKING,
  prepare: () => version(['parallel-ssh', '--version'], 'pssh'),
  command: (site, fanout) => ({
    argv: [
      ...['parallel-ssh', '-h', site.hostFile, '-l', site.user, '-p', `${fanout}`, '-t', '0', '-P'],
      ...['-x', sshOptions(site).join(' '), site.command],
    ],
  }),
};

export const CLIENTS: readonly Client[] = [myriad, go, ssh2, asyncssh, pdsh, clush, pssh];
