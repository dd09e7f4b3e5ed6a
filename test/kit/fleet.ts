/** Simulated fleets and temporary files for tests of what stands above the transports. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FleetOptions, Summary } from '../../src/index.ts';
import { Simulator, type SimulatorOptions } from '../../src/simulator/simulator.ts';

export interface SimulatedFleet extends AsyncDisposable {
  readonly simulator: Simulator;
  readonly dir: string;
  readonly knownHosts: string;
  readonly identity: string;
  /** How to reach all of its hosts, host keys verified. */
  readonly options: FleetOptions;
}

/** A private key in PKCS8 PEM, in a file of mode 0600. */
function writeKey(dir: string): string {
  const file = join(dir, 'id_ed25519');
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  return file;
}

export async function simulate(options: SimulatorOptions): Promise<SimulatedFleet> {
  const simulator = await Simulator.start(options);
  const dir = mkdtempSync(join(tmpdir(), 'myriad-fleet-'));
  const knownHosts = join(dir, 'known_hosts');
  writeFileSync(knownHosts, [...simulator.knownHosts()].join(''));
  const identity = writeKey(dir);
  return {
    simulator,
    dir,
    knownHosts,
    identity,
    options: {
      hosts: [...simulator.labels()].join(','),
      port: simulator.port,
      user: 'root',
      identity,
      knownHosts,
      config: 'none',
    },
    async [Symbol.asyncDispose]() {
      await simulator.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The invariant of every run. */
export function sumOf(summary: Summary): number {
  return Object.values(summary.outcomes).reduce((sum, count) => sum + count, 0);
}
