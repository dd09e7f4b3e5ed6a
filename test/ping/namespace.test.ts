/** Sweeps in network namespaces of their own: a kernel that is real, and a network that loses, doubles, delays and lies. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { present } from '../kit/servers.ts';
import type { TunCase, TunResult } from './tun_child.ts';

const CHILD = join(import.meta.dirname, 'tun_child.ts');
/** Answers come from a process that may have to wait for its turn. */
const PATIENT_MS = 1500;
const ABLE = process.getuid?.() === 0 && present('ip') && present('unshare');

function inNamespace(setting: TunCase): Promise<TunResult[]> {
  return new Promise((resolve, reject) => {
    const args = ['-n', process.execPath, CHILD, JSON.stringify(setting)];
    execFile('unshare', args, { timeout: 30_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message}\n${stderr}`));
      else resolve(JSON.parse(stdout) as TunResult[]);
    });
  });
}

const tally = (states: TunResult['states']) => {
  const counts: Record<string, number> = {};
  for (const state of Object.values(states)) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
};

describe.skipIf(!ABLE)('a sweep of a network that is not honest', { concurrent: true }, () => {
  it('tells every kind of answer apart, whatever the socket', async () => {
    const hosts = [1, 2, 3, 4, 5, 6, 7, 9].map((kind) => `10.77.${kind}.0/27`).join(',');
    const options = { hosts, timeoutMs: PATIENT_MS, rate: 'max' } as const;
    const results = await inNamespace({
      sweeps: [
        { ...options, socket: 'raw' },
        { ...options, socket: 'datagram' },
      ],
      sysctl: { 'net/ipv4/ping_group_range': '0 2147483647' },
    });
    for (const { states, summary } of results) {
      const of = (kind: number) =>
        tally(Object.fromEntries(Object.entries(states).filter(([label]) => label.startsWith(`10.77.${kind}.`))));
      expect(of(1)).toEqual({ up: 32 });
      expect(of(2)).toEqual({ 'no-answer': 32 });
      expect(of(3)).toEqual({ up: 32 });
      expect(of(4)).toEqual({ 'no-answer': 32 });
      expect(of(5)).toEqual({ 'no-answer': 32 });
      expect(of(9)).toEqual({ up: 32 });
      expect(summary.counts).toMatchObject({
        sent: 256,
        answers: 96,
        up: 96,
        done: 256,
        duplicates: 64,
        fromOthers: 32,
      });
      // A datagram socket hears of errors only as errno of its next call.
      const raw = summary.how === 'raw ICMP socket';
      expect(of(6)).toEqual({ [raw ? 'host-unreachable' : 'no-answer']: 32 });
      expect(of(7)).toEqual({ [raw ? 'time-exceeded' : 'no-answer']: 32 });
      expect(summary.counts).toMatchObject({ errors: raw ? 64 : 0, sendFailures: 0 });
    }
    expect(results.map(({ summary }) => summary.how)).toEqual(['raw ICMP socket', 'datagram ICMP socket']);
  });

  it('asks again what was lost, and counts what is late', async () => {
    const lossy = { hosts: '10.77.8.0/25', timeoutMs: PATIENT_MS, rate: 'max' } as const;
    const [once, again, counted, late] = await inNamespace({
      sweeps: [
        { ...lossy, timeoutMs: 50 },
        { ...lossy, retries: 1 },
        { ...lossy, count: 3, intervalMs: 50 },
        { hosts: '10.77.10.[1-5]', timeoutMs: 200, count: 15, intervalMs: 150 },
      ],
    });
    expect(tally(once!.states)).toEqual({ 'no-answer': 128 });
    expect(tally(again!.states)).toEqual({ up: 128 });
    expect(again!.summary.counts).toMatchObject({ sent: 256, answers: 128 });
    expect(counted!.summary.counts).toMatchObject({ sent: 384, answers: 256, up: 128 });
    expect(tally(late!.states)).toEqual({ 'no-answer': 5 });
    expect(late!.summary.counts.late).toBeGreaterThan(0);
    expect(late!.summary.counts.answers).toBe(0);
  });

  it('does not call down what it could not ask: no route, and an interface that goes down half-way', async () => {
    const [routeless, cut] = await inNamespace({
      sweeps: [
        { hosts: '10.99.0.0/28,10.77.1.1', timeoutMs: PATIENT_MS },
        // Two minutes of addresses: it is over as soon as the interface is.
        { hosts: '10.77.1.0-10.77.255.255', timeoutMs: PATIENT_MS, rate: 500, order: 'input' },
      ],
      downAfter: 60,
    });
    expect(tally(routeless!.states)).toEqual({ 'no-route': 16, up: 1 });
    expect(routeless!.summary.counts).toMatchObject({ sent: 1, sendFailures: 16 });
    const { up = 0, 'no-answer': lost = 0, 'no-route': unasked = 0 } = tally(cut!.states);
    expect(up + lost + unasked).toBe(255 * 256);
    expect(up).toBeGreaterThanOrEqual(50);
    expect(unasked).toBeGreaterThan(60_000);
    expect(cut!.summary.counts.sent).toBe(up + lost);
  });
});
