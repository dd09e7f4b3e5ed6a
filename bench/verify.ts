/** A figure counts only when every host was visited once, answered with its own name, and nothing was reused. */
import type { Site } from './clients.ts';
import type { FleetStats } from './fleet.ts';
import type { Cost } from './measure.ts';

/** What every host is asked; the answer carries the host's address, so that a mix-up of hosts shows. */
export const QUESTION = 'whoami-host';

/** "HOST: hello ADDRESS", HOST with or without a port. */
const ANSWER = /^(127\.\d+\.\d+\.\d+)(?::\d+)?: +hello (127\.\d+\.\d+\.\d+)$/;

/** What is wrong with the output of a client; undefined when every host answered once and as itself. */
function verifyAnswers(site: Site, stdout: string): string | undefined {
  const open = new Set(site.hosts);
  for (const line of stdout.split('\n')) {
    const [, host, answer] = ANSWER.exec(line.trimEnd()) ?? [];
    if (host === undefined) continue;
    if (host !== answer) return `${host} is said to have answered "hello ${answer}"`;
    if (!open.delete(host)) return `${host} answered twice or was not asked`;
  }
  if (open.size > 0) return `${open.size} of ${site.hosts.length} hosts have no answer, ${[...open][0]} among them`;
  return undefined;
}

/** What is wrong with one run; undefined when it counts. */
export function verify(site: Site, cost: Cost, stats: FleetStats): string | undefined {
  const hosts = site.hosts.length;
  const last = cost.stderr.trim().split('\n').at(-1) ?? '';
  if (cost.status !== 0) return `exit status ${cost.status}: ${last}`;
  const answers = verifyAnswers(site, cost.stdout);
  if (answers !== undefined) return answers;
  if (stats.execs !== hosts) return `the fleet ran ${stats.execs} commands for ${hosts} hosts`;
  if (stats.distinctCookies !== stats.handshakes) return 'a KEXINIT cookie was used twice';
  if (stats.distinctEphemerals !== stats.handshakes) return 'an ephemeral key was used twice';
  return undefined;
}
