/** `--audit`: a line before a run and one after it, which nobody can do without in silence. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { myriad, reach } from './command.ts';

const dir = mkdtempSync(join(tmpdir(), 'myriad-audit-'));
let fleet: SimulatedFleet;
beforeAll(async () => {
  fleet = await simulate({ hosts: 4 });
});
afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const local = (...words: string[]) => ['run', '--local', '--no-journal', '-w', 'w[1-3]', ...words];
const lines = (file: string) => readFileSync(file, 'utf8').trim().split('\n');

/** A program `logger` that keeps what it is given, and ends with `status`. */
function logger(name: string, status: number): { readonly env: { readonly PATH: string }; readonly file: string } {
  const folder = mkdtempSync(join(dir, name));
  const file = join(folder, 'heard');
  const program = join(folder, 'logger');
  writeFileSync(program, `#!/bin/sh\n{ echo "$@"; cat; } >>${file}\necho no daemon >&2\nexit ${status}\n`);
  chmodSync(program, 0o755);
  return { env: { PATH: `${folder}:${process.env.PATH}` }, file };
}

describe.concurrent('--audit FILE', () => {
  it('has a line of the start and one of the end, for its owner only, run after run', async () => {
    const file = join(dir, 'trail');
    const first = await myriad(local('--audit', file, '--', 'true'));
    expect([first.code, statSync(file).mode & 0o777]).toEqual([0, 0o600]);
    const second = await myriad(local('--audit', file, '--fail-fast', '-f', '1', '--', 'sh', '-c', 'test {host} = w1'));
    expect(second.code).toBe(6);
    const [start, end, ...others] = lines(file);
    const who = `user="[^"]+" uid=${userInfo().uid}`;
    const stamp = String.raw`^\d{4}-\d\d-\d\dT[\d:.]+Z myriad\[\d+\]: `;
    expect(start).toMatch(
      new RegExp(
        `${stamp}start run="[\\w-]+" ${who}( terminal="\\S+")? tasks=3 count=3 hosts="w\\[1-3\\]" job="true"$`,
      ),
    );
    expect(end).toMatch(new RegExp(`${stamp}end run="[\\w-]+" ${who} exit=0 outcomes="3 ok" seconds=[\\d.]+$`));
    expect(others).toHaveLength(2);
    expect(others[1]).toMatch(/ exit=6 outcomes="1 ok, 1 failed, 1 not-run" .*stopped="1 of 3 tasks began .*"$/);
    const runs = [start!, end!, ...others].map((line) => /run="([^"]+)"/.exec(line)![1]);
    expect([runs[0] === runs[1], runs[2] === runs[3], runs[0] === runs[2]]).toEqual([true, true, false]);
  });

  it('shows no secret, and a job of several lines on one', async () => {
    const file = join(dir, 'secret');
    const words = ['--audit', file, '--redact', 's3cret', '--', 'printf', 'a s3cret\n"b"\x1b[2J'];
    expect((await myriad(local(...words))).code).toBe(0);
    expect(lines(file)).toHaveLength(2);
    expect(readFileSync(file, 'utf8')).not.toMatch(/s3cret|\x1b/);
  });

  it('is bounded, however many hosts there are', async () => {
    const file = join(dir, 'many');
    const hosts = Array.from({ length: 300 }, (_, i) => `${(i * 7919) % 1000}name${i}x`).join(',');
    const { code } = await myriad(['run', '--local', '--no-journal', '-w', hosts, '--audit', file, '--', 'true']);
    expect(code).toBe(0);
    expect(lines(file)[0]!.length).toBeLessThan(900);
    expect(lines(file)[0]).toMatch(/ count=300 hosts="[^"]+" more=\d+ job="true"$/);
  });
});

describe.concurrent('where it cannot be written, nothing connects', () => {
  it.each([
    ['no such folder', () => join(dir, 'none', 'trail'), 'ENOENT'],
    ['no file', () => '/dev/null', 'it is no file'],
  ])('%s', async (_, file, why) => {
    const words = ['-w', '127.1.0.[0-3]', ...reach(fleet), '--no-journal', '--audit', file(), '--', 'true'];
    const { code, stdout, stderr } = await myriad(words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(new RegExp(`^myriad: --audit: "${file()}" cannot be written: .*${why}.*\n$`));
    expect(fleet.simulator.stats.connections).toBe(0);
  });

  it('after the run: the rest is as it was, and 0 becomes 1', async () => {
    const folder = mkdtempSync(join(dir, 'gone'));
    const words = ['--audit', join(folder, 'trail'), '--', 'rm', '-rf', folder];
    const { code, stderr } = await myriad(local(...words));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^3 planned: 3 ok$/m);
    expect(stderr).toMatch(/^myriad: --audit: ".*" cannot be written: ENOENT/m);
  });

  it('an empty name is refused, and a dry run writes nothing', async () => {
    expect((await myriad(local('--audit', ' ', '--', 'true'))).stderr).toContain('--audit: expected syslog or a file');
    const file = join(dir, 'dry');
    expect((await myriad(local('--audit', file, '--dry-run', '--', 'true'))).code).toBe(0);
    expect(() => statSync(file)).toThrow('ENOENT');
  });
});

describe.concurrent('--audit syslog', () => {
  it('goes to the program logger, over its stdin', async () => {
    const { env, file } = logger('good', 0);
    const { code } = await myriad(local('--audit', 'syslog', '--', 'true'), { env });
    expect(code).toBe(0);
    const heard = lines(file);
    expect(heard.map((line) => line.split(' ')[0])).toEqual(['-t', 'start', '-t', 'end']);
    expect(heard[0]).toMatch(/^-t myriad\[\d+\] -p auth\.notice$/);
  });

  it('that fails ends it before anything begins', async () => {
    const { env } = logger('bad', 3);
    const { code, stdout, stderr } = await myriad(local('--audit', 'syslog', '--', 'echo', 'ran'), { env });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe('myriad: --audit: "syslog" cannot be written: logger ended with 3: no daemon\n');
  });
});
