/** Results and hosts as packed bytes, the same on their way to the writer thread and in the file. Format version 1. */
import type { Outcome } from '../contracts/outcome.ts';
import type { Host, PhaseTimes, Reached, StreamName, TaskNote, TaskResult } from '../contracts/task.ts';
import { damaged, type Packer, type Unpacker } from './packing.ts';

/** What a batch for the writer thread consists of: a tag, then its fields. */
export const TAG = { claim: 1, result: 2, output: 3 } as const;

/** Only ever added to at their ends: the file holds their places. */
const PHASES = ['dns', 'connect', 'handshake', 'auth', 'open', 'command'] as const;
const TRANSPORTS = ['native', 'openssh', 'local'] as const;
const NOTES: readonly TaskNote[] = ['output left open', 'output cut', 'stdout truncated', 'stderr truncated'];
export const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

/** Hosts in a block of a listed plan. */
export const BLOCK_HOSTS = 512;

/** `index` is a uint32 and so is `round`, below 2^21: together they are one safe integer. */
export const MAX_TASKS = 2 ** 32;
export const MAX_ROUNDS = 2 ** 21;

/** The key of a task's result. */
export function placeOf(round: number, index: number): number {
  return round * MAX_TASKS + index;
}

/** The fields of a result that stand in one blob: all but who it is, how it ended and what it wrote. */
export interface Detail {
  readonly attempt: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly stdoutTotal: number;
  readonly stderrTotal: number;
  readonly executor: string;
  readonly reached: Reached | undefined;
  readonly phases: PhaseTimes;
  readonly notes: readonly TaskNote[];
}

/** Appends a result; `withOutput` false where its bytes are not kept. */
export function packResult(packer: Packer, result: TaskResult, withOutput: boolean): void {
  packer.u8(TAG.result);
  packer.u32(result.round);
  packer.u32(result.index);
  packer.text(JSON.stringify(result.outcome));
  const part = packer.beginPart();
  packDetail(packer, result);
  packer.endPart(part);
  packer.bytes(withOutput ? result.stdout.bytes : NOTHING);
  packer.bytes(withOutput ? result.stderr.bytes : NOTHING);
}

const NOTHING = new Uint8Array(0);

function packDetail(packer: Packer, result: TaskResult): void {
  // Round and index come again, so that a row under a wrong key is found out.
  packer.u32(result.round);
  packer.u32(result.index);
  packer.u32(result.attempt);
  packer.f64(result.startedAt);
  packer.varint(microseconds(result.durationMs));
  packer.varint(result.stdout.total);
  packer.varint(result.stderr.total);
  packer.text(result.executor);
  packReached(packer, result.reached);
  packPhases(packer, result.phases);
  let notes = 0;
  for (const note of result.notes) notes |= 1 << NOTES.indexOf(note);
  packer.u8(notes);
}

function packReached(packer: Packer, reached: Reached | undefined): void {
  if (reached === undefined) {
    packer.u8(0);
    return;
  }
  packer.u8(1 + TRANSPORTS.indexOf(reached.transport));
  packer.u32(reached.port);
  packer.text(reached.address);
  packer.text(reached.fingerprint);
  packer.text(reached.software);
}

/** In microseconds, each after the end of the one before: mostly 0 and a small number, so four bytes for a phase. */
function packPhases(packer: Packer, phases: PhaseTimes): void {
  let present = 0;
  for (let i = 0; i < PHASES.length; i++) if (phases[PHASES[i]!] !== undefined) present |= 1 << i;
  packer.u8(present);
  let last = 0;
  for (const name of PHASES) {
    const span = phases[name];
    if (span === undefined) continue;
    const start = microseconds(span.start);
    const end = microseconds(span.end);
    packer.varint(zigzag(start - last));
    packer.varint(zigzag(end - start));
    last = end;
  }
}

function microseconds(ms: number): number {
  return Number.isFinite(ms) ? Math.round(ms * 1000) : 0;
}

/** Small numbers of either sign as small numbers. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** Throws MyriadError `journal` where the detail is not that of (round, index). */
export function unpackDetail(from: Unpacker, round: number, index: number): Detail {
  if (from.u32() !== round || from.u32() !== index) throw damaged();
  const attempt = from.u32();
  const startedAt = from.f64();
  const durationMs = from.varint() / 1000;
  const stdoutTotal = from.varint();
  const stderrTotal = from.varint();
  const executor = from.text();
  const reached = unpackReached(from);
  const phases = unpackPhases(from);
  const bits = from.u8();
  const notes = NOTES.filter((_, i) => (bits & (1 << i)) !== 0);
  return { attempt, startedAt, durationMs, stdoutTotal, stderrTotal, executor, reached, phases, notes };
}

function unpackReached(from: Unpacker): Reached | undefined {
  const how = from.u8();
  if (how === 0) return undefined;
  const transport = TRANSPORTS[how - 1];
  if (transport === undefined) throw damaged();
  const port = from.u32();
  return { transport, address: from.text(), port, fingerprint: from.text(), software: from.text() };
}

function unpackPhases(from: Unpacker): PhaseTimes {
  const present = from.u8();
  const phases: PhaseTimes = {};
  let last = 0;
  for (let i = 0; i < PHASES.length; i++) {
    if ((present & (1 << i)) === 0) continue;
    const start = last + unzigzag(from.varint());
    last = start + unzigzag(from.varint());
    phases[PHASES[i]!] = { start: start / 1000, end: last / 1000 };
  }
  return phases;
}

/** The outcome of a stored text, whose checksum was right. */
export function outcomeOf(json: string): Outcome {
  try {
    return JSON.parse(json) as Outcome;
  } catch {
    throw damaged();
  }
}

const HAS_USER = 1;
const HAS_PORT = 2;
const NAME_IS_LABEL = 4;
const HAS_IDENTITY = 8;

export function packHost(packer: Packer, host: Host): void {
  const same = host.name === host.label;
  const user = host.user === undefined ? 0 : HAS_USER;
  const port = host.port === undefined ? 0 : HAS_PORT;
  const identity = host.identity === undefined ? 0 : HAS_IDENTITY;
  packer.u8(user | port | (same ? NAME_IS_LABEL : 0) | identity);
  packer.text(host.label);
  if (!same) packer.text(host.name);
  if (host.user !== undefined) packer.text(host.user);
  if (host.port !== undefined) packer.u32(host.port);
  if (host.identity !== undefined) packer.text(host.identity);
}

export function unpackHost(from: Unpacker): Host {
  const has = from.u8();
  const label = from.text();
  const name = (has & NAME_IS_LABEL) !== 0 ? label : from.text();
  const user = (has & HAS_USER) !== 0 ? from.text() : undefined;
  const port = (has & HAS_PORT) !== 0 ? from.u32() : undefined;
  const identity = (has & HAS_IDENTITY) !== 0 ? from.text() : undefined;
  return { label, name, user, port, identity };
}
