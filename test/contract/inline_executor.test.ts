import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { claimsSuite, recorded } from './executor_claims.ts';
import { ownSuite } from './executor_own.ts';
import { executorSuite } from './executor_suite.ts';
import { setUpWith } from './executor_world.ts';

const setUp = setUpWith(({ kinds, transport, clock, random }) => {
  return new InlineExecutor({ kinds, transports: new Map([['native', transport]]), clock, random });
});

executorSuite('inline', setUp);
executorSuite('inline, recorded', recorded(setUp));
claimsSuite('inline', setUp);
ownSuite('inline', setUp);
ownSuite('inline, recorded', recorded(setUp));
