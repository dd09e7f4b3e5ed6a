/** Host keys of a simulated fleet: looked at, learnt in one write, and known by the runs that follow. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Fleet, fleet, type HostKeys, hostKeysOf, outcomeLabel, type TaskResult } from '../../src/index.ts';
import { type SimulatedFleet, simulate, sumOf } from '../kit/fleet.ts';

const HOSTS = 300;
const KEYS = 30;

/** Its hosts, with a known_hosts file of their own. */
function open(simulated: SimulatedFleet, text: string | undefined, more = {}): { hosts: Fleet; file: string } {
  const file = join(simulated.dir, `known_${Math.random().toString(36).slice(2)}`);
  if (text !== undefined) writeFileSync(file, text);
  return { hosts: fleet({ ...simulated.options, knownHosts: file, ...more }), file };
}

async function look(hosts: Fleet, all = false): Promise<{ found: HostKeys[]; results: TaskResult[] }> {
  const results = await hosts.hostKeys({ all }).all();
  return { results, found: results.map(hostKeysOf).filter((keys) => keys !== undefined) };
}

const outcomes = (results: readonly TaskResult[]) => {
  const counts: Record<string, number> = {};
  for (const { outcome } of results) counts[outcomeLabel(outcome)] = (counts[outcomeLabel(outcome)] ?? 0) + 1;
  return counts;
};

describe('host keys', () => {
  it('of 300 hosts with 30 keys are learnt in one write, and strict then reaches all', async () => {
    await using simulated = await simulate({ hosts: HOSTS, hostKeys: KEYS });
    // No file yet, although it is named: it is made.
    const { hosts, file } = open(simulated, undefined);
    const { found } = await look(hosts);
    expect(found.map(({ host }) => host.label)).toEqual([...simulated.simulator.labels()]);
    expect(simulated.simulator.stats).toMatchObject({ connections: HOSTS, logins: 0 });
    expect(await hosts.learn(found)).toEqual([{ file, hosts: HOSTS, keys: HOSTS, changed: [] }]);
    const written = readFileSync(file, 'utf8');
    expect(written).toBe([...simulated.simulator.knownHosts()].join(''));
    expect(new Set(written.split('\n').map((line) => line.split(' ')[2])).size).toBe(KEYS + 1);
    // The same fleet, which has read the file before, and another one.
    expect((await hosts.run('true').summary()).outcomes.ok).toBe(HOSTS);
    await hosts.close();
    await using others = fleet({ ...simulated.options, knownHosts: file, hostKeys: 'strict' });
    expect((await others.run('true').summary()).outcomes.ok).toBe(HOSTS);
  });

  it('that are known are not asked for, with all they are, and neither adds anything', async () => {
    await using simulated = await simulate({ hosts: 20, hostKeys: 5 });
    const lines = [...simulated.simulator.knownHosts()].join('').split('\n').slice(0, 12);
    const { hosts, file } = open(simulated, `${lines.join('\n')}\n`);
    await using _ = hosts;
    const first = await look(hosts);
    expect(outcomes(first.results)).toEqual({ skipped: 12, ok: 8 });
    expect(simulated.simulator.stats.connections).toBe(8);
    const second = await look(hosts, true);
    expect(outcomes(second.results)).toEqual({ ok: 20 });
    expect(second.found.filter(({ trusted }) => trusted === 'known')).toHaveLength(12);
    expect(second.found.filter(({ trusted }) => trusted === 'known').flatMap(({ keys }) => keys)).toEqual([]);
    await hosts.learn(first.found);
    expect(await hosts.learn(second.found)).toEqual([{ file, hosts: 0, keys: 0, changed: [] }]);
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(20);
  });

  it('of hosts that fail, or show another key than the known one, are not learnt; each is accounted for', async () => {
    const faults = { 'wrong-key': 0.1, reset: 0.1, garbage: 0.1, refuse: 0.1, 'auth-refused': 0.1 };
    await using simulated = await simulate({ hosts: 100, faults, seed: 4 });
    const { simulator } = simulated;
    const of = (fault: string) => [...Array(100).keys()].filter((index) => simulator.fault(index) === fault).length;
    const { hosts, file } = open(simulated, undefined, { retries: 0 });
    await using _ = hosts;
    const run = hosts.hostKeys({ all: true });
    const results = await run.all();
    const summary = await run.summary();
    expect(sumOf(summary)).toBe(100);
    const fine = 100 - of('reset') - of('garbage') - of('refuse');
    expect(outcomes(results)).toEqual({
      ok: fine,
      'unreachable(reset)': of('reset'),
      protocol: of('garbage'),
      'unreachable(refused)': of('refuse'),
    });
    // A login is of no interest: hosts that would refuse it show their keys.
    expect(of('auth-refused')).toBeGreaterThan(0);
    await hosts.learn(results.map(hostKeysOf).filter((keys) => keys !== undefined));
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(fine);
    // Now with what the hosts should have: the wrong ones are told, and nothing of them is shown.
    const { hosts: right } = open(simulated, [...simulator.knownHosts()].join(''), { retries: 0 });
    await using __ = right;
    const again = await look(right, true);
    expect(outcomes(again.results)['host-key(changed)']).toBe(of('wrong-key'));
    expect(again.found.every(({ trusted }) => trusted === 'known')).toBe(true);
  });

  it('go under the name of HostKeyAlias, hashed where the configuration says so', async () => {
    await using simulated = await simulate({ hosts: 2 });
    const configOptions = ['HashKnownHosts=yes', 'HostKeyAlias=one-name'];
    const { hosts, file } = open(simulated, '# mine', { hosts: '127.1.0.0', configOptions });
    const { found } = await look(hosts);
    expect(found).toMatchObject([{ name: 'one-name', port: 22, trusted: 'no' }]);
    await hosts.learn(found);
    // The line that was open before got its end.
    expect(readFileSync(file, 'utf8')).toMatch(/^# mine\n\|1\|\S+\|\S+ ssh-ed25519 \S+\n$/);
    expect((await hosts.run('true').summary()).outcomes.ok).toBe(1);
    await hosts.close();
  });

  it('that another process has added meanwhile are not added again, and others of it are left alone', async () => {
    await using simulated = await simulate({ hosts: 3, hostKeys: 3 });
    const { hosts, file } = open(simulated, '# before\n');
    await using _ = hosts;
    const { found } = await look(hosts);
    const [first = '', second = ''] = [...simulated.simulator.knownHosts()].join('').split('\n');
    // The first host with its key; the second with the key of the first.
    const other = `${second.split(' ')[0]} ${first.split(' ').slice(1).join(' ')}`;
    writeFileSync(file, `# before\n${first}\n${other}\n`);
    const [learnt] = await hosts.learn(found);
    expect(learnt).toMatchObject({ hosts: 1, keys: 1, changed: [{ label: '127.1.0.1' }] });
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(5);
  });

  it('of many fleets at once are all there in the end', async () => {
    await using simulated = await simulate({ hosts: 60 });
    const file = join(simulated.dir, 'together');
    const parts = ['127.1.0.[0-19]', '127.1.0.[10-39]', '127.1.0.[30-59]'].map((set) =>
      fleet({ ...simulated.options, hosts: set, knownHosts: file }),
    );
    const looked = await Promise.all(parts.map((part) => look(part)));
    await Promise.all(parts.map((part, at) => part.learn(looked[at]!.found)));
    await Promise.all(parts.map((part) => part.close()));
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(lines.toSorted()).toEqual([...simulated.simulator.knownHosts()].join('').trim().split('\n').toSorted());
  });

  it('under a name that cannot stand in the file are an error of that host alone', async () => {
    await using simulated = await simulate({ hosts: 2 });
    const config = join(simulated.dir, 'config');
    writeFileSync(config, 'Host 127.1.0.0\nHostKeyAlias a,b\n');
    const { hosts } = open(simulated, undefined, { config });
    await using _ = hosts;
    const { found, results } = await look(hosts);
    expect(outcomes(results)).toEqual({ 'error(known-hosts)': 1, ok: 1 });
    expect(await hosts.learn(found)).toMatchObject([{ hosts: 1 }]);
  });

  it('are not read out of what a command printed', async () => {
    await using simulated = await simulate({ hosts: 1 });
    await using hosts = fleet(simulated.options);
    const shown = JSON.stringify({ name: 'other', port: 22, trusted: 'no', keys: [], sshfp: 'none' });
    const [result] = await hosts.run(`echo '${shown}'`).all();
    expect(result!.stdout.text()).toContain('trusted');
    expect(hostKeysOf(result!)).toBeUndefined();
  });

  it('cannot be compared with anything where keys are not verified', async () => {
    await using hosts = fleet({ hosts: 'a', hostKeys: 'off', password: 'x' });
    expect(() => hosts.hostKeys()).toThrow(/hostKeys "off": there is nothing to compare keys with/);
  });

  it('are looked at without options of a run', async () => {
    await using hosts = fleet({ hosts: 'a', password: 'x' });
    const options = { gather: 'discard' } as object;
    expect(() => hosts.hostKeys(options)).toThrow(/unknown option "gather"; known are runMs, signal, listener/);
    expect(() => hosts.check(options)).toThrow(/unknown option "gather"/);
  });

  it('cannot be had of a host that only the ssh program can connect to', async () => {
    const configOptions = ['ProxyCommand=nc', 'ProxyUseFdpass=yes'];
    await using hosts = fleet({ hosts: 'a', password: 'x', config: 'none', configOptions });
    const [result] = await hosts.hostKeys().all();
    expect(result!.outcome).toMatchObject({
      kind: 'error',
      message: expect.stringMatching(/^only the ssh program can connect to "a"/),
    });
  });

  it('that nothing is to be done with leave nothing behind', async () => {
    await using simulated = await simulate({ hosts: 1 });
    const { hosts, file } = open(simulated, undefined);
    expect(await hosts.learn([])).toEqual([]);
    await hosts.close();
    expect(() => readFileSync(file)).toThrow(/ENOENT/);
  });
});

describe('check', () => {
  it('logs in to every host and runs nothing', async () => {
    const commands: string[] = [];
    const onCommand = (_: string, command: string) => void commands.push(command);
    const faults = { 'wrong-key': 0.1, 'auth-refused': 0.1, 'no-sessions': 0.1, 'exit-1': 0.1 };
    await using simulated = await simulate({ hosts: 60, faults, seed: 4, onCommand });
    const { simulator } = simulated;
    const of = (fault: string) => [...Array(60).keys()].filter((index) => simulator.fault(index) === fault).length;
    await using hosts = fleet(simulated.options);
    const run = hosts.check();
    const results = await run.all();
    // Sessions are opened by runs: a host that opens none is let be.
    expect(outcomes(results)).toEqual({
      ok: 60 - of('wrong-key') - of('auth-refused'),
      'host-key(changed)': of('wrong-key'),
      'auth-failed': of('auth-refused'),
    });
    expect(results.find(({ outcome }) => outcome.kind === 'ok')!.reached).toMatchObject({ transport: 'native' });
    expect(commands).toEqual([]);
    expect(sumOf(await run.summary())).toBe(60);
  });
});
