/** How many hosts a run may have before someone has to say that it is meant. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { present } from '../kit/servers.ts';
import { launch, myriad, reach, totals } from './command.ts';
import { CONTROL_C, Terminal } from './terminal.ts';

const HOSTS = 1001;
let fleet: SimulatedFleet;
let on: string[];
let commands = 0;

beforeAll(async () => {
  fleet = await simulate({ hosts: HOSTS, onCommand: () => void commands++ });
  on = reach(fleet);
});
afterAll(() => fleet[Symbol.asyncDispose]());

const ALL = ['-w', '127.1.0.0-127.1.3.232'];
const SOME = ['-w', '127.1.0.0-127.1.0.100'];
const FEW = ['-w', '127.1.0.0/30'];

describe('off a terminal', () => {
  it('more than 1,000 hosts are refused, and nothing connects', async () => {
    const { code, stdout, stderr } = await myriad([...ALL, ...on, 'true']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(
      'myriad: 1,001 hosts and no terminal to ask on: add --expect 1001 or --yes; nothing was connected\n',
    );
    expect(fleet.simulator.stats.connections).toBe(0);
  });

  it.each([[['--yes']], [['--expect', '990+-2%']]])('unless %s is given', async (option) => {
    const { code, stderr } = await myriad([...ALL, ...on, ...option, 'true']);
    expect({ code, outcomes: totals(stderr) }).toEqual({ code: 0, outcomes: { ok: HOSTS } });
  });

  it('tasks are not hosts', async () => {
    const { code, stderr } = await myriad([...FEW, ...on, '--repeat', '251', 'true']);
    expect({ code, outcomes: totals(stderr) }).toEqual({ code: 0, outcomes: { ok: 1004 } });
  });

  it.each([
    ['4', 0],
    ['3', 2],
    ['5', 2],
    ['1..4', 0],
    ['4..4', 0],
    ['5..9', 2],
    ['5+-20%', 0],
    ['5+-19%', 2],
    ['3+-34%', 0],
    ['4+-0%', 0],
  ])('--expect %s of 4', async (expected, code) => {
    const before = fleet.simulator.stats.connections;
    const ended = await myriad([...FEW, ...on, '--expect', expected, 'true']);
    expect(ended.code).toBe(code);
    if (code === 0) return;
    expect(ended.stderr).toBe(`myriad: --expect ${expected}: the selection has 4 hosts; nothing was connected\n`);
    expect(fleet.simulator.stats.connections).toBe(before);
  });
});

describe.runIf(present('script'))('on a terminal', () => {
  const QUESTION = /Run "echo hello" on 101 hosts\? \[y\/N\] /;

  it.each([
    ['y\r', 0],
    ['yes\r', 0],
    ['n\r', 2],
    ['\r', 2],
    ['yesterday\r', 2],
    ['\x04', 2],
    [CONTROL_C, 130],
  ])('more than 100 hosts are asked back: %j', async (answer, code) => {
    const before = commands;
    const terminal = new Terminal([...SOME, ...on, 'echo hello']);
    await terminal.shows(QUESTION);
    expect(commands).toBe(before);
    terminal.type(answer);
    const { code: ended, stdout } = await terminal.ended;
    expect(ended).toBe(code);
    expect(commands - before).toBe(code === 0 ? 101 : 0);
    if (code === 0) expect(stdout).toMatch(/(?:^|\x1b\[K)101 planned: 101 ok\r$/m);
    if (code === 2) expect(stdout).toMatch(/^myriad: not confirmed; nothing was connected\r$/m);
  });

  it.each([[FEW], [[...SOME, '--yes']], [[...SOME, '--expect', '101']]])('no question with %j', async (words) => {
    const { code, stdout } = await new Terminal([...words, ...on, 'echo hello']).ended;
    expect(stdout).not.toContain('[y/N]');
    expect(code).toBe(0);
  });

  it('but where stdin is none, nobody is asked', async () => {
    const { code, stdout, stderr } = await launch([...SOME, ...on, 'true']).ended;
    expect(stdout + stderr).not.toContain('[y/N]');
    expect(code).toBe(0);
  });
});
