/**
 * A lease on a host: while one run has it, no other run with the same lock begins a command there.
 *
 *   free ──link──▶ held ──its process ends──▶ free          whatever ends it: the lease needs nobody to give it back
 *                  held ──its time is over──▶ free          also of what still runs: nobody waits for ever for what hangs
 *
 * It is taken by the shell that becomes the command, ahead of it and in the same session, and names that process by number, start and
 * boot: a process keeps them when it becomes another program, so that the command is not wrapped and sees nothing of us.
 * A lease is a file LOCK/N in a directory that only its user can enter. It appears complete (written aside, then linked), and N only
 * grows: who takes the place of a lease that is free links N + 1, which one of several can. The file of a lease that is free stays
 * until the next one is taken, so that no number is used twice.
 */
import { randomBytes } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';
import type { RefusedOutcome } from '../contracts/outcome.ts';
import type { OutputSink } from '../transport/transport.ts';
import { shown } from './process_job.ts';
import { lineQuote, NOT_STARTED } from './shell_program.ts';

export interface LeaseSpec {
  /** Of the lock: runs that must not meet have the same. */
  readonly name: string;
  /** How long it holds at most. */
  readonly seconds: number;
  /** Who has it, for those who find it held. */
  readonly user: string;
}

/** Ten years: more says nothing. */
const MOST_SECONDS = 315_360_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Of a user's name, here and as hosts tell it. */
const MOST_USER = 64;
/** Of what a host says of a lease: a line, with a path in it at most. */
const MOST_LINE = 1024;

/** Throws MyriadError `usage` for what is no name of a lock: it becomes a name of a file, here and on hosts. */
export function checkLockName(name: unknown, what: string): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  const expected = 'up to 64 letters, digits, ".", "_" and "-", the first a letter or digit';
  throw new MyriadError('usage', `${what}: expected ${expected}, got ${shown(name)}`);
}

/** Throws MyriadError `usage`. */
export function checkLease(value: unknown): LeaseSpec {
  const { name, seconds, user } = value as Partial<Record<keyof LeaseSpec, unknown>>;
  const checked = checkLockName(name, 'lock');
  if (!Number.isInteger(seconds) || Number(seconds) < 1 || Number(seconds) > MOST_SECONDS) {
    throw new MyriadError('usage', `lock: a lease is for 1 to ${MOST_SECONDS} seconds, not ${shown(seconds)}`);
  }
  return { name: checked, seconds: Number(seconds), user: plainWord(String(user ?? '')) };
}

/** A name as one word without anything that a terminal or a shell takes for more. */
function plainWord(text: string): string {
  return text.replace(/[^\p{L}\p{N}._@+$-]/gu, '_').slice(0, MOST_USER) || '?';
}

/**
 * Takes the lease of one task. `text` goes ahead of all that the program does; the output of its process goes through this, for the
 * verdict comes on stderr. It is known by a mark of 128 random bits, which the command never learns: no output passes for it.
 */
export class Lease implements OutputSink {
  readonly text: string;
  readonly #mark = randomBytes(16).toString('hex');
  readonly #sink: OutputSink;
  /** What may be the start of the mark, or the verdict's line until its end; undefined once there is a verdict. */
  #held: { stdout: Buffer; stderr: Buffer } | undefined = { stdout: NONE, stderr: NONE };
  #refusal: string | undefined;

  constructor({ name, seconds, user }: LeaseSpec, run: string, sink: OutputSink) {
    this.#sink = sink;
    const half = this.#mark.length / 2;
    // In two parts: a shell that shows what it does must not show the mark.
    const mark = `${this.#mark.slice(0, half)} ${this.#mark.slice(half)}`;
    const words = `${mark} ${name} ${seconds} ${lineQuote(run)} ${lineQuote(user)}`;
    this.text = `(set -- ${words};eval ${lineQuote(SCRIPT)}) </dev/null||exit ${NOT_STARTED};`;
  }

  /** Why the command did not begin; undefined where it has the lease, or nothing was heard of it. */
  get refusal(): RefusedOutcome | undefined {
    if (this.#refusal === undefined) return undefined;
    return { kind: 'refused', began: 'no', what: 'lock', reason: this.#refusal };
  }

  write(stream: 'stdout' | 'stderr', chunk: Uint8Array): boolean {
    if (this.#refusal !== undefined) return true;
    if (this.#held === undefined) return this.#sink.write(stream, chunk);
    // With a terminal stderr comes on stdout.
    const bytes = Buffer.concat([this.#held[stream], chunk]);
    const at = bytes.indexOf(this.#mark);
    if (at < 0) {
      const rest = possibleStart(bytes, this.#mark);
      this.#held[stream] = bytes.subarray(bytes.length - rest);
      return this.#pass(stream, bytes.subarray(0, bytes.length - rest));
    }
    const end = bytes.indexOf('\n', at);
    if (end < 0 && bytes.length - at <= MOST_LINE) {
      this.#held[stream] = bytes;
      return true;
    }
    const line = bytes.subarray(at + this.#mark.length, end < 0 ? at + MOST_LINE : end).toString('utf8');
    return this.#heard(line.trim(), stream, bytes.subarray(0, at), bytes.subarray(end < 0 ? bytes.length : end + 1));
  }

  /** The process is over: what was held back was no verdict. */
  finish(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    this.#pass('stdout', held.stdout);
    this.#pass('stderr', held.stderr);
  }

  #heard(line: string, stream: 'stdout' | 'stderr', before: Buffer, after: Buffer): boolean {
    this.#held![stream] = before;
    this.finish();
    if (line !== 'taken') this.#refusal = refusalOf(line);
    return line === 'taken' ? this.#pass(stream, after) : true;
  }

  #pass(stream: 'stdout' | 'stderr', bytes: Buffer): boolean {
    return bytes.length === 0 || this.#sink.write(stream, bytes);
  }
}

const NONE = Buffer.alloc(0);

/** How many of the last bytes may be the start of `mark`. */
function possibleStart(bytes: Buffer, mark: string): number {
  for (let length = Math.min(bytes.length, mark.length - 1); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(Buffer.from(mark.slice(0, length)))) return length;
  }
  return 0;
}

/** A host says it: nothing of it is more than a few words. */
function refusalOf(line: string): string {
  const [, since = '', run = '', user = ''] = /^held (\d{1,11}) (\S+) (.*)$/.exec(line) ?? [];
  if (run === '') return `no lease could be taken: ${line.replace(/^failed /, '').slice(0, 300) || 'nothing was said'}`;
  const time = new Date(Number(since) * 1000).toISOString().replace('.000Z', 'Z');
  return `locked by ${plainWord(user)} since ${time} (run ${plainWord(run)})`;
}

/*
 * $1 $2 the mark, $3 name, $4 seconds, $5 run, $6 user. A program that is started costs a host more than all the rest: there are six.
 * own    the directory: root's in /run, which nobody else writes to; others' in /tmp or its like, where a directory of ours cannot be
 *        moved or replaced for the sticky bit. Whoever made it before us is found out by its owner and mode, a link by its first letter.
 *        Fixed places: two runs must come to the same one, whatever TMPDIR and HOME each of them finds.
 * fields a process as the kernel tells it, after its name, which may hold blanks, brackets and line ends.
 * held   whether a lease is: not over by the clock, and its process is there. Of another pid namespace (known by the start of its
 *        first process) only the clock is known.
 * high   the highest number there is, and all others.
 */
const SCRIPT = `
LC_ALL=C; export LC_ALL; umask 077
mark=$1$2 name=$3 seconds=$4 run=$5 user=$6
end() { printf '%s\\n' "$mark $*" >&2; exit 1; }
uid=$(id -u)
if [ "$uid" = 0 ]; then set -- /run /var/run /tmp; else set -- /tmp /var/tmp /dev/shm; fi
own=
for place do
  own=$place/myriad-lock-$uid
  [ -d "$own" ] || mkdir "$own" 2>/dev/null || [ -e "$own" ] || [ -h "$own" ] || continue
  set -- $(ls -ldn "$place/" "$own" 2>/dev/null)
  case $1 in d????????[tT]* | d????-??-*) break ;; esac
  own=
done
[ -e "$own" ] || [ -h "$own" ] || end failed 'there is no directory here for it'
[ "\${18}" = "$own" ] || end failed "$own is no directory for its user alone"
case \${10} in drwx------*) ;; *) end failed "$own is no directory for its user alone" ;; esac
[ "\${12}" = "$uid" ] || end failed "$own belongs to user \${12}"
own=$own/$name
[ -d "$own" ] || mkdir "$own" 2>/dev/null || [ -d "$own" ] || end failed "$own cannot be made"
now=$(date +%s)
case $now in '' | *[!0-9]*) end failed 'there is no clock here: date +%s' ;; esac
fields() {
  text=; state=-; start=-
  { read -r text <"/proc/$1/stat"; } 2>/dev/null || return
  set -- "$1" \${text##*) }
  [ $# -ge 40 ] || set -- "$1" $(cat "/proc/$1/stat" 2>/dev/null | tr '\\n' ' ' | sed 's/.*) //')
  [ $# -ge 40 ] || return
  state=$2; start=\${21}
}
fields 1; space=$start
fields $$; mine=$start
boot=; { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null; boot=\${boot:--}
held() {
  until=; pid=
  { read -r until since pid began booted spaced by who <"$1"; } 2>/dev/null
  case $until$pid in '' | *[!0-9]*) return 1 ;; esac
  [ "$now" -le "$until" ] || return 1
  if [ "$began" = - ] || [ "$mine" = - ]; then kill -0 "$pid" 2>/dev/null; return; fi
  [ "$booted" = "$boot" ] || return 1
  [ "$spaced" = "$space" ] || return 0
  fields "$pid"
  [ "$start" = "$began" ] && [ "$state" != Z ]
}
high() {
  top=0; others=
  for file in "$own"/[0-9]*; do
    number=\${file##*/}
    case $number in *[!0-9]*) continue ;; esac
    if [ "$number" -lt "$top" ]; then others="$others $file"; continue; fi
    [ "$top" = 0 ] || others="$others $own/$top"
    top=$number
  done
}
aside=$own/new.$run.$$
trap 'rm -f "$aside"' EXIT
tries=0
while [ "$tries" -lt 20 ]; do
  tries=$((tries + 1))
  high
  held "$own/$top" && end held "$since $by $who"
  next=$((top + 1))
  echo "$((now + seconds)) $now $$ $mine $boot $space $run $user" 2>/dev/null >"$aside" || end failed "$own cannot be written to"
  if ln "$aside" "$own/$next" 2>/dev/null; then
    high
    if [ "$top" -gt "$next" ]; then rm -f "$own/$next"; continue; fi
    rm -f "$aside" $others
    trap - EXIT
    printf '%s\\n' "$mark taken" >&2
    exit 0
  fi
  [ -e "$own/$next" ] || high
  [ "$top" -ge "$next" ] || [ -e "$own/$next" ] || end failed "$own takes no links"
done
end failed 'too many runs want it at once'
`;
