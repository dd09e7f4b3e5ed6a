/** What a real sshd refuses for the moment is tried again until it is taken: no task fails for it. */
import { describe, expect, it } from 'vitest';
import { type FleetOptions, fleet } from '../../src/index.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';

function optionsFor(server: RealServer, more: FleetOptions = {}): FleetOptions {
  const { port, user, identity, knownHosts } = server;
  return { hosts: '127.0.0.1', port, user, identity, knownHosts, config: 'none', threads: 1, ...more };
}

/** Runs 500 tasks on one address, and gives back their answers, in order, and the summary. */
async function run500(options: FleetOptions) {
  await using hosts = fleet(options);
  const run = hosts.run('echo {i}', { repeat: 500, template: true });
  const results = await run.all({ order: 'input' });
  return { answers: results.map(({ stdout }) => stdout.text()), summary: await run.summary() };
}

const ANSWERS = Array.from({ length: 500 }, (_, i) => `${i + 1}\n`);

describe.skipIf(!present('sshd'))('500 tasks on one sshd', () => {
  it('MaxStartups 5:30:20 drops connections at random: all are ok', async () => {
    await using server = await startSshd(['MaxStartups 5:30:20', 'LogLevel VERBOSE']);
    // More at once than it takes, so that it drops some.
    const { answers, summary } = await run500(optionsFor(server, { perAddress: 16, handshakes: 16 }));
    expect(answers).toEqual(ANSWERS);
    expect(summary.outcomes.ok).toBe(500);
    expect(summary.retries).toBeGreaterThan(0);
    expect(summary.limitedBy).toMatch(/^MaxStartups at 127\.0\.0\.1:\d+ \(throttled \d+ times\)$/);
  }, 60_000);

  it('MaxSessions 2 bounds the sessions of a connection: all are ok', async () => {
    await using server = await startSshd(['MaxSessions 2', 'MaxStartups 100']);
    const { answers, summary } = await run500(optionsFor(server));
    expect(answers).toEqual(ANSWERS);
    expect(summary.outcomes.ok).toBe(500);
  }, 60_000);
});
