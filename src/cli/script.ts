/** `myriad script`: a script of this machine on every host. */
import { Command } from 'commander';
import { MyriadError } from '../index.ts';
import { typed } from './argv.ts';
import { blame } from './blame.ts';
import { addConnection } from './connection_options.ts';
import { addExecution } from './execution_options.ts';
import { addPolls } from './poll_options.ts';
import { perform } from './run.ts';
import {
  addLimits,
  addOutput,
  addRunTargets,
  type ParsedRun,
  type RunFlags,
  refuseContradictions,
} from './run_options.ts';
import type { Completed } from './settings/apply.ts';
import { addWaves } from './wave_options.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface ScriptFlags extends RunFlags {
  readonly interpreter?: string[];
}

const EXAMPLES = `
Examples:
  myriad script -w 'web[1-100]' disk-report.sh
  myriad script -w 'web[1-100]' --sudo -K harden.sh --level 2
  myriad script -w 'db[1-4]' --interpreter 'python3 -u' facts.py

The script is read once, for all hosts; there the interpreter reads it from a
pipe, and its stdin is free for --stdin. Nothing of it runs before all of it is
there.
Exit codes are those of run.
`;

export async function script(argv: readonly string[], line?: Completed): Promise<number> {
  const { flags, words, helped } = parseScript(argv);
  if (helped) return 0;
  const [file, ...args] = words;
  try {
    return await perform(flags, {
      typed: typed(buildScript(), 'script', argv, line),
      check() {
        if (file === undefined || file === '') {
          throw new MyriadError('usage', 'no script was given: add its file after the options');
        }
        if (flags.shell !== undefined && flags.shell !== 'sh') {
          throw new MyriadError('usage', `--shell ${flags.shell}: scripts are for hosts with a POSIX shell`);
        }
      },
      start: (hosts, options) => {
        const { interpreter } = flags;
        return hosts.script(file!, args, { ...options, ...(interpreter && { interpreter }) });
      },
    });
  } catch (error) {
    throw blame(error, flags);
  }
}

/** Throws `usage`, one sentence. */
export function parseScript(
  argv: readonly string[],
): Pick<ParsedRun, 'words' | 'helped'> & { readonly flags: ScriptFlags } {
  const command = buildScript();
  const helped = !parseWords(command, argv);
  const flags = command.opts<ScriptFlags>();
  if (!helped) refuseContradictions(flags);
  return { flags, words: helped ? [] : command.args, helped };
}

export function buildScript(): Command {
  const command = new Command('myriad script')
    .usage('-w HOSTS [options] [--] FILE [ARGUMENTS...]')
    .description('Run a script of this machine on every host.')
    .argument('[file]')
    .argument('[arguments...]')
    .passThroughOptions()
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', EXAMPLES)
    .helpOption('-h, --help', 'this help');
  addRunTargets(command);
  addConnection(command);
  addLimits(command);
  addWaves(command);
  addPolls(command);
  addExecution(command)
    .option('--stdin <file>', 'sent to the stdin of every host; - is stdin')
    .option(
      '--interpreter <line>',
      'what runs it, as "python3 -u" (default: as its first line says, else sh)',
      interpreterWords,
    );
  addOutput(command);
  return command;
}

function interpreterWords(line: string): string[] {
  const words = line.split(/\s+/).filter((word) => word !== '');
  if (words.length > 0) return words;
  throw new MyriadError('usage', `--interpreter: expected a program, such as python3, got "${line}"`);
}
