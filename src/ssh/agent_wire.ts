/** Messages of the ssh-agent protocol (draft-ietf-sshm-ssh-agent): uint32 length, byte type, contents. */
import { brokenProtocol } from './agent_errors.ts';
import { type AgentIdentity, identityOf } from './agent_identity.ts';
import type { SessionProof } from './client_auth_sign.ts';
import { type Reader, Writer } from './wire.ts';

export const AGENT = {
  FAILURE: 5,
  SUCCESS: 6,
  REQUEST_IDENTITIES: 11,
  IDENTITIES_ANSWER: 12,
  SIGN_REQUEST: 13,
  SIGN_RESPONSE: 14,
  EXTENSION: 27,
  EXTENSION_FAILURE: 28,
} as const;

/** What ssh.com's agents answered instead of 5; OpenSSH's client still takes both. */
const OLD_FAILURES: readonly number[] = [30, 102];

/** SSH_AGENT_RSA_SHA2_256 and 512: which hash an RSA key signs with. */
export const SIGN_FLAGS = { RSA_SHA2_256: 2, RSA_SHA2_512: 4 } as const;

/** OpenSSH's own bound for both ways. */
export const MAX_FRAME = 256 * 1024;
/** OpenSSH's own bound. */
const MAX_IDENTITIES = 2048;

/** What binds a connection to the agent to one SSH connection (session-bind@openssh.com). */
export interface SessionBind extends SessionProof {
  /** True where the agent is forwarded over that connection, false where it authenticates it. */
  readonly forwarding: boolean;
}

function frame(type: number, capacity: number, build: (writer: Writer) => void): Buffer {
  const writer = new Writer(5 + capacity).uint32(0).byte(type);
  build(writer);
  const bytes = writer.view();
  bytes.writeUInt32BE(bytes.length - 4, 0);
  return bytes;
}

export function listRequest(): Buffer {
  return frame(AGENT.REQUEST_IDENTITIES, 0, () => {});
}

/** Copies `data`: the caller's buffer may be used again. */
export function signRequest(blob: Uint8Array, data: Uint8Array, flags: number): Buffer {
  return frame(AGENT.SIGN_REQUEST, 12 + blob.length + data.length, (writer) => {
    writer.string(blob).string(data).uint32(flags);
  });
}

export function bindRequest(bind: SessionBind): Buffer {
  return frame(AGENT.EXTENSION, 1024, (writer) => {
    writer.text('session-bind@openssh.com').string(bind.hostKey).string(bind.sessionId).string(bind.signature);
    writer.boolean(bind.forwarding);
  });
}

export function isFailure(type: number): boolean {
  return type === AGENT.FAILURE || type === AGENT.EXTENSION_FAILURE || OLD_FAILURES.includes(type);
}

/** Throws `protocol` where the answer is not the one that belongs to the request. */
export function expectType(socketPath: string, type: number, wanted: number): void {
  if (type !== wanted) throw brokenProtocol(socketPath, `it answered with message ${type} instead of ${wanted}`);
}

/** Throws `protocol` where something follows the answer. */
export function expectEnd(socketPath: string, body: Reader): void {
  if (body.remaining > 0) throw brokenProtocol(socketPath, `${body.remaining} bytes follow its answer`);
}

/** Reads IDENTITIES_ANSWER after its type. Entries that are no key are passed over, as OpenSSH does with unknown types. */
export function readIdentities(socketPath: string, body: Reader): readonly AgentIdentity[] {
  const count = body.uint32();
  if (count > MAX_IDENTITIES)
    throw brokenProtocol(socketPath, `it lists ${count} keys, at most ${MAX_IDENTITIES} are taken`);
  const identities: AgentIdentity[] = [];
  for (let i = 0; i < count; i++) {
    const blob = body.string();
    const identity = identityOf(blob, body.string().toString('utf8'));
    if (identity !== undefined) identities.push(identity);
  }
  expectEnd(socketPath, body);
  return identities;
}

/** Cuts what arrives into frames. Holds at most one frame and one chunk, and only what has arrived of them. */
export class FrameReader {
  readonly #socketPath: string;
  readonly #held = new Writer(256);

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Hands each whole frame (type and contents, valid during the call) to `take` until it returns false. Throws `protocol`. */
  push(chunk: Buffer, take: (payload: Buffer) => boolean): void {
    const held = this.#held;
    if (held.length === 0) {
      const used = this.#split(chunk, take);
      if (used < chunk.length) held.raw(chunk.subarray(used));
      return;
    }
    held.raw(chunk);
    const used = this.#split(held.view(), take);
    if (used === 0) return;
    const rest = Buffer.from(held.view().subarray(used));
    held.reset().raw(rest);
  }

  /** Returns how many bytes were used. */
  #split(bytes: Buffer, take: (payload: Buffer) => boolean): number {
    let offset = 0;
    while (bytes.length - offset >= 4) {
      const length = bytes.readUInt32BE(offset);
      if (length === 0 || length > MAX_FRAME) {
        throw brokenProtocol(this.#socketPath, `it announced an answer of ${length} bytes`);
      }
      const end = offset + 4 + length;
      if (end > bytes.length) break;
      const more = take(bytes.subarray(offset + 4, end));
      offset = end;
      if (!more) return bytes.length;
    }
    return offset;
  }
}
