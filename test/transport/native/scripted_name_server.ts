/** A name server on 127.0.0.1, UDP and TCP on one port, that answers as a test tells it to. Its messages are its own work. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket as TcpSocket } from 'node:net';
import type { ServerAddress } from '../../../src/transport/native/resolv_conf.ts';

export type TypeName = 'A' | 'AAAA' | 'CNAME' | 'TXT' | 'SSHFP';
const TYPES: Readonly<Record<TypeName, number>> = { A: 1, CNAME: 5, TXT: 16, AAAA: 28, SSHFP: 44 };

export interface Question {
  readonly name: string;
  readonly type: TypeName;
  readonly over: 'udp' | 'tcp';
  readonly message: Buffer;
  /** The port that it came from. */
  readonly from: number;
  /** Where the question ends. */
  readonly end: number;
}

export interface AnswerRecord {
  /** @default the name of the question, as a pointer to it */
  readonly name?: string;
  readonly type: TypeName;
  readonly value: string;
}

/** `drop` says nothing; a list of buffers is sent as it is. */
export type Reply =
  | 'drop'
  | {
      readonly records?: readonly AnswerRecord[];
      readonly code?: number;
      readonly truncated?: boolean;
      readonly authentic?: boolean;
    }
  | readonly Buffer[];

export type Script = (question: Question) => Reply;

export class ScriptedNameServer {
  readonly questions: Question[] = [];
  readonly #script: Script;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<TcpSocket>();
  readonly address: ServerAddress;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  /** TCP answers go out in pieces of so many bytes. */
  pieces = 65_537;

  private constructor(script: Script, udp: UdpSocket, tcp: Server) {
    this.#script = script;
    this.#udp = udp;
    this.#tcp = tcp;
    this.address = { address: '127.0.0.1', port: udp.address().port };
    udp.on('message', (message, from) => {
      for (const answer of this.#answersTo(message, 'udp', from.port)) udp.send(answer, from.port, from.address);
    });
    tcp.on('connection', (socket) => this.#serve(socket));
  }

  static async open(script: Script): Promise<ScriptedNameServer> {
    for (let tries = 0; ; tries++) {
      const udp = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
      await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
      const tcp = createServer();
      const bound = await new Promise<boolean>((resolve) => {
        tcp.once('error', () => resolve(false));
        tcp.listen(udp.address().port, '127.0.0.1', () => resolve(true));
      });
      if (bound) return new ScriptedNameServer(script, udp, tcp);
      udp.close();
      if (tries > 20) throw new Error('no port is free for both UDP and TCP');
    }
  }

  /** `name type` of every query, in order. */
  get asked(): string[] {
    return this.questions.map(({ name, type }) => `${name} ${type}`);
  }

  /** Resolves when so many queries have come in all. */
  seen(count: number): Promise<void> {
    if (this.questions.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(() => resolve())),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
    ]);
  }

  #serve(socket: TcpSocket): void {
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('error', () => {});
    let bytes: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
        const end = 2 + bytes.readUInt16BE(0);
        for (const answer of this.#answersTo(bytes.subarray(2, end), 'tcp', socket.remotePort!))
          this.#write(socket, answer);
        bytes = bytes.subarray(end);
      }
    });
  }

  #write(socket: TcpSocket, answer: Buffer): void {
    const framed = Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]);
    for (let at = 0; at < framed.length; at += this.pieces) socket.write(framed.subarray(at, at + this.pieces));
  }

  #answersTo(message: Buffer, over: 'udp' | 'tcp', from: number): readonly Buffer[] {
    const question = questionOf(Buffer.from(message), over, from);
    this.questions.push(question);
    const reply = this.#script(question);
    const due = this.#waiting.filter(({ count }) => this.questions.length >= count);
    this.#waiting = this.#waiting.filter((waiter) => !due.includes(waiter));
    for (const { resolve } of due) resolve();
    if (reply === 'drop') return [];
    return isList(reply) ? reply : [answerTo(question, reply)];
  }
}

function isList(reply: Exclude<Reply, 'drop'>): reply is readonly Buffer[] {
  return Array.isArray(reply);
}

function questionOf(message: Buffer, over: 'udp' | 'tcp', from: number): Question {
  const labels: string[] = [];
  let at = 12;
  for (; message[at] !== 0; at += 1 + message[at]!)
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]!));
  const number = message.readUInt16BE(at + 1);
  const type = (Object.keys(TYPES) as TypeName[]).find((name) => TYPES[name] === number)!;
  return { name: labels.join('.'), type, over, message, from, end: at + 5 };
}

/** The answer to `question`, with its id. */
export function answerTo(question: Question, reply: Exclude<Reply, 'drop' | readonly Buffer[]>): Buffer {
  const { records = [], code = 0, truncated = false, authentic = false } = reply;
  const head = Buffer.from(question.message.subarray(0, question.end));
  head[2] = 0x81 | (truncated ? 2 : 0);
  head[3] = 0x80 | (authentic ? 0x20 : 0) | code;
  head.writeUInt16BE(records.length, 6);
  return Buffer.concat([head, ...records.map(encodeRecord)]);
}

function encodeRecord({ name, type, value }: AnswerRecord): Buffer {
  const owner = name === undefined ? Buffer.from([0xc0, 0x0c]) : encodeName(name);
  const data = encodeValue(type, value);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPES[type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(60, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function encodeValue(type: TypeName, value: string): Buffer {
  if (type === 'A') return Buffer.from(value.split('.').map(Number));
  if (type === 'AAAA') return ipv6Bytes(value);
  if (type === 'SSHFP') return Buffer.from(value, 'hex');
  return encodeName(value);
}

function ipv6Bytes(text: string): Buffer {
  const [before, after] = text.split('::', 2);
  const groups = (part: string | undefined): number[] =>
    part ? part.split(':').map((hex) => Number.parseInt(hex, 16)) : [];
  const first = groups(before);
  const last = groups(after);
  const all = text.includes('::')
    ? [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
    : first;
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** A script that answers from a zone; a name that it does not have does not exist. */
export function zone(names: Readonly<Record<string, readonly AnswerRecord[]>>): Script {
  return ({ name, type }) => {
    const records = names[name.toLowerCase()];
    if (records === undefined) return { code: 3 };
    return {
      records: records.filter((record) => record.type === type || record.type === 'CNAME' || record.name !== undefined),
    };
  };
}
