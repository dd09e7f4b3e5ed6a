/** Tasks that are handed in one by one. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fleet, outcomeLabel } from '../../src/index.ts';
import { simulate } from '../kit/fleet.ts';

const MODULE = join(import.meta.dirname, '../jobs/own_functions.ts');
const command = (line: string) => ({ kind: 'command', options: { command: line } });

describe('submit', () => {
  it('gives each task its own result, whatever was handed in beside it', async () => {
    await using simulated = await simulate({ hosts: 30 });
    await using hosts = fleet({ ...simulated.options, fanout: 8 });
    const labels = [...hosts.hosts()].map(({ label }) => label);
    const results = await Promise.all(
      labels.map((label, i) => hosts.submit(label, command(i % 3 === 0 ? `exit ${i}` : `echo ${i}`))),
    );
    expect(results.map(({ host, outcome, stdout }) => [host.label, outcomeLabel(outcome), stdout.text()])).toEqual(
      labels.map((label, i) => [label, i % 3 || i === 0 ? 'ok' : `failed(${i})`, i % 3 === 0 ? '' : `${i}\n`]),
    );
  });

  it('one after the other they go on one connection, other kinds too', async () => {
    await using simulated = await simulate({ hosts: 2 });
    await using hosts = fleet(simulated.options);
    const said: string[] = [];
    for (const spec of [
      { kind: 'command', options: { command: 'echo {user} {name}', template: true } },
      { kind: 'custom', options: { module: MODULE, export: 'twice' } },
      command('hostname'),
    ]) {
      said.push((await hosts.submit('127.1.0.1', spec)).stdout.text());
    }
    expect(said[0]).toBe('root 127.1.0.1\n');
    expect(said[2]).toBe('sim-1\n');
    expect(simulated.simulator.stats).toMatchObject({ logins: 1, commands: 4 });
  });

  it('never more than the fanout are in progress, however many are handed in', async () => {
    let [now, most] = [0, 0];
    await using simulated = await simulate({ hosts: 40 });
    await using hosts = fleet({ ...simulated.options, fanout: 5 });
    const spec = { kind: 'custom', options: { module: MODULE, export: 'gauge' } };
    const { gauge } = await import('../jobs/own_functions.ts');
    gauge.tell = (change: number) => {
      now += change;
      most = Math.max(most, now);
    };
    const results = await Promise.all([...hosts.hosts()].map(({ label }) => hosts.submit(label, spec)));
    expect(results.every(({ outcome }) => outcome.kind === 'ok')).toBe(true);
    expect([now, most <= 5, most > 1]).toEqual([0, true, true]);
  });

  it('is taken back by its signal: before its turn, and while it runs', async () => {
    const stop = new AbortController();
    const onCommand = (_: string, line: string) => void (line === 'sleep 600' && stop.abort());
    await using simulated = await simulate({ hosts: 3, onCommand });
    await using hosts = fleet({ ...simulated.options, fanout: 1 });
    const running = hosts.submit('127.1.0.0', command('sleep 600'), stop);
    const waiting = hosts.submit('127.1.0.1', command('echo no'), stop);
    const kept = hosts.submit('127.1.0.2', command('echo yes'));
    expect((await running).outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'killed' });
    expect(await waiting).toMatchObject({
      outcome: { kind: 'cancelled', began: 'no' },
      host: { label: '127.1.0.1' },
      reached: undefined,
    });
    expect((await kept).stdout.text()).toBe('yes\n');
    await expect(hosts.submit('127.1.0.0', command('true'), stop)).rejects.toBe(stop.signal.reason);
  });

  it('a fleet that is closed ends what runs, and takes no more', async () => {
    const onCommand = (_: string, line: string) => void (line === 'sleep 600' && hosts.close());
    await using simulated = await simulate({ hosts: 2, onCommand });
    const hosts = fleet({ ...simulated.options, fanout: 1 });
    const submitted = [hosts.submit('127.1.0.0', command('sleep 600')), hosts.submit('127.1.0.1', command('true'))];
    const outcomes = (await Promise.all(submitted)).map(({ outcome }) => outcome);
    expect(outcomes).toMatchObject([
      { kind: 'cancelled', remote: 'killed' },
      { kind: 'not-run', began: 'no' },
    ]);
    await expect(hosts.submit('127.1.0.0', command('true'))).rejects.toMatchObject({ code: 'closed' });
  });

  it('a fleet that is closed before anything began', async () => {
    await using simulated = await simulate({ hosts: 1 });
    const hosts = fleet(simulated.options);
    const submitted = hosts.submit('127.1.0.0', command('true'));
    await hosts.prepare();
    await hosts.close();
    expect(['not-run', 'cancelled']).toContain((await submitted).outcome.kind);
  });

  it.each([
    ['127.9.9.9', command('true'), 'unmatched', /^submit: host "127\.9\.9\.9" is none of this fleet's$/],
    ['127.1.0.[0-1]', command('true'), 'usage', /^submit: expected one host, got 2 in/],
    ['127.1.0.0', command(''), 'usage', /option "command" is empty/],
    ['127.1.0.0', { kind: 'inline', options: {} }, 'usage', /no job of kind "inline" can be handed in/],
    ['127.1.0.0', { kind: 'local', options: {} }, 'usage', /no job of kind "local" can be handed in/],
    ['127.1.0.0', { ...command('true'), version: 9 }, 'usage', /job "command" has version 1 here, not 9/],
  ])('%s %o is refused before anything connects', async (host, spec, code, message) => {
    await using simulated = await simulate({ hosts: 2 });
    await using hosts = fleet(simulated.options);
    await expect(hosts.submit(host, spec)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(simulated.simulator.stats.connections).toBe(0);
  });

  it('a password that is refused stops those that wait', async () => {
    await using simulated = await simulate({ hosts: 20, accepts: () => false });
    const { identity: _, ...options } = simulated.options;
    await using hosts = fleet({ ...options, password: async () => 'mistyped' });
    const labels = [...hosts.hosts()].map(({ label }) => label);
    const results = await Promise.all(labels.map((label) => hosts.submit(label, command('true'))));
    const kinds = results.map(({ outcome }) => outcome.kind);
    expect(kinds.filter((kind) => kind === 'auth-failed')).toHaveLength(3);
    expect(kinds.filter((kind) => kind === 'ok')).toHaveLength(0);
    await expect(hosts.submit(labels[0]!, command('true'))).rejects.toMatchObject({ code: 'aborted' });
  });
});
