/** Lines of an audit trail: who ran what, where, and what became of it. One line each, names and values, for people and for grep. */
import { OUTCOME_KINDS } from '../contracts/outcome.ts';
import type { Summary } from '../contracts/summary.ts';
import { escapeText } from './escape.ts';
import { type Fold, foldBounded, type HostsLimits, type Label } from './hosts.ts';

/** What both lines of a run say. */
export interface AuditedRun {
  readonly run: string;
  /** The job on one line, redacted. */
  readonly title: string;
  /** The login user, which sudo does not change. */
  readonly user: string;
  readonly uid: number;
  /** Empty where there is none. */
  readonly terminal: string;
  readonly planned: number;
  readonly hosts: number;
  readonly label: Label;
  readonly fold: Fold;
}

/** What syslog daemons take of one line is 1 KiB, so that neither hosts nor the job may fill it. */
const LIMITS: HostsLimits = { labels: 10_000, characters: 300 };
const MOST_TITLE = 300;

export function auditStart(audited: AuditedRun): string {
  const { run, title, user, uid, terminal, planned, hosts, label, fold } = audited;
  const indices = {
    *[Symbol.iterator]() {
      for (let index = 0; index < hosts; index++) yield index;
    },
  };
  const { text, more } = foldBounded(indices, hosts, label, fold, LIMITS);
  const cut = title.length > MOST_TITLE ? `${title.slice(0, MOST_TITLE)}…` : title;
  return fields('start', {
    run,
    user,
    uid,
    ...(terminal !== '' && { terminal }),
    tasks: planned,
    count: hosts,
    hosts: text,
    ...(more > 0 && { more }),
    job: cut,
  });
}

/** `exit`: the exit code of the command. */
export function auditEnd({ run, user, uid }: AuditedRun, summary: Summary, exit: number): string {
  const counts = OUTCOME_KINDS.filter((kind) => summary.outcomes[kind] > 0);
  return fields('end', {
    run,
    user,
    uid,
    exit,
    outcomes: counts.map((kind) => `${summary.outcomes[kind]} ${kind}`).join(', '),
    seconds: Math.round(summary.durationMs / 100) / 10,
    ...(summary.stopped !== 'no' && { stopped: summary.stopReason || summary.stopped }),
  });
}

/** `what name=value name="words"`; texts are always in quotes, so that none can end its field or its line. */
function fields(what: string, values: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(values).map(([name, value]) => {
    return `${name}=${typeof value === 'number' ? value : JSON.stringify(escapeText(value))}`;
  });
  return [what, ...pairs].join(' ');
}
