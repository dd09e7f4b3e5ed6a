/**
 * Ends the masters if we crash. A master waits for clients and would do so for ever, and none of its streams tells it
 * that we are gone; so one shell a transport waits on a pipe from us, and what it knows is ended when the pipe closes.
 */
import type { ChildProcess } from 'node:child_process';
import type { Spawn } from './spawn.ts';

/** `+PID` a master came, `-PID` it went. Masters lead process groups of their own. $1: the folder of the sockets. */
const SCRIPT = `
trap '' HUP INT TERM
pids=' '
while read -r sign pid; do
  case $sign in
    +) pids="$pids$pid " ;;
    -) case $pids in *" $pid "*) pids="\${pids%%" $pid "*} \${pids#*" $pid "}" ;; esac ;;
  esac
done
for pid in $pids; do kill -s TERM -- "-$pid"; kill -s CONT -- "-$pid"; done 2>/dev/null
rm -rf -- "$1"
`;

export class Guard {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  constructor(spawn: Spawn, dir: string) {
    this.#child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', dir], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.#gone = new Promise((resolve) => {
      // A net below the trapeze: where it cannot be had, the show goes on.
      this.#child.once('error', () => resolve());
      this.#child.once('exit', () => resolve());
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.unref();
  }

  came(pid: number): void {
    this.#child.stdin?.write(`+ ${pid}\n`);
  }

  went(pid: number): void {
    this.#child.stdin?.write(`- ${pid}\n`);
  }

  /** Lets it go, and what it knows with it. */
  async end(): Promise<void> {
    this.#child.ref();
    this.#child.stdin?.end();
    await this.#gone;
  }
}
