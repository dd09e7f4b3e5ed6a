/** Connections that serve a second command, against real servers: one login, and commands that are kept apart. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, outcomeLabel } from '../../src/index.ts';
import { pidsOf, uniqueSleep, until } from '../contract/transport_world.ts';
import { simulate } from '../kit/fleet.ts';
import { present, type RealServer, startDropbear, startSshd } from '../kit/servers.ts';

const isRoot = process.getuid?.() === 0;

function optionsFor({ port, user, identity, knownHosts }: RealServer): FleetOptions {
  return { hosts: '127.0.0.1', port, user, identity, knownHosts, config: 'none' };
}

const KINDS = [
  { name: 'OpenSSH', programs: ['sshd'], login: /Accepted publickey/g, start: () => startSshd() },
  {
    name: 'dropbear',
    programs: ['dropbear', 'dropbearconvert'],
    login: /Pubkey auth succeeded/g,
    start: startDropbear,
  },
];

for (const kind of KINDS) {
  const possible = kind.programs.every(present) && (kind.name === 'OpenSSH' || isRoot);
  describe.skipIf(!possible)(kind.name, () => {
    let server: RealServer;
    const logins = () => server.log().match(kind.login)?.length ?? 0;

    beforeAll(async () => {
      server = await kind.start();
    });

    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
    });

    it('two runs are one login', async () => {
      const before = logins();
      {
        await using hosts = fleet(optionsFor(server));
        for (const word of ['one', 'two']) {
          const [result] = await hosts.run(`echo ${word}; exit 3`).all();
          expect([outcomeLabel(result!.outcome), result!.stdout.text()]).toEqual(['failed(3)', `${word}\n`]);
        }
      }
      {
        await using hosts = fleet(optionsFor(server));
        await hosts.run('true').all();
      }
      // The second fleet's login is in the log, so that what the first one's runs left there is, too.
      await until(() => logins() >= before + 2);
      expect(logins()).toBe(before + 2);
    });

    it('a stop ends what the second command started, and nothing that the first one left behind', async () => {
      const [left, apart, stopped] = [uniqueSleep(), uniqueSleep(), uniqueSleep()];
      try {
        const before = logins();
        await using hosts = fleet(optionsFor(server));
        const first = `sleep ${left} >/dev/null 2>&1 </dev/null & nohup setsid sleep ${apart} >/dev/null 2>&1 </dev/null & true`;
        expect(outcomeLabel((await hosts.run(first).all())[0]!.outcome)).toBe('ok');
        const second = `sleep ${stopped} & echo up; sleep ${stopped}`;
        const stop = new AbortController();
        const run = hosts.run(second, { gather: 'stream', signal: stop.signal });
        for await (const { line } of run.lines()) if (line === 'up') stop.abort();
        expect((await run.summary()).outcomes.cancelled).toBe(1);
        expect(logins()).toBe(before + 1);
        expect(pidsOf('sleep', stopped)).toEqual([]);
        expect([pidsOf('sleep', left).length, pidsOf('sleep', apart).length]).toEqual([1, 1]);
      } finally {
        for (const sleep of [left, apart, stopped]) {
          for (const pid of pidsOf('sleep', sleep)) process.kill(pid, 'SIGKILL');
        }
      }
    });
  });
}

describe.skipIf(!present('sshd'))('OpenSSH only', () => {
  it('where one session a connection is allowed, they still follow each other', async () => {
    await using server = await startSshd(['MaxSessions 1']);
    await using hosts = fleet(optionsFor(server));
    for (const _ of [1, 2, 3]) {
      const [result] = await hosts.run('true').all();
      expect(outcomeLabel(result!.outcome)).toBe('ok');
    }
    expect(server.log().match(/Accepted publickey/g)).toHaveLength(1);
  });

  it('terminals, variables and new keys are those of each command', async () => {
    await using server = await startSshd(['AcceptEnv MYRIAD_WORD']);
    await using hosts = fleet({
      ...optionsFor(server),
      configOptions: ['SetEnv=MYRIAD_WORD=given', 'RekeyLimit=16K'],
    });
    const say = (command: string, tty: boolean) =>
      hosts.run(command, tty ? { tty: { columns: 77, rows: 20 } } : {}).all();
    for (const tty of [true, false, true]) {
      const [result] = await say(
        'if [ -t 1 ]; then stty size; fi; echo $MYRIAD_WORD; head -c 40000 /dev/zero | wc -c',
        tty,
      );
      const text = result!.stdout.text().replaceAll('\r', '');
      expect(text).toBe(`${tty ? '20 77\n' : ''}given\n40000\n`);
      expect((await hosts.run('head -c 100000 /dev/zero').all())[0]!.stdout.total).toBe(100_000);
    }
    expect(server.log().match(/Accepted publickey/g)).toHaveLength(1);
  });

  it('behind a jump host, a second run opens no channel there', async () => {
    await using jump = await startSshd(['LogLevel DEBUG']);
    await using simulated = await simulate({ hosts: 50 });
    await using hosts = fleet({
      ...simulated.options,
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
      knownHosts: [simulated.knownHosts, jump.knownHosts],
    });
    for (const _ of [1, 2]) expect((await hosts.run('true').summary()).outcomes.ok).toBe(50);
    expect(simulated.simulator.stats).toEqual({ connections: 50, logins: 50, commands: 100 });
  });

  it('a server that went away between two runs is reached again', async () => {
    await using server = await startSshd();
    await using hosts = fleet(optionsFor(server));
    const [first] = await hosts.run('echo $PPID').all();
    process.kill(Number(first!.stdout.text()), 'SIGKILL');
    const [second] = await hosts.run('echo $PPID').all();
    expect([outcomeLabel(second!.outcome), second!.attempt]).toEqual(['ok', 1]);
    expect(second!.stdout.text()).not.toBe(first!.stdout.text());
  });
});
