/**
 * The event union, version 1. Command line, journal, dashboard and library listen to the same events; a listener that
 * throws never harms the run, and events never carry back-pressure. The JSON form is in `events.schema.json`.
 */
import type { OutcomeKind } from './outcome.ts';
import type { PolledHosts, Summary } from './summary.ts';
import type { Host, StreamName, TaskIdentity, TaskResult } from './task.ts';

export const EVENTS_VERSION = 1;

/** The plan is made; nothing has been connected yet. */
export interface RunStartEvent {
  readonly type: 'run:start';
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly run: string;
  /** The job's kind. */
  readonly job: string;
  /** What it does, for people: the command line. */
  readonly title: string;
  /** Tasks planned. */
  readonly planned: number;
}

/** The job's start request is about to leave for the host: from here on it may have run. */
export interface TaskStartEvent extends TaskIdentity {
  readonly type: 'task:start';
  readonly time: number;
  readonly host: Host;
}

/** A piece of output. `data` is valid only while the listener runs; copy what is kept. Sent in gather mode `stream` only. */
export interface TaskOutputEvent extends TaskIdentity {
  readonly type: 'task:output';
  readonly time: number;
  readonly host: Host;
  readonly stream: StreamName;
  readonly data: Uint8Array;
}

/** A task has its outcome. One per planned task and round. */
export interface TaskEndEvent {
  readonly type: 'task:end';
  readonly time: number;
  readonly result: TaskResult;
}

/** `up`: it answers again · `down`: it has failed often enough in a row · `answer`: it answers something else. */
export type Change = 'up' | 'down' | 'answer';

/** A host of a repeated run is not as it was. Comes after the `task:end` that tells of it. */
export interface ChangeEvent {
  readonly type: 'change';
  readonly time: number;
  readonly change: Change;
  /** What was extracted of its answer; null where nothing was, or nothing was asked for. */
  readonly value: string | null;
  readonly result: TaskResult;
}

/** One pass of a repeated run is over. Comes after the `task:end` of its tasks. */
export interface RoundEndEvent {
  readonly type: 'round:end';
  readonly time: number;
  readonly run: string;
  readonly round: number;
  /** Tasks of the round. */
  readonly planned: number;
  /** Its tasks per outcome; every kind is present. */
  readonly outcomes: Readonly<Record<OutcomeKind, number>>;
  readonly durationMs: number;
  /** Changes that it has brought. */
  readonly changes: number;
  /** How all hosts stand after it. */
  readonly hosts: PolledHosts;
  /** Rounds of the run that were left out so far, because the one before was not over when they were due. */
  readonly overruns: number;
}

/** One wave of a run is over, and checked where a check was asked for. Comes after `task:end` of its tasks. */
export interface WaveEndEvent {
  readonly type: 'wave:end';
  readonly time: number;
  readonly run: string;
  readonly round: number;
  /** From 1. */
  readonly wave: number;
  /** How many the plan has. */
  readonly waves: number;
  readonly tasks: number;
  /** Of its tasks, ascending. Lazily walked: may be as many as the plan has. */
  indices(): Iterable<number>;
  /** Its tasks per outcome; every kind is present. */
  readonly outcomes: Readonly<Record<OutcomeKind, number>>;
  /** The next one may begin. */
  readonly passed: boolean;
  /** Why it has not passed, in one sentence; empty where it has. */
  readonly reason: string;
  /** What its check here has written, the last 16 KiB of it. */
  readonly output: string;
}

/** Every planned task has its outcome. */
export interface RunEndEvent {
  readonly type: 'run:end';
  readonly time: number;
  readonly summary: Summary;
}

export type RunEvent =
  | RunStartEvent
  | TaskStartEvent
  | TaskOutputEvent
  | TaskEndEvent
  | ChangeEvent
  | RoundEndEvent
  | WaveEndEvent
  | RunEndEvent;

export type RunListener = (event: RunEvent) => void;
