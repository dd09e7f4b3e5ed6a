/**
 * Kills a process that runs a fleet with a journal, by SIGKILL as a simulated host starts a command, resumes the run here, where
 * the hosts are, and says what does not come out even. For the tests with a few moments, for the long checks with many.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fleet, openJournal } from '../../src/index.ts';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { seededRandom } from '../ssh/bytes.ts';

/** Tasks of one group commit. */
const GROUP = 256;

export interface FleetCrash {
  /** Empty; the caller removes it. */
  readonly folder: string;
  readonly hosts: number;
  readonly fanout: number;
  readonly threads: number;
  /** Of the moment. */
  readonly seed: number;
}

export interface FleetCrashFinding {
  /** The command at whose start the process was killed, of `hosts`. */
  readonly killedAt: number;
  /** Commands that hosts started before. */
  readonly executed: number;
  readonly done: number;
  readonly lost: number;
  /** Empty where all is well, a sentence each otherwise. */
  readonly problems: readonly string[];
}

/** How often each host started a command. */
class Executed {
  readonly counts = new Map<string, number>();
  /** Called with the number of commands so far. */
  onCommand: (started: number) => void = () => {};
  #started = 0;

  note(address: string): void {
    this.counts.set(address, (this.counts.get(address) ?? 0) + 1);
    this.onCommand(++this.#started);
  }

  get started(): number {
    return this.#started;
  }

  of(label: string): number {
    return this.counts.get(label) ?? 0;
  }
}

export async function crashFleetAndResume(crash: FleetCrash): Promise<FleetCrashFinding> {
  const { folder, hosts, seed } = crash;
  const executed = new Executed();
  await using simulated = await simulate({ hosts, onCommand: (address) => executed.note(address) });
  const killedAt = 1 + seededRandom(seed).below(hosts);
  await runAndKill(crash, simulated, executed, killedAt);
  const before = executed.started;
  const problems: string[] = [];
  const journal = openJournal({ folder });
  const reader = journal.read('last');
  if (reader.info.state !== 'crashed') problems.push(`the run is ${reader.info.state}`);
  const { done, lost } = reader.resumeState();
  let withoutResult = 0;
  for (let index = 0; index < hosts; index++) {
    if (executed.of(reader.plan.at(index).label) === 0 || done.has(index)) continue;
    withoutResult += 1;
    if (!lost.has(index)) problems.push(`task ${index} ran unclaimed`);
  }
  reader.close();
  if (lost.size > withoutResult + GROUP) problems.push(`${lost.size} are lost, ${withoutResult} ran without a result`);
  problems.push(...(await resumeTwice(crash, executed, done.size, lost.size)));
  return { killedAt, executed: before, done: done.size, lost: lost.size, problems };
}

async function runAndKill(
  { folder, fanout, threads }: FleetCrash,
  { options }: SimulatedFleet,
  executed: Executed,
  killedAt: number,
): Promise<void> {
  const plan = JSON.stringify({ ...options, journal: folder, fanout, threads });
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fleet_crash_child.ts')], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  executed.onCommand = (started) => {
    if (started === killedAt) child.kill('SIGKILL');
  };
  child.stdin.end(plan);
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  executed.onCommand = () => {};
  if (signal !== 'SIGKILL') throw new Error('the run ended before it was killed');
}

/** Once as it is by itself, once more with all that may have run done over. */
async function resumeTwice(
  { folder, hosts }: FleetCrash,
  executed: Executed,
  done: number,
  lost: number,
): Promise<string[]> {
  const problems: string[] = [];
  for (const idempotent of [false, true]) {
    const again = idempotent ? lost : 0;
    const [ended, gone] = idempotent ? [hosts - lost, 0] : [done, lost];
    await using resumed = fleet({ resume: 'last', journal: folder });
    const run = resumed.resume({ idempotent });
    let told = 0;
    run.on(({ type }) => {
      if (type === 'task:end') told += 1;
    });
    const started = executed.started;
    const summary = await run.summary();
    const { ok, lost: counted } = summary.outcomes;
    if (summary.planned !== hosts || ok + counted !== hosts) problems.push(`accounted for: ${ok} ok, ${counted} lost`);
    if (counted !== gone) problems.push(`${counted} are lost, and ${gone} were expected`);
    if (summary.resumed !== ended) problems.push(`${summary.resumed} results stood, and ${ended} were expected`);
    if (told !== hosts - ended) problems.push(`${told} results were told of, and ${hosts - ended} were expected`);
    const ran = executed.started - started;
    const expected = idempotent ? again : hosts - done - lost;
    if (ran !== expected) problems.push(`${ran} commands ran after the crash, and ${expected} were expected`);
    if (!idempotent) problems.push(...ranTwice(executed));
    problems.push(...(await unevenOutcomes(folder, hosts, gone)));
  }
  return problems;
}

function ranTwice({ counts }: Executed): string[] {
  return [...counts].filter(([, count]) => count > 1).map(([label, count]) => `${label} ran ${count} times`);
}

/** Every host has exactly one outcome in the journal. */
async function unevenOutcomes(folder: string, hosts: number, lost: number): Promise<string[]> {
  const reader = openJournal({ folder }).read('last');
  const problems: string[] = [];
  let next = 0;
  for (const { index, host, stdout, outcome } of reader.results()) {
    if (index !== next) problems.push(`task ${next} has no outcome`);
    if (host.label !== reader.plan.at(index).label) problems.push(`task ${index} is that of ${host.label}`);
    if (outcome.kind === 'ok' && stdout.text() !== `sim-${index}\n`)
      problems.push(`task ${index} said ${stdout.text()}`);
    next = index + 1;
  }
  if (next !== hosts) problems.push(`${hosts} are planned, ${next} have an outcome`);
  const { ok = 0, lost: counted = 0 } = reader.info.outcomes;
  if (counted !== lost || ok !== hosts - lost) problems.push(`the journal counts ${ok} ok, ${counted} lost`);
  if (reader.info.state !== 'ended') problems.push(`the run is ${reader.info.state}`);
  reader.close();
  return problems;
}
