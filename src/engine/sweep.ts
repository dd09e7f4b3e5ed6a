/** The chunk loop of a sweep: probes a plan slice by slice, and trusts no probe about what it gives back. */
import { MyriadError } from '../contracts/errors.ts';
import type { Probe, SweepChunk } from './executor.ts';
import type { Plan } from './plan.ts';

/** Addresses per chunk: 20 KB of results, and a hundredth of a second of probing at full speed. */
const SWEEP_CHUNK = 4_096;

/**
 * Chunks of a sweep, ascending; the next is probed when it is asked for. When `signal` aborts, the chunk in
 * progress is the last. Throws what the probe throws, and MyriadError `internal` for a chunk that is not what was asked.
 */
export async function* sweepPlan(plan: Plan, probe: Probe, signal: AbortSignal): AsyncGenerator<SweepChunk> {
  for (let base = 0; base < plan.count && !signal.aborted; base += SWEEP_CHUNK) {
    const count = Math.min(SWEEP_CHUNK, plan.count - base);
    const chunk = await probe(plan, base, count, signal);
    checkChunk(chunk, base, count);
    yield chunk;
  }
}

function checkChunk(chunk: SweepChunk, base: number, count: number): void {
  const is = `base ${chunk.base}, ${chunk.count} addresses, ${chunk.bits.length} bytes, ${chunk.rtt.length} times`;
  const wanted = `base ${base}, ${count} addresses, ${Math.ceil(count / 8)} bytes, ${count} times`;
  if (is !== wanted) throw new MyriadError('internal', `a probe gave a chunk of ${is}; it was asked for ${wanted}`);
}
