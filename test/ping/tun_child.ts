/**
 * A sweep in a network namespace of its own, whose network is this process: what is sent to 10.77.0.0/16 comes out of a TUN device, and
 * the third octet says how its host behaves. Started by `unshare -n`; prints one line of JSON.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { openSync, read, writeFileSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { ping } from '../../src/fleet/ping.ts';
import type { PingOptions } from '../../src/fleet/ping_options.ts';
import { checksum } from '../../src/ping/packet.ts';
import { ADDRESS_STATES } from '../../src/ping/state.ts';

export interface TunCase {
  /** One after the other. */
  readonly sweeps: readonly PingOptions[];
  /** Files below /proc/sys. */
  readonly sysctl?: Readonly<Record<string, string>>;
  /** Takes the interface down after so many packets. */
  readonly downAfter?: number;
}

export interface TunResult {
  readonly states: Readonly<Record<string, string>>;
  readonly summary: Awaited<ReturnType<Awaited<ReturnType<typeof ping>>['summary']>>;
  readonly warnings: readonly string[];
}

const ROUTER = 0x0a4d00fe;
const LIAR = 0x0a4dc801;

function ip(...args: string[]): void {
  execFileSync('ip', args);
}

/** struct ifreq: a name of 16 bytes, and flags: IFF_TUN, IFF_NO_PI. */
function openTun(name: string): number {
  const fd = openSync('/dev/net/tun', 'r+');
  const request = Buffer.alloc(40);
  request.write(name);
  request.writeUInt16LE(0x1001, 16);
  const ioctl = koffi.load(null).func('int ioctl(int, unsigned long, void*)');
  const TUNSETIFF = 0x400454ca;
  if (ioctl(fd, TUNSETIFF, request) !== 0) throw new Error(`TUNSETIFF: errno ${koffi.errno()}`);
  return fd;
}

function packet(from: number, to: number, icmp: Buffer): Buffer {
  icmp.writeUInt16BE(0, 2);
  icmp.writeUInt16BE(checksum(icmp, 0, icmp.length), 2);
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + icmp.length, 2);
  header[8] = 64;
  header[9] = 1;
  header.writeUInt32BE(from, 12);
  header.writeUInt32BE(to, 16);
  header.writeUInt16BE(checksum(header, 0, 20), 10);
  return Buffer.concat([header, icmp]);
}

const seen = new Map<number, number>();

/** What a host does with an echo request: packets, and after how many milliseconds. */
function behave(request: Buffer): [Buffer, number][] {
  const [me, to] = [request.readUInt32BE(12), request.readUInt32BE(16)];
  const icmp = Buffer.from(request.subarray(20));
  if (request[0] !== 0x45 || request[9] !== 1 || icmp[0] !== 8) return [];
  icmp[0] = 0;
  const answer = packet(to, me, icmp);
  const error = (type: number, code: number, quoted: number) =>
    packet(ROUTER, me, Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), request.subarray(0, quoted)]));
  const before = seen.get(to) ?? 0;
  seen.set(to, before + 1);
  switch ((to >>> 8) & 255) {
    case 1:
      return [[answer, 0]];
    case 3:
      return [
        [answer, 0],
        [answer, 0],
        [answer, 0],
      ];
    case 4:
      return [[answer, 5000]];
    case 5:
      return [[packet(LIAR, me, icmp), 0]];
    case 6:
      return [[error(3, 1, request.length), 0]];
    case 7:
      return [[error(11, 0, 28), 0]];
    case 8:
      return before === 0 ? [] : [[answer, 0]];
    case 9:
      return [[answer, 60 - (to & 31)]];
    case 10:
      return [[answer, 400]];
    default:
      return [];
  }
}

/** An interface that is down takes nothing. */
function answer(fd: number, back: Buffer): void {
  try {
    writeSync(fd, back);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
  }
}

function serve(fd: number, downAfter: number): void {
  const buffer = Buffer.alloc(2048);
  let packets = 0;
  const next = () =>
    read(fd, buffer, 0, buffer.length, null, (error, length) => {
      if (error || over) return;
      // UDP: ours, behind all that was sent before it.
      if (buffer[9] === 17) marked?.();
      for (const [back, afterMs] of behave(Buffer.from(buffer.subarray(0, length)))) {
        if (afterMs === 0) answer(fd, back);
        else setTimeout(answer, afterMs, fd, back);
      }
      if (++packets === downAfter) ip('link', 'set', 'tun7', 'down');
      next();
    });
  next();
}

async function sendMark(): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.send('mark', 9, '10.77.2.1', () => resolve());
  });
  socket.close();
}

/** What was sent has been read: a sweep does not wait longer than its timeout for a network that is slow. */
async function drained(): Promise<void> {
  const read = new Promise<void>((resolve) => {
    marked = resolve;
  });
  await sendMark();
  await read;
  marked = undefined;
}

/** No read of the device may be under way: the process would wait for its end. */
async function leave(): Promise<void> {
  over = true;
  ip('link', 'set', 'tun7', 'up');
  await sendMark();
}

async function sweepOnce(options: PingOptions): Promise<TunResult> {
  await drained();
  seen.clear();
  const sweep = await ping(options);
  const states: Record<string, string> = {};
  for await (const chunk of sweep.chunks()) {
    chunk.state.forEach((code, i) => {
      states[sweep.label(chunk.base + i)] = ADDRESS_STATES[code]!;
    });
  }
  return { states, summary: sweep.summary(), warnings: sweep.warnings };
}

let over = false;
let marked: (() => void) | undefined;
const { sweeps, sysctl = {}, downAfter = 0 } = JSON.parse(process.argv[2]!) as TunCase;
for (const [name, value] of Object.entries(sysctl)) writeFileSync(`/proc/sys/${name}`, value);
ip('link', 'set', 'lo', 'up');
const tun = openTun('tun7');
ip('addr', 'add', '10.77.0.1/16', 'dev', 'tun7');
ip('link', 'set', 'tun7', 'up');
serve(tun, downAfter);
const results: TunResult[] = [];
for (const options of sweeps) results.push(await sweepOnce(options));
await leave();
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
