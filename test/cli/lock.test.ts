/** `--lock` as its user meets it: a second run on the same hosts is asked back, or refused by name. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runOptions } from '../../src/cli/run.ts';
import { parseRun } from '../../src/cli/run_options.ts';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { present } from '../kit/servers.ts';
import { launch, myriad, reach, totals } from './command.ts';
import { Terminal } from './terminal.ts';

let fleet: SimulatedFleet;
let on: string[];
let commands = 0;
beforeAll(async () => {
  fleet = await simulate({ hosts: 9, onCommand: () => void commands++ });
  on = [...reach(fleet), '--no-journal', '--lock', 'deploy'];
});
afterAll(() => fleet[Symbol.asyncDispose]());
beforeEach(() => {
  commands = 0;
});

const state = mkdtempSync(join(tmpdir(), 'myriad-state-'));
afterAll(() => rmSync(state, { recursive: true, force: true }));
const setting = { env: { XDG_STATE_HOME: state } };

const FIRST = ['-w', '127.1.0.0-127.1.0.5'];
const SECOND = ['-w', '127.1.0.4-127.1.0.8'];
const SENTENCE = /lock "deploy": run \S+ of \S+ \(process \d+\), since \S+Z, has it on 2 hosts of this run/;

/** A run that has the lock, on six hosts, until it is told to stop. */
async function first(): Promise<AsyncDisposable> {
  const running = launch([...FIRST, ...on, '--gather', 'stream', 'echo up; sleep 600'], setting);
  await running.shows(/(up\n[\s\S]*){6}/);
  return {
    async [Symbol.asyncDispose]() {
      running.child.kill('SIGTERM');
      expect((await running.ended).code).toBe(130);
    },
  };
}

it('off a terminal a second run on hosts of a first one is refused, and nothing connects', async () => {
  {
    await using _first = await first();
    const { connections } = fleet.simulator.stats;
    const { code, stdout, stderr } = await myriad([...SECOND, ...on, '--yes', 'true'], setting);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^myriad: ${SENTENCE.source}; nothing was connected\n$`));
    expect(fleet.simulator.stats.connections).toBe(connections);
    const dry = await myriad([...SECOND, ...on, '--dry-run', 'true'], setting);
    expect(dry.code).toBe(0);
    const others = await myriad(['-w', '127.1.0.6-127.1.0.8', ...on, 'echo err >&2'], setting);
    expect({ code: others.code, outcomes: totals(others.stderr) }).toEqual({ code: 0, outcomes: { ok: 3 } });
    expect(others.stderr).toContain('127.1.0.6: err\n');
    expect(others.stderr).not.toContain('taken');
  }
  expect(readdirSync(join(state, 'myriad/locks'))).toEqual([]);
  const { code, stderr } = await myriad([...SECOND, ...on, 'true'], setting);
  expect({ code, outcomes: totals(stderr) }).toEqual({ code: 0, outcomes: { ok: 5 } });
});

it('a run that is resumed takes its lock again', async () => {
  const journal = ['--journal', join(state, 'runs')];
  const args = [...FIRST, ...reach(fleet), ...journal, '--lock', 'deploy', '-f', '2', '--threads', '1'];
  const stopped = launch([...args, '--gather', 'stream', 'echo up; sleep 600'], setting);
  await stopped.shows(/(up\n[\s\S]*){2}/);
  stopped.child.kill('SIGTERM');
  expect((await stopped.ended).code).toBe(130);
  {
    await using _first = await first();
    const { code, stderr } = await myriad(['resume', 'last', ...journal], setting);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^myriad: lock "deploy": run \S+ of .*, has it on 6 hosts of this run; nothing was connected\n$/,
    );
  }
  const resumed = launch(['resume', 'last', ...journal, '-u', '300ms'], setting);
  const { stderr } = await resumed.ended;
  expect(totals(stderr)).toMatchObject({ timeout: 4, cancelled: 2 });
});

describe.skipIf(!present('script'))('on a terminal a second run asks', () => {
  it.each([
    ['y', 0, 5],
    ['n', 2, 0],
  ])('%s', async (answer, code, ran) => {
    await using _first = await first();
    commands = 0;
    const second = new Terminal([...SECOND, ...on, 'true'], { ...setting, columns: 400 });
    await second.shows(new RegExp(`${SENTENCE.source}; begin all the same\\? \\[y/N\\] `));
    second.type(`${answer}\n`);
    expect((await second.ended).code).toBe(code);
    expect(commands).toBe(ran);
  });
});

it.each([
  [
    ['--lock', 'a/b'],
    '--lock: expected up to 64 letters, digits, ".", "_" and "-", the first a letter or digit, got "a/b"',
  ],
  [['--lock', ' '], '--lock: expected a name, got " "'],
  [['--lock', 'a', '--local'], '--lock: a program that runs here (--local) gets none'],
  [['--lock', 'a', '--tty'], '--lock: it does not go together with --tty yet'],
  [['--lock', 'a', '--shell', 'cmd'], '--lock: --shell cmd has no lock'],
  [['--lock', 'a', '--repeat', '2'], '--lock: with --repeat the tasks of a host would lock each other out'],
  [['--lock-ttl', '5m'], '--lock-ttl: there is no --lock'],
  [
    ['--lock', 'a', '--lock-ttl', 'none'],
    '--lock-ttl: expected a duration above 0 such as 500ms, 10s, 5m or 1h, got "none"',
  ],
])('%j is refused', (words, sentence) => {
  const options = () => runOptions(parseRun(['-w', '127.1.0.0', ...words, '--', 'true']).flags, undefined);
  expect(options).toThrow(expect.objectContaining({ code: 'usage', message: sentence }));
});

it('a state folder that cannot be used is named', async () => {
  const args = ['-w', '127.1.0.0', ...on, '--', 'true'];
  const { code, stderr } = await myriad(args, { env: { XDG_STATE_HOME: '/dev/null' } });
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^myriad: lock: the folder \/dev\/null\/myriad\/locks cannot be used: .*; XDG_STATE_HOME names another\n$/,
  );
});
