/**
 * A job of one's own: which hosts were up for longer than a day, and what they run. Usage: node examples/job.ts HOSTS
 * The same on the command line: myriad -w HOSTS --job examples/job.ts#probe
 */
import { type CustomTask, fleet } from 'myriad-ssh';

export async function probe({ exec, fail }: CustomTask): Promise<{ system: string; days: number }> {
  const uptime = await exec('uptime', { okStatus: [0] });
  const days = Number(/up (\d+) days?/.exec(uptime.stdout.text())?.[1] ?? 0);
  if (days < 1) fail('was started today');
  const system = await exec('uname', { okStatus: [0] });
  return { system: system.stdout.text().trim(), days };
}

if (import.meta.main) {
  await using hosts = fleet({ hosts: process.argv[2]!, ...JSON.parse(process.env.FLEET ?? '{}') });
  for (const { host, stdout } of await hosts.each(probe).all()) process.stdout.write(`${host.label} ${stdout.text()}`);
}
