/** Whose code keeps the loop for itself: time is moved by hand. */
import { describe, expect, it } from 'vitest';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { LagMeter, type LagTime, LagWatch } from '../../src/engine/lag.ts';
import { commandKind } from '../../src/jobs/command.ts';
import type { JobKind } from '../../src/jobs/job.ts';
import { ManualClock } from '../util/manual_clock.ts';
import { FakeTransport } from './fake_transport.ts';
import { NO_HOOKS, planOf, Reader, requestOf } from './support.ts';

class Time implements LagTime {
  at = 0;
  used = 0;
  look: (() => void) | undefined;

  now(): number {
    return this.at;
  }

  usedMs(): number {
    return this.used;
  }

  every(_ms: number, look: () => void): { cancel(): void } {
    this.look = look;
    const cancel = () => {
      this.look = undefined;
    };
    return { cancel };
  }

  /** So much time, of which the thread computed a part. */
  pass(ms: number, used = ms): void {
    this.at += ms;
    this.used += used;
  }
}

describe('the meter', () => {
  function meter(): { time: Time; lag: LagMeter; told: string[] } {
    const time = new Time();
    const told: string[] = [];
    return { time, told, lag: new LagMeter((text) => told.push(text), time) };
  }

  it.each([
    [100, 100, 0],
    [101, 101, 1],
    [900, 60, 0],
    [900, 120, 1],
  ])('a call of %i ms, %i of them computed: %i warnings', (ms, used, warnings) => {
    const { time, lag, told } = meter();
    const startedAt = lag.start();
    time.pass(ms, used);
    lag.end(startedAt, 'a listener');
    expect(told).toHaveLength(warnings);
  });

  it('many short calls are no long one', () => {
    const { time, lag, told } = meter();
    for (let i = 0; i < 100; i++) {
      const startedAt = lag.start();
      time.pass(90);
      lag.end(startedAt, 'a listener');
    }
    expect(told).toEqual([]);
  });

  it('tells of each cause once', () => {
    const { time, lag, told } = meter();
    for (const name of ['log', 'log', '']) {
      const startedAt = lag.start();
      time.pass(250);
      lag.end(startedAt, 'a listener', name);
    }
    expect(told).toEqual([
      'a listener "log" kept the main thread for 250 ms: all hosts waited',
      'a listener kept the main thread for 250 ms: all hosts waited',
    ]);
  });

  it('measures a call that waits, and one that throws, and gives on what it throws', () => {
    const { time, lag, told } = meter();
    const call = () => {
      time.pass(200, 0);
      throw new Error('mine');
    };
    expect(() => lag.during(call, 'answer')).toThrow('mine');
    expect(told).toEqual(['answer kept the main thread for 200 ms: all hosts waited']);
  });

  it('puts a loop that stood still down to the job only where no call did it', () => {
    const { time, lag, told } = meter();
    lag.during(() => time.pass(300), 'answer');
    lag.stoodStill(300, 'probe.js#check');
    time.pass(1_000);
    lag.stoodStill(150, 'probe.js#check');
    lag.stoodStill(150, 'probe.js#check');
    expect(told.slice(1)).toEqual([
      'the main thread stood still for 150 ms while the job "probe.js#check" ran: all other hosts waited',
    ]);
  });

  it('tells of a hundred causes, and no more', () => {
    const { time, lag, told } = meter();
    for (let i = 0; i < 300; i++) lag.during(() => time.pass(200), `listener ${i}`);
    expect(told).toHaveLength(100);
  });

  it.each([
    ['a job of the caller is named by the executor', () => 'probe.js#check', ['the job "probe.js#check" kept']],
    ['a command is none of the caller', undefined, []],
  ])('%s', async (_, called, expected) => {
    const { time, lag, told } = meter();
    const clock = new ManualClock();
    const slow: JobKind = {
      ...(commandKind as JobKind),
      ...(called && { called }),
      perform(prepared, task) {
        if (task.target.name === 'ok.1') time.pass(170);
        return (commandKind as JobKind).perform(prepared, task);
      },
    };
    const transports = new Map([['native' as const, new FakeTransport(clock)]]);
    const kinds = new Map([['command', slow]]);
    const executor = new InlineExecutor({ kinds, transports, clock, random: () => 0.5, lag });
    await new Reader(await executor.run(requestOf(planOf(['ok.0', 'ok.1', 'ok.2'])), NO_HOOKS)).done;
    expect(told.map((text) => text.split(' the main', 1)[0])).toEqual(expected);
  });
});

describe('the watch', () => {
  function watch(): { time: Time; watched: LagWatch; told: number[] } {
    const time = new Time();
    const told: number[] = [];
    return { time, told, watched: new LagWatch((ms) => told.push(ms), time) };
  }

  it.each([
    ['in time', 50, 50, []],
    ['late by 100 ms', 150, 150, []],
    ['late by 130 ms', 180, 180, [130]],
    ['late, while the machine did something else', 900, 60, []],
    ['late, and partly its own doing', 900, 120, [120]],
  ] as const)('%s', (_, ms, used, expected) => {
    const { time, watched, told } = watch();
    watched.start();
    time.pass(ms, used);
    time.look!();
    expect(told).toEqual(expected);
  });

  it('tells once', () => {
    const { time, watched, told } = watch();
    watched.start();
    time.pass(500, 500);
    time.look!();
    expect(time.look).toBeUndefined();
    time.pass(500, 500);
    watched.stop();
    expect(told).toEqual([450]);
  });

  it('looks once more at its end', () => {
    const { time, watched, told } = watch();
    watched.start();
    time.pass(500, 500);
    watched.stop();
    expect([told, time.look]).toEqual([[450], undefined]);
  });
});
