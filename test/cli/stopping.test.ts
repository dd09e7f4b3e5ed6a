/** Stopping from outside, without a terminal: what runs on the hosts is ended there, too, and everything is accounted for. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { launch, reach, totals } from './command.ts';

let fleet: SimulatedFleet;
let on: string[];
const commands: string[] = [];

beforeAll(async () => {
  fleet = await simulate({ hosts: 6, onCommand: (address, command) => void commands.push(`${address} ${command}`) });
  on = reach(fleet);
});
afterAll(() => fleet[Symbol.asyncDispose]());

const UP = ['--gather', 'stream', 'echo up; sleep 100'];

describe.concurrent('stopping', () => {
  it.each([
    ['SIGTERM', '127.1.0.0'],
    ['SIGHUP', '127.1.0.1'],
    ['SIGINT', '127.1.0.2'],
  ] as const)('%s ends what runs on the hosts; the rest is not run', async (signal, host) => {
    const running = launch(['-w', host, ...on, '-f', '1', '--repeat', '50', ...UP]);
    await running.shows(/: up/);
    running.child.kill(signal);
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/^stopping: ending what is running; \^C once more leaves at once$/m);
    expect(totals(stderr)).toEqual({ cancelled: expect.any(Number), 'not-run': expect.any(Number) });
    // The host was asked to end it over a second channel, and answered.
    expect(stderr).toMatch(/ cancelled: 127\S+\n +stopped by the user; the remote process was killed\n/);
    expect(commands.filter((command) => command.startsWith(host))).toEqual([
      `${host} echo up; sleep 100`,
      `${host} exec sh -s || sh -s`,
    ]);
    expect(stderr).toMatch(/^stopped by the user$/m);
  });

  it('a second SIGINT leaves at once', async () => {
    // Ignores TERM, so that it is still being ended when the second one comes.
    const command = ['sh', '-c', 'trap "" TERM; echo up; for i in $(seq 150); do sleep 0.1; done'];
    const running = launch(['run', '--local', '-w', 'a', '--gather', 'stream', '--', ...command]);
    await running.shows(/: up/);
    running.child.kill('SIGINT');
    await running.shows(/stopping/);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).not.toContain('planned');
  });

  it('programs that run here are ended with their children', async () => {
    const mark = `100.${process.pid}7`;
    const command = ['sh', '-c', `sleep ${mark} & sleep ${mark} & echo up; wait`];
    const running = launch(['run', '--local', '-w', 'a,b', '--gather', 'stream', '--', ...command]);
    await running.shows(/a: up[\s\S]*b: up|b: up[\s\S]*a: up/);
    const processes = () =>
      execFileSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' }).split(`sleep ${mark}\n`).length - 1;
    // Each shell has forked when it says so; its children become `sleep` a little later.
    for (let tries = 0; tries < 100 && processes() < 4; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(processes()).toBe(4);
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect({ code, outcomes: totals(stderr) }).toEqual({ code: 130, outcomes: { cancelled: 2 } });
    expect(processes()).toBe(0);
  });

  it('before anything is connected, by a deadline that is over at once', async () => {
    const { code, stderr } = await launch(['-w', '127.1.0.[3-4]', ...on, '--deadline', '1ms', 'sleep 100']).ended;
    const { timeout = 0, 'not-run': notRun = 0 } = totals(stderr);
    expect(timeout + notRun).toBe(2);
    expect([4, 6]).toContain(code);
  });
});
