/**
 * What a name costs: CPU and wall time of the resolver against a name server in a process of its own, UDP on 127.0.0.53.
 *
 * usage: node bench/dns.ts [--names 1000] [--at-once 256] [--drop 1%] [--family any|4|6] [--rounds 5] [--seed 1] [--floor]
 *
 * Each round is a new process, so that what V8 compiles and what modules cost on first use count as they do in a run; its heap
 * has grown before, as that of a run has. CPU is what the kernel counts for its threads, to the nanosecond, between the first
 * name and the last answer: of the whole process, compiler threads included, and of the main thread alone. The same process then
 * resolves ten times as many other names: what stays once it is warm.
 *
 * `--floor`: what nothing on node:dgram can be below. The same datagrams there and back on one connected socket, 64 names at once:
 * no answer is read, none is missed, nobody waits for a promise.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Family } from '../src/transport/native/addresses.ts';
import { A, AAAA, encodeQuery, readdress } from '../src/transport/native/dns_message.ts';
import { DnsResolver } from '../src/transport/native/dns_resolver.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

const ADDRESS = '127.0.0.53';
const WARM_TIMES = 10;
/** More would overrun the socket's buffer, and nobody asks again. */
const FLOOR_AT_ONCE = 64;

interface Cost {
  readonly names: number;
  readonly wallMs: number;
  readonly processUs: number;
  readonly threadUs: number;
  readonly failed: number;
}

/** Answers every A with an address of 127.0.0.0/8 that the name's number gives, every AAAA with none. */
function serve(drop: number, seed: number, port: number): void {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  let state = seed;
  const dropped = () => {
    // A linear congruence (Numerical Recipes): which ones are lost is the same in every round.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 < drop;
  };
  socket.on('message', (query, from) => {
    if (!dropped()) socket.send(answerTo(query), from.port, from.address);
  });
  socket.bind(port, ADDRESS, () => process.send?.(socket.address().port));
  process.on('disconnect', () => socket.close());
}

function answerTo(query: Buffer): Buffer {
  const isA = query[query.length - 3] === 1;
  const answer = Buffer.alloc(query.length + (isA ? 16 : 0));
  query.copy(answer);
  answer[2] = 0x81;
  answer[3] = 0x80;
  if (!isA) return answer;
  answer[7] = 1;
  const number = Number(/\d+/.exec(query.toString('latin1', 12))?.[0]);
  const record = [
    0xc0,
    12,
    0,
    1,
    0,
    1,
    0,
    0,
    0,
    60,
    0,
    4,
    127,
    1 + (number >> 16),
    (number >> 8) & 0xff,
    number & 0xff,
  ];
  Buffer.from(record).copy(answer, query.length);
  return answer;
}

/** CPU of this process's threads so far, in microseconds: of all, and of the main one. */
function cpuUs(): { readonly all: number; readonly main: number } {
  let all = 0;
  let main = 0;
  for (const thread of readdirSync('/proc/self/task')) {
    const us = Number(readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]) / 1000;
    all += us;
    if (Number(thread) === process.pid) main = us;
  }
  return { all, main };
}

/** What `body` costs; it says how many names failed. */
async function costOf(names: number, body: () => Promise<number>): Promise<Cost> {
  const before = cpuUs();
  const began = performance.now();
  const failed = await body();
  const wallMs = performance.now() - began;
  const after = cpuUs();
  return { names, wallMs, processUs: after.all - before.all, threadUs: after.main - before.main, failed };
}

/** Resolves `names` names, `atOnce` at a time, as the lanes of a run do. How many failed. */
async function resolveAll(
  resolver: DnsResolver,
  [from, names, atOnce]: readonly [number, number, number],
  family: Family,
): Promise<number> {
  let failed = 0;
  let next = from;
  const lane = async () => {
    while (next < from + names) {
      try {
        await resolver.resolve(`host-${next++}.fleet.example`, family);
      } catch {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return failed;
}

/** Queries and answers, and nothing else. */
async function exchangeAll(
  socket: Socket,
  [from, names, atOnce]: readonly [number, number, number],
  family: Family,
): Promise<number> {
  const types = family === 'any' ? [AAAA, A] : [family === 4 ? A : AAAA];
  let next = from;
  let answers = 0;
  const ask = () => {
    if (next === from + names) return;
    const query = encodeQuery(`host-${next++}.fleet.example`, A);
    for (const type of types) {
      readdress(query, type as typeof A, next & 0xffff);
      socket.send(query);
    }
  };
  const done = Promise.withResolvers<number>();
  const received = () => {
    answers += 1;
    if (answers === names * types.length) done.resolve(0);
    else if (answers % types.length === 0) ask();
  };
  socket.on('message', received);
  for (let i = 0; i < atOnce; i++) ask();
  return done.promise.finally(() => socket.off('message', received));
}

/** A run has read its hosts and keys before its first name; without that, the heap's first growth would be the names' cost. */
async function growHeap(): Promise<object[][]> {
  const kept: object[][] = [];
  for (let i = 0; i < 60; i++) {
    const some = Array.from({ length: 20_000 }, (_, n) => ({ i, n }));
    if (i % 3 === 0) kept.push(some);
    if (i % 20 === 0) await sleep(5);
  }
  await sleep(30);
  return kept;
}

/** In a process of its own: a cold round and a warm one. */
async function measure(
  port: number,
  [names, atOnce]: readonly [number, number],
  family: Family,
  floor: boolean,
): Promise<void> {
  const kept = await growHeap();
  const clock = {
    now: () => performance.now(),
    setTimer: (delayMs: number, callback: () => void) => {
      const timer = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  const options = { clock, servers: [{ address: ADDRESS, port }], resolvConf: '/dev/null', hostsFile: '/dev/null' };
  let rounds: (part: readonly [number, number, number]) => Promise<number>;
  let close: () => void;
  if (floor) {
    const socket = createSocket('udp4');
    await new Promise<void>((open) => socket.connect(port, ADDRESS, open));
    rounds = ([from, count]) => exchangeAll(socket, [from, count, FLOOR_AT_ONCE], family);
    close = () => socket.close();
  } else {
    const resolver = new DnsResolver(options);
    rounds = (part) => resolveAll(resolver, part, family);
    close = () => resolver.close();
  }
  const cold = await costOf(names, () => rounds([0, names, atOnce]));
  const warm = await costOf(names * WARM_TIMES, () => rounds([names, names * WARM_TIMES, atOnce]));
  close();
  kept.length = 0;
  process.send?.([cold, warm]);
  process.disconnect?.();
}

function child(...args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(import.meta.url), args);
}

function told<T>(from: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    from.once('message', (message) => resolve(message as T));
    from.once('exit', (code) => reject(new Error(`a process of the benchmark ended early, with status ${code}`)));
  });
}

function row(label: string, costs: readonly Cost[]): string[] {
  const each = (of: (cost: Cost) => number) => {
    const { median, min, max } = spread(costs.map((cost) => of(cost)));
    return `${digits(median)} (${digits(min)}–${digits(max)})`;
  };
  const failed = costs.reduce((sum, cost) => sum + cost.failed, 0);
  return [
    label,
    each((cost) => cost.wallMs),
    each((cost) => cost.threadUs / cost.names),
    each((cost) => cost.processUs / cost.names),
    `${failed}`,
  ];
}

async function main(values: Readonly<Record<string, string>>, floor: boolean): Promise<void> {
  const drop = floor ? 0 : Number.parseFloat(values.drop!) / (values.drop!.endsWith('%') ? 100 : 1);
  const server = child('--serve', `${drop}`, values.seed!);
  const port = await told<number>(server);
  const rounds: (readonly [Cost, Cost])[] = [];
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      const words = [values.names!, values['at-once']!, values.family!, floor ? 'floor' : 'resolver'];
      rounds.push(await told(child('--measure', `${port}`, ...words)));
    }
  } finally {
    server.disconnect();
  }
  const names = Number(values.names);
  const head = [`${digits(drop * 100)} % lost`, 'wall ms', 'main thread µs/name', 'process µs/name', 'failed'];
  const cold = rounds.map(([first]) => first);
  const warm = rounds.map(([, second]) => second);
  process.stdout.write(
    `${textTable([head, row(`cold, ${names} names`, cold), row(`warm, ${names * WARM_TIMES}`, warm)])}\n`,
  );
}

const [mode, first, second, third, fourth, fifth] = process.argv.slice(2);
const familyOf = (word: string): Family => (word === '4' ? 4 : word === '6' ? 6 : 'any');
if (mode === '--serve') serve(Number(first), Number(second), Number(third ?? 0));
else if (mode === '--measure') {
  await measure(Number(first), [Number(second), Number(third)], familyOf(fourth!), fifth === 'floor');
} else {
  const option = (by: string) => ({ type: 'string' as const, default: by });
  const { values } = parseArgs({
    options: {
      floor: { type: 'boolean', default: false },
      names: option('1000'),
      'at-once': option('256'),
      drop: option('1%'),
      family: option('any'),
      rounds: option('5'),
      seed: option('1'),
    },
  });
  const { floor, ...others } = values;
  await main(others, floor);
}
