/** Jobs of one's own against real servers: commands that follow each other on one connection. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, outcomeLabel, outcomeMessage } from '../../src/index.ts';
import { pidsOf, uniqueSleep } from '../contract/transport_world.ts';
import { present, type RealServer, startDropbear, startSshd } from '../kit/servers.ts';

const isRoot = process.getuid?.() === 0;

const KINDS = [
  { name: 'OpenSSH', programs: ['sshd'], login: /Accepted publickey/g, start: () => startSshd(), more: {} },
  {
    name: 'the ssh program',
    programs: ['sshd', 'ssh'],
    login: /Accepted publickey/g,
    start: () => startSshd(),
    more: { transport: 'openssh' },
  },
  {
    name: 'dropbear',
    programs: ['dropbear', 'dropbearconvert'],
    login: /Pubkey auth succeeded/g,
    start: startDropbear,
    more: {},
  },
] as const;

function optionsFor({ port, user, identity, knownHosts }: RealServer): FleetOptions {
  return { hosts: '127.0.0.1', port, user, identity, knownHosts, config: 'none' };
}

for (const kind of KINDS) {
  const possible = kind.programs.every(present) && (kind.name !== 'dropbear' || isRoot);
  describe.skipIf(!possible)(kind.name, () => {
    let server: RealServer;
    let options: FleetOptions;

    beforeAll(async () => {
      server = await kind.start();
      options = { ...optionsFor(server), ...kind.more };
    });
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
    });

    it('three commands are one login: statuses, both streams, stdin', async () => {
      await using hosts = fleet(options);
      const [result] = await hosts
        .each(async ({ exec }) => {
          const first = await exec('echo $PPID; echo one >&2; exit 3');
          const second = await exec('tr a-z A-Z', { stdin: 'two\n' });
          const big = await exec('head -c 300000 /dev/zero', { maxOutput: 100_000 });
          const { bytes, total, truncated } = big.stdout;
          return [first.status, first.stderr.text(), second.stdout.text(), bytes.length, total, truncated];
        })
        .all();
      expect(result!.stdout.text()).toBe('[3,"one\\n","TWO\\n",100000,300000,true]\n');
      expect(server.log().match(kind.login)).toHaveLength(1);
    });

    it('a stop ends the command that runs, with its children', async () => {
      const sleep = uniqueSleep();
      await using hosts = fleet(options);
      const stop = new AbortController();
      const run = hosts.each(
        async ({ exec, write }) => {
          await exec('true');
          await write('up\n');
          await exec(`sh -c 'sleep ${sleep} & wait'`);
        },
        { signal: stop.signal, gather: 'stream' },
      );
      for await (const { line } of run.lines()) {
        expect(line).toBe('up');
        while (pidsOf('sleep', sleep).length === 0) await new Promise((resolve) => setImmediate(resolve));
        stop.abort();
      }
      const summary = await run.summary();
      expect(summary.causes.map(({ example }) => example)).toEqual([
        { kind: 'cancelled', began: 'yes', remote: 'killed' },
      ]);
      expect(pidsOf('sleep', sleep)).toEqual([]);
    });

    it('a command that a function forgets is ended before the task is', async () => {
      const sleep = uniqueSleep();
      await using hosts = fleet(options);
      const [result] = await hosts
        .each(async ({ exec }) => {
          exec(`sleep ${sleep}`).catch(() => {});
          while (pidsOf('sleep', sleep).length === 0) await new Promise((resolve) => setImmediate(resolve));
        })
        .all();
      expect(outcomeLabel(result!.outcome)).toBe('error(job)');
      expect(pidsOf('sleep', sleep)).toEqual([]);
    });
  });
}

describe.skipIf(!present('sshd'))('OpenSSH only', () => {
  it('where the connection goes down, so does the task, unless the function expects it', async () => {
    await using server = await startSshd();
    await using hosts = fleet({ ...optionsFor(server), warm: 0 });
    const cut = 'kill -9 $PPID';
    const [lost] = await hosts.each(({ exec }) => exec(cut)).all();
    expect(lost!.outcome).toMatchObject({ kind: 'lost', began: 'yes' });
    const [gone] = await hosts
      .each(({ exec }) =>
        exec(cut).then(
          () => 'there',
          () => 'gone',
        ),
      )
      .all();
    expect([outcomeLabel(gone!.outcome), gone!.stdout.text()]).toEqual(['ok', '"gone"\n']);
  });

  it('where one session a connection is allowed, commands still follow each other', async () => {
    await using server = await startSshd(['MaxSessions 1']);
    await using hosts = fleet(optionsFor(server));
    const [result] = await hosts
      .each(async ({ exec }) => {
        let said = '';
        for (let i = 0; i < 20; i++) said += (await exec(`echo ${i}`)).stdout.text().trim();
        return said;
      })
      .all();
    expect(result!.stdout.text()).toBe('"012345678910111213141516171819"\n');
    expect(server.log().match(/Accepted publickey/g)).toHaveLength(1);
  });

  it('where none is allowed, the task has failed, and is not taken for one that never began', async () => {
    await using server = await startSshd(['MaxSessions 0']);
    await using hosts = fleet(optionsFor(server));
    const [result] = await hosts.each(({ exec }) => exec('true')).all();
    expect(result!.outcome).toMatchObject({ kind: 'failed', began: 'yes', status: null, cause: 'job' });
    expect(outcomeMessage(result!.outcome)).toMatch(/^session refused: /);
  });
});
