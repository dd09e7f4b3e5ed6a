import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { executorSuite } from './executor_suite.ts';
import { setUpWith } from './executor_world.ts';

executorSuite(
  'inline',
  setUpWith(({ kinds, transport, clock, random }) => {
    return new InlineExecutor({ kinds, transports: new Map([['native', transport]]), clock, random });
  }),
);
