/** Run a local program once per host, 255 at a time. Usage: node examples/local.ts HOSTS */
import { fleet } from 'myriad-ssh';

await using hosts = fleet({ hosts: process.argv[2]!, fanout: 255 });
const summary = await hosts.local('ping', ['-c', '1', '-W', '1', '{host}']).summary();
console.log(`${summary.outcomes.ok} of ${summary.planned} answer`);
