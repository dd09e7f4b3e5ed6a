/**
 * Output for people and pipes: `web1: line`, as pdsh and clush print it. Remote stdout goes to stdout, remote stderr and
 * what happened to a task go to stderr; a line of one host is never cut by a line of another.
 */
import type { RunEvent, TaskEndEvent, TaskOutputEvent, WaveEndEvent } from '../contracts/events.ts';
import { outcomeMessage } from '../contracts/outcome.ts';
import type { Output, StreamName, TaskResult } from '../contracts/task.ts';
import { escapeControls, escapeText } from './escape.ts';
import { formatBytes } from './format.ts';
import { LineBuffer, prefixLines } from './lines.ts';
import { waveLines } from './wave.ts';
import type { Sink } from './writer.ts';

export interface TextOptions {
  /** `host: ` before every line. @default true */
  readonly prefix?: boolean;
  /** `done`: results as they end; `input`: in the order of the plan. Live output is always as it comes. @default 'done' */
  readonly order?: 'done' | 'input';
  /** Outputs only: no line for a task that did not end ok, none for a cut output. @default false */
  readonly quiet?: boolean;
  /** A line for each task that did not end ok; without it the summary alone tells, by cause. @default true */
  readonly failures?: boolean;
  /** Control sequences reach a terminal as they are. @default false */
  readonly raw?: boolean;
  /** Prefixes are coloured: cyan for stdout, yellow for stderr. @default false */
  readonly color?: boolean;
  /** The streams that are printed; `-b` prints stderr only, since stdout is folded. @default both */
  readonly streams?: readonly StreamName[];
  /** Bytes of results that `input` holds back at most. @default 256 MiB */
  readonly maxHeld?: number;
  /** Bytes of unfinished lines of one stream that are held back at most. @default 1 MiB */
  readonly maxLine?: number;
  /** The same over all hosts. @default 64 MiB */
  readonly maxLines?: number;
}

const MIB = 1024 * 1024;
/** What a result without any output still costs while it is held back. */
const RESULT_COST = 1024;
const NOTHING = Buffer.alloc(0);

/** Lines of a task that is still running. */
interface Live {
  attempt: number;
  readonly label: string;
  readonly stdout: LineBuffer;
  readonly stderr: LineBuffer;
}

interface Ended {
  readonly result: TaskResult;
  /** Its output has been printed already. */
  readonly streamed: boolean;
}

/**
 * Listens to events. Nothing is held per host but the unfinished line of a live stream: a line beyond `maxLine`, or one
 * that would bring all of them beyond `maxLines`, is broken by a newline.
 *
 * Order `input` holds results back until those before them in the plan have come, so it may hold all that ended since
 * the oldest unfinished task started. Beyond `maxHeld` it says so, gives that task's place up and goes on with the next
 * one that is there; what it left out is printed when it comes. Nothing is lost.
 */
export class TextRenderer {
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #prefix: boolean;
  readonly #color: boolean;
  readonly #inOrder: boolean;
  readonly #quiet: boolean;
  readonly #failures: boolean;
  readonly #raw: boolean;
  readonly #streams: ReadonlySet<StreamName>;
  readonly #maxHeld: number;
  readonly #maxLine: number;
  readonly #maxLines: number;
  readonly #live = new Map<number, Live>();
  #unfinished = 0;
  /** Order `input`: results that wait, and the index whose turn it is. */
  readonly #waiting = new Map<number, Ended>();
  #held = 0;
  #next = 0;
  #gaveUp = false;

  constructor(sinks: { readonly stdout: Sink; readonly stderr: Sink }, options: TextOptions = {}) {
    this.#stdout = sinks.stdout;
    this.#stderr = sinks.stderr;
    this.#prefix = options.prefix ?? true;
    this.#color = options.color ?? false;
    this.#inOrder = options.order === 'input';
    this.#quiet = options.quiet ?? false;
    this.#failures = options.failures ?? true;
    this.#raw = options.raw ?? false;
    this.#streams = new Set(options.streams ?? ['stdout', 'stderr']);
    this.#maxHeld = options.maxHeld ?? 256 * MIB;
    this.#maxLine = options.maxLine ?? MIB;
    this.#maxLines = options.maxLines ?? 64 * MIB;
  }

  /** Bytes of results that wait for their turn. */
  get held(): number {
    return this.#held;
  }

  /** Bytes of unfinished lines. */
  get unfinished(): number {
    return this.#unfinished;
  }

  readonly listener = (event: RunEvent): void => {
    if (event.type === 'task:output') this.#onOutput(event);
    else if (event.type === 'task:end') this.#onEnd(event);
    else if (event.type === 'wave:end' && !this.#quiet) this.#sayWave(event);
    else if (event.type === 'round:end' || event.type === 'run:end') this.finish();
  };

  /** Prints all that is held back, at the end of a round and of a run. */
  finish(): void {
    while (this.#waiting.size > 0) this.#skipAndRelease();
    this.#next = 0;
    for (const index of [...this.#live.keys()]) this.#endLive(index);
  }

  /** On a terminal it stands under what its hosts have written. */
  #sayWave(event: WaveEndEvent): void {
    this.#stdout.flush();
    this.#stderr.write(waveLines(event));
  }

  #onOutput(event: TaskOutputEvent): void {
    if (!this.#streams.has(event.stream)) return;
    let live = this.#live.get(event.index);
    if (live === undefined) {
      live = { attempt: event.attempt, label: event.host.label, stdout: new LineBuffer(), stderr: new LineBuffer() };
      this.#live.set(event.index, live);
    } else if (live.attempt !== event.attempt) {
      this.#breakLines(live);
      live.attempt = event.attempt;
    }
    const lines = live[event.stream];
    const before = lines.held;
    const whole = lines.push(event.data);
    this.#unfinished += lines.held - before;
    this.#print(event.stream, live.label, whole);
    if (lines.held > this.#maxLine || this.#unfinished > this.#maxLines) this.#breakLine(live, event.stream);
  }

  #onEnd({ result }: TaskEndEvent): void {
    const ended: Ended = { result, streamed: this.#endLive(result.index) };
    // A second result of one task (it was lost and came after all) has no place of its own.
    if (!this.#inOrder || result.index < this.#next || this.#waiting.has(result.index)) {
      this.#printResult(ended);
      return;
    }
    this.#waiting.set(result.index, ended);
    this.#held += cost(result);
    this.#release();
    while (this.#held > this.#maxHeld) this.#giveUp();
  }

  /** Prints the results whose turn it is, up to the first that is missing. */
  #release(): void {
    for (;;) {
      const ended = this.#waiting.get(this.#next);
      if (ended === undefined) return;
      this.#waiting.delete(this.#next);
      this.#held -= cost(ended.result);
      this.#next++;
      this.#printResult(ended);
    }
  }

  /** Goes on with the next result that is there; all that wait have an index from `#next` on. */
  #skipAndRelease(): void {
    while (!this.#waiting.has(this.#next)) this.#next++;
    this.#release();
  }

  /** Too much waits for one slow task: its place is given up, once said aloud. */
  #giveUp(): void {
    if (!this.#gaveUp && !this.#quiet) {
      const bound = formatBytes(this.#maxHeld);
      this.#stderr.write(`order of the plan given up: more than ${bound} of results waited for task ${this.#next}\n`);
    }
    this.#gaveUp = true;
    this.#skipAndRelease();
  }

  /** The task streams no more; true where it had streamed. */
  #endLive(index: number): boolean {
    const live = this.#live.get(index);
    if (live === undefined) return false;
    this.#breakLines(live);
    this.#live.delete(index);
    return true;
  }

  #breakLines(live: Live): void {
    this.#breakLine(live, 'stdout');
    this.#breakLine(live, 'stderr');
  }

  #breakLine(live: Live, stream: StreamName): void {
    const rest = live[stream].take();
    this.#unfinished -= rest.length;
    this.#print(stream, live.label, rest);
  }

  #printResult({ result, streamed }: Ended): void {
    const { label } = result.host;
    if (!streamed) {
      if (this.#streams.has('stdout')) this.#print('stdout', label, result.stdout.bytes);
      if (this.#streams.has('stderr')) this.#print('stderr', label, result.stderr.bytes);
    }
    if (this.#quiet) return;
    for (const line of this.#remarks(result)) this.#stderr.write(`${escapeText(label)}: ${escapeText(line)}\n`);
  }

  /**
   * What is said about a task besides its output. Nothing about `skipped` and `not-run`: nothing happened there, and the summary
   * counts and folds them.
   */
  #remarks(result: TaskResult): string[] {
    const lines: string[] = [];
    for (const stream of this.#streams) {
      if (result.notes.includes(`${stream} truncated`)) lines.push(`${stream} truncated: ${kept(result[stream])}`);
    }
    const { outcome } = result;
    if (this.#failures && outcome.kind !== 'ok' && outcome.kind !== 'skipped' && outcome.kind !== 'not-run') {
      lines.push(`${outcome.kind}: ${outcomeMessage(outcome)}`);
    }
    return lines;
  }

  #print(stream: StreamName, label: string, bytes: Buffer): void {
    if (bytes.length === 0) return;
    const sink = stream === 'stdout' ? this.#stdout : this.#stderr;
    const shown = sink.terminal && !this.#raw ? escapeControls(bytes) : bytes;
    sink.write(prefixLines(shown, this.#prefix ? this.#prefixOf(stream, label) : NOTHING));
  }

  #prefixOf(stream: StreamName, label: string): Buffer {
    const text = `${escapeText(label)}:`;
    // Written by hand: styleText asks stdout's settings, and this is for whatever sink the caller chose.
    const code = stream === 'stdout' ? 36 : 33;
    return Buffer.from(this.#color ? `\x1b[${code}m${text}\x1b[39m ` : `${text} `);
  }
}

function kept(output: Output): string {
  return `${formatBytes(output.bytes.length)} of ${formatBytes(output.total)} kept`;
}

function cost(result: TaskResult): number {
  return RESULT_COST + result.stdout.bytes.length + result.stderr.bytes.length;
}
