/** What is wrong with a configuration, with file, line and reason. */
import { MyriadError } from '../../contracts/errors.ts';

export interface ConfigProblem {
  readonly file: string;
  /** From 1; 0 for an option that was given outside of files. */
  readonly line: number;
  readonly reason: string;
}

/** So many lines are told in the message; `problems` has all. */
const MAX_TOLD = 10;

/** Bad lines of one file (all of them), or the one line that cannot be used for a host. */
export class SshConfigError extends MyriadError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super('usage', describe(problems), options);
    this.name = 'SshConfigError';
    this.problems = problems;
  }
}

function describe(problems: readonly ConfigProblem[]): string {
  const [first] = problems;
  if (first === undefined) return 'ssh_config: nothing is wrong';
  if (first.line === 0) return `ssh_config ${first.file}: ${first.reason}`;
  if (problems.length === 1) return `ssh_config "${first.file}", line ${first.line}: ${first.reason}`;
  const told = problems.slice(0, MAX_TOLD).map((problem) => `line ${problem.line}: ${problem.reason}`);
  if (problems.length > MAX_TOLD) told.push(`and ${problems.length - MAX_TOLD} more`);
  return `ssh_config "${first.file}" has ${problems.length} bad lines: ${told.join('; ')}`;
}

/** A setting that was read but cannot be used for a host. */
export function settingError(place: { readonly file: string; readonly line: number }, reason: string): SshConfigError {
  return new SshConfigError([{ file: place.file, line: place.line, reason }]);
}
