/** The requests that clients of an agent make, the same for pooled and bound connections. */
import { refused, refusedToSign } from './agent_errors.ts';
import { type AgentIdentity, identityOf, needsTouch } from './agent_identity.ts';
import { type AgentRequest, Request } from './agent_request.ts';
import {
  AGENT,
  bindRequest,
  expectEnd,
  expectType,
  isFailure,
  listRequest,
  readIdentities,
  type SessionBind,
  signRequest,
} from './agent_wire.ts';
import type { Reader } from './wire.ts';

export interface AgentTimeouts {
  /** Longest silence while keys are listed, or the connection is bound. */
  readonly listTimeoutMs: number;
  /** Longest silence while signatures are waited for; a key that needs a touch has none. */
  readonly signTimeoutMs: number;
}

export interface WaitOptions {
  /** Stops the wait: it rejects with MyriadError `aborted`. What was sent stays sent. */
  readonly signal?: AbortSignal | undefined;
}

/** What signs: a pool of connections to an agent, or one connection that is bound. */
export interface AgentSigner {
  readonly socketPath: string;
  /**
   * Signs `data` with the key or certificate `blob`; `flags` of SIGN_FLAGS for RSA. Resolves to the RFC 4253 §6.6 blob
   * (string algorithm, string signature). Rejects with AgentError.
   */
  sign(blob: Uint8Array, data: Uint8Array, flags: number, options?: WaitOptions): Promise<Buffer>;
}

/** Called once per request, when it is answered, failed or given up. */
type Settled = (request: AgentRequest) => void;

export class RequestFactory {
  readonly socketPath: string;
  readonly #timeouts: AgentTimeouts;

  constructor(socketPath: string, timeouts: AgentTimeouts) {
    this.socketPath = socketPath;
    this.#timeouts = timeouts;
  }

  list(options: WaitOptions, settled?: Settled): Request<readonly AgentIdentity[]> {
    const { socketPath } = this;
    return new Request({
      socketPath,
      frame: listRequest(),
      timeoutMs: this.#timeouts.listTimeoutMs,
      patient: false,
      signal: options.signal,
      ...(settled && { settled }),
      read(type, body) {
        if (isFailure(type)) throw refused(socketPath, 'list its keys');
        expectType(socketPath, type, AGENT.IDENTITIES_ANSWER);
        return readIdentities(socketPath, body);
      },
    });
  }

  sign(
    key: { readonly blob: Uint8Array; readonly data: Uint8Array; readonly flags: number },
    options: WaitOptions,
    settled?: Settled,
  ): Request<Buffer> {
    const { blob } = key;
    return new Request({
      socketPath: this.socketPath,
      frame: signRequest(blob, key.data, key.flags),
      timeoutMs: this.#timeouts.signTimeoutMs,
      patient: needsTouch(blob),
      signal: options.signal,
      ...(settled && { settled }),
      read: (type, body) => this.#signature(blob, type, body),
    });
  }

  bind(bind: SessionBind, options: WaitOptions): Request<void> {
    const { socketPath } = this;
    return new Request({
      socketPath,
      frame: bindRequest(bind),
      timeoutMs: this.#timeouts.listTimeoutMs,
      patient: false,
      signal: options.signal,
      read(type, body) {
        if (isFailure(type)) {
          throw refused(socketPath, 'bind to the session: it knows no destination constraints, or the proof is wrong');
        }
        expectType(socketPath, type, AGENT.SUCCESS);
        expectEnd(socketPath, body);
      },
    });
  }

  #signature(blob: Uint8Array, type: number, body: Reader): Buffer {
    if (isFailure(type)) throw refusedToSign(this.socketPath, identityOf(blob)?.plainBlob ?? blob);
    expectType(this.socketPath, type, AGENT.SIGN_RESPONSE);
    const signature = Buffer.from(body.string());
    expectEnd(this.socketPath, body);
    return signature;
  }
}
