/**
 * The main job, end to end: a simulated fleet of 10,000 hosts on loopback, 1 % of them misbehaving in different ways, and
 * one command on all of them, host keys verified. Fleet and client are two processes; nothing is left running.
 * Usage: npm run demo [-- HOSTS]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { FAULT_NAMES } from '../src/simulator/faults.ts';

const CLI = join(import.meta.dirname, '../dist/cli/main.js');
const COMMAND = 'cat /etc/debian_version';
/** Of hosts that misbehave, over all kinds of fault. */
const FAULTY_PERCENT = 1;
/** All but one: hosts that stop after their identification end at the handshake's deadline of 15 s, a long wait here. */
const FAULTS = FAULT_NAMES.filter((name) => name !== 'silent-identification');

interface Fleet {
  readonly child: ChildProcess;
  readonly port: string;
}

/** Starts the fleet; it ends when its stdin does, which is when this process ends, however it ends. */
async function startFleet(dir: string, hosts: number): Promise<Fleet> {
  const share = (FAULTY_PERCENT / FAULTS.length).toFixed(4);
  const faults = FAULTS.flatMap((name) => ['--fault', `${name}=${share}%`]);
  const files = ['--known-hosts', join(dir, 'known_hosts'), '--hostfile', join(dir, 'hosts')];
  const args = [CLI, 'simulate', String(hosts), '--until-stdin-ends', ...files, ...faults];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout! })) {
    const port = /port (\d+); ready/.exec(line)?.[1];
    if (!port) continue;
    console.log(`fleet: ${line}; ${FAULTY_PERCENT} % of them misbehave`);
    return { child, port };
  }
  throw new Error('the fleet did not start');
}

/** Runs the command on all hosts and gives the client's own CPU seconds and peak memory in MB, by its last words. */
async function runClient(
  dir: string,
  port: string,
): Promise<{ cpuSeconds: number; peakMb: number; wallSeconds: number }> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const identity = join(dir, 'id_ed25519');
  writeFileSync(identity, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  const usage = join(dir, 'usage.json');
  const meter = `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(usage)}, JSON.stringify(process.resourceUsage())))`;
  const preload = join(dir, 'meter.cjs');
  writeFileSync(preload, meter);
  const options = ['-w', `^${join(dir, 'hosts')}`, '-l', 'demo', '-p', port, '--identity', identity];
  const more = ['--known-hosts', join(dir, 'known_hosts'), '--yes', '-b', '-t', '5s', '--max-output', '60'];
  // Recorded, as every run is, but not among the runs of whoever tries this.
  more.push('--journal', join(dir, 'runs'));
  console.log(`$ myriad ${[...options, ...more].join(' ').replaceAll(`${dir}/`, '')} -- ${COMMAND}\n`);
  const started = performance.now();
  const args = ['--require', preload, CLI, 'run', ...options, ...more, '--', COMMAND];
  const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, MYRIAD_SETTINGS: 'none' } });
  // The exit code tells of the hosts that misbehave: it is not 0, and that is right.
  await new Promise((resolve) => child.once('exit', resolve));
  const wallSeconds = (performance.now() - started) / 1000;
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(readFileSync(usage, 'utf8'));
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMb: maxRSS / 1024, wallSeconds };
}

const hosts = Number(process.argv[2] ?? 10_000);
const dir = mkdtempSync(join(tmpdir(), 'myriad-demo-'));
const fleet = await startFleet(dir, hosts);
try {
  const { cpuSeconds, peakMb, wallSeconds } = await runClient(dir, fleet.port);
  const perHost = ((cpuSeconds * 1000) / hosts).toFixed(2);
  console.log(`
client: ${(hosts / wallSeconds).toFixed(0)} hosts/s over ${wallSeconds.toFixed(1)} s, start and time-outs included;
        ${perHost} ms CPU per host; ${peakMb.toFixed(0)} MB peak memory; fleet and client share this machine's cores`);
} finally {
  fleet.child.stdin?.end();
  await new Promise((resolve) => fleet.child.once('exit', resolve));
  rmSync(dir, { recursive: true, force: true });
}
