/**
 * Many targets behind one real sshd with MaxStartups as shipped (10:30:100): all are reached, over a handful of connections.
 * MYRIAD_JUMP_TARGETS says how many.
 */
import { describe, expect, it } from 'vitest';
import { fleet } from '../../src/index.ts';
import { simulate, sumOf } from '../kit/fleet.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';

const TARGETS = Number(process.env.MYRIAD_JUMP_TARGETS ?? 1000);

/** TCP connections that the server has seen; LogLevel VERBOSE says them. */
function connections(server: RealServer): number {
  return server.log().match(/^Connection from /gm)?.length ?? 0;
}

describe.skipIf(!present('sshd'))(`${TARGETS} targets behind a jump host`, () => {
  it('all at once: each answers as itself, over no more than six connections', async () => {
    await using jump = await startSshd(['LogLevel VERBOSE', 'MaxStartups 10:30:100']);
    await using simulated = await simulate({ hosts: TARGETS });
    await using hosts = fleet({
      ...simulated.options,
      fanout: TARGETS,
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
      knownHosts: [simulated.knownHosts, jump.knownHosts],
    });
    const before = connections(jump);
    const run = hosts.run('hostname');
    const names = (await run.all()).map((result) => result.stdout.text());
    expect(names).toEqual(Array.from({ length: TARGETS }, (_, index) => `sim-${index}\n`));
    const summary = await run.summary();
    expect([summary.outcomes.ok, sumOf(summary)]).toEqual([TARGETS, TARGETS]);
    const seen = connections(jump) - before;
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThanOrEqual(6);
  });

  it('also where it drops each login that comes while another is under way', async () => {
    await using jump = await startSshd(['LogLevel VERBOSE', 'MaxStartups 1:100:1']);
    await using simulated = await simulate({ hosts: TARGETS });
    await using hosts = fleet({
      ...simulated.options,
      fanout: TARGETS,
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
      knownHosts: [simulated.knownHosts, jump.knownHosts],
    });
    const run = hosts.run('true');
    expect((await run.summary()).outcomes.ok).toBe(TARGETS);
  });
});
