/**
 * Node raises the soft descriptor limit to the hard one, and what it starts inherits that: half a million under systemd. Programs
 * that use select(2), or close every descriptor that there could be, expect 1024. Where the hard limit is lower it stays.
 */

/** The line for /bin/sh, under the usual soft limit. */
export function withUsualDescriptors(line: string): string {
  return `ulimit -S -n 1024 2>/dev/null; ${line}`;
}
