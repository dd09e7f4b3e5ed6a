/** What is done after a wave: a command on its hosts, then a command here. Both have to end well before the next wave begins. */
import { spawn } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../contracts/limits.ts';
import type { Summary } from '../contracts/summary.ts';
import type { Target } from '../contracts/task.ts';
import type { HostList } from '../engine/host_plan.ts';
import type { Plan } from '../engine/plan.ts';
import type { Verdict, Wave } from '../engine/waves/wave_control.ts';
import { foldHosts } from '../hostset/fold.ts';
import { LocalTransport } from '../transport/local/local_transport.ts';
import { IndexSet } from '../util/index_set.ts';
import type { ResolvedWaves } from './waves.ts';

/** Of what a check writes, the last so many bytes are kept. */
const MOST_OUTPUT = 16 * 1024;
/** Between TERM and KILL. */
const GRACE_MS = 2_000;
/** For output that stays open after the check has ended. */
const LINGER_MS = 500;
/** Hosts written at once. */
const BATCH = 4_096;
const MOST_CAUSES = 3;
const MOST_NAMED = 100;

const PASSED: Verdict = { passed: true, reason: '', output: '' };

export interface WaveChecksParts {
  readonly waves: ResolvedWaves;
  /** The run's id. */
  readonly run: string;
  readonly plan: Plan;
  readonly clock: Clock;
  /** Runs a command on some hosts; stops it when `signal` is aborted. */
  readonly runOn: (hosts: HostList, command: string, signal: AbortSignal) => Promise<Summary>;
  /** Takes out what must not be seen. */
  readonly redact: (text: string) => string;
}

export class WaveChecks {
  readonly #parts: WaveChecksParts;
  #current: Promise<unknown> = Promise.resolve();

  constructor(parts: WaveChecksParts) {
    this.#parts = parts;
  }

  /** Says whether the wave has passed. Settles soon after `signal` is aborted. */
  check(wave: Wave, signal: AbortSignal): Promise<Verdict> {
    const verdict = this.#check(wave, signal);
    this.#current = verdict.catch(() => {});
    return verdict;
  }

  /** Resolves when no check is under way. */
  async idle(): Promise<void> {
    await this.#current;
  }

  async #check(wave: Wave, signal: AbortSignal): Promise<Verdict> {
    const { check, checkOn } = this.#parts.waves;
    const there = checkOn === undefined ? PASSED : await this.#checkThere(checkOn, wave, signal);
    if (!there.passed || check === undefined || signal.aborted) return there;
    const dir = await mkdtemp(join(tmpdir(), 'myriad-wave-'));
    try {
      const file = join(dir, 'hosts');
      await this.#writeHosts(file, wave);
      return await this.#checkHere(check, { ...wave, file }, signal);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  }

  async #checkThere(command: string, wave: Wave, signal: AbortSignal): Promise<Verdict> {
    const { plan, runOn } = this.#parts;
    const hosts = okHosts(plan, wave);
    if (hosts.length === 0) return PASSED;
    const list = { count: hosts.length, at: (i: number) => plan.at(hosts[i]!) };
    const summary = await runOn(list, command, signal);
    if (summary.outcomes.ok === summary.planned) return PASSED;
    const bad = summary.planned - summary.outcomes.ok;
    const causes = summary.causes.filter(({ kind }) => kind !== 'ok').slice(0, MOST_CAUSES);
    const told = causes.map((cause) => {
      const labels: string[] = [];
      for (const index of cause.indices()) if (labels.push(list.at(index).label) === MOST_NAMED) break;
      const more = cause.count > labels.length ? ` and ${cause.count - labels.length} more` : '';
      return `${cause.label} on ${foldHosts(labels)}${more}`;
    });
    const reason = `the check on ${summary.planned} hosts did not end ok on ${bad}, ${told.join('; ')}`;
    return { passed: false, reason: this.#parts.redact(reason), output: '' };
  }

  async #writeHosts(file: string, wave: Wave): Promise<void> {
    await using handle = await open(file, 'wx', 0o600);
    let lines: string[] = [];
    for (const { label } of hostsOf(this.#parts.plan, wave)) {
      if (lines.push(`${label}\n`) < BATCH) continue;
      await handle.writeFile(lines.join(''));
      lines = [];
    }
    await handle.writeFile(lines.join(''));
  }

  async #checkHere(command: string, wave: Wave & { readonly file: string }, signal: AbortSignal): Promise<Verdict> {
    const { clock, waves, run, redact } = this.#parts;
    const env = {
      ...process.env,
      MYRIAD_WAVE_HOSTS: wave.file,
      MYRIAD_WAVE: String(wave.number),
      MYRIAD_RUN: run,
    };
    const transport = new LocalTransport({
      clock,
      spawn: (program, args, options) => spawn(program, args, { ...options, env }),
    });
    const here = { label: 'check', name: 'check', index: 0, iteration: 1 };
    const connection = await transport.connect(here);
    const tail = new Tail(MOST_OUTPUT);
    const program = connection.exec(['/bin/sh', '-c', command], {
      sink: { write: (_, chunk) => tail.add(chunk) },
      begin: () => undefined,
      started: () => {},
      lingerMs: LINGER_MS,
    });
    program.end();
    let why = '';
    const end = (reason: string) => {
      why ||= reason;
      void program.terminate(GRACE_MS);
    };
    const onAbort = () => end('the run was stopped during the check');
    const deadline = clock.setTimer(waves.checkMs, () => {
      end(`the check took longer than ${waves.checkMs / 1000} s and was ended`);
    });
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    try {
      const { status, signal: by } = await program.ended.catch((error: Error) => {
        why ||= `the check could not be run: ${error.message}`;
        return { status: null, signal: null };
      });
      why ||=
        by === null
          ? status === 0
            ? ''
            : `the check ended with status ${status}`
          : `the check was ended by signal ${by.name}`;
      return { passed: why === '', reason: redact(why), output: redact(tail.text()) };
    } finally {
      deadline.cancel();
      signal.removeEventListener('abort', onAbort);
      await transport.close();
    }
  }
}

/** The host of a task: in a plan all hosts come once before one comes again. */
function hostOf(plan: Plan, { index }: Target): number {
  return index % plan.hosts;
}

/** The first task of each host in the wave, with its place. */
function* hostsOf(plan: Plan, { first, end }: Wave): Generator<Target & { readonly place: number }> {
  const repeats = (plan.planned ?? plan.count) > plan.hosts;
  const seen = new IndexSet();
  for (let place = first; place < end; place++) {
    const target = plan.at(place);
    if (!repeats || seen.add(hostOf(plan, target))) yield { ...target, place };
  }
}

/** Places in the plan of the wave's hosts of which every task in the wave ended ok. */
function okHosts(plan: Plan, wave: Wave): number[] {
  const bad = new IndexSet();
  for (const index of wave.bad) bad.add(index % plan.hosts);
  const places: number[] = [];
  for (const target of hostsOf(plan, wave)) if (!bad.has(hostOf(plan, target))) places.push(target.place);
  return places;
}

/** The last bytes of what was written. */
class Tail {
  readonly #most: number;
  #bytes = Buffer.alloc(0);
  #cut = false;

  constructor(most: number) {
    this.#most = most;
  }

  add(chunk: Uint8Array): true {
    const all = Buffer.concat([this.#bytes, chunk]);
    this.#cut ||= all.length > this.#most;
    this.#bytes = all.subarray(Math.max(0, all.length - this.#most));
    return true;
  }

  text(): string {
    return `${this.#cut ? '…' : ''}${this.#bytes.toString('utf8')}`;
  }
}
