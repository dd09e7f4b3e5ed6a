/** Every example runs as it stands, against a simulated fleet, through the built package. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { simulate } from '../kit/fleet.ts';
import { present } from '../kit/servers.ts';

const ROOT = join(import.meta.dirname, '../..');

async function example(name: string, args: readonly string[], more: object = {}): Promise<string> {
  await using simulated = await simulate({ hosts: 3 });
  const { hosts, ...rest } = simulated.options;
  const env = { ...process.env, FLEET: JSON.stringify({ ...rest, ...more }) };
  const file = join(ROOT, 'examples', name);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [file, ...args.map((arg) => arg.replace('@', `${hosts}`))],
    {
      env,
      cwd: ROOT,
    },
  );
  return stdout;
}

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  'hello.ts': async () => {
    const expected = Array.from({ length: 12 }, (_, task) => `hello world ${Math.floor(task / 3) + 1}\n`).join('');
    expect(await example('hello.ts', ['@', '4'])).toBe(expected);
  },
  'job.ts': async () => {
    const expected = [1, 2, 3].map((days, i) => `127.1.0.${i} {"system":"Linux","days":${days}}\n`).join('');
    expect(await example('job.ts', ['@'])).toBe(expected);
  },
  'lines.ts': async () => {
    const lines = (await example('lines.ts', ['@', 'echo one; echo two'])).split('\n').filter(Boolean).sort();
    expect(lines).toEqual(['127.1.0.0', '127.1.0.1', '127.1.0.2'].flatMap((host) => [`${host}: one`, `${host}: two`]));
  },
  'local.ts': async () => {
    if (present('ping')) expect(await example('local.ts', ['127.2.0.[0-9]'])).toBe('10 of 10 answer\n');
  },
};

it.each(readdirSync(join(ROOT, 'examples')))('%s', async (name) => {
  await CASES[name]!();
});
