/** Runs that are killed at random moments, and resumed. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { crashFleetAndResume, type FleetCrashFinding } from '../../test/journal/fleet_crash.ts';
import type { Check } from './check.ts';

const MOMENTS = 20;
const HOSTS = 5_000;

export const CRASH: Check = {
  name: 'crash',
  what: `a recorded run on ${HOSTS} simulated hosts, killed by SIGKILL at ${MOMENTS} random moments, half of them with two threads, and resumed`,
  bound:
    'one outcome per host; no command twice; what ran without a result is lost, with at most one commit group more',
  async run({ dir, signal, seed }) {
    const findings: FleetCrashFinding[] = [];
    for (let moment = 0; moment < MOMENTS; moment++) {
      signal.throwIfAborted();
      const folder = join(dir, `runs${moment}`);
      mkdirSync(folder);
      const threads = 1 + (moment % 2);
      findings.push(await crashFleetAndResume({ folder, hosts: HOSTS, fanout: 256, threads, seed: seed + moment + 1 }));
      rmSync(folder, { recursive: true, force: true });
    }
    const problems = findings.flatMap((finding, moment) => finding.problems.map((text) => `moment ${moment}: ${text}`));
    const lost = findings.map((finding) => finding.lost);
    const at = findings.map(({ killedAt }) => killedAt).sort((a, b) => a - b);
    const told = problems.length === 0 ? 'none uneven' : problems.slice(0, 3).join('; ');
    const measured = `killed at command ${at[0]} to ${at.at(-1)}; ${Math.min(...lost)} to ${Math.max(...lost)} lost, then repeated; ${told}`;
    return { measured, passed: problems.length === 0 };
  },
};
