/**
 * SSHFP records (RFC 4255), for VerifyHostKeyDNS: one question, its answer, and whether DNSSEC vouches for it.
 *
 * Asked for hosts whose key known_hosts does not know, so seldom that each question has a socket, a port and an id of its own.
 * The AD bit (RFC 6840 §5.7) counts only where resolv.conf says `trust-ad`: else anybody on the way could set it.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { SshfpAnswer, SshfpRecord } from '../../ssh/sshfp.ts';
import { familyOf } from './addresses.ts';
import { answerTo, encodeQuery, nameFault, recordData } from './dns_message.ts';
import type { ResolvConf, ServerAddress } from './resolv_conf.ts';

const SSHFP = 44;
/** In the flags of a message: asked for in a question, said in an answer. */
const AUTHENTIC = 0x20;
/** Questions at once; others wait. */
const MOST_ASKED = 64;
/** Names in a row without an answer, after which no more are asked for: a run must not wait for servers that are gone. */
const MOST_SILENT = 16;
/** An answer over TCP with more is none: a host has a handful of keys. */
const MAX_MESSAGE = 16 * 1024;
/** For one try, in milliseconds. */
const TRY_MS = 1500;

const NONE: SshfpAnswer = { records: [], secure: false };

export class SshfpLookup {
  readonly #conf: Pick<ResolvConf, 'servers' | 'attempts' | 'trustAd'>;
  readonly #waiting: (() => void)[] = [];
  #asked = 0;
  /** Names in a row that nobody answered for. */
  #silent = 0;

  constructor(conf: Pick<ResolvConf, 'servers' | 'attempts' | 'trustAd'>) {
    this.#conf = conf;
  }

  /** The records of a name; none where there are none, or where nobody says. Never rejects. */
  async resolve(name: string): Promise<SshfpAnswer> {
    const bare = name.endsWith('.') ? name.slice(0, -1) : name;
    if (nameFault(bare) !== undefined || familyOf(bare) !== 0 || this.#silent >= MOST_SILENT) return NONE;
    if (this.#asked >= MOST_ASKED) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#asked += 1;
    try {
      return await this.#ask(encodeQuery(bare, SSHFP));
    } finally {
      this.#asked -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #ask(query: Buffer): Promise<SshfpAnswer> {
    const { servers, attempts, trustAd } = this.#conf;
    query[3] = query[3]! | AUTHENTIC;
    for (let tries = 0; tries < attempts; tries++) {
      for (const server of servers) {
        query.writeUInt16BE(randomInt(0x1_0000), 0);
        const said = await overUdp(server, query);
        const message = said === 'truncated' ? await overTcp(server, query) : said;
        if (message === undefined) continue;
        this.#silent = 0;
        const records = recordData(message, query, SSHFP)
          .map(recordOf)
          .filter((record) => record !== undefined);
        return { records, secure: trustAd && (message[3]! & AUTHENTIC) !== 0 };
      }
    }
    this.#silent += 1;
    return NONE;
  }
}

function recordOf(data: Buffer): SshfpRecord | undefined {
  if (data.length < 3) return undefined;
  return { algorithm: data[0]!, type: data[1]!, fingerprint: Buffer.from(data.subarray(2)) };
}

/** The answer; undefined: none came in time, or it was too long. */
function overUdp(server: ServerAddress, query: Buffer): Promise<Buffer | 'truncated' | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4');
    const timer = setTimeout(() => end(undefined), TRY_MS);
    const end = (message: Buffer | 'truncated' | undefined) => {
      clearTimeout(timer);
      socket
        .removeAllListeners()
        .on('error', () => {})
        .close();
      resolve(message);
    };
    socket.on('error', () => end(undefined));
    socket.on('message', (message) => {
      if (message.length < 2 || message.readUInt16BE(0) !== query.readUInt16BE(0)) return;
      const answer = answerTo(message, query);
      if (answer === 'yes') end(message);
      else if (answer === 'truncated') end(answer);
    });
    socket.connect(server.port, server.address, (error?: Error) => {
      if (error) end(undefined);
      else socket.send(query);
    });
  });
}

function overTcp(server: ServerAddress, query: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server.address, port: server.port });
    const timer = setTimeout(() => end(undefined), TRY_MS);
    let held = Buffer.alloc(0);
    const end = (message: Buffer | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(message);
    };
    socket.on('error', () => end(undefined));
    socket.on('end', () => end(undefined));
    socket.once('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      const length = held.length < 2 ? MAX_MESSAGE : held.readUInt16BE(0);
      if (length > MAX_MESSAGE || held.length > MAX_MESSAGE + 2) end(undefined);
      else if (held.length >= length + 2) {
        const message = held.subarray(2, length + 2);
        const same = message.length >= 2 && message.readUInt16BE(0) === query.readUInt16BE(0);
        end(same && answerTo(message, query) === 'yes' ? message : undefined);
      }
    });
  });
}
