/** What the transport layer keeps: of a packet that is not whole yet, and of messages that wait for a key exchange. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { PlainCipher } from '../../src/ssh/cipher/plain.ts';
import { PacketReader } from '../../src/ssh/packet_reader.ts';
import { PacketWriter } from '../../src/ssh/packet_writer.ts';
import { Writer } from '../../src/ssh/wire.ts';
import { plainPacket, seededRandom } from './bytes.ts';

/** The payloads of these bytes, handed over in pieces of these sizes. */
function readAll(bytes: Buffer, sizes: () => number): { payloads: Buffer[]; reader: PacketReader } {
  const reader = new PacketReader();
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const piece = Buffer.from(bytes.subarray(at, at + sizes()));
    at += piece.length;
    const joined = reader.join(piece);
    let offset = 0;
    for (;;) {
      const size = reader.size(joined, offset);
      if (size === 0) break;
      const { plain, start, end } = reader.open(joined, offset, size);
      payloads.push(Buffer.from(plain.subarray(start, end)));
      offset += size;
    }
    reader.keep(joined, offset);
    // What was handed over is not kept.
    piece.fill(0xee);
  }
  return { payloads, reader };
}

describe('packets out of pieces', () => {
  it('are the same whatever the pieces are', () => {
    const random = seededRandom(1);
    const payloads = Array.from({ length: 60 }, () => random.bytes(1 + random.below(random.chance(10) ? 60_000 : 300)));
    const bytes = Buffer.concat(payloads.map((payload) => plainPacket(payload)));
    for (const most of [1, 2, 7, 100, 5000, 100_000]) {
      const { payloads: read, reader } = readAll(bytes, () => 1 + random.below(most));
      expect(Buffer.concat(read).equals(Buffer.concat(payloads))).toBe(true);
      expect([read.length, reader.sequence, reader.pending]).toEqual([60, 60, 0]);
      expect(reader.keyedBytes).toBe(bytes.length);
    }
  });

  it('are copied a bounded number of times, byte by byte, too', () => {
    const copied = { bytes: 0 };
    const count = (bytes: number) => {
      copied.bytes += bytes;
    };
    const { copy, copyWithin } = Buffer.prototype;
    const { concat, from } = Buffer;
    Object.assign(Buffer.prototype, {
      copy(this: Buffer, ...args: Parameters<typeof copy>) {
        const copiedNow = copy.apply(this, args);
        count(copiedNow);
        return copiedNow;
      },
      copyWithin(this: Buffer, target: number, start: number, end = this.length) {
        count(end - start);
        return copyWithin.call(this, target, start, end);
      },
    });
    Object.assign(Buffer, {
      concat(list: readonly Uint8Array[]) {
        const whole = concat(list);
        count(whole.length);
        return whole;
      },
      from(bytes: Uint8Array) {
        count(bytes.length);
        return from(bytes);
      },
    });
    const packet = plainPacket(Buffer.alloc(50_000, 1));
    try {
      const reader = new PacketReader();
      for (let at = 0; at < packet.length; at++) {
        const joined = reader.join(packet.subarray(at, at + 1));
        reader.keep(joined, reader.size(joined, 0));
      }
    } finally {
      Object.assign(Buffer.prototype, { copy, copyWithin });
      Object.assign(Buffer, { concat, from });
    }
    // Once each, and what growing by doubling costs.
    expect(copied.bytes).toBeGreaterThan(packet.length / 2);
    expect(copied.bytes).toBeLessThan(4 * packet.length);
  });

  it('leave no large buffer behind for a few bytes', () => {
    const reader = new PacketReader();
    const bytes = Buffer.concat([plainPacket(Buffer.alloc(200_000)), plainPacket(Buffer.alloc(100)).subarray(0, 20)]);
    reader.keep(reader.join(bytes.subarray(0, 100)), 0);
    const joined = reader.join(bytes.subarray(100));
    reader.keep(joined, reader.size(joined, 0));
    expect(reader.pending).toBe(20);
    expect(reader.join(Buffer.alloc(1)).buffer.byteLength).toBeLessThan(100_000);
  });
});

describe('messages that wait for a key exchange', () => {
  const packetOf = (payload: Buffer) => {
    const packet = new Writer(16);
    packet.length = 5;
    return packet.raw(payload);
  };

  it('cost no more than their bytes, however small they are', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = () => {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const writer = new PacketWriter({ write() {}, waiting: 0, end() {}, destroy() {} });
    const packet = packetOf(Buffer.of(1));
    const before = used();
    let held = 0;
    while (held < 2_000_000 && writer.hold(packet)) held++;
    // A MiB of them, with a length each; kept in a buffer that doubles.
    expect(held).toBeGreaterThan(100_000);
    expect(held).toBeLessThan(220_000);
    expect(used() - before).toBeLessThan(5 * 1024 * 1024);
    expect(writer.hold(packet)).toBe(false);
  });

  it('leave in order, whole', () => {
    const out: Buffer[] = [];
    const writer = new PacketWriter({ write: (bytes) => void out.push(bytes), waiting: 0, end() {}, destroy() {} });
    const payloads = [Buffer.from('a'), Buffer.alloc(40_000, 2), Buffer.from('the last one')];
    for (const payload of payloads) expect(writer.hold(packetOf(payload))).toBe(true);
    writer.flush();
    expect(out).toEqual([]);
    writer.sealHeld(new Writer(16));
    writer.flush();
    writer.sealHeld(new Writer(16));
    writer.flush();
    const opener = new PlainCipher();
    const bytes = Buffer.concat(out);
    const left: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = opener.size(bytes, at, bytes.length - at);
      const { plain, start, end } = opener.open(bytes, at, size);
      left.push(Buffer.from(plain.subarray(start, end)));
      at += size;
    }
    expect(left).toEqual(payloads);
  });
});

describe('what is sealed when a connection comes to rest', () => {
  const packetOf = (text: string) => {
    const packet = new Writer(16);
    packet.length = 5;
    return packet.raw(Buffer.from(text));
  };
  const setup = () => {
    const out: string[] = [];
    const write = (bytes: Buffer) => void out.push(payloadsOf(bytes).join(' '));
    return { out, writer: new PacketWriter({ write, waiting: 0, end() {}, destroy() {} }) };
  };
  const payloadsOf = (bytes: Buffer): string[] => {
    const opener = new PlainCipher();
    const payloads: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = opener.size(bytes, at, bytes.length - at);
      const { plain, start, end } = opener.open(bytes, at, size);
      payloads.push(plain.toString('latin1', start, end));
      at += size;
    }
    return payloads;
  };

  it('leaves before what follows, in one write', () => {
    const { out, writer } = setup();
    writer.seal(packetOf('close'));
    writer.rest();
    expect(out).toEqual([]);
    writer.seal(packetOf('open'));
    writer.flush();
    writer.flush();
    expect(out).toEqual(['close open']);
  });

  it('leaves alone where it has to, and is gone once it is dropped', () => {
    const { out, writer } = setup();
    writer.seal(packetOf('close'));
    writer.rest();
    writer.flush();
    writer.seal(packetOf('another'));
    writer.rest();
    writer.drop();
    writer.flush();
    expect(out).toEqual(['close']);
  });

  it('leaves before a large packet, too, and stays where it is while it is large itself', () => {
    const { out, writer } = setup();
    const large = 'x'.repeat(20_000);
    writer.seal(packetOf('close'));
    writer.rest();
    writer.seal(packetOf(large));
    writer.rest();
    writer.seal(packetOf('open'));
    writer.flush();
    expect(out).toEqual([`close ${large} open`]);
  });

  it('is not mixed with that of others, whose buffers it was in', () => {
    const ends = Array.from({ length: 300 }, setup);
    for (const [at, { writer }] of ends.entries()) {
      writer.seal(packetOf(`close ${at}`));
      if (at % 3 === 0) writer.rest();
    }
    for (const { writer } of ends) writer.rest();
    for (const [at, { writer }] of ends.entries()) writer.seal(packetOf(`open ${at}`));
    for (const { writer } of ends) writer.flush();
    expect(ends.map(({ out }) => out)).toEqual(ends.map((_, at) => [`close ${at} open ${at}`]));
  });

  it('takes little room', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    // What one collection has found is given back in the background, until the next.
    const held = (): number => {
      gc();
      gc();
      return process.memoryUsage().arrayBuffers;
    };
    const before = held();
    const ends = Array.from({ length: 2000 }, () => {
      const end = setup();
      end.writer.seal(packetOf('close'));
      end.writer.rest();
      return end;
    });
    expect((held() - before) / ends.length).toBeLessThan(200);
  });
});
