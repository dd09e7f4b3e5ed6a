/** What stands beside every figure: the machine, the day, the commit and the command. */
import { execFile } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { promisify } from 'node:util';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly date: string;
  /** Short hash, with "+" when the tree had changes. */
  readonly commit: string;
  readonly command: string;
  /** Load average over a minute before the first run: above 0.5 something else was at work. */
  readonly load: number;
}

async function commit(): Promise<string> {
  try {
    const git = (...argv: string[]) => promisify(execFile)('git', argv, { cwd: import.meta.dirname });
    const [hash, changes] = await Promise.all([git('rev-parse', '--short', 'HEAD'), git('status', '--porcelain')]);
    return hash.stdout.trim() + (changes.stdout === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}

/** Describes this machine; `script` is the file that was run. */
export async function describeMachine(script: string): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    commit: await commit(),
    command: ['node', script, ...process.argv.slice(2)].join(' '),
    load: loadavg()[0]!,
  };
}

/** The machine as Markdown. */
export function machineLines(machine: Machine): string[] {
  return [
    `\`${machine.command}\` on ${machine.date}, commit ${machine.commit}`,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, Node ${machine.node}; ` +
      `load before the first run ${machine.load.toFixed(2)}`,
  ];
}
