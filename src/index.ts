/** The library's face. */
export { type ErrorCode, HostSetError, MyriadError } from './contracts/errors.ts';
export type {
  RunEndEvent,
  RunEvent,
  RunListener,
  RunStartEvent,
  TaskEndEvent,
  TaskOutputEvent,
  TaskStartEvent,
} from './contracts/events.ts';
export { type Clock, DEFAULT_DEADLINES, type Deadlines, type Gather, type Limits } from './contracts/limits.ts';
export {
  type Began,
  OUTCOME_KINDS,
  type Outcome,
  type OutcomeKind,
  outcomeLabel,
  outcomeMessage,
  type Phase,
  type RemoteFate,
} from './contracts/outcome.ts';
export type { CauseCount, Summary } from './contracts/summary.ts';
export type { Host, Output, PhaseTimes, Reached, TaskIdentity, TaskResult } from './contracts/task.ts';
export type { ExecutionOptions, SudoOptions } from './fleet/execution.ts';
export { type Fleet, fleet, type ScriptOptions } from './fleet/fleet.ts';
export type { OutputLine } from './fleet/line_stream.ts';
export type { FleetOptions, RunOptions } from './fleet/options.ts';
export type { AnswerSource, LoginHost, PasswordSource } from './fleet/passwords.ts';
export type { AllOptions, Run, RunStatus } from './fleet/run.ts';
export {
  type HostKey,
  type HostKeys,
  hostKeysOf,
  knownHostsLines,
  type LearnOptions,
  type Learnt,
  type LookOptions,
} from './fleet/trust.ts';
export { foldHosts } from './hostset/fold.ts';
export { type HostSet, parseHostSet } from './hostset/hostset.ts';
export type { HostKeysOptions } from './jobs/host_keys.ts';
export type { Variables } from './jobs/template.ts';
export type { Shell } from './jobs/windows.ts';
