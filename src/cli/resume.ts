/** `myriad resume`: goes on with a recorded run, with the options that it was given. */
import { Command } from 'commander';
import { type FleetOptions, fleet, MyriadError, type RunOptions, type RunRecord } from '../index.ts';
import { typed } from './argv.ts';
import { addAudit } from './audit.ts';
import { blame } from './blame.ts';
import { addConnection, type ConnectionFlags, defined, fleetOptions } from './connection_options.ts';
import { addSecrets } from './execution_options.ts';
import { addJournal, journalOf, takeRun } from './journal.ts';
import { journalOutput } from './journal_options.ts';
import { namedSweep, resumeSweep } from './ping_resume.ts';
import { conduct, runOptions } from './run.ts';
import { addLimits, addShown, buildRun, parseRun, type RunFlags, refuseContradictions } from './run_options.ts';
import { buildScript, parseScript } from './script.ts';
import type { TerminalSecrets } from './secrets.ts';
import { append } from './values.ts';
import { addWaves } from './wave_options.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface ResumeFlags extends RunFlags {
  readonly journal?: string;
  readonly idempotent?: boolean;
}

/** Flags as they stand after two lines: what the second one gave counts. */
interface Resumed {
  readonly run: string;
  readonly given: Partial<ResumeFlags>;
  readonly all: ResumeFlags;
  readonly again: (from: string) => string;
}

const HELP = `
Examples:
  myriad resume last
  myriad resume last --idempotent
  myriad resume -2 -f 20 --deadline none

RUN is an id, "last", or -2, the one before the last. Hosts, command and options
are those of the run; options given here win. What has its result is not done
again; what may have run when it crashed is, with --idempotent. The summary and
the exit code are of the whole run, and those of run. A sweep of "myriad ping"
goes on in the same way, with options of ping for what is shown and how fast.
`;

export async function resume(argv: readonly string[]): Promise<number> {
  const sweep = namedSweep(argv);
  if (sweep) return resumeSweep(sweep, argv.slice(1));
  const { run, rest } = takeRun(argv);
  const command = build();
  if (!parseWords(command, rest)) return 0;
  const name = run ?? command.args[0];
  if (name === undefined) throw new MyriadError('usage', 'no run was given: its id, "last" or -N comes first');
  if (run !== undefined && command.args.length > 0) {
    throw new MyriadError('usage', `one run is resumed at a time: "${command.args[0]}" is one more`);
  }
  const resumed = combined(name, command);
  try {
    return await conduct(resumed.all, {
      open: (secrets) => fleet(reach(resumed, secrets)),
      start: (hosts, secrets) => hosts.resume(doings(resumed, secrets)),
      again: resumed.again,
    });
  } catch (error) {
    throw blame(error, resumed.all);
  }
}

function build(): Command {
  const command = new Command('myriad resume')
    .usage('RUN [options]')
    .description('Go on with a run that was stopped, or has crashed.')
    .argument('[run]')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false)
    .option('--idempotent', 'repeat what may have run when it crashed')
    .option(
      '-i, --inventory <path>',
      'where variables of its hosts are, for a command that has places for them',
      append,
    );
  addAudit(addJournal(command).addOption(journalOutput()));
  addConnection(command);
  addLimits(command);
  addWaves(command);
  addSecrets(command).option('--stdin <file>', 'sent to the stdin of every host; - is stdin');
  addShown(command);
  return command;
}

/** What this line says, over what the recorded line says. */
function combined(name: string, command: Command): Resumed {
  const flags = command.opts<ResumeFlags>();
  const entries = Object.entries(flags).filter(([key]) => command.getOptionValueSource(key) === 'cli');
  const given = Object.fromEntries(entries) as Partial<ResumeFlags>;
  const reader = journalOf(flags).read(name);
  try {
    const { record, info } = reader;
    const { kind } = record.job as { readonly kind?: string };
    const before = recordedLine(record);
    const all = { ...flags, ...usable(before.flags), ...given, local: kind === 'local' };
    refuseContradictions({ ...all, local: false });
    return { run: info.id, given, all: withSources(all, given, before.flags), again: before.again };
  } finally {
    reader.close();
  }
}

interface Line {
  readonly flags: Partial<RunFlags>;
  readonly again: (from: string) => string;
}

/** The line that the run was started with; one of the library's has none. Throws `usage`. */
function recordedLine({ id, argv }: RunRecord): Line {
  const [program, verb, ...words] = argv;
  try {
    if (program === 'myriad' && verb === 'run') {
      return { flags: parseRun(words).flags, again: typed(buildRun(), verb, words).again };
    }
    if (program === 'myriad' && verb === 'script') {
      return { flags: parseScript(words).flags, again: typed(buildScript(), verb, words).again };
    }
  } catch (cause) {
    if (!(cause instanceof MyriadError)) throw cause;
    throw new MyriadError('usage', `run ${id}: its command line is no longer taken: ${cause.message}`, { cause });
  }
  return { flags: {}, again: (from) => `--from ${from}` };
}

/** What may be taken from the recorded line: no pattern, which is not there, and no stdin of another process. */
function usable(before: Partial<RunFlags>): Omit<Partial<RunFlags>, 'journal'> {
  const { redact: _pattern, stdin, listHosts: _list, dryRun: _dry, journal: _folder, ...rest } = before;
  return stdin === undefined || stdin === '-' || stdin === '/dev/stdin' ? rest : { ...rest, stdin };
}

const HIDDEN = '[redacted]';

/** Secrets as they were asked for, where this line does not say otherwise. Throws `usage` for one that must be given again. */
function withSources(all: ResumeFlags, given: Partial<ResumeFlags>, before: Partial<RunFlags>): ResumeFlags {
  const passwords = ['askPassword', 'passwordFile', 'passwordCommand'] as const;
  const other = passwords.some((key) => given[key] !== undefined);
  const password = pick(other ? given : before, passwords);
  if (password.passwordCommand === HIDDEN) {
    throw new MyriadError('usage', '--password-command: what it was is not recorded: give it, or -k, again');
  }
  const sudo = ['askSudoPassword', 'sudoPasswordFile'] as const;
  const sudoPassword = pick(sudo.some((key) => given[key] !== undefined) ? given : before, sudo);
  const env = [...(before.env ?? []).filter((text) => !text.endsWith(`=${HIDDEN}`)), ...(given.env ?? [])];
  const { askPassword, passwordFile, passwordCommand, askSudoPassword, sudoPasswordFile, ...rest } = all;
  const files = [...(before.envFile ?? []), ...(given.envFile ?? [])];
  return { ...rest, ...password, ...sudoPassword, env, envFile: files };
}

function pick<K extends keyof RunFlags>(flags: Partial<RunFlags>, keys: readonly K[]): Partial<Pick<RunFlags, K>> {
  const entries = keys.filter((key) => flags[key] !== undefined).map((key) => [key, flags[key]] as const);
  return Object.fromEntries(entries) as Partial<Pick<RunFlags, K>>;
}

/** How hosts are reached: what is not said here the journal knows; what is a secret it does not. */
function reach({ run, given, all }: Resumed, secrets: TerminalSecrets | undefined): FleetOptions {
  const { askPassword, passwordFile, passwordCommand } = all;
  const deadlines = given.connectTimeout !== undefined || given.deadline !== undefined;
  const flags = {
    ...given,
    ...defined({ askPassword, passwordFile, passwordCommand }),
    ...(deadlines && defined({ connectTimeout: all.connectTimeout, deadline: all.deadline })),
  };
  // Of options that have a default, only those that were given are to count.
  const { deadlines: asked, ...options } = fleetOptions(flags as ConnectionFlags & ResumeFlags, {}, secrets);
  return {
    ...options,
    ...(deadlines && asked !== undefined ? { deadlines: asked } : {}),
    ...defined({ inventory: given.inventory }),
    resume: run,
    journal: given.journal ?? true,
  };
}

/** How the run goes on: without what cannot be another now. */
function doings({ all, given }: Resumed, secrets: TerminalSecrets | undefined): RunOptions {
  const { repeat, var: _var, okStatus, cwd, umask, exportIdentity, shell, ...rest } = all;
  const asks = all.askSudoPassword || all.sudoPasswordFile !== undefined;
  const { sudo, sudoUser, doas, ...without } = rest;
  // The lock is that of the record; whom to ask about it is not.
  const { lock: _lock, lockMs: _ms, ...options } = runOptions(asks ? rest : without, secrets);
  return { ...options, ...(given.idempotent && { idempotent: true }) };
}
