/** The library's face. */
export { type ErrorCode, HostSetError, MyriadError } from './contracts/errors.ts';
export type {
  Change,
  ChangeEvent,
  RoundEndEvent,
  RunEndEvent,
  RunEvent,
  RunListener,
  RunStartEvent,
  TaskEndEvent,
  TaskOutputEvent,
  TaskStartEvent,
  WaveEndEvent,
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
export type { CauseCount, PolledHosts, RoundsSummary, Summary } from './contracts/summary.ts';
export type { Host, Output, PhaseTimes, Reached, TaskIdentity, TaskResult } from './contracts/task.ts';
export type { RoundStatus } from './engine/polling/polling_executor.ts';
export type { WaveOutline } from './engine/waves/rules.ts';
export type { WaveStatus } from './engine/waves/waves_executor.ts';
export { type DiagnosisOptions, diagnose, type Finding } from './fleet/diagnosis.ts';
export type { ExecutionOptions, SudoOptions } from './fleet/execution.ts';
export { type Fleet, fleet, type ScriptOptions } from './fleet/fleet.ts';
export type { JournalingOptions, RecordOptions } from './fleet/journal_options.ts';
export type { OutputLine } from './fleet/line_stream.ts';
export type { LockHolder, LockOptions } from './fleet/lock.ts';
export type { FleetOptions, RunOptions } from './fleet/options.ts';
export type { EachOptions } from './fleet/own_job.ts';
export type { AnswerSource, LoginHost, PasswordSource } from './fleet/passwords.ts';
export { type Ping, ping } from './fleet/ping.ts';
export type { PingOptions } from './fleet/ping_options.ts';
export { type RecordedPing, recordedPing } from './fleet/ping_replay.ts';
export type { PingSummary } from './fleet/ping_totals.ts';
export { parseExtract } from './fleet/polling/extract.ts';
export type { PollOptions } from './fleet/polling/options.ts';
export { type PolledPing, type PollPingOptions, pollPing } from './fleet/polling/poll_ping.ts';
export { type JournalOptions, openJournal, pruneDaily, type Replay, type RunJournal, replay } from './fleet/records.ts';
export type { AllOptions, Run, RunStatus } from './fleet/run.ts';
export type { SelectionOptions } from './fleet/selection_options.ts';
export type { SubmitOptions, SubmitSpec } from './fleet/submissions.ts';
export {
  type HostKey,
  type HostKeys,
  hostKeysOf,
  knownHostsLines,
  type LearnOptions,
  type Learnt,
  type LookOptions,
} from './fleet/trust.ts';
export type { ShareOption, WaveOptions } from './fleet/waves.ts';
export { foldHosts } from './hostset/fold.ts';
export { type HostSet, parseHostSet } from './hostset/hostset.ts';
export type { HostKeysOptions } from './jobs/host_keys.ts';
export type {
  CustomExecOptions,
  CustomExecResult,
  CustomFunction,
  CustomHost,
  CustomTask,
} from './jobs/own_face.ts';
export type { Variables } from './jobs/template.ts';
export type { Shell } from './jobs/windows.ts';
export type {
  JournaledOutput,
  JournaledPlan,
  JournalReader,
  PruneOptions,
  PruneReport,
  RunEntry,
  RunInfo,
  RunRecord,
  RunSelection,
  RunState,
  Who,
} from './journal/journal.ts';
export { isSelected, parseRunReference, type RunReference } from './journal/selection.ts';
export type { SweepReader } from './journal/sweeps.ts';
export { whoRuns } from './journal/who.ts';
export type { ManyProbes, PingChunk } from './ping/chunk.ts';
export { ADDRESS_STATES, type AddressState, outcomeOf } from './ping/state.ts';
