/** `myriad doctor`: what stands between this machine and a run, and which settings are in force. */
import { Command } from 'commander';
import { type DiagnosisOptions, diagnose, MyriadError } from '../index.ts';
import { type DiagnosisView, doctorText } from '../output/doctor.ts';
import { Writer } from '../output/writer.ts';
import { choice } from './connection_options.ts';
import { Definitions, type NamedVerb } from './definitions.ts';
import { type Effective, effective, type Setting } from './settings/effective.ts';
import { findFiles, type Surroundings, surroundings, userFile } from './settings/files.ts';
import { SECRET } from './settings/options.ts';
import { version } from './version.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface DoctorFlags {
  readonly settings?: string;
  readonly profile?: string;
  readonly output: 'text' | 'json';
}

const HELP = `
Examples:
  myriad doctor
  myriad doctor script --profile production
  myriad doctor --output json

Looked at are limits of this machine, SSH agent and keys, known_hosts,
ssh_config, the journal's folder, and settings: which of them are in force for
VERB (default: run), and where each one stands. Nothing is connected.

Exit codes: 0 nothing is wrong, 1 something is, 2 usage.
`;

export async function doctor(argv: readonly string[], verbs: readonly NamedVerb[]): Promise<number> {
  const command = new Command('myriad doctor')
    .usage('[VERB] [options]')
    .description('Say what is wrong on this machine, and how to mend it.')
    .argument('[verb]')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false)
    .option('--settings <file>', 'settings instead of the usual ones, or none')
    .option('--profile <name>', 'with this profile of the settings')
    .addOption(choice('--output <form>', 'text, json', ['text', 'json']));
  if (!parseWords(command, argv)) return 0;
  const [verb = 'run'] = command.args;
  const definitions = new Definitions(verbs);
  const known = definitions.verbs;
  if (!known.includes(verb))
    throw new MyriadError('usage', `there is no verb "${verb}"; there are ${known.join(', ')}`);
  const flags = command.opts<DoctorFlags>();
  const view = await look(definitions, verb, flags);
  const stdout = new Writer(process.stdout);
  const columns = process.stdout.isTTY ? process.stdout.columns || 80 : undefined;
  stdout.write(flags.output === 'json' ? `${JSON.stringify(view, undefined, 2)}\n` : doctorText(view, columns));
  await stdout.end();
  return view.findings.some(({ state }) => state === 'problem') ? 1 : 0;
}

async function look(definitions: Definitions, verb: string, flags: DoctorFlags): Promise<DiagnosisView> {
  const around = within(surroundings(), flags);
  const problems = new Set<string>();
  const found = await settingsOf(definitions, verb, around, problems);
  for (const profile of [undefined, ...(found?.profiles ?? [])]) {
    for (const other of definitions.verbs) {
      await settingsOf(definitions, other, within(around, { profile }), problems);
    }
  }
  const settings = found?.settings ?? [];
  const named = found?.files ?? findFiles(around, around.env.MYRIAD_SETTINGS || undefined);
  const findings: DiagnosisView['findings'] = [
    { area: 'node', state: 'ok', what: `Node ${process.versions.node}, ${process.platform}`, fix: '' },
    ...(await diagnose(options(settings))),
    ...[...problems].map((what) => settingsFinding(what)),
  ];
  if (problems.size === 0) findings.push({ area: 'settings', state: 'ok', what: filesText(named, around), fix: '' });
  return {
    version: version(),
    findings,
    settings: {
      verb,
      profile: found?.profile ?? null,
      files: named.map(({ layer, file }) => ({ layer, file })),
      options: settings.map(shown),
    },
  };
}

function within(
  around: Surroundings,
  { settings, profile }: { readonly settings?: string | undefined; readonly profile?: string | undefined },
): Surroundings {
  const env = {
    ...around.env,
    ...(settings !== undefined && { MYRIAD_SETTINGS: settings }),
    ...(profile !== undefined && { MYRIAD_PROFILE: profile }),
  };
  return { ...around, env };
}

/** What is wrong goes into `problems`, once. */
async function settingsOf(
  definitions: Definitions,
  verb: string,
  around: Surroundings,
  problems: Set<string>,
): Promise<Effective | undefined> {
  try {
    return await effective(definitions, verb, [], around);
  } catch (error) {
    if (!(error instanceof MyriadError)) throw error;
    problems.add(error.message);
    return undefined;
  }
}

function settingsFinding(what: string): DiagnosisView['findings'][number] {
  const [, file, line] = /^(\/.*?):(\d+):\d+: /.exec(what) ?? [];
  const fix = file === undefined ? 'myriad --settings none does without' : `\${EDITOR:-vi} +${line} ${file}`;
  return { area: 'settings', state: 'problem', what, fix };
}

function filesText(files: readonly { readonly file: string }[], around: Surroundings): string {
  if (files.length === 0) return `there are none; yours would be ${userFile(around)}`;
  return `taken from ${files.map(({ file }) => file).join(' and ')}`;
}

function shown({ name, values, place, layer, profile }: Setting): DiagnosisView['settings']['options'][number] {
  const hidden = SECRET.has(name) ? values.map((value) => value.replace(/(?<==).*|^[^=]*$/s, '…')) : values;
  return { name, values: hidden, place, layer, profile: profile ?? null };
}

/** What settings say of what is looked at. */
function options(settings: readonly Setting[]): DiagnosisOptions {
  const values = (name: string) => settings.find((setting) => setting.name === name)?.values;
  const pick = { config: values('config')?.[0], journal: values('journal')?.[0] };
  const lists = { configOptions: values('option'), knownHosts: values('known-hosts'), identity: values('identity') };
  const all = Object.entries({ ...pick, ...lists }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(all) as DiagnosisOptions;
}
