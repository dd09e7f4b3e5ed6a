/** Sweeps that are repeated: runs in rounds like any other, whose tasks are addresses. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { newsOf } from '../../../src/engine/polling/host_states.ts';
import { outcomeOfState } from '../../../src/fleet/polling/sweep_executor.ts';
import { ADDRESS_STATES, openJournal, type PollPingOptions, pollPing, type RunEvent } from '../../../src/index.ts';
import { isUnasked } from '../../../src/ping/state.ts';
import { sumOf } from '../../kit/fleet.ts';

const scratch = mkdtempSync(join(tmpdir(), 'myriad-poll-ping-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Says what it is, on every address of 127.0.0.0/8. */
async function listen(port: number, says: () => string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(says());
  });
  await new Promise<void>((resolve) => server.listen({ port, host: '0.0.0.0' }, resolve));
  return server;
}

const portOf = (server: Server): number => (server.address() as { port: number }).port;

const changesOf = (events: readonly RunEvent[]): string[] =>
  events.flatMap((event) =>
    event.type === 'change' ? [`${event.result.round} ${event.result.host.label} ${event.change}`] : [],
  );

describe('a polled sweep', () => {
  it('tells of hosts that go down and come up, each once, after as many failures as were asked for', async () => {
    const server = await listen(0, () => '');
    const port = portOf(server);
    let again: Server | undefined;
    const told = join(scratch, 'told');
    const { run } = await pollPing({
      hosts: '127.9.0.[1-3]',
      level: 'tcp',
      port,
      everyMs: 100,
      failAfter: 2,
      onChange: `cat >> ${told}`,
    });
    const events: RunEvent[] = [];
    run.on((event) => {
      events.push(event);
      if (event.type !== 'round:end') return;
      if (event.round === 0) server.close();
      else if (event.hosts.down === 3 && again === undefined) {
        again = server;
        void listen(port, () => '').then((started) => {
          again = started;
        });
      } else if (event.hosts.up === 3 && event.round > 1) run.cancel();
    });
    const summary = await run.summary();
    await run.settled();
    again?.close();
    const changes = changesOf(events);
    expect(changes.slice(0, 3)).toEqual(['2 127.9.0.1 down', '2 127.9.0.2 down', '2 127.9.0.3 down']);
    expect(changes.map((change) => change.split(' ').slice(1).join(' ')).slice(3)).toEqual([
      '127.9.0.1 up',
      '127.9.0.2 up',
      '127.9.0.3 up',
    ]);
    expect(sumOf(summary)).toBe(summary.planned);
    const lines = readFileSync(told, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).change).sort()).toEqual([
      ...new Array(3).fill('down'),
      ...new Array(3).fill('up'),
    ]);
  });

  it('a server that says something else is a change of --banner', async () => {
    let version = 1;
    const server = await listen(0, () => `SSH-2.0-Test_${version}\r\n`);
    const { run } = await pollPing({
      hosts: '127.9.1.1',
      level: 'banner',
      port: portOf(server),
      everyMs: 60,
      rounds: 4,
    });
    const events: RunEvent[] = [];
    run.on((event) => {
      events.push(event);
      if (event.type === 'round:end' && event.round === 1) version = 2;
    });
    await run.summary();
    server.close();
    expect(changesOf(events)).toEqual(['2 127.9.1.1 answer']);
  });

  it('records each round of each address, to be drawn', async () => {
    const journal = join(scratch, 'journal');
    const server = await listen(0, () => 'SSH-2.0-Test\r\n');
    const port = portOf(server);
    const hosts = [`127.9.2.[1-2]`, '127.9.2.3:1'];
    const { run } = await pollPing({ hosts, level: 'tcp', port, everyMs: 60, rounds: 3, keepRounds: 2, journal });
    const summary = await run.summary();
    server.close();
    expect([summary.outcomes.ok, summary.outcomes.unreachable, summary.planned]).toEqual([6, 3, 9]);
    const reader = openJournal({ folder: journal }).read(run.id);
    const series = [...reader.series(1)];
    expect(series.map(({ round, host }) => [round, host.label])).toEqual([
      [1, '127.9.2.2'],
      [2, '127.9.2.2'],
    ]);
    for (const { stdout } of series) expect(Number(stdout.text())).toBeGreaterThan(0);
    expect([...reader.tasks()].map(({ host, outcome }) => `${host.label} ${outcome.kind}`)).toEqual([
      '127.9.2.1 ok',
      '127.9.2.2 ok',
      '127.9.2.3:1 unreachable',
    ]);
    reader.close();
  });

  it('accounts for all of a round that is stopped', async () => {
    const server = await listen(0, () => '');
    const slow = { hosts: '127.10.0.0/20', level: 'tcp', port: portOf(server), rate: 500, everyMs: 60_000 } as const;
    const { run, warnings } = await pollPing({ ...slow, runMs: 200 });
    const summary = await run.summary();
    server.close();
    expect([sumOf(summary), summary.planned, summary.stopped]).toEqual([4096, 4096, 'deadline']);
    expect(summary.outcomes['not-run']).toBeGreaterThan(3000);
    expect(warnings).toEqual([]);
  });

  it('says at once where a round takes longer than its period', async () => {
    const { warnings } = await pollPing({ hosts: '127.10.0.0/20', rate: 100, everyMs: 10_000 });
    expect(warnings).toEqual([expect.stringMatching(/^a round takes 41\.0 s at 100 probes a second, which is longer/)]);
  });

  it.each<[Partial<PollPingOptions>, RegExp]>([
    [{ hosts: '127.0.0.0/13' }, /^everyMs: at most 262,144 addresses are polled, and these are 524,288: poll a part/],
    [{ everyMs: 1 }, /^everyMs: expected milliseconds from 10/],
    [{ failAfter: 0 }, /^failAfter: expected/],
    [{ metrics: 'x' }, /^metrics: expected ADDRESS:PORT/],
    [{ resume: 'last' }, /^resume: a polled sweep is not gone on with/],
  ])('%j is refused', async (options, message) => {
    await expect(pollPing({ hosts: '127.0.0.1', everyMs: 1000, ...options })).rejects.toThrow(message);
  });
});

it('an address that was not asked says nothing about its host; every other is up or down', () => {
  const said = ADDRESS_STATES.map((state) => [state, newsOf(outcomeOfState(state), 'ok')]);
  expect(said).toEqual(
    ADDRESS_STATES.map((state) => [state, state === 'up' ? 'answer' : isUnasked(state) ? 'none' : 'failure']),
  );
});
