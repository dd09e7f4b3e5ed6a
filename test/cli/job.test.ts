/** `--job FILE#EXPORT`: a function of the user's own on the command line. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { myriad, ROOT, reach, totals } from './command.ts';

const PROBE = `
export async function check({ host, options, exec, write, fail }) {
  const { stdout } = await exec('uname', { okStatus: [0] });
  if (host.index === options?.bad) fail('it is the bad one');
  if (host.index === options?.broken) throw new Error('the function broke');
  if (host.index === options?.stray) Promise.reject(new Error('nobody waits'));
  await write(stdout.bytes);
  return { rank: host.index };
}
export default () => 'the default one';
`;

let simulated: SimulatedFleet;
let probe: string;

beforeAll(async () => {
  simulated = await simulate({ hosts: 4 });
  probe = join(simulated.dir, 'probe.mjs');
  writeFileSync(probe, PROBE);
  writeFileSync(join(simulated.dir, 'broken.mjs'), 'export const = 1');
  writeFileSync(join(simulated.dir, 'options.json'), '{"bad":3}');
});
afterAll(() => simulated[Symbol.asyncDispose]());

function run(...words: string[]) {
  const given = words.map((word) => word.replace('@@', simulated.dir));
  return myriad(['-w', String(simulated.options.hosts), ...reach(simulated), '-F', 'none', '--no-journal', ...given]);
}

describe('--job', () => {
  it.each([[], ['--threads', '2']])('calls it once per host %o', async (...threads) => {
    const { code, stdout, stderr } = await run('--order', 'input', ...threads, '--job', `${probe}#check`);
    const expected = [0, 1, 2, 3].map((i) => `127.1.0.${i}: Linux\n127.1.0.${i}: {"rank":${i}}\n`).join('');
    expect({ code, stdout }).toEqual({ code: 0, stdout: expected });
    expect(totals(stderr)).toEqual({ ok: 4 });
  });

  it('without an export it is the default one', async () => {
    expect((await run('-b', '--job', probe)).stdout).toContain('"the default one"\n');
  });

  it('what a function says no to has failed', async () => {
    const { code, stderr } = await run('--job', `${probe}#check`, '--job-options', `@${simulated.dir}/options.json`);
    expect(code).toBe(5);
    expect(stderr).toContain('  1 failed(job): 127.1.0.3\n      it is the bad one\n');
  });

  it.each([
    ['what it throws', 'broken', 'the function broke (probe.mjs:5)'],
    ['a rejection that it lost', 'stray', 'a rejection that nobody handled: nobody waits (probe.mjs:6)'],
  ])('%s is a fault on this side, named with its place', async (_, what, words) => {
    const { code, stderr } = await run('--job', `${probe}#check`, '--job-options', `{"${what}":1}`);
    expect(code).toBe(1);
    expect(totals(stderr)).toEqual({ ok: 3, error: 1 });
    expect(stderr).toContain(`  1 error(job): 127.1.0.1\n      ${words}; the function of the job is at fault\n`);
  });

  it.each([
    ['a missing file', ['--job', '@@/none.mjs#x'], /job module ".*none\.mjs" cannot be loaded: Cannot find module/],
    ['a module with a mistake', ['--job', '@@/broken.mjs#x'], /"[^"]*broken\.mjs" cannot be loaded: Unexpected token/],
    ['a missing export', ['--job', '@@/probe.mjs#chek'], /has no export "chek"; its functions are: check, default$/m],
    ['nothing', ['--job', ''], /job "": expected a module and its export, as "\.\/probe\.js#check"/],
    [
      'a command beside it',
      ['--job', '@@/probe.mjs', 'uptime', '-p'],
      /takes the place of a command; leave out "uptime -p"/,
    ],
    [
      '--local',
      ['--job', '@@/probe.mjs', '--local'],
      /--local: it is for a command; a function \(--job\) runs its own/,
    ],
    ['--sudo', ['--job', '@@/probe.mjs', '--sudo'], /--sudo: it is for a command/],
    ['--stdin', ['--job', '@@/probe.mjs', '--stdin', '-'], /--stdin: it is for a command/],
    ['-e', ['--job', '@@/probe.mjs', '-e', 'A=1'], /--var \(-e\): it is for a command/],
    [
      'options that are no JSON',
      ['--job', '@@/probe.mjs', '--job-options', '{'],
      /--job-options "\{": not JSON: Expected/,
    ],
    [
      'a missing file of options',
      ['--job', '@@/probe.mjs', '--job-options', '@/none'],
      /"@\/none": the file cannot be read: ENOENT/,
    ],
    [
      'options without a job',
      ['--job-options', '1', 'true'],
      /--job-options: nothing takes them without --job; add that/,
    ],
  ])('%s is one sentence, and nothing is connected', async (_, words, message) => {
    const before = simulated.simulator.stats.connections;
    const { code, stdout, stderr } = await run(...words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^myriad: [^\n]*\n$/);
    expect(stderr).toMatch(message);
    expect(simulated.simulator.stats.connections).toBe(before);
  });

  it('a dry run loads it, and says what would be called', async () => {
    const { code, stdout } = await run('--dry-run', '--job', `${probe}#check`, '--job-options', '{"bad":1}');
    expect({ code, first: stdout.split('\n', 1)[0] }).toEqual({
      code: 0,
      first: 'would run on 4 hosts, 4 tasks: probe.mjs#check {"bad":1}',
    });
  });

  it('the page about it shows a function that runs as it stands', async () => {
    const page = readFileSync(join(ROOT, 'docs/jobs.md'), 'utf8');
    const [, code = ''] = /```js\n(.*?)```/s.exec(page)!;
    const file = join(simulated.dir, 'page.mjs');
    writeFileSync(file, code);
    const { stdout, stderr } = await run('-b', '--job', `${file}#check`, '--job-options', '{"least":2}');
    expect(totals(stderr)).toEqual({ ok: 3, failed: 1 });
    expect(stderr).toContain('1 failed(job): 127.1.0.0\n      up for 1 days only\n');
    expect(stdout).toContain('{"days":2}\n');
  });
});
