/** Follow a log on many hosts at once, one line at a time. Usage: node examples/lines.ts HOSTS COMMAND */
import { fleet } from 'myriad-ssh';

await using hosts = fleet({ hosts: process.argv[2]!, ...JSON.parse(process.env.FLEET ?? '{}') });
const run = hosts.run(process.argv[3]!, { gather: 'stream' });
for await (const { host, line } of run.lines()) console.log(`${host.label}: ${line}`);
