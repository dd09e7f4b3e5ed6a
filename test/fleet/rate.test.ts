/** A rate, and descriptors that run out, on simulated hosts. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { fleet } from '../../src/index.ts';
import { simulate } from '../kit/fleet.ts';

const CHILD = fileURLToPath(new URL('./descriptors_child.ts', import.meta.url));

describe('the rate of a run', () => {
  it.each([1, 2])('holds tasks back, and is named: threads %d', async (threads) => {
    await using simulated = await simulate({ hosts: 40 });
    await using hosts = fleet({ ...simulated.options, rate: 40, threads });
    const summary = await hosts.run('echo hello').summary();
    expect(summary.outcomes.ok).toBe(40);
    expect(summary.limitedBy).toBe('rate 40/s');
  });

  it('of what is none is refused', () => {
    expect(() => fleet({ hosts: 'a', rate: 0 })).toThrow('rate: expected logins per second above 0');
  });
});

it('descriptors that run out fail no host', async () => {
  await using simulated = await simulate({ hosts: 120, latencyMs: 5 });
  const options = JSON.stringify({ ...simulated.options, fanout: 50, handshakes: 50, threads: 1 });
  // What node needs for itself at its start is far less than 256.
  const words = ['-c', 'ulimit -n 256; exec "$0" "$@"', process.execPath, CHILD, options];
  const { stdout } = await promisify(execFile)('/bin/sh', words);
  const { ok, retries, limitedBy } = JSON.parse(stdout);
  expect(ok).toBe(120);
  expect(retries).toBeGreaterThan(0);
  expect(limitedBy).toBe('local limit (EMFILE)');
});
