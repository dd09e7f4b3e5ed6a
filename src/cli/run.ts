/** `myriad run`: one command on every host. */
import { type Fleet, fleet, foldHosts, type Run, type RunOptions, type Summary } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { exitCode } from '../output/exit_code.ts';
import { formatCount, formatDuration, formatNumberOf } from '../output/format.ts';
import { nextLine, onceMoreLine } from '../output/next.ts';
import { pausedText } from '../output/progress.ts';
import { Writer } from '../output/writer.ts';
import { aidOptions } from './aid_options.ts';
import { type Typed, typed } from './argv.ts';
import { startAudit } from './audit.ts';
import { blame } from './blame.ts';
import { askFirst, defined, fleetOptions } from './connection_options.ts';
import { askSudoFirst, executionLines, executionOptions } from './execution_options.ts';
import { askLocked, checkExpected, guard } from './guard.ts';
import { Interrupts } from './interrupt.ts';
import { checkWords, eachOptions } from './job_options.ts';
import { resumeWords } from './journal.ts';
import { forgetOld, recordOptions } from './journal_options.ts';
import { optimizeEarly } from './optimize_early.ts';
import { pollOptions } from './poll_options.ts';
import { buildRun, parseRun, type RunFlags } from './run_options.ts';
import { type Output, openOutput, readyOutput } from './run_output.ts';
import { TerminalSecrets } from './secrets.ts';
import type { Completed } from './settings/apply.ts';
import { takesStdin } from './stdin.ts';
import { readHosts } from './targets.ts';
import { followSize } from './terminal_size.ts';
import { waveLines, waveOptions } from './wave_options.ts';

export async function run(argv: readonly string[], line?: Completed): Promise<number> {
  const { flags, words, helped } = parseRun(argv);
  if (helped) return 0;
  try {
    return await perform(flags, {
      typed: typed(buildRun(), 'run', argv, line),
      check: () => checkWords(flags, words),
      start: (hosts, options) => start(hosts, flags, words, options),
    });
  } catch (error) {
    throw blame(error, flags);
  }
}

/** What is done on the hosts. */
export interface Action {
  readonly typed: Typed;
  /** Throws `usage` where it cannot be done, before there is a fleet. */
  check(): void;
  start(hosts: Fleet, options: RunOptions): Run;
}

/** Does it, with output, questions and ^C as the flags say; resolves with the exit code. */
export async function perform(flags: RunFlags, action: Action): Promise<number> {
  const selection = { ...readHosts(flags), ...recordOptions(flags, action.typed.recorded) };
  if (flags.listHosts) return listHosts(fleet(selection));
  action.check();
  return conduct(flags, {
    open: (secrets) => fleet(fleetOptions(flags, selection, secrets)),
    start: (hosts, secrets) => action.start(hosts, runOptions(flags, secrets)),
    again: action.typed.again,
    againOn: action.typed.againOn,
    confirm: (hosts, title) =>
      guard(hosts.count, title, {
        expect: flags.expect,
        yes: flags.yes ?? false,
        thresholds: flags.guard,
        terminal: canAsk(flags),
      }),
  });
}

function canAsk(flags: RunFlags): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true && !takesStdin(flags);
}

/** What there is to do, before there is a fleet; `secrets` is undefined where nothing will log in. */
export interface Undertaking {
  open(secrets: TerminalSecrets | undefined): Fleet;
  start(hosts: Fleet, secrets: TerminalSecrets | undefined): Run;
  /** The line that does it once more on the hosts of a recorded run. */
  again(from: string): string;
  /** The line that does it once more on these hosts. @default there is none */
  againOn?(hosts: string): string;
  /** Asks whether that is meant. @default nobody is asked */
  confirm?(hosts: Fleet, title: string): Promise<void>;
}

export async function conduct(flags: RunFlags, { open, start, again, againOn, confirm }: Undertaking): Promise<number> {
  let output: Output | undefined;
  const asks = new TerminalSecrets({
    makeRoom: () => output?.makeRoom() ?? (() => {}),
    onInterrupt: () => started.cancel(),
  });
  const secrets = flags.dryRun ? undefined : asks;
  await using hosts = open(secrets);
  const started = start(hosts, secrets);
  await started.check();
  if (flags.dryRun) return dryRun(hosts, started, flags);
  const ready = await readyOutput(flags, hosts, started);
  if (!flags.local) {
    await askFirst(hosts, flags, asks);
    await askSudoFirst(flags, asks);
    await hosts.prepare();
  }
  await confirm?.(hosts, started.title);
  await started.lock();
  const endAudit = await startAudit(flags.audit, started, hosts);
  output = openOutput(flags, ready);
  try {
    const told = new Set<string>();
    output.warnings(hosts.warnings, told);
    const summary = await follow(started, output, takesStdin(flags));
    await started.settled();
    output.warnings(hosts.warnings, told);
    output.summary(summary, started, hosts.verifiesHostKeys);
    if (started.journal !== undefined) {
      output.next(nextLine(summary, resumeWords(started.id, flags.journal), again(`${started.id}:bad`)));
    } else if (againOn !== undefined) {
      output.next(onceMoreLine(summary, (index) => started.label(index), foldHosts, againOn));
    }
    const code = exitCode(summary, { largestStatus: flags.largestStatus ?? false }) || Number(output.incomplete);
    return (await endAudit?.(summary, code, (text) => output?.say(text))) ?? code;
  } finally {
    await output.end();
    forgetOld(started, flags);
  }
}

/** Reads results until the last, with ^C and SIGTERM in hand. */
async function follow(started: Run, output: Output, stdinTaken: boolean): Promise<Summary> {
  const interrupts = new Interrupts(
    {
      pause: () => started.pause(),
      unpause: () => {
        started.unpause();
        output.listen();
      },
      stop: () => {
        started.unpause();
        started.cancel();
      },
      status: () => pausedText(started.status(), process.stderr.columns || 80),
    },
    (text) => output.say(text),
    stdinTaken ? 'taken' : 'free',
  );
  const unfollow = followSize(started);
  output.attach(started, () => interrupts.paused, stdinTaken);
  optimizeEarly(started);
  try {
    for await (const batch of started.batches()) await output.results(batch);
    return await started.summary();
  } finally {
    interrupts.release();
    unfollow();
    await output.detach();
  }
}

export function runOptions(flags: RunFlags, secrets: TerminalSecrets | undefined): RunOptions {
  return defined({
    ...executionOptions(flags, secrets),
    ...aidOptions(flags),
    ...waveOptions(flags),
    ...pollOptions(flags),
    onLocked: flags.lock !== undefined && canAsk(flags) ? askLocked : undefined,
    journalOutput: flags.journalOutput,
    gather: flags.gather === 'file' ? 'stream' : flags.gather,
    maxOutput: flags.maxOutput,
    repeat: flags.repeat,
    lingerMs: flags.linger === null ? 0 : flags.linger,
    commandMs: flags.commandTimeout,
    idleMs: flags.idle,
  });
}

function start(hosts: Fleet, flags: RunFlags, words: readonly string[], options: RunOptions): Run {
  if (flags.job !== undefined) return hosts.each(flags.job, { ...options, ...eachOptions(flags) });
  if (flags.local) return hosts.local(words[0]!, words.slice(1), options);
  const template = flags.template || flags.repeat !== undefined || flags.var !== undefined;
  return hosts.run(words.join(' '), { ...options, template });
}

async function listHosts(hosts: Fleet): Promise<number> {
  const stdout = new Writer(process.stdout);
  for (const host of hosts.hosts()) {
    stdout.write(`${host.label}\n`);
    if (stdout.full) await stdout.drained();
    if (stdout.closed) break;
  }
  await stdout.end();
  sayWarnings(hosts);
  return 0;
}

/** What was passed over when hosts were chosen. */
function sayWarnings({ warnings }: Fleet): void {
  for (const text of warnings) process.stderr.write(`myriad: ${escapeText(text)}\n`);
}

/** The first tasks: as whom and where hosts would be reached, by what key of their own, and the command where it has places. */
function* firstTasks(hosts: Fleet, started: Run, flags: RunFlags): Generator<string> {
  for (const { host, line } of started.preview(Math.min(DRY_HOSTS, hosts.count))) {
    const does = line === undefined ? '' : `: ${escapeText(line)}`;
    if (flags.local) {
      yield `${host.label}${does}`;
      continue;
    }
    const { user, name, port } = hosts.destination(host);
    const key = host.identity === undefined || flags.identity !== undefined ? '' : ` with ${escapeText(host.identity)}`;
    yield `${host.label} as ${user}@${name.includes(':') ? `[${name}]` : name}:${port}${key}${does}`;
  }
}

/** Hosts that are named one by one in a dry run. */
const DRY_HOSTS = 20;

function dryRun(hosts: Fleet, started: Run, flags: RunFlags): number {
  checkExpected(hosts.count, flags.expect);
  const lines = [
    `would run on ${formatNumberOf(hosts.count, 'host')}, ${formatNumberOf(started.planned, 'task')}: ${escapeText(started.title)}`,
  ];
  lines.push(...executionLines(flags), ...firstTasks(hosts, started, flags));
  lines.push(`fanout ${flags.fanout}${flags.deadline ? `, at most ${formatDuration(flags.deadline)}` : ''}`);
  lines.push(...waveLines(started.waves, flags));
  const named: string[] = [];
  for (const host of hosts.hosts()) {
    if (named.push(host.label) === DRY_HOSTS) break;
  }
  const more = hosts.count - named.length;
  lines.push(`${foldHosts(named)}${more > 0 ? ` and ${formatCount(more)} more (--list-hosts shows all)` : ''}`);
  process.stdout.write(`${lines.join('\n')}\nnothing was connected\n`);
  sayWarnings(hosts);
  return 0;
}
