/** The command as its user runs it: a process of its own, with nothing of this one's environment but PATH. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { SimulatedFleet } from '../kit/fleet.ts';
import { leftover } from '../kit/leftovers.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const MAIN = join(ROOT, 'src/cli/main.ts');
/** Whatever hangs is killed after this: the test then fails by its exit code. */
const KILL_AFTER_MS = 40_000;

export interface Setting {
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  /** null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A home without keys, so that the tests do not depend on whose they are. */
const HOME = mkdtempSync(join(tmpdir(), 'myriad-home-'));
afterAll(() => rmSync(HOME, { recursive: true, force: true }));

export function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '/usr/bin:/bin' } = process.env;
  // Types are stripped once for all processes: a start then takes a fourth of the time.
  const cache = join(ROOT, 'node_modules/.cache/myriad-cli');
  return { PATH, HOME, LANG: 'C.UTF-8', TERM: 'xterm', NODE_COMPILE_CACHE: cache, ...more };
}

/** A process under way. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';
  #waiting: { readonly seen: () => boolean; readonly resolve: () => void }[] = [];

  constructor(program: string, args: readonly string[], env: Record<string, string>, stdin: 'ignore' | 'pipe') {
    const stdio = [stdin, 'pipe', 'pipe'] as const;
    this.child = spawn(program, args, { env, stdio: [...stdio], timeout: KILL_AFTER_MS, killSignal: 'SIGKILL' });
    this.child.once('exit', leftover('process', this.child.pid!));
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#heard(text, ''));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#heard('', text));
    // A process that does not read its stdin may close it at any time.
    this.child.stdin?.on('error', () => {});
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code) => {
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
        for (const { resolve } of this.#waiting) resolve();
      });
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  #heard(stdout: string, stderr: string): void {
    this.#stdout += stdout;
    this.#stderr += stderr;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ seen }) => !seen());
    for (const { seen, resolve } of waiting) if (seen()) resolve();
  }

  /** Resolves when stdout and stderr together hold `pattern`; throws when the process ends without. */
  async shows(pattern: RegExp): Promise<void> {
    const seen = () => pattern.test(this.#stdout + this.#stderr);
    if (!seen()) await new Promise<void>((resolve) => this.#waiting.push({ seen, resolve }));
    if (!seen()) throw new Error(`never shown: ${pattern}; stdout: ${this.#stdout}; stderr: ${this.#stderr}`);
  }
}

/** Starts `myriad` with these words; its stdin is at its end at once. */
export function launch(args: readonly string[], setting: Setting = {}): Running {
  return new Running(process.execPath, [MAIN, ...args], environment(setting.env), 'ignore');
}

/** Starts `myriad` with these words; its stdin stays open. */
export function launchOpen(args: readonly string[]): Running {
  return new Running(process.execPath, [MAIN, ...args], environment(), 'pipe');
}

/** Runs `myriad` with these words to its end. */
export function myriad(args: readonly string[], setting: Setting = {}): Promise<Ended> {
  return launch(args, setting).ended;
}

/** Runs a line of the shell in which `$MYRIAD` is the command. */
export function shell(line: string, setting: Setting = {}): Running {
  const env = environment({ ...setting.env, MYRIAD: `${process.execPath} ${MAIN}` });
  return new Running('/bin/sh', ['-c', line], env, 'ignore');
}

/** How to reach a simulated fleet, host keys verified. */
export function reach({ simulator, identity, knownHosts }: SimulatedFleet): string[] {
  return ['-p', String(simulator.port), '-l', 'root', '--identity', identity, '--known-hosts', knownHosts];
}

/** The summary's line of totals: planned, and the count of each outcome. Throws where the sum is not what was planned. */
export function totals(stderr: string): Record<string, number> {
  const line = /^([\d,]+) planned: (.*)$/m.exec(stderr);
  if (!line) throw new Error(`no summary in ${stderr}`);
  const planned = Number(line[1]!.replaceAll(',', ''));
  const outcomes = [...line[2]!.matchAll(/([\d,]+) ([a-z-]+)/g)].map(
    ([, count, kind]) => [kind!, Number(count!.replaceAll(',', ''))] as const,
  );
  const sum = outcomes.reduce((before, [, count]) => before + count, 0);
  if (sum !== planned) throw new Error(`${planned} planned, ${sum} accounted for: ${stderr}`);
  return Object.fromEntries(outcomes);
}
