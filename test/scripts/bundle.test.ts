/** What users get is not what the other tests run: the few files that the sources are made into start, threads included. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../scripts/bundle.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { type Ended, ROOT, Running, reach, totals } from '../cli/command.ts';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';

let top: string;
let home: string;
let fleetOf: SimulatedFleet;

beforeAll(async () => {
  const cache = join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  // Within the checkout, where packages are found.
  top = mkdtempSync(join(cache, 'myriad-bundle-'));
  home = join(top, 'home');
  mkdirSync(home);
  copyFileSync(join(ROOT, 'package.json'), join(top, 'package.json'));
  await bundle(join(top, 'dist'));
  fleetOf = await simulate({ hosts: 10 });
});
afterAll(async () => {
  await fleetOf[Symbol.asyncDispose]();
  rmSync(top, { recursive: true, force: true });
});

/** Runs the bundled command, without any cache but its own. */
function bundled(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const { PATH = '/usr/bin:/bin' } = process.env;
  const all = { PATH, HOME: home, LANG: 'C.UTF-8', ...env };
  return new Running(process.execPath, [join(top, 'dist/cli/main.js'), ...args], all, 'ignore').ended;
}

describe('the bundled command', () => {
  it.concurrent.each(VERBS.map(({ name }) => name))('%s has its help', async (name) => {
    const { code, stdout } = await bundled([name, '--help']);
    expect(stdout).toMatch(new RegExp(`^Usage: myriad ${name}\\b`));
    expect(code).toBe(0);
  });

  it('says its version', async () => {
    expect((await bundled(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });

  it('has its threads for a run and its journal, which keep what was compiled', async () => {
    const words = ['run', '-w', '127.1.0.[0-9]', ...reach(fleetOf), '--threads', '2', '--journal', join(home, 'runs')];
    const first = await bundled([...words, 'true']);
    expect(first).toMatchObject({ code: 0 });
    expect(totals(first.stderr)).toMatchObject({ ok: 10 });
    expect(readdirSync(join(home, '.cache/myriad'))).toHaveLength(1);
    const second = await bundled([...words, 'true'], { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
    // Loaded by threads only.
    expect(second.stderr + second.stdout).toMatch(/V8 code cache for ESM \S*\/fleet\/thread_parts\.js was accepted/);
  });

  it('has its thread of ICMP sweeps', async () => {
    expect(await bundled(['ping', '--icmp', '-w', '127.0.0.1'])).toMatchObject({ code: 0 });
  });
});
