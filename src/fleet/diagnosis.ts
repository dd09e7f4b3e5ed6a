/** What stands between this machine and a large run, before there is one: what `myriad doctor` shows. */
import { lstatSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { MyriadError } from '../contracts/errors.ts';
import { formatCount, formatNumberOf } from '../output/format.ts';
import { Agent } from '../ssh/agent.ts';
import { isTrusted } from '../ssh/config/files.ts';
import { DEFAULT_IDENTITIES } from '../ssh/config/keywords.ts';
import { KnownHosts } from '../ssh/known_hosts.ts';
import { connectionLimit } from './descriptors.ts';
import { readMachine } from './machine.ts';
import type { FleetOptions } from './options.ts';
import { type LoadedConfig, loadConfig } from './reach/config.ts';
import { openJournal } from './records.ts';

/** `problem`: it will not work · `warning`: it will, but not well, or not for all hosts. */
export interface Finding {
  readonly area: 'limits' | 'agent' | 'keys' | 'known_hosts' | 'ssh_config' | 'journal';
  readonly state: 'ok' | 'warning' | 'problem';
  /** One sentence. */
  readonly what: string;
  /** A line to be typed that mends it; empty where there is nothing to mend. */
  readonly fix: string;
}

/** What is looked at, as a fleet would be given it. */
export type DiagnosisOptions = Pick<FleetOptions, 'config' | 'configOptions' | 'knownHosts' | 'identity' | 'agent'> & {
  /** @default the usual one */
  readonly journal?: string | undefined;
};

/** Hosts at once that a large run should have room for. */
const ENOUGH = 4000;
/** Of problems of one kind, so many are told. */
const MOST_TOLD = 5;
/** Of no host in particular. */
const NOBODY = { name: 'host.invalid', label: 'host.invalid' };

/** Never rejects: what cannot be looked at is a finding, too. */
export async function diagnose({ journal, ...options }: DiagnosisOptions = {}): Promise<Finding[]> {
  const findings = limits();
  let host: Places = NOWHERE;
  try {
    const loaded = loadConfig(options);
    host = placesIn(loaded);
    findings.push(...configFindings(loaded));
  } catch (error) {
    findings.push(problem('ssh_config', messageOf(error), 'mend that line, or leave the file out: myriad -F none'));
  }
  const socket = options.agent === false ? undefined : (options.agent ?? host.agent ?? process.env.SSH_AUTH_SOCK);
  const held = await agentFindings(socket, findings);
  findings.push(
    options.identity === undefined ? keyFinding(host.identities ?? usualKeys(), held) : namedFinding(options.identity),
  );
  const named = typeof options.knownHosts === 'string' ? [options.knownHosts] : options.knownHosts;
  findings.push(...knownFindings(named ?? host.userKnown, host.globalKnown));
  findings.push(...journalFindings(journal));
  return findings;
}

/** What ssh_config says of no host in particular. */
interface Places {
  readonly agent: string | undefined;
  readonly identities: readonly string[] | undefined;
  readonly userKnown: readonly string[];
  readonly globalKnown: readonly string[];
}

const NOWHERE: Places = { agent: undefined, identities: undefined, userKnown: [], globalKnown: [] };

function placesIn({ config }: LoadedConfig): Places {
  const host = config.resolve(NOBODY);
  const { identityAgent: agent, identityFiles: identities, userKnownHostsFiles: userKnown, settings } = host;
  return { agent, identities, userKnown, globalKnown: settings.globalKnownHostsFiles };
}

function finding(state: Finding['state']) {
  return (area: Finding['area'], what: string, fix = ''): Finding => ({ area, state, what, fix });
}
const ok = finding('ok');
const warning = finding('warning');
const problem = finding('problem');

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0]! : String(error);
}

function limits(): Finding[] {
  const { conntrack, ports, neighbours } = readMachine();
  const sockets = connectionLimit();
  const findings = [
    sockets < ENOUGH
      ? warning(
          'limits',
          `open files (ulimit -Hn) leave ${formatCount(sockets)} connections at once`,
          'ulimit -Hn 65536   (as root, or "* hard nofile 65536" in /etc/security/limits.conf)',
        )
      : ok('limits', `open files (ulimit -Hn) leave ${formatCount(sockets)} connections at once`),
  ];
  if (ports !== undefined) {
    const what = `${formatCount(ports)} local ports for connections to one address (ip_local_port_range)`;
    const fix = 'sysctl -w net.ipv4.ip_local_port_range="10240 65535"';
    findings.push(ports < ENOUGH ? warning('limits', what, fix) : ok('limits', what));
  }
  if (conntrack !== undefined) {
    const free = conntrack.max - conntrack.count;
    const what = `the conntrack table has room for ${formatCount(free)} more connections (nf_conntrack_max ${conntrack.max})`;
    const fix = 'sysctl -w net.netfilter.nf_conntrack_max=262144';
    findings.push(free < ENOUGH ? warning('limits', what, fix) : ok('limits', what));
  }
  if (neighbours !== undefined) {
    const what = `${formatCount(neighbours)} neighbours: hosts of the same network that can be connected to at once (gc_thresh3)`;
    const fix = 'sysctl -w net.ipv4.neigh.default.gc_thresh3=65536 net.ipv6.neigh.default.gc_thresh3=65536';
    findings.push(neighbours < 1024 ? warning('limits', what, fix) : ok('limits', what));
  }
  return findings;
}

function configFindings({ config }: LoadedConfig): Finding[] {
  const { warnings } = config;
  const told = warnings
    .slice(0, MOST_TOLD)
    .map(({ file, line, reason }) =>
      warning('ssh_config', `${file}, line ${line}: ${reason}`, `mend line ${line} of ${file}`),
    );
  if (warnings.length > MOST_TOLD)
    told.push(warning('ssh_config', `and ${warnings.length - MOST_TOLD} more such lines`));
  return told.length > 0 ? told : [ok('ssh_config', 'every line of it is understood')];
}

/** How many keys the agent has; what is found goes into `findings`. */
async function agentFindings(socket: string | undefined, findings: Finding[]): Promise<number> {
  if (socket === undefined || socket === '') {
    findings.push(ok('agent', 'no SSH agent is in use (SSH_AUTH_SOCK is not set)'));
    return 0;
  }
  const setTimer = (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  };
  using agent = new Agent({ socketPath: socket, setTimer });
  try {
    const { length } = await agent.identities();
    findings.push(
      length > 0
        ? ok('agent', `the SSH agent at ${socket} holds ${formatNumberOf(length, 'key')}`)
        : warning('agent', `the SSH agent at ${socket} holds no key, or is locked`, 'ssh-add'),
    );
    return length;
  } catch (error) {
    findings.push(problem('agent', messageOf(error), 'eval "$(ssh-agent)" && ssh-add   (or unset SSH_AUTH_SOCK)'));
    return 0;
  }
}

function usualKeys(): string[] {
  return DEFAULT_IDENTITIES.map((file) => file.replace(/^~/, homedir()));
}

function keyFinding(files: readonly string[], held: number): Finding {
  const there = files.filter(isFile);
  const bad = there.map(badKey).find((found) => found !== undefined);
  if (bad !== undefined) return bad;
  if (there.length > 0) return ok('keys', `private keys: ${there.join(', ')}`);
  if (held > 0) return ok('keys', 'no private key in a file; those of the agent are used');
  const fix = 'ssh-keygen -t ed25519   (or log in with passwords: myriad -k)';
  return problem('keys', 'there is no key to log in with, in an agent or a file', fix);
}

/** Keys that were named must be there. */
function namedFinding(named: string | readonly string[]): Finding {
  const files = typeof named === 'string' ? [named] : named;
  const missing = files.find((file) => !isFile(file));
  if (missing === undefined) return keyFinding(files, 0);
  return problem('keys', `identity "${missing}" is not there`, `ssh-keygen -t ed25519 -f ${quoted(missing)}`);
}

function isFile(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    return false;
  }
}

function badKey(file: string): Finding | undefined {
  if ((statSync(file).mode & 0o077) !== 0) {
    return problem('keys', `others may read the private key ${file}`, `chmod 600 ${quoted(file)}`);
  }
  try {
    readFileSync(file);
    return undefined;
  } catch (error) {
    return problem('keys', messageOf(error), `chown "$USER" ${quoted(file)}`);
  }
}

function knownFindings(user: readonly string[], system: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  let hosts = 0;
  for (const file of [...user, ...system]) {
    try {
      const stat = lstatSync(file, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      const known = KnownHosts.parse([{ file, text: readFileSync(file) }]);
      hosts += known.size;
      if (!isTrusted(statSync(file), process.getuid?.() ?? 0)) {
        findings.push(
          problem(
            'known_hosts',
            `others may write to ${file}, and so say which hosts are known`,
            `chmod go-w ${quoted(file)}`,
          ),
        );
      }
      const [first] = known.problems;
      if (first === undefined) continue;
      const more = known.problemCount > 1 ? `, and ${known.problemCount - 1} more lines that do not count` : '';
      findings.push(
        warning(
          'known_hosts',
          `${file}, line ${first.line}: ${first.reason}${more}`,
          `sed -i.old ${first.line}d ${quoted(file)}`,
        ),
      );
    } catch (error) {
      findings.push(problem('known_hosts', messageOf(error), `ls -l ${quoted(file)}`));
    }
  }
  if (hosts > 0)
    return [ok('known_hosts', `${formatNumberOf(hosts, 'key of a host is', 'keys of hosts are')} known`), ...findings];
  return [
    warning('known_hosts', 'no host is known yet: none would be connected to', 'myriad trust -w HOSTS'),
    ...findings,
  ];
}

function journalFindings(folder: string | undefined): Finding[] {
  const findings: Finding[] = [];
  try {
    const journal = openJournal({ folder, tell: (sentence) => void findings.push(ok('journal', sentence)) });
    let [runs, broken] = [0, 0];
    for (const { problem } of journal.list()) {
      runs += 1;
      if (problem !== undefined) broken += 1;
    }
    findings.push(ok('journal', `${formatNumberOf(runs, 'recorded run')} in ${journal.folder}`));
    if (broken > 0) findings.push(warning('journal', `${broken} of them cannot be read`, 'myriad runs --limit all'));
  } catch (error) {
    const fix =
      error instanceof MyriadError && folder !== undefined
        ? `mkdir -m 700 -p ${quoted(folder)}`
        : 'myriad run --journal DIR, or --no-journal';
    findings.push(problem('journal', messageOf(error), fix));
  }
  return findings;
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
