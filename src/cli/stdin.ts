/** `--stdin FILE|-`: what the hosts' commands read. */
import { MyriadError, type RunOptions } from '../index.ts';

/** Flags that ask for this process' stdin, or for a person at it. */
export interface StdinFlags {
  readonly stdin?: string;
  readonly hosts?: string[];
  readonly pssh?: string[];
  readonly hostfile?: string[];
  readonly askPassword?: boolean;
  readonly askSudoPassword?: boolean;
}

/** This process' stdin goes to the hosts: nobody can be asked on it. */
export function takesStdin(flags: StdinFlags): boolean {
  return flags.stdin === '-' || flags.stdin === '/dev/stdin';
}

/** Throws `usage` where this process' stdin is asked for twice. */
export function checkStdin(flags: StdinFlags): void {
  if (flags.stdin === '') throw new MyriadError('usage', '--stdin: expected a file, or - for stdin, got ""');
  const other = takesStdin(flags) ? otherReader(flags) : undefined;
  if (other) throw new MyriadError('usage', `--stdin ${flags.stdin}: ${other} reads stdin too; leave out one of them`);
}

/** Nothing of it is read here. */
export function stdinOption(flags: StdinFlags): RunOptions['stdin'] {
  const { stdin } = flags;
  if (stdin === undefined) return undefined;
  return takesStdin(flags) ? process.stdin : { file: stdin };
}

function otherReader(flags: StdinFlags): string | undefined {
  if ([...(flags.hosts ?? []), ...(flags.pssh ?? [])].includes('-')) return '-w -';
  if (flags.hostfile?.includes('/dev/stdin')) return '--hostfile /dev/stdin';
  if (flags.askPassword) return '--ask-password (-k)';
  return flags.askSudoPassword ? '--ask-sudo-password (-K)' : undefined;
}
