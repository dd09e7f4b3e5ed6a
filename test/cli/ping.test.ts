/** `myriad ping`: what it prints is taken by -w again, and its exit code says how it went. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseHostSet } from '../../src/index.ts';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { present } from '../kit/servers.ts';
import { launch, myriad, reach, shell } from './command.ts';

const ROOT = process.getuid?.() === 0;

const server = createServer((socket) => {
  socket.on('error', () => {});
  const last = Number(socket.localAddress!.split('.').at(-1));
  socket.end(last === 7 ? '220 ftp\r\n' : `SSH-2.0-Test_${last % 2}\r\n`);
});
let port = '';
let fleet: SimulatedFleet;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  port = String((server.address() as { port: number }).port);
  fleet = await simulate({ hosts: 5, seed: 1 });
});
afterAll(async () => {
  server.close();
  await fleet[Symbol.asyncDispose]();
});

describe.skipIf(!ROOT)('myriad ping', { concurrent: true }, () => {
  it('folds what is up, and sums it up', async () => {
    const { code, stdout, stderr } = await myriad(['ping', '-w', '127.1.0.0/22', '-x', '127.1.1.[7,9]']);
    expect(code).toBe(0);
    expect(stdout).toBe(
      'up                127.1.0.0-127.1.1.6  263\nup                127.1.1.8\nup                127.1.1.10-127.1.3.255  758\n',
    );
    expect(stderr).toMatch(/^1,022 addresses: 1,022 up, 0 down$/m);
    expect(stderr).toMatch(/^raw ICMP socket: 1,022 sent, 1,022 answered; /m);
    expect(stderr).toMatch(/^round trip min\/avg\/p50\/p99\/max = [\d./]+ ms$/m);
  });

  it('--alive prints host sets and nothing else: the same hosts once more', async () => {
    const { code, stdout } = await myriad(['ping', '-w', '127.2.0.0/24!127.2.0.[3,77-99]', '--alive', '-q']);
    expect(code).toBe(0);
    const again = stdout.split('\n').filter(Boolean).join(',');
    expect(parseHostSet(again).count).toBe(256 - 24);
    expect(parseHostSet(again).has('127.2.0.3')).toBe(false);
  });

  it('-x ^FILE leaves out a list, of which some has to be selected', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'myriad-excluded-')), 'never');
    writeFileSync(file, '# of others\n10.0.0.0/8\n127.2.1.[0-9]  # ours\n');
    const some = await myriad(['ping', '-w', '127.2.1.0/28', '-x', `^${file}`, '--alive']);
    expect(some).toMatchObject({ code: 0, stdout: '127.2.1.[10-15]\n' });
    const none = await myriad(['ping', '-w', '127.2.2.0/28', '-x', `^${file}`]);
    expect(none.stderr).toBe(`myriad: --exclude (-x): exclusion "^${file}" matches none of the selected hosts\n`);
    const told = await myriad(['ping', '-w', '127.2.2.0/28', '-x', `^${file}`, '--allow-unmatched', '-q']);
    expect(told).toMatchObject({ code: 0, stdout: 'up                127.2.2.0/28  16\n' });
    expect(told.stderr).toBe(`myriad: exclusion "^${file}" matches none of the selected hosts\n`);
    rmSync(dirname(file), { recursive: true });
  });

  it('-c prints a line per host, as fping does', async () => {
    const { code, stdout } = await myriad(['ping', '-w', '127.3.0.[1-2]', '-c', '3', '--interval', '20ms']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^(127\.3\.0\.[12] : xmt\/rcv\/%loss = 3\/3\/0%, min\/avg\/max = [\d.]+\/[\d.]+\/[\d.]+\n){2}$/,
    );
  });

  it('csv and ndjson have a line per host', async () => {
    const [csv, ndjson] = await Promise.all(
      ['csv', 'ndjson'].map((form) => myriad(['ping', '-w', '127.3.1.1,no-such.invalid', '--output', form])),
    );
    expect(csv!.code).toBe(2);
    expect(csv!.stdout).toMatch(
      /^host,state,sent,received,min_ms,avg_ms,max_ms,software\r\n127\.3\.1\.1,up,1,1,[\d.]+,[\d.]+,[\d.]+,\r\nno-such\.invalid,name,0,0,,,,\r\n$/,
    );
    expect(csv!.stderr).toMatch(/^2 addresses: 1 up, 0 down, 1 NOT PROBED \(no address 1\)$/m);
    const lines = ndjson!.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { type: 'ping:host', version: 1, index: 0, host: '127.3.1.1', state: 'up', sent: 1, received: 1 },
      { type: 'ping:host', index: 1, host: 'no-such.invalid', state: 'name', sent: 0, received: 0 },
      { type: 'ping:end', planned: 2, states: { up: 1, name: 1 }, counts: { sent: 1, answers: 1 } },
    ]);
  });

  it('above a million addresses somebody must say that they are meant', async () => {
    const big = await myriad(['ping', '-w', '127.0.0.0/8']);
    expect(big).toMatchObject({ code: 2, stdout: '' });
    expect(big.stderr).toMatch(
      /^myriad: 16,777,216 addresses, 5 m 36 s at 50,000\/s, and no terminal to ask on: add --expect 16777216 or --yes; nothing was sent$/m,
    );
    const other = await myriad(['ping', '-w', '127.0.0.0/24', '--expect', '255']);
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('--expect 255: the selection has 256 hosts');
  });

  it('^C tells what is known, and how many were not asked', async () => {
    const running = launch(['ping', '-w', '127.0.0.0/8', '--yes', '--rate', '5000/s', '--progress', 'always']);
    await running.shows(/of 16,777,216 done/);
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stdout).toMatch(/^up +127\./m);
    // The line of progress may have been drawn once more, and wiped out.
    const found = /16,777,216 addresses: ([\d,]+) up, 0 down, ([\d,]+) NOT PROBED/.exec(stderr)!;
    const [up, unasked] = found.slice(1).map((text) => Number(text!.replaceAll(',', '')));
    expect(up! + unasked!).toBe(2 ** 24);
    expect(up).toBeGreaterThan(0);
    expect(stderr).toMatch(/^stopped before the end$/m);
  });

  it.skipIf(!present('setpriv'))('without the privilege it asks in another way, and says so once', async () => {
    const without = (path: string) =>
      `setpriv=$(command -v setpriv); PATH=${path}; exec "$setpriv" --bounding-set=-net_raw --inh-caps=-net_raw $MYRIAD ping`;
    const tcp = await shell(`${without('/nowhere')} -w 127.4.0.[1-3]`).ended;
    expect(tcp.stderr).toMatch(
      /^myriad: no ICMP socket \(raw ICMP socket: EPERM, datagram ICMP socket: EACCES\) and no fping: TCP port 22 is asked instead; /m,
    );
    expect(tcp.stderr.match(/is asked instead/g)).toHaveLength(1);
    const raw = await shell(`${without('$PATH')} -w 127.4.0.1 --socket raw`).ended;
    expect(raw.code).toBe(2);
    expect(raw.stderr).toBe('myriad: socket "raw" cannot be had: raw ICMP socket: EPERM\n');
  });
});

describe.concurrent('levels above', () => {
  it('--tcp: 1 where some are down', async () => {
    const up = await myriad(['ping', '-w', '127.5.0.[1-20]', '--tcp', '-p', port]);
    expect(up).toMatchObject({ code: 0, stdout: 'up                127.5.0.[1-20]  20\n' });
    const down = await myriad(['ping', '-w', `127.5.0.1:${port},127.5.0.2:1`, '--tcp']);
    expect(down.code).toBe(1);
    expect(down.stdout).toMatch(/^port closed +127\.5\.0\.2:1$/m);
    const many = await myriad(['ping', '-w', `127.5.1.[1-40]:${port}`, '--tcp', '--alive']);
    expect(many).toMatchObject({ code: 0, stdout: `127.5.1.[1-40]:${port}\n` });
    const only = await myriad(['ping', '-w', `127.5.0.1:${port},127.5.0.2:1`, '--tcp', '--down']);
    expect(only).toMatchObject({ code: 0, stdout: '127.5.0.2:1\n' });
  });

  it('--banner groups what servers say', async () => {
    const { code, stdout } = await myriad(['ping', '-w', '127.6.0.[1-9]', '--banner', '-p', port]);
    expect(code).toBe(1);
    expect(stdout).toContain('no banner         127.6.0.7\n');
    expect(stdout).toContain(
      '        4  Test_1\n           127.6.0.[1,3,5,9]\n        4  Test_0\n           127.6.0.[2,4,6,8]\n',
    );
  });

  it('--auth and --exec log in', async () => {
    const hosts = ['-w', [...fleet.simulator.labels()].join(','), ...reach(fleet)];
    const auth = await myriad(['ping', ...hosts, '--auth']);
    expect(auth).toMatchObject({ code: 0, stdout: 'up                127.1.0.[0-4]  5\n' });
    const exec = await myriad(['ping', ...hosts, '--exec', 'exit 3', '--down']);
    expect(exec).toMatchObject({ code: 0, stdout: '127.1.0.[0-4]\n' });
    const failed = await myriad(['ping', ...hosts, '--exec', 'exit 3']);
    expect(failed.code).toBe(1);
    expect(failed.stdout).toMatch(/^failed\S* +127\.1\.0\.\[0-4\] {2}5$/m);
  });

  it.each([
    [['--tcp', '--banner'], '--tcp, --banner: give one of them'],
    [['--tcp', '-c', '2'], '--count: goes with --icmp, not with --tcp'],
    [['--icmp', '-p', '22'], '--port: goes with --tcp, --banner, --auth and --exec, not with --icmp'],
    [['--alive', '--down'], '--alive and --down: give one of them, or neither'],
    [['-c', '0'], '--count (-c): expected a whole number from 1 to 10000, got "0"'],
  ])('%j is refused', async (words, message) => {
    expect(await myriad(['ping', '-w', '127.0.0.1', ...words])).toMatchObject({
      code: 2,
      stderr: `myriad: ${message}\n`,
    });
  });
});
