/**
 * What a name costs: CPU and wall time of the resolver against a name server in a process of its own, UDP on 127.0.0.53.
 *
 * usage: node bench/dns.ts [--names 1000] [--at-once 256] [--drop 1%] [--family any|4|6] [--rounds 5] [--seed 1]
 *
 * Each round is a new process, so that what V8 compiles and what modules cost on first use count as they do in a run. CPU
 * is user and system time between the first name and the last answer: of the whole process, compiler threads included, and
 * of the main thread alone. The same process then resolves ten times as many other names: what stays once it is warm.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Family } from '../src/transport/native/addresses.ts';
import { DnsResolver } from '../src/transport/native/dns_resolver.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

const ADDRESS = '127.0.0.53';
const WARM_TIMES = 10;

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

/** Resolves `names` names, `atOnce` at a time, as the lanes of a run do. */
async function resolveAll(
  resolver: DnsResolver,
  [from, names, atOnce]: readonly [number, number, number],
  family: Family,
): Promise<Cost> {
  const cpu = process.cpuUsage();
  const thread = process.threadCpuUsage();
  const began = performance.now();
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
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const onThread = process.threadCpuUsage(thread);
  return { names, wallMs, processUs: user + system, threadUs: onThread.user + onThread.system, failed };
}

/** In a process of its own: a cold round and a warm one. */
async function measure(port: number, names: number, atOnce: number, family: Family): Promise<void> {
  const clock = {
    now: () => performance.now(),
    setTimer: (delayMs: number, callback: () => void) => {
      const timer = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  const options = { clock, servers: [{ address: ADDRESS, port }], resolvConf: '/dev/null', hostsFile: '/dev/null' };
  const resolver = new DnsResolver(options);
  const cold = await resolveAll(resolver, [0, names, atOnce], family);
  const warm = await resolveAll(resolver, [names, names * WARM_TIMES, atOnce], family);
  resolver.close();
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

async function main(values: Readonly<Record<string, string>>): Promise<void> {
  const drop = Number.parseFloat(values.drop!) / (values.drop!.endsWith('%') ? 100 : 1);
  const server = child('--serve', `${drop}`, values.seed!);
  const port = await told<number>(server);
  const rounds: (readonly [Cost, Cost])[] = [];
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push(await told(child('--measure', `${port}`, values.names!, values['at-once']!, values.family!)));
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

const [mode, first, second, third, fourth] = process.argv.slice(2);
const familyOf = (word: string): Family => (word === '4' ? 4 : word === '6' ? 6 : 'any');
if (mode === '--serve') serve(Number(first), Number(second), Number(third ?? 0));
else if (mode === '--measure') await measure(Number(first), Number(second), Number(third), familyOf(fourth!));
else {
  const option = (by: string) => ({ type: 'string' as const, default: by });
  const { values } = parseArgs({
    options: {
      names: option('1000'),
      'at-once': option('256'),
      drop: option('1%'),
      family: option('any'),
      rounds: option('5'),
      seed: option('1'),
    },
  });
  await main(values);
}
