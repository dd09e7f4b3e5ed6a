/** A process that runs a fleet with a journal, and is killed in the middle: see fleet_crash.ts. Its options come on stdin. */
import { readFileSync } from 'node:fs';
import { fleet } from '../../src/index.ts';

const hosts = fleet(JSON.parse(readFileSync(0, 'utf8')));
await hosts.run('hostname').summary();
await hosts.close();
