/**
 * Writes man/myriad.1 from what the verbs say of themselves, so that it says what --help says.
 * Usage: node scripts/man.ts [FILE]    without FILE the page goes to stdout
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command, Option } from 'commander';
import { Definitions } from '../src/cli/definitions.ts';
import { VERBS } from '../src/cli/verbs.ts';

const ROOT = dirname(import.meta.dirname);

/** Text as roff takes it: no request by accident, hyphens that can be copied. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('`', '\\(ga')
    .replace(/^(?=[.'])/gm, '\\&');
}

/** Lines that stay as they are. */
function literal(text: string): string {
  return `.PP\n.nf\n${roff(text.replace(/^\n+|\n+$/g, '').replace(/^$/gm, ' '))}\n.fi\n`;
}

function optionPart(option: Option): string {
  const flags = option.flags.replace(/<([^>]*)>/g, '\u0001$1\u0002');
  const marked = roff(flags).replaceAll('\u0001', '\\fI').replaceAll('\u0002', '\\fR');
  const value = option.defaultValueDescription ?? option.defaultValue;
  const shown = typeof value === 'string' || typeof value === 'number' ? ` (default: ${value})` : '';
  return `.TP\n\\fB${marked.replaceAll('\\fR', '\\fB')}\\fR\n${roff(option.description + shown)}\n`;
}

/** What stands below the options. */
function epilogue(command: Command): string {
  const written: string[] = [];
  command.configureOutput({ writeOut: (text) => void written.push(text) }).outputHelp();
  return written.join('').slice(command.helpInformation().length);
}

function verbPart(verb: string, command: Command): string {
  const usage = command.usage().split('\n')[0]!;
  const parts = [
    `.SS myriad ${roff(verb)}\n\\fBmyriad ${roff(verb)}\\fR ${roff(usage)}\n.PP\n${roff(command.description())}\n`,
  ];
  let group = '';
  for (const option of command.options.filter(({ hidden }) => !hidden)) {
    if (option.helpGroupHeading !== undefined && option.helpGroupHeading !== group) {
      group = option.helpGroupHeading;
      parts.push(`.PP\n\\fI${roff(group)}\\fR\n`);
    }
    parts.push(optionPart(option));
  }
  return parts.join('') + literal(epilogue(command));
}

const FILES: readonly (readonly [string, string])[] = [
  ['~/.config/myriad/myriad.yaml', 'settings of one user'],
  ['myriad.yaml', 'settings of a project, in its folder'],
  ['~/.local/state/myriad/runs', 'the journal'],
  ['~/.cache/myriad', 'compiled code, for a quick start; may be removed at any time'],
  ['~/.ssh/config, ~/.ssh/known_hosts', 'as for ssh(1)'],
];
const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['MYRIAD_SETTINGS', 'a settings file instead of the usual two, or none'],
  ['MYRIAD_PROFILE', 'the profile of settings'],
  ['SSH_AUTH_SOCK', 'the SSH agent'],
  ['XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME', 'where settings, the journal and compiled code are'],
  ['NO_COLOR', 'no colour'],
];

function list(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, what]) => `.TP\n\\fB${roff(name)}\\fR\n${roff(what)}\n`).join('');
}

export async function manPage(): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const definitions = new Definitions(VERBS);
  const verbs = await Promise.all(definitions.verbs.map(async (verb) => verbPart(verb, await definitions.of(verb))));
  return `.\\" Made by scripts/man.ts from the options of the verbs.
.TH MYRIAD 1 "" "myriad ${roff(version)}" "User Commands"
.SH NAME
myriad \\- one job on thousands of machines over SSH, every one accounted for
.SH SYNOPSIS
\\fBmyriad\\fR [\\fBrun\\fR] \\fB\\-w\\fR \\fIHOSTS\\fR [\\fIoptions\\fR] [\\fB\\-\\-\\fR] \\fICOMMAND\\fR...
.br
\\fBmyriad\\fR \\fIVERB\\fR [\\fIoptions\\fR]
.SH DESCRIPTION
Connects to the hosts, verifies their keys, does one job on each, and ends with a summary in which every host has exactly one outcome.
A verb counts only as the very first word; without one it is \\fBrun\\fR.
Options end at the first word that is none, or at \\fB\\-\\-\\fR.
.PP
With any verb: \\fB\\-\\-settings\\fR \\fIFILE\\fR takes settings from there (\\fBnone\\fR: from nowhere),
\\fB\\-\\-profile\\fR \\fINAME\\fR takes a profile of them, \\fB\\-\\-no\\-\\fR\\fIOPTION\\fR leaves out what they say of an option.
.SH VERBS
${verbs.join('')}.SH FILES
${list(FILES)}.SH ENVIRONMENT
${list(ENVIRONMENT)}.SH SEE ALSO
ssh(1), ssh_config(5), sshd(8)
`;
}

if (import.meta.main) {
  const [, , file] = process.argv;
  const page = await manPage();
  if (file === undefined) process.stdout.write(page);
  else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, page);
  }
}
