/** A sweep and its record: what is refused when it goes on, and that it goes on where the record cannot be written. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PingRecorder } from '../../src/fleet/ping_record.ts';
import { NO_TOTALS } from '../../src/fleet/ping_totals.ts';
import { openJournal, type PingOptions, ping, recordedPing } from '../../src/index.ts';
import type { SweepWriter } from '../../src/journal/sweeps.ts';
import { type PartShape, SweepPart } from '../../src/ping/part.ts';
import { STATE } from '../../src/ping/state.ts';

let server: Server;
let port = 0;
beforeAll(async () => {
  server = createServer((socket) => socket.on('error', () => {}).end());
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  port = (server.address() as { port: number }).port;
});
const folder = mkdtempSync(join(tmpdir(), 'myriad-record-'));
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

async function swept(options: PingOptions, stopAfter = Number.POSITIVE_INFINITY) {
  await using hosts = await ping({ journal: folder, ...options });
  let told = 0;
  const stopping = setInterval(() => {
    if (hosts.counts.sent >= stopAfter) hosts.stop();
  }, 1);
  try {
    for await (const { count } of hosts.chunks()) told += count;
  } finally {
    clearInterval(stopping);
  }
  return { told, summary: hosts.summary() };
}

describe('a sweep of the library', () => {
  it('is recorded, goes on, and is shown; what it asks stays what it was', async () => {
    const first = await swept({ hosts: '127.12.0.0/22', level: 'tcp', port, rate: 1000, timeoutMs: 20_000 }, 100);
    const { run, states } = first.summary;
    expect(states.up).toBeGreaterThanOrEqual(100);
    expect(states['not-probed']).toBe(1024 - states.up);
    for (const [options, message] of [
      [{ hosts: '127.0.0.1' }, 'hosts: a sweep is resumed on its own addresses'],
      [{ port: 1 }, `port: run ${run} goes on as it was begun, so it cannot be changed`],
      [{ level: 'banner' }, `level: run ${run} goes on as it was begun, so it cannot be changed`],
      [{ bogus: 1 }, 'ping: unknown option "bogus"'],
    ] as const) {
      await expect(ping({ resume: 'last', journal: folder, ...(options as PingOptions) })).rejects.toThrow(message);
    }
    const second = await swept({ resume: 'last', rate: 'max', fanout: 64, timeoutMs: 20_000 });
    expect(second.told).toBe(1024);
    expect(second.summary).toMatchObject({ run, stopped: false, states: { up: 1024 } });
    expect(second.summary.counts).toMatchObject({ sent: 1024, answers: 1024, up: 1024 });
    const reader = openJournal({ folder }).readSweep('last')!;
    const recorded = recordedPing(reader);
    const labels = [...recorded.chunks()].flatMap(({ base, count }) => [recorded.label(base), count]);
    expect(labels).toEqual(['127.12.0.0', 1024]);
    expect(recorded.summary().states.up).toBe(1024);
    reader.close();
  });
});

describe('a record that cannot be written', () => {
  const shape: PartShape = { rules: { passes: 1, mode: 'retry' }, banner: false };

  it('is given up, which is said once; the sweep goes on', () => {
    let commits = 0;
    const full = () => {
      commits++;
      throw new Error('the disk is full');
    };
    const writer = { totals: undefined, part: () => undefined, parts: () => [], commit: full, end: full, close() {} };
    const said: string[] = [];
    const recorder = new PingRecorder(writer as unknown as SweepWriter, shape, 10, {
      totals: () => NO_TOTALS,
      live: () => [],
      gaveUp: (why) => said.push(why),
    });
    const chunk = SweepPart.blank(0, 10, shape);
    chunk.state.fill(STATE.up);
    recorder.take(chunk);
    recorder.commit();
    recorder.take(chunk);
    recorder.commit();
    recorder.end('');
    expect([...chunk.state]).toEqual(new Array(10).fill(STATE.up));
    expect(said).toEqual(['the disk is full']);
    expect(commits).toBe(1);
  });
});
