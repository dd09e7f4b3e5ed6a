/** A sweep that is stopped or killed goes on where it was, and what is told at its end is of all of it, once. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openJournal } from '../../src/index.ts';
import { launch, myriad } from './command.ts';

const ROOT = process.getuid?.() === 0;

/** Counts who was asked: no address twice but for those in flight when a sweep was killed. */
const asked = new Map<string, number>();
let server: Server;
let port = '';
beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    const { localAddress = '' } = socket;
    asked.set(localAddress, (asked.get(localAddress) ?? 0) + 1);
    socket.end(`SSH-2.0-Test_${localAddress.split('.')[2]}\r\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  port = String((server.address() as { port: number }).port);
});
afterAll(() => server.close());

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'myriad-sweep-'));
  folders.push(folder);
  return folder;
}

/** Addresses that are recorded as up. Read as the file is: whether it is in use is not asked, for that takes time. */
function recorded(folder: string): number {
  const file = readdirSync(folder).find((name) => name.endsWith('.db'));
  if (file === undefined) return 0;
  const db = new DatabaseSync(join(folder, file), { readOnly: true });
  try {
    return Number(db.prepare(`SELECT count FROM tally WHERE kind = 'ok'`).get()?.count ?? 0);
  } catch {
    // Its tables are not there yet.
    return 0;
  } finally {
    db.close();
  }
}

const committed = (folder: string, least: number) =>
  vi.waitFor(() => expect(recorded(folder)).toBeGreaterThanOrEqual(least), { timeout: 30_000, interval: 50 });

describe('a sweep that ended early', () => {
  it('killed: resumed, each address is told once, and those recorded are not asked again', async () => {
    const folder = temporary();
    const words = ['-w', `127.7.0.0/20!127.7.3.9`, '--banner', '-p', port, '--journal', folder];
    const running = launch(['ping', ...words, '--rate', '1000/s', '-t', '20s', '-q', '--output', 'csv']);
    await committed(folder, 100);
    running.child.kill('SIGKILL');
    await running.ended;
    const before = recorded(folder);
    const shown = await myriad(['show', 'last:ok', '--journal', folder, '--output', 'csv', '-q']);
    expect(shown.stdout.split('\r\n')).toHaveLength(before + 2);
    const soFar = [...asked.values()].reduce((sum, count) => sum + count, 0);
    const done = await myriad(['resume', 'last', '--journal', folder, '--rate', 'max', '-f', '64', '-t', '20s']);
    expect(done.code).toBe(0);
    const lines = done.stdout.trimEnd().split('\r\n').slice(1);
    const hosts = lines.map((line) => line.split(',')[0]!);
    expect(new Set(hosts).size).toBe(4095);
    expect(hosts).toHaveLength(4095);
    for (const line of lines) expect(line).toMatch(/^127\.7\.(\d+)\.\d+,up,1,1,[\d.]+,[\d.]+,[\d.]+,Test_\1$/);
    const all = [...asked.values()].reduce((sum, count) => sum + count, 0);
    expect(all - soFar).toBe(4095 - before);
    expect(done.stderr).toBe('');
    const ended = await myriad(['show', 'last', '--journal', folder]);
    expect(ended.stderr).toMatch(/^4,095 addresses: 4,095 up, 0 down$/m);
    expect(ended.stderr).toMatch(/^SSH banners: 4,095 sent, 4,095 answered; /m);
    expect(ended.stdout).toContain('      256  Test_12\n           127.7.12.0/24\n');
    const list = await myriad(['runs', '--journal', folder]);
    expect(list.stdout).toMatch(/ 4,095 ok +ping --banner 127\.7\.0\.0\/20!127\.7\.3\.9\n$/);
  });

  it.skipIf(!ROOT)('^C twice over: says how to go on, and adds up', async () => {
    const folder = temporary();
    const again = /^go on with the ([\d,]+) addresses not probed: (myriad resume (\S+) --journal \S+)$/m;
    const words = ['-w', '127.8.0.0/17', '-x', '127.8.7.0/24', '--journal', folder, '--rate', '2000/s'];
    const first = launch(['ping', ...words, '--alive']);
    await committed(folder, 500);
    first.child.kill('SIGINT');
    const stopped = await first.ended;
    expect(stopped.code).toBe(130);
    const [, left, , run] = again.exec(stopped.stderr)!;
    const rest = Number(left!.replaceAll(',', ''));
    expect(recorded(folder)).toBe(32_768 - 256 - rest);
    const second = launch(['resume', run!, '--journal', folder, '--down', '--rate', '2000/s']);
    await committed(folder, 32_768 - 256 - rest + 500);
    second.child.kill('SIGINT');
    expect((await second.ended).code).toBe(130);
    expect((await second.ended).stdout).toBe('');
    const all = await myriad(['resume', run!, '--journal', folder, '--rate', 'max']);
    expect(all.code).toBe(0);
    expect(all.stdout).toBe('127.8.0.0-127.8.6.255\n127.8.8.0-127.8.127.255\n');
    expect(all.stderr).toMatch(/^32,512 addresses: 32,512 up, 0 down$/m);
    expect(all.stderr).toMatch(/^raw ICMP socket: 32,512 sent, 32,512 answered; /m);
    expect(all.stderr).not.toMatch(again);
    const hosts = await myriad(['run', '--from', `${run}:ok`, '--journal', folder, '--list-hosts']);
    expect(hosts.stdout.split('\n')).toHaveLength(32_512 + 1);
  });

  it.skipIf(!ROOT)('a deadline, then the rest; several probes of an address count together', async () => {
    const folder = temporary();
    const words = ['-w', '127.10.0.0/24', '-c', '3', '--interval', '400ms', '--journal', folder];
    const first = await myriad(['ping', ...words, '--deadline', '600ms', '-q']);
    // Some may not have been asked at all by then, the others twice.
    expect([0, 2]).toContain(first.code);
    const second = await myriad(['resume', 'last', '--journal', folder]);
    expect(second.code).toBe(0);
    const lines = second.stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(256);
    for (const line of lines) expect(line).toMatch(/ : xmt\/rcv\/%loss = 3\/3\/0%, min\/avg\/max = /);
  });

  it('says what cannot be changed, and what is no sweep', async () => {
    const folder = temporary();
    await myriad(['ping', '-w', `127.11.0.1:${port}`, '--tcp', '--journal', folder, '-q']);
    const reader = openJournal({ folder }).readSweep('last')!;
    const { id } = reader.info;
    reader.close();
    const resume = (...words: string[]) => myriad(['resume', 'last', '--journal', folder, ...words]);
    const show = (...words: string[]) => myriad(['show', 'last', '--journal', folder, ...words]);
    for (const [given, message] of [
      [resume('-w', 'x'), `--hosts: sweep ${id} goes on as it was begun, so it cannot be changed`],
      [resume('--banner'), `--banner: sweep ${id} goes on as it was begun, so it cannot be changed`],
      [resume('--alive', '--down'), '--alive and --down: give one of them, or neither'],
      [show('-b'), `--gather-same (-b): run ${id} is a sweep, which has no tasks`],
      [show('--output', 'json'), '--output json: a sweep is shown as text, csv or ndjson'],
    ] as const) {
      expect(await given).toMatchObject({ code: 2, stderr: `myriad: ${message}\n` });
    }
    const none = await myriad(['ping', '-w', `127.11.0.1:${port}`, '--tcp', '-q', '--no-journal']);
    expect(none.code).toBe(0);
  });
});
