/** How programs are started here: passed in, so that a machine that is full can be played in tests. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

export type Spawn = (program: string, args: readonly string[], options: SpawnOptions) => ChildProcess;

export const systemSpawn: Spawn = (program, args, options) => spawn(program, args, options);

/** Signals a process group that a child of ours leads; false: there is none. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): boolean {
  // Once the child was reaped its number may belong to anyone.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
  try {
    return process.kill(-child.pid, signal);
  } catch {
    return false;
  }
}
