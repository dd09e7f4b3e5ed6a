/** Stdin of a run: read once, given to every host at its own pace. */

export interface StdinSource {
  /**
   * The bytes from `position` on, as many as there are at hand, at most a piece; undefined at the end. They are shared: nobody
   * changes them. Waits where they have not come yet. Rejects with MyriadError `file` where they cannot be had: what was sent
   * before is not all, and the command must not take it for that.
   */
  read(position: number): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** What may be given to a process. */
export type StdinInput = Uint8Array | StdinSource;

/** Pieces in which stdin is handed over, so that a full channel holds the rest back: what a host that is slow holds at most. */
export const STDIN_PIECE = 32 * 1024;

/** Bytes that are there as a source. */
export function sourceOf(input: StdinInput): StdinSource {
  if (!(input instanceof Uint8Array)) return input;
  return {
    read: (position) => (position < input.length ? input.subarray(position, position + STDIN_PIECE) : undefined),
  };
}
