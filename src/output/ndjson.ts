/**
 * Events as JSON lines, version 1: the form that `contracts/events.schema.json` describes. Names and shapes are those of
 * the contracts, so that a script reads what the library gives; absent values are null, never missing keys.
 *
 * Bytes are `{ "text": … }` where they are valid UTF-8 and `{ "base64": … }` where they are not: each says which it is.
 * A piece of live output may end inside a character and then is base64: join the bytes of the pieces, not their texts.
 */
import { isUtf8 } from 'node:buffer';
import {
  type ChangeEvent,
  EVENTS_VERSION,
  type RoundEndEvent,
  type RunEvent,
  type RunListener,
  type WaveEndEvent,
} from '../contracts/events.ts';
import type { CauseCount, PolledHosts, Summary } from '../contracts/summary.ts';
import type { Host, Output, PhaseTimes, TaskIdentity, TaskResult } from '../contracts/task.ts';
import { type Fold, foldBounded, type HostsLimits, type Label } from './hosts.ts';
import type { Sink } from './writer.ts';

export interface NdjsonNames {
  readonly label: Label;
  readonly fold: Fold;
}

/** Hosts of a cause in `run:end`: those beyond are counted in `hostsOmitted`; each had its own `task:end`. */
const LIMITS: HostsLimits = { labels: 10_000, characters: 64 * 1024 };

/** Writes every event as one line. */
export function ndjsonListener(sink: Sink, names: NdjsonNames): RunListener {
  return (event) => sink.write(eventLine(event, names));
}

/** Writes all events as one list, an event a line; it ends with the run. */
export function jsonListener(sink: Sink, names: NdjsonNames): RunListener {
  let lead = '[\n';
  return (event) => {
    sink.write(`${lead}${eventLine(event, names).trimEnd()}`);
    lead = ',\n';
    if (event.type === 'run:end') sink.write('\n]\n');
  };
}

/** What JSON leaves as it is in a string, and a terminal obeys or a reader of lines breaks at: DEL, C1 controls, U+2028 and U+2029. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;

/** One event as one line, newline included. No control sequence of a host is left in it. */
export function eventLine(event: RunEvent, names: NdjsonNames): string {
  const text = JSON.stringify({ v: EVENTS_VERSION, type: event.type, time: event.time, ...body(event, names) });
  return `${text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

function body(event: RunEvent, names: NdjsonNames): object {
  switch (event.type) {
    case 'run:start':
      return { run: event.run, job: event.job, title: event.title, planned: event.planned };
    case 'task:start':
      return { ...identity(event), host: host(event.host) };
    case 'task:output':
      return { ...identity(event), host: host(event.host), stream: event.stream, data: data(event.data) };
    case 'task:end':
      return taskEnd(event.result);
    case 'change':
      return change(event);
    case 'round:end':
      return roundEnd(event);
    case 'wave:end':
      return waveEnd(event, names);
    case 'run:end':
      return runEnd(event.summary, names);
  }
}

function change({ result, change, value }: ChangeEvent): object {
  const { outcome, stdout } = result;
  return { ...identity(result), host: host(result.host), change, value, outcome, stdout: output(stdout) };
}

function roundEnd(event: RoundEndEvent): object {
  const { run, round, planned, outcomes, changes, overruns } = event;
  const durationMs = microseconds(event.durationMs);
  return { run, round, planned, outcomes, durationMs, changes, hosts: polledHosts(event.hosts), overruns };
}

function polledHosts({ up, down, unknown, stale, oldestMs }: PolledHosts): object {
  return { up, down, unknown, stale, oldestMs };
}

function polling(summary: Summary): object | null {
  if (summary.polling === undefined) return null;
  const { rounds, overruns, changes, hosts } = summary.polling;
  return { rounds, overruns, changes, hosts: polledHosts(hosts) };
}

function waveEnd(event: WaveEndEvent, names: NdjsonNames): object {
  const { run, round, wave, waves, tasks, outcomes, passed, reason, output } = event;
  const { text, more } = foldBounded(event.indices(), tasks, names.label, names.fold, LIMITS);
  return { run, round, wave, waves, tasks, hosts: text, hostsOmitted: more, outcomes, passed, reason, output };
}

function identity(task: TaskIdentity): object {
  return { run: task.run, round: task.round, index: task.index, attempt: task.attempt };
}

function host(host: Host): object {
  return { label: host.label, name: host.name, user: host.user ?? null, port: host.port ?? null };
}

/** Bytes with the marker that says how they travel. */
function data(bytes: Uint8Array): { readonly text: string } | { readonly base64: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? { text: buffer.toString('utf8') } : { base64: buffer.toString('base64') };
}

function output(output: Output): object {
  return { ...data(output.bytes), total: output.total, truncated: output.truncated };
}

function taskEnd(result: TaskResult): object {
  return {
    ...identity(result),
    iteration: result.iteration,
    host: host(result.host),
    outcome: result.outcome,
    reached: result.reached ?? null,
    startedAt: result.startedAt,
    durationMs: microseconds(result.durationMs),
    phases: phases(result.phases),
    executor: result.executor,
    stdout: output(result.stdout),
    stderr: output(result.stderr),
    notes: result.notes,
  };
}

function phases(times: PhaseTimes): object {
  return Object.fromEntries(
    Object.entries(times).map(([phase, span]) => [
      phase,
      { start: microseconds(span.start), end: microseconds(span.end) },
    ]),
  );
}

/** Milliseconds with three decimals: what is beyond is noise of the clock and a third of the line. */
function microseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

function runEnd(summary: Summary, names: NdjsonNames): object {
  return {
    run: summary.run,
    planned: summary.planned,
    outcomes: summary.outcomes,
    causes: summary.causes.map((cause) => causeCount(cause, names)),
    unreached: summary.unreached,
    uncertain: summary.uncertain,
    cutOff: summary.cutOff,
    truncated: summary.truncated,
    leftOpen: summary.leftOpen,
    outputCut: summary.outputCut,
    byOpenssh: summary.byOpenssh,
    retries: summary.retries,
    resumed: summary.resumed,
    maxStatus: summary.maxStatus,
    stdoutBytes: summary.stdoutBytes,
    stderrBytes: summary.stderrBytes,
    durationMs: microseconds(summary.durationMs),
    stopped: summary.stopped,
    stopReason: summary.stopReason,
    limitedBy: summary.limitedBy,
    polling: polling(summary),
  };
}

function causeCount(cause: CauseCount, names: NdjsonNames): object {
  const hosts = foldBounded(cause.indices(), cause.places ?? cause.count, names.label, names.fold, LIMITS);
  return {
    kind: cause.kind,
    label: cause.label,
    count: cause.count,
    example: cause.example,
    hosts: hosts.text,
    hostsOmitted: hosts.more,
  };
}
