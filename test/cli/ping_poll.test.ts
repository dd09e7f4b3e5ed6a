/** `myriad ping --every` as its user gives it: what is refused, what each level shows, and how it exits. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { levelOf, parsePing } from '../../src/cli/ping_options.ts';
import { refusePingPolls } from '../../src/cli/ping_poll.ts';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import { simulate } from '../kit/fleet.ts';
import { launch, myriad, reach } from './command.ts';

const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.end('SSH-2.0-Test\r\n');
});
let port = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  port = String((server.address() as { port: number }).port);
});
afterAll(() => void server.close());

const tcp = (...words: string[]) => ['ping', '--tcp', '-p', port, '--no-journal', ...words];

describe.concurrent('ping --every', () => {
  it.each([
    [['--rounds', '3'], '--rounds: the run is not repeated; add --every, such as --every 60s'],
    [
      ['--every', '1m', '--jitter', '1s'],
      '--jitter: goes with --auth and --exec; probes of --icmp are spread by --rate',
    ],
    [['--every', '1m', '-c', '3'], '--count (-c): a round (--every) asks each address once; leave out one of them'],
    [
      ['--every', '1m', '--output', 'csv'],
      '--output csv: it has no rounds (--every) and no changes; use text or ndjson',
    ],
    [
      ['--every', '1m', '--changes-only', '--alive'],
      '--alive: --changes-only shows hosts that change; leave out one of them',
    ],
    [['--every', '1m', '--deadline', '1s'], '--every 1 m 0 s: the run is over before, by --deadline 1.0 s'],
  ])('%j is refused', (words, message) => {
    const flags = parsePing(['-w', '127.0.0.1', ...words])!;
    expect(() => refusePingPolls(flags, levelOf(flags))).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }),
    );
  });

  it('shows what is up and what is not, round after round, and exits by how they stand at the end', async () => {
    const words = tcp('-w', `127.5.0.[1-4],127.5.0.9:1`, '--every', '150ms', '--rounds', '2');
    const { code, stdout, stderr } = await myriad(words);
    const round = 'up                127.5.0.[1-4]  4\nunreachable(refused) 127.5.0.9:1\n';
    expect([code, stdout]).toEqual([1, round + round]);
    expect(stderr.match(/^round \d: 4 ok, 1 unreachable in /gm)).toHaveLength(2);
    expect(stderr).toContain('2 rounds, 1 change, at the end 4 up, 1 down\n');
  });

  it('--changes-only: a line for each host that is down, once', async () => {
    const words = tcp('-w', '127.5.1.1,127.5.1.2:1', '--every', '100ms', '--rounds', '3', '--changes-only', '-q');
    const { code, stdout, stderr } = await myriad(words);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 127\.5\.1\.2:1 down: unreachable\(refused\)[^\n]*\n$/);
  });

  it('--output ndjson: the events of a run, as the schema has them', async () => {
    const validate = new Ajv2020({ allErrors: true }).compile(schema);
    const { stdout } = await myriad(
      tcp('-w', '127.5.2.1,127.5.2.2:1', '--every', '100ms', '--rounds', '2', '--output', 'ndjson'),
    );
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const line of lines) expect([validate(line), validate.errors]).toEqual([true, null]);
    expect(lines.map(({ type }) => type).sort()).toEqual(
      [
        'run:start',
        'task:end',
        'task:end',
        'change',
        'round:end',
        'task:end',
        'task:end',
        'round:end',
        'run:end',
      ].sort(),
    );
  });

  it('--expect is of the addresses', async () => {
    const { code, stderr } = await myriad(tcp('-w', '127.5.4.[1-4]', '--every', '1s', '--expect', '5'));
    expect([code, stderr]).toEqual([2, expect.stringContaining('--expect 5: the selection has 4 hosts')]);
  });

  it('is ended between two rounds by SIGTERM: exit 130', async () => {
    const running = launch(tcp('-w', '127.5.3.1', '--every', '1h'));
    await running.shows(/round 1: 1 ok/);
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining('1 round, 0 changes, at the end 1 up, 0 down')]);
  });

  it('--exec asks over connections that stay; whatever is not 0 is down', async () => {
    await using fleet = await simulate({ hosts: 3 });
    const words = ['ping', '-w', '127.1.0.[0-2]', ...reach(fleet), '--every', '200ms', '--rounds', '3', '--no-journal'];
    const { code, stdout } = await myriad([...words, '--exec', 'exit 3', '--changes-only']);
    expect(code).toBe(1);
    expect(stdout.match(/ 127\.1\.0\.\d down: failed\(3\)/g)).toHaveLength(3);
    expect(fleet.simulator.stats).toEqual({ connections: 3, logins: 3, commands: 9 });
  });

  it('--auth logs in anew in each round', async () => {
    await using fleet = await simulate({ hosts: 3 });
    const journal = join(fleet.dir, 'journal');
    const words = ['ping', '-w', '127.1.0.[0-2]', ...reach(fleet), '--every', '300ms', '--rounds', '3'];
    const { code, stdout } = await myriad([...words, '--journal', journal, '--auth']);
    expect([code, stdout]).toEqual([0, 'up                127.1.0.[0-2]  3\n'.repeat(3)]);
    expect(fleet.simulator.stats).toMatchObject({ logins: 9, commands: 0 });
    const shown = await myriad(['show', 'last', '--journal', journal, '--series', '127.1.0.1']);
    expect(shown.stdout).toMatch(/^127\.1\.0\.1: 3 rounds, 3 without a value\n\S+ ok\n$/);
  });
});
