/** Connect to hosts, run `echo hello world i` on each, print the outputs. Usage: node examples/hello.ts HOSTS COUNT */
import { fleet } from 'myriad-ssh';

await using hosts = fleet({ hosts: process.argv[2]!, ...JSON.parse(process.env.FLEET ?? '{}') });
const run = hosts.run('echo hello world {i}', { repeat: Number(process.argv[3]), template: true });
for (const task of await run.all()) process.stdout.write(task.stdout.text());
