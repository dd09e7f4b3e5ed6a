/**
 * The suite that every executor passes. Hosts do what their names say (`fake_transport.ts`), jobs are plain data, time is
 * the manual clock's.
 */
import { limitsSuite } from './executor_limits.ts';
import { requestsSuite } from './executor_requests.ts';
import { resultsSuite } from './executor_results.ts';
import { wavesSuite } from './executor_waves.ts';
import type { SetUp } from './executor_world.ts';

export function executorSuite(name: string, setUp: SetUp): void {
  resultsSuite(name, setUp);
  requestsSuite(name, setUp);
  limitsSuite(name, setUp);
  wavesSuite(name, setUp);
}
