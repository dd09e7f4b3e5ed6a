/** What all threads of a run are at, as they last told. */
import type { ExecutorStatus } from '../executor.ts';
import type { Lane } from './lane.ts';

type Counts = Pick<ExecutorStatus, 'connecting' | 'handshaking' | 'running' | 'waiting' | 'slowest'>;

export function mergedStatus(lanes: readonly Lane[], slowest: number, now: number): Counts {
  const told = lanes.flatMap(({ status, statusAt }) => {
    return status === undefined ? [] : [{ ...status, since: now - statusAt }];
  });
  const sum = (name: 'connecting' | 'handshaking' | 'running' | 'waiting'): number =>
    told.reduce((total, status) => total + status[name], 0);
  return {
    connecting: sum('connecting'),
    handshaking: sum('handshaking'),
    running: sum('running'),
    waiting: sum('waiting'),
    slowest: told
      .flatMap((status) => status.slowest.map((task) => ({ ...task, ageMs: task.ageMs + status.since })))
      .sort((a, b) => b.ageMs - a.ageMs)
      .slice(0, slowest),
  };
}

/** What holds back most threads: now, or, once it is over, what did. */
export function mergedLimit(lanes: readonly Lane[], over: boolean): string {
  const votes = new Map<string, number>();
  for (const lane of lanes) {
    const limit = over ? lane.limitedBy : (lane.status?.limitedBy ?? '');
    if (limit !== '') votes.set(limit, (votes.get(limit) ?? 0) + 1);
  }
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}
