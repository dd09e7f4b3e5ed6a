/** `ping()` on loopback, where every address answers. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ADDRESS_STATES, type PingOptions, ping } from '../../src/index.ts';
import { present } from '../kit/servers.ts';

const ROOT = process.getuid?.() === 0;

async function sweep(options: PingOptions) {
  await using hosts = await ping(options);
  const states: Record<string, number> = {};
  const labels: string[] = [];
  const software = new Map<string, number>();
  let next = 0;
  for await (const chunk of hosts.chunks()) {
    expect(chunk.base).toBe(next);
    next += chunk.count;
    chunk.state.forEach((code, i) => {
      const state = ADDRESS_STATES[code]!;
      states[state] = (states[state] ?? 0) + 1;
      expect((chunk.bits[i >> 3]! >> (i & 7)) & 1).toBe(state === 'up' ? 1 : 0);
      if (labels.length < 100) labels.push(hosts.label(chunk.base + i));
      const text = hosts.banners[chunk.software?.[i] ?? 0];
      if (text) software.set(text, (software.get(text) ?? 0) + 1);
    });
  }
  return { states, labels, software, summary: hosts.summary() };
}

describe.skipIf(!ROOT)('ICMP', () => {
  it('asks every address of a block once', async () => {
    const { states, summary } = await sweep({ hosts: '127.1.0.0/19', rate: 'max' });
    expect(states).toEqual({ up: 8192 });
    expect(summary).toMatchObject({ planned: 8192, stopped: false, how: 'raw ICMP socket' });
    expect(summary.counts).toMatchObject({ sent: 8192, answers: 8192, duplicates: 0, fromOthers: 0, foreign: 0 });
    expect(summary.rtt!.min).toBeLessThanOrEqual(summary.rtt!.p50);
    expect(summary.rtt!.p99).toBeLessThanOrEqual(summary.rtt!.max);
  });

  it("two sweeps at once do not take each other's answers", async () => {
    const [a, b] = await Promise.all([sweep({ hosts: '127.2.0.0/20' }), sweep({ hosts: '127.2.0.0/20' })]);
    for (const { states, summary } of [a, b]) {
      expect(states).toEqual({ up: 4096 });
      expect(summary.counts).toMatchObject({ sent: 4096, answers: 4096, duplicates: 0, foreign: 0 });
    }
  });

  it.each([
    ['few addresses', '127.3.3.[1-9]'],
    ['many addresses', '127.3.0.0/20'],
  ])('closed in the middle it ends at once: %s', async (_what, hosts) => {
    const slow = await ping({ hosts, count: 2, intervalMs: 600_000, timeoutMs: 600_000 });
    const read = (async () => {
      let told = 0;
      for await (const chunk of slow.chunks()) told += chunk.count;
      return told;
    })();
    await vi.waitFor(() => expect(slow.counts.sent).toBe(slow.count), { timeout: 20_000 });
    await slow.close();
    const told = await read;
    const { states } = slow.summary();
    expect([states.up, states['not-probed']]).toEqual([told, slow.count - told]);
  });

  it('IPv6 and names come with their labels, and what has no address is told', async () => {
    const { states, labels, summary } = await sweep({
      hosts: 'localhost,127.0.0.9,[::1],no-such-host.invalid',
      family: 'any',
    });
    expect(labels.toSorted()).toEqual(['127.0.0.9', '[::1]', 'localhost', 'no-such-host.invalid']);
    expect(states).toEqual({ up: 3, name: 1 });
    expect(summary.states.name).toBe(1);
  });

  it('a stop leaves the rest not probed, and accounts for it', async () => {
    await using hosts = await ping({ hosts: '127.0.0.0/8', rate: 20_000 });
    const stopping = setInterval(() => {
      if (hosts.counts.sent > 500) hosts.stop();
    }, 5);
    let told = 0;
    for await (const chunk of hosts.chunks()) told += chunk.count;
    clearInterval(stopping);
    const { states, planned, counts, stopped } = hosts.summary();
    expect(stopped).toBe(true);
    expect(told).toBe(2 ** 18);
    expect(states.up).toBe(counts.sent);
    expect(states.up + states['not-probed']).toBe(planned);
  });

  it.skipIf(!present('fping'))('fping does it where no socket is to be had', async () => {
    const { states, summary } = await sweep({ hosts: '127.3.0.[1-30]', socket: 'fping', count: 2, intervalMs: 20 });
    expect(states).toEqual({ up: 30 });
    expect(summary.counts).toMatchObject({ sent: 60, answers: 60 });
    expect(summary.how).toBe('fping');
  });
});

describe('what is selected', () => {
  const count = async (options: PingOptions) => {
    await using hosts = await ping(options);
    const { reserved, unusable } = hosts.summary();
    return [hosts.count, reserved, unusable];
  };

  it.each([
    ['10.0.0.0/24', {}, [256, 0, 0]],
    ['10.0.0.0/24', { usable: true }, [254, 0, 2]],
    ['10.0.0.0/31', { usable: true }, [2, 0, 0]],
    ['10.0.0.0/24', { exclude: '10.0.0.[0-9]' }, [246, 0, 0]],
    ['126.0.0.0/7', {}, [2 ** 24, 2 ** 24, 0]],
    ['127.0.0.0/8', {}, [2 ** 24, 0, 0]],
    ['192.0.2.0/24', {}, [256, 0, 0]],
    ['0.0.0.0/0', {}, [3_724_344_576, 570_622_720, 0]],
  ] as const)('%s %j', async (hosts, more, expected) => {
    expect(await count({ hosts, ...more })).toEqual(expected);
  });

  it.each([
    [{ hosts: '127.0.0.1', hots: 1 }, /unknown option "hots"/],
    [{ hosts: '127.0.0.1', count: 0 }, /count: expected a whole number from 1/],
    [{ hosts: '127.0.0.1', count: 2, retries: 1 }, /count and retries/],
    [{ hosts: '127.0.0.1', level: 'udp' }, /level: expected one of icmp, tcp, banner/],
    [{ hosts: '127.0.0.1', level: 'tcp', count: 2 }, /go with level icmp/],
    [{ hosts: '127.0.0.1', timeoutMs: 1e9 }, /timeoutMs: expected a number above 0 and up to 600000/],
    [{ hosts: '127.0.0.1', rate: -1 }, /rate: expected a number above 0/],
    [{ hosts: '127.0.0.1', family: 6 }, /nothing is left to ask/],
  ])('%j is refused', async (options, message) => {
    await expect(ping(options as PingOptions)).rejects.toThrow(message);
  });
});

describe('TCP and banners', () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    const last = Number(socket.localAddress!.split('.').at(-1));
    if (last % 4 === 0) socket.end('220 ftp\r\n');
    else if (last % 4 === 1) socket.end('hello\r\nSSH-2.0-OpenSSH_9.2\r\n');
    else if (last % 4 === 2) socket.end('SSH-2.0-dropbear_2022.83\r\n');
    // The others say nothing.
  });
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => void server.close());

  it('tcp: up where a connection is accepted', async () => {
    const { states, summary } = await sweep({ hosts: '127.4.0.0/24', level: 'tcp', port, rate: 'max' });
    expect(states).toEqual({ up: 256 });
    expect(summary.counts).toMatchObject({ sent: 256, answers: 256, done: 256 });
  });

  it('tcp: a closed port is down, with its cause; a port that is written is the one that is asked', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const free = (closed.address() as { port: number }).port;
    await new Promise((resolve) => closed.close(resolve));
    const { states, labels } = await sweep({ hosts: `127.4.1.1:${port},127.4.1.2`, level: 'tcp', port: free });
    expect(states).toEqual({ up: 1, refused: 1 });
    expect(labels).toHaveLength(2);
  });

  it('a stop leaves the rest not probed, and accounts for it', async () => {
    await using hosts = await ping({ hosts: '127.4.0.0/16', level: 'tcp', port, rate: 500, fanout: 4 });
    const stopping = setInterval(() => {
      if (hosts.counts.sent > 20) hosts.stop();
    }, 5);
    for await (const chunk of hosts.chunks()) expect(chunk.count).toBe(65_536);
    clearInterval(stopping);
    const { states, counts, stopped } = hosts.summary();
    expect(stopped).toBe(true);
    expect(states.up).toBe(counts.sent);
    expect(states.up + states['not-probed']).toBe(65_536);
  });

  it('banner: who says that it speaks SSH, and what it is', async () => {
    const { states, software } = await sweep({
      hosts: '127.4.2.[0-39]',
      level: 'banner',
      port,
      timeoutMs: 1500,
      rate: 'max',
    });
    expect(states).toEqual({ up: 20, 'no-banner': 20 });
    expect(software).toEqual(
      new Map([
        ['OpenSSH_9.2', 10],
        ['dropbear_2022.83', 10],
      ]),
    );
  });
});
