/**
 * All that is called outside of Node: the C library's sockets, for batches of packets. Nothing else in the project may do that.
 *
 * All memory that the kernel reads or writes is one mapping of our own: it never moves, no garbage collector knows it, and the pointers
 * in it are written once, when it is laid out. Layouts are those of Linux on 64-bit little-endian machines (x64, arm64, riscv64,
 * loong64), which have them in common; elsewhere `openSockets` says so and nothing is loaded.
 */
import { endianness } from 'node:os';
import type { Family } from './addresses.ts';

/** Calls that a sweep makes. Those that fail give -1, and `errno` says why. */
interface CLibrary {
  socket(family: number, type: number, protocol: number): number;
  close(fd: number): number;
  bind(fd: number, address: number, length: number): number;
  getsockname(fd: number, address: number, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  sendmmsg(fd: number, messages: number, count: number, flags: number): number;
  recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: number): number;
  poll(fds: number, count: number, timeoutMs: number): number;
  /** In a thread of Node's pool; `done` is called in this one. */
  pollBeside(fds: number, count: number, timeoutMs: number, done: (error: unknown, result: number) => void): void;
  mmap(at: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  munmap(at: number, length: number): number;
  errno(): number;
  view(at: number, length: number): ArrayBuffer;
}

/** Packets per call. 64 lose 4 % against 256 and answer four times as soon. */
const BATCH = 128;

/** Bytes of one packet that is sent: our echo requests have 28. */
const SEND_SIZE = 64;
/** Bytes kept of one that comes: an answer, or an ICMP error that quotes ours behind two headers with all their options. */
const RECEIVE_SIZE = 256;
/** struct sockaddr_in6 has 28. */
const ADDRESS_SIZE = 32;
/** struct iovec: base (8), length (8). */
const IOVEC_SIZE = 16;
/** struct mmsghdr: struct msghdr (name 8, namelen 4 + 4, iov 8, iovlen 8, control 8, controllen 8, flags 4 + 4), msg_len 4 + 4. */
const MESSAGE_SIZE = 64;
const MESSAGE_LENGTH_AT = 56;
/** struct pollfd (8), struct sock_fprog (16), struct sockaddr and its length (36), option values (32), sock_filter (8 each). */
const SCRATCH_SIZE = 1024;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const SOL_SOCKET = 1;
const SOL_RAW = 255;
const SO_BROADCAST = 6;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_ATTACH_FILTER = 26;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const ICMP_FILTER = 1;
const ICMP6_FILTER = 1;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
const POLLOUT = 4;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** Room for what comes while this thread sends: two seconds of answers at full speed, 768 bytes of kernel memory each. */
const RECEIVE_BUFFER = 128 * 1024 * 1024;
const SEND_BUFFER = 4 * 1024 * 1024;

/** errno.h of Linux. */
const ERRNO: Readonly<Record<number, string>> = {
  1: 'EPERM',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  19: 'ENODEV',
  22: 'EINVAL',
  90: 'EMSGSIZE',
  97: 'EAFNOSUPPORT',
  99: 'EADDRNOTAVAIL',
  100: 'ENETDOWN',
  101: 'ENETUNREACH',
  105: 'ENOBUFS',
  111: 'ECONNREFUSED',
  113: 'EHOSTUNREACH',
};

function errorName(errno: number): string {
  return ERRNO[errno] ?? `errno ${errno}`;
}

/** Why a socket could not be had: errno's name, or why the C library cannot be called here. */
export class SocketError extends Error {
  readonly reason: string;

  constructor(reason: string, what: string) {
    super(`${what}: ${reason}`);
    this.name = 'SocketError';
    this.reason = reason;
  }
}

let library: CLibrary | undefined;

/** Loads the C library of this process. Throws SocketError where that cannot be done. */
async function load(): Promise<CLibrary> {
  if (library) return library;
  if (
    process.platform !== 'linux' ||
    endianness() !== 'LE' ||
    !['x64', 'arm64', 'riscv64', 'loong64'].includes(process.arch)
  )
    throw new SocketError(`not built for ${process.platform} on ${process.arch}`, 'ICMP sockets');
  let koffi: typeof import('koffi');
  try {
    koffi = (await import('koffi')).default as unknown as typeof import('koffi');
  } catch (cause) {
    throw new SocketError(`the package koffi cannot be loaded (${(cause as Error).message})`, 'ICMP sockets');
  }
  const c = koffi.load(null);
  const poll = c.func('int poll(uintptr_t, uint64_t, int)');
  library = {
    socket: c.func('int socket(int, int, int)'),
    close: c.func('int close(int)'),
    bind: c.func('int bind(int, uintptr_t, uint32_t)'),
    getsockname: c.func('int getsockname(int, uintptr_t, uintptr_t)'),
    setsockopt: c.func('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
    sendmmsg: c.func('int sendmmsg(int, uintptr_t, uint32_t, int)'),
    recvmmsg: c.func('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
    poll,
    pollBeside: (fds, count, timeoutMs, done) => poll.async(fds, count, timeoutMs, done),
    mmap: c.func('uintptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)'),
    munmap: c.func('int munmap(uintptr_t, size_t)'),
    errno: () => koffi.errno(),
    view: (at, length) => koffi.view(BigInt(at), length),
  };
  return library;
}

/** One instruction of a classic BPF program: struct sock_filter { u16 code; u8 jt; u8 jf; u32 k }. */
export type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

interface SocketOptions {
  readonly family: Family;
  /** `raw` needs CAP_NET_RAW; `datagram` a group in net.ipv4.ping_group_range. */
  readonly kind: 'raw' | 'datagram';
  /** ICMP types that are wanted; the kernel drops others before it makes a copy. Raw sockets only. */
  readonly types: readonly number[];
  /** What of those is wanted. Raw sockets only. */
  readonly filter: readonly Instruction[];
}

/** A socket for ICMP, which sends and receives up to BATCH packets a call. */
export class IcmpSocket implements Disposable {
  readonly family: Family;
  readonly kind: 'raw' | 'datagram';
  readonly batch = BATCH;
  readonly sendSize = SEND_SIZE;
  readonly receiveSize = RECEIVE_SIZE;
  /** BATCH packets to send, SEND_SIZE apart. */
  readonly sending: Uint8Array;
  /** Their addresses in network order at `addressAt`. */
  readonly addresses: Uint8Array;
  /** BATCH packets that came, RECEIVE_SIZE apart. */
  readonly received: Uint8Array;
  /** Where they came from, as `addresses`. */
  readonly sources: Uint8Array;
  readonly #c: CLibrary;
  readonly #base: number;
  readonly #size: number;
  readonly #fd: number;
  readonly #memory: DataView;
  readonly #sendAt: number;
  readonly #receiveAt: number;
  readonly #vectorsAt: number;
  readonly #scratchAt: number;
  #open = true;

  /** Throws SocketError. */
  static async open(options: SocketOptions): Promise<IcmpSocket> {
    return new IcmpSocket(await load(), options);
  }

  private constructor(c: CLibrary, options: SocketOptions) {
    this.#c = c;
    this.family = options.family;
    this.kind = options.kind;
    const [domain, protocol] = options.family === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6];
    const type = options.kind === 'raw' ? SOCK_RAW : SOCK_DGRAM;
    this.#fd = c.socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (this.#fd < 0) throw new SocketError(errorName(c.errno()), `${options.kind} ICMP socket`);
    const each = SEND_SIZE + RECEIVE_SIZE + 2 * (ADDRESS_SIZE + IOVEC_SIZE + MESSAGE_SIZE);
    this.#size = Math.ceil((BATCH * each + SCRATCH_SIZE) / 4096) * 4096;
    this.#base = Number(c.mmap(0, this.#size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0));
    if (this.#base < 0 || this.#base > 2 ** 48) {
      c.close(this.#fd);
      throw new SocketError('ENOMEM', 'memory for packets');
    }
    const memory = c.view(this.#base, this.#size);
    this.#memory = new DataView(memory);
    let at = 0;
    const take = (size: number) => {
      at += size;
      return at - size;
    };
    const bytes = (size: number) => new Uint8Array(memory, take(size), size);
    this.#sendAt = take(BATCH * MESSAGE_SIZE);
    this.#receiveAt = take(BATCH * MESSAGE_SIZE);
    this.#vectorsAt = take(2 * BATCH * IOVEC_SIZE);
    this.#scratchAt = take(SCRATCH_SIZE);
    this.sending = bytes(BATCH * SEND_SIZE);
    this.received = bytes(BATCH * RECEIVE_SIZE);
    this.addresses = bytes(BATCH * ADDRESS_SIZE);
    this.sources = bytes(BATCH * ADDRESS_SIZE);
    this.#layOut(this.#sendAt, this.#vectorsAt, this.sending.byteOffset, SEND_SIZE, this.addresses.byteOffset);
    const half = this.#vectorsAt + BATCH * IOVEC_SIZE;
    this.#layOut(this.#receiveAt, half, this.received.byteOffset, RECEIVE_SIZE, this.sources.byteOffset);
    for (let i = 0; i < BATCH; i++) this.#memory.setUint16(this.addresses.byteOffset + i * ADDRESS_SIZE, domain, true);
    this.#configure(options);
  }

  /** Writes the pointers from messages to their parts, once. */
  #layOut(messages: number, vectors: number, data: number, size: number, names: number): void {
    const memory = this.#memory;
    const pointer = (at: number, to: number) => memory.setBigUint64(at, BigInt(this.#base + to), true);
    for (let i = 0; i < BATCH; i++) {
      const message = messages + i * MESSAGE_SIZE;
      const vector = vectors + i * IOVEC_SIZE;
      pointer(vector, data + i * size);
      memory.setBigUint64(vector + 8, BigInt(size), true);
      pointer(message, names + i * ADDRESS_SIZE);
      memory.setUint32(message + 8, this.family === 4 ? 16 : 28, true);
      pointer(message + 16, vector);
      memory.setBigUint64(message + 24, 1n, true);
    }
  }

  /** Bytes of each packet that is sent. */
  setLength(length: number): void {
    for (let i = 0; i < BATCH; i++)
      this.#memory.setBigUint64(this.#vectorsAt + i * IOVEC_SIZE + 8, BigInt(length), true);
  }

  /** Where the address is in the `i`-th of `addresses` and `sources`: sockaddr_in has it at 4, sockaddr_in6 at 8. */
  addressAt(i: number): number {
    return i * ADDRESS_SIZE + (this.family === 4 ? 4 : 8);
  }

  #configure(options: SocketOptions): void {
    const { family, kind, types, filter } = options;
    // What is forced needs CAP_NET_ADMIN; without it there is what net.core.rmem_max allows.
    if (!this.#option(SOL_SOCKET, SO_RCVBUFFORCE, [RECEIVE_BUFFER]))
      this.#option(SOL_SOCKET, SO_RCVBUF, [RECEIVE_BUFFER]);
    if (!this.#option(SOL_SOCKET, SO_SNDBUFFORCE, [SEND_BUFFER])) this.#option(SOL_SOCKET, SO_SNDBUF, [SEND_BUFFER]);
    // An address that the set names may be the broadcast address of a network here: it is asked as any other.
    this.#option(SOL_SOCKET, SO_BROADCAST, [1]);
    if (kind === 'datagram') {
      this.#bindAny();
      return;
    }
    // struct icmp_filter and icmp6_filter: one bit per type, set where it is dropped.
    const dropped = new Array<number>(family === 4 ? 1 : 8).fill(0xffffffff);
    for (const type of types) dropped[type >>> 5] = (dropped[type >>> 5]! & ~(1 << (type & 31))) >>> 0;
    if (family === 4) this.#option(SOL_RAW, ICMP_FILTER, dropped);
    else this.#option(IPPROTO_ICMPV6, ICMP6_FILTER, dropped);
    this.#attach(filter);
  }

  #option(level: number, name: number, words: readonly number[]): boolean {
    const at = this.#scratchAt + 64;
    words.forEach((word, i) => {
      this.#memory.setUint32(at + 4 * i, word, true);
    });
    return this.#c.setsockopt(this.#fd, level, name, this.#base + at, 4 * words.length) === 0;
  }

  /** struct sock_fprog { u16 length; pointer to the instructions }. */
  #attach(filter: readonly Instruction[]): void {
    const program = this.#scratchAt + 128;
    const first = program + 16;
    this.#memory.setUint16(program, filter.length, true);
    this.#memory.setBigUint64(program + 8, BigInt(this.#base + first), true);
    filter.forEach(([code, jumpTrue, jumpFalse, k], i) => {
      this.#memory.setUint16(first + 8 * i, code, true);
      this.#memory.setUint8(first + 8 * i + 2, jumpTrue);
      this.#memory.setUint8(first + 8 * i + 3, jumpFalse);
      this.#memory.setUint32(first + 8 * i + 4, k, true);
    });
    this.#c.setsockopt(this.#fd, SOL_SOCKET, SO_ATTACH_FILTER, this.#base + program, 16);
  }

  /** A datagram socket's port is the identifier of its echo requests: any that is free. */
  #bindAny(): void {
    const at = this.#scratchAt + 64;
    for (let i = 0; i < 28; i++) this.#memory.setUint8(at + i, 0);
    this.#memory.setUint16(at, this.family === 4 ? AF_INET : AF_INET6, true);
    this.#c.bind(this.#fd, this.#base + at, this.family === 4 ? 16 : 28);
  }

  /** The identifier that the kernel gives to what a datagram socket sends. */
  get identifier(): number {
    const at = this.#scratchAt + 64;
    this.#memory.setUint32(at + 32, 28, true);
    if (this.#c.getsockname(this.#fd, this.#base + at, this.#base + at + 32) !== 0) return 0;
    return this.#memory.getUint16(at + 2, false);
  }

  /** Sends packets `from` to `to` of the batch. How many went; or minus errno of the first of them. */
  send(from: number, to: number): number {
    const messages = this.#base + this.#sendAt + from * MESSAGE_SIZE;
    const sent = this.#c.sendmmsg(this.#fd, messages, to - from, MSG_DONTWAIT);
    return sent >= 0 ? sent : -this.#c.errno();
  }

  /** Takes what is there: how many packets, 0 for none; or minus errno. */
  receive(): number {
    const got = this.#c.recvmmsg(this.#fd, this.#base + this.#receiveAt, BATCH, MSG_DONTWAIT, 0);
    if (got >= 0) return got;
    const errno = this.#c.errno();
    return errno === 11 ? 0 : -errno;
  }

  /** Bytes of the `i`-th packet that came; at most RECEIVE_SIZE. */
  lengthOf(i: number): number {
    return this.#memory.getUint32(this.#receiveAt + i * MESSAGE_SIZE + MESSAGE_LENGTH_AT, true);
  }

  /** Waits until a packet is there, and leaves this thread to others meanwhile. The socket is not to be closed before. */
  waitBeside(milliseconds: number): Promise<void> {
    const at = this.#polled(POLLIN);
    return new Promise((resolve) => this.#c.pollBeside(at, 1, milliseconds, () => resolve()));
  }

  /** Waits until a packet is there, or, with `room`, until one can be sent. */
  wait(milliseconds: number, room: boolean): void {
    this.#c.poll(this.#polled(room ? POLLIN | POLLOUT : POLLIN), 1, milliseconds);
  }

  /** Where the question is that poll is asked. */
  #polled(events: number): number {
    const at = this.#scratchAt;
    // struct pollfd { int fd; short events; short revents }.
    this.#memory.setInt32(at, this.#fd, true);
    this.#memory.setInt16(at + 4, events, true);
    return this.#base + at;
  }

  /** Closes the socket and gives its memory back: none of the arrays may be used any more. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#c.close(this.#fd);
    this.#c.munmap(this.#base, this.#size);
  }
}
