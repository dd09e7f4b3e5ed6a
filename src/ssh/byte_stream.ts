/** What carries a connection, as far as the transport layer needs it: a socket, or a channel of another connection. */
export interface ByteStream {
  /** Takes the bytes; never throws. `left`: called, at most once and perhaps never, when it needs them no more. */
  write(bytes: Buffer, left?: () => void): void;
  /** Bytes taken that have not left. Where they were above 64 KiB, the transport layer is told (`drained`) once none are left. */
  readonly waiting: number;
  /** Ends the connection after what was written. */
  end(): void;
  /** Drops it now. */
  destroy(): void;
}
