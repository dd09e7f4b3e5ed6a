/** `myriad run`: one command on every host. */
import {
  type Fleet,
  type FleetOptions,
  fleet,
  foldHosts,
  MyriadError,
  type Run,
  type RunOptions,
  type Summary,
} from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { exitCode } from '../output/exit_code.ts';
import { formatCount, formatDuration, formatNumberOf } from '../output/format.ts';
import { progressLine } from '../output/progress.ts';
import { Writer } from '../output/writer.ts';
import { blame } from './blame.ts';
import { checkExpected, guard } from './guard.ts';
import { Interrupts } from './interrupt.ts';
import { askSecret } from './prompt.ts';
import { parseRun, type RunFlags } from './run_options.ts';
import { type Output, openOutput } from './run_output.ts';
import { readHosts } from './targets.ts';

export async function run(argv: readonly string[]): Promise<number> {
  const { flags, words, helped } = parseRun(argv);
  if (helped) return 0;
  try {
    return await perform(flags, words);
  } catch (error) {
    throw blame(error, flags);
  }
}

async function perform(flags: RunFlags, words: readonly string[]): Promise<number> {
  const selection = readHosts(flags);
  if (flags.listHosts) return listHosts(fleet(selection));
  if (words.join('').trim() === '' || words[0] === '') {
    throw new MyriadError('usage', 'no command was given: add it after the options');
  }
  await using hosts = fleet(await fleetOptions(flags, selection));
  const started = start(hosts, flags, words);
  if (flags.dryRun) return dryRun(hosts, started, flags);
  if (!flags.local) await hosts.prepare();
  await guard(hosts.count, started.title, {
    expect: flags.expect,
    yes: flags.yes ?? false,
    terminal: process.stdin.isTTY === true && process.stderr.isTTY === true,
  });
  const output = openOutput(flags);
  try {
    const summary = await follow(started, output);
    output.summary(summary, started, hosts.verifiesHostKeys);
    return exitCode(summary, { largestStatus: flags.largestStatus ?? false });
  } finally {
    await output.end();
  }
}

/** Reads results until the last, with ^C and SIGTERM in hand. */
async function follow(started: Run, output: Output): Promise<Summary> {
  const interrupts = new Interrupts(
    {
      pause: () => started.pause(),
      unpause: () => started.unpause(),
      stop: () => {
        started.unpause();
        started.cancel();
      },
      status: () => progressLine({ ...started.status(), paused: true }, 0),
    },
    (text) => output.say(text),
  );
  output.attach(started, () => interrupts.paused);
  try {
    for await (const batch of started.batches()) await output.results(batch);
    return await started.summary();
  } finally {
    interrupts.release();
    output.detach();
  }
}

function start(hosts: Fleet, flags: RunFlags, words: readonly string[]): Run {
  const options: RunOptions = defined({
    gather: flags.gather,
    maxOutput: flags.maxOutput,
    repeat: flags.repeat,
    okStatus: flags.okStatus,
    lingerMs: flags.linger === null ? 0 : flags.linger,
  });
  if (flags.local) return hosts.local(words[0]!, words.slice(1), options);
  return hosts.run(words.join(' '), { ...options, template: flags.repeat !== undefined });
}

const NO_TERMINAL = 'there is no terminal to ask on; run it on one';

/** `-4` and `-6` exclude each other. */
function familyOf(flags: RunFlags): 4 | 6 | undefined {
  if (flags.ipv4Only && flags.ipv6Only)
    throw new MyriadError('usage', '--ipv4-only (-4) and --ipv6-only (-6): give one of them');
  if (flags.ipv4Only) return 4;
  return flags.ipv6Only ? 6 : undefined;
}

async function fleetOptions(flags: RunFlags, selection: FleetOptions): Promise<FleetOptions> {
  const password =
    flags.askPassword && !flags.dryRun
      ? await askSecret('Password: ', `--ask-password (-k): ${NO_TERMINAL}, or log in with a key`)
      : undefined;
  const deadlines = defined({
    connectMs: flags.connectTimeout,
    commandMs: flags.commandTimeout,
    idleMs: flags.idle,
    runMs: flags.deadline,
  });
  return defined({
    ...selection,
    user: flags.user,
    port: flags.port,
    identity: flags.identity,
    jump: flags.jump,
    family: familyOf(flags),
    resolver: flags.resolver,
    passphrase: (file: string) =>
      askSecret(`Passphrase for ${file}: `, `--identity "${file}" is encrypted: ${NO_TERMINAL}, or give another key`),
    password,
    hostKeys: flags.hostKeys,
    knownHosts: flags.knownHosts,
    fanout: flags.fanout,
    retries: flags.retries,
    deadlines,
  });
}

/** Without the keys that are undefined: those have defaults. */
function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as { [K in keyof T]: Exclude<T[K], undefined> };
}

async function listHosts(hosts: Fleet): Promise<number> {
  const stdout = new Writer(process.stdout);
  for (const host of hosts.hosts()) {
    stdout.write(`${host.label}\n`);
    if (stdout.full) await stdout.drained();
    if (stdout.closed) break;
  }
  await stdout.end();
  return 0;
}

/** Hosts that are named one by one in a dry run. */
const DRY_HOSTS = 20;

function dryRun(hosts: Fleet, started: Run, flags: RunFlags): number {
  checkExpected(hosts.count, flags.expect);
  const { user, port } = hosts.defaults;
  const lines = [
    `would run on ${formatNumberOf(hosts.count, 'host')}, ${formatNumberOf(started.planned, 'task')}: ${escapeText(started.title)}`,
  ];
  if (!flags.local)
    lines.push(`as ${user} on port ${port}, where a host does not say otherwise; host keys: ${flags.hostKeys}`);
  lines.push(`fanout ${flags.fanout}${flags.deadline ? `, at most ${formatDuration(flags.deadline)}` : ''}`);
  const named: string[] = [];
  for (const host of hosts.hosts()) {
    if (named.push(host.label) === DRY_HOSTS) break;
  }
  const more = hosts.count - named.length;
  lines.push(`${foldHosts(named)}${more > 0 ? ` and ${formatCount(more)} more (--list-hosts shows all)` : ''}`);
  process.stdout.write(`${lines.join('\n')}\nnothing was connected\n`);
  return 0;
}
