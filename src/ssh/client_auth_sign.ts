/** What a key that signs later may want to know of the connection it signs for. */

/** What proves that a server holds its host key, for agents that sign for certain hosts only. */
export interface SessionProof {
  /** The server's host key, RFC 4253 §6.6. */
  readonly hostKey: Uint8Array;
  /** The exchange hash of the first key exchange. */
  readonly sessionId: Uint8Array;
  /** The host key's signature over it. */
  readonly signature: Uint8Array;
}

/** Its getters cost something: a key that signs at once asks for nothing. */
export interface SignContext {
  /** Aborted when the connection is over: nobody waits for the signature any more. */
  readonly signal: AbortSignal;
  /** undefined where the connection's owner does not tell. */
  readonly session: SessionProof | undefined;
}
