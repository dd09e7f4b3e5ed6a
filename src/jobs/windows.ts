/**
 * Hosts whose login shell is cmd or PowerShell: how values are quoted for these, and how a command gets its environment there.
 *
 * As for a POSIX shell (`shell_program.ts`) the command line is a constant, and what is set travels on stdin. The constant is a
 * reader for Windows PowerShell, in base64 so that cmd and PowerShell both take it for plain words. It reads one line of base64 byte
 * by byte, so that what follows belongs to the command, and runs what that line holds.
 */
import { MyriadError } from '../contracts/errors.ts';
import { NOT_STARTED } from './shell_program.ts';

/** What takes command lines on a host. */
export type Shell = 'sh' | 'cmd' | 'powershell';
export type WindowsShell = Exclude<Shell, 'sh'>;

export const SHELLS: readonly Shell[] = ['sh', 'cmd', 'powershell'];

/** Characters that mean nothing to cmd, nor to its own commands, anywhere in a word. */
const PLAIN = /^[A-Za-z0-9_.:/\\@+-]+$/;
/** What a program that reads its arguments in an 8-bit code page may be given as a double quote. */
const NEAR_QUOTES = /\u030e|[\u02ba\u2033\u2036\u301d-\u301f\uff02]/;

/** Why a value cannot be one word for cmd whatever reads it; undefined where it can. Never tells the value. */
function cmdObjection(value: string): string | undefined {
  for (const char of '"%!') if (value.includes(char)) return `with ${char} in it`;
  if (/[\r\n]/.test(value)) return 'with a line break in it';
  if (/[\0-\x08\x0b-\x1f\x7f]/.test(value)) return 'with a control character in it';
  if (NEAR_QUOTES.test(value)) return 'with a character in it that programs may take for "';
  // Within quotes a program takes \" for a quote, and cmd's own commands do not.
  if (value.endsWith('\\') && !PLAIN.test(value)) return 'that needs quotes and ends in \\';
  return undefined;
}

/**
 * `value` as one word for cmd and for the program that it starts. Throws MyriadError `usage` for what no quotes make safe: % is
 * replaced within them, and so is ! where the host asks for it.
 */
export function cmdQuote(value: string): string {
  const objection = cmdObjection(value);
  if (objection !== undefined) throw usage(`cmd cannot be given a value ${objection}`);
  return PLAIN.test(value) ? value : `"${value}"`;
}

/**
 * `value` as a string for PowerShell, which takes five characters for a single quote. Always in quotes: a word without any would be
 * a command's name where an expression is expected. Throws MyriadError `usage` for a NUL.
 */
export function powershellQuote(value: string): string {
  if (value.includes('\0')) throw usage('PowerShell cannot be given a value with a NUL in it');
  return `'${value.replace(/['\u2018-\u201b]/g, '$&$&')}'`;
}

export function windowsQuote(shell: WindowsShell): (value: string) => string {
  return shell === 'cmd' ? cmdQuote : powershellQuote;
}

const SAY = '[Console]::Error.WriteLine';
const NOT_WHOLE = `${SAY}('myriad: the command did not arrive whole, and was not started');exit ${NOT_STARTED}`;
const NOT_BEGUN = `${SAY}('myriad: the command was not started');exit ${NOT_STARTED}`;

/** All characters of base64 are above a line feed, and the end of stdin, -1, is below. */
const READER = [
  '$_myriad_s=[Console]::OpenStandardInput()',
  '$_myriad_t=New-Object Text.StringBuilder',
  'while(($_myriad_c=$_myriad_s.ReadByte()) -gt 10){[void]$_myriad_t.Append([char]$_myriad_c)}',
  `if($_myriad_c -ne 10){${NOT_WHOLE}}`,
  '.([scriptblock]::Create([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($_myriad_t.ToString()))))',
].join(';');

/**
 * For cmd and PowerShell alike. Without `-InputFormat None` PowerShell itself would read stdin, at the same time; without
 * `-OutputFormat Text` errors would come as XML.
 */
export const WINDOWS_BOOTSTRAP = `powershell -NoProfile -NonInteractive -InputFormat None -OutputFormat Text -EncodedCommand ${Buffer.from(READER, 'utf16le').toString('base64')}`;

export interface WindowsSurroundings {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
}

/** The line that the reader takes: the surroundings, then `command` with its exit status. */
export function windowsLine(shell: WindowsShell, { env, cwd }: WindowsSurroundings, command: string): Buffer {
  const statements = cwd === undefined ? [] : [enter(cwd)];
  for (const [name, value] of Object.entries(env)) statements.push(`$env:${name}=${powershellQuote(value)}`);
  statements.push(...(shell === 'cmd' ? cmdStart(command) : powershellStart(command)));
  return Buffer.from(`${Buffer.from(statements.join('\n')).toString('base64')}\n`);
}

function enter(cwd: string): string {
  return `try{Set-Location -LiteralPath ${powershellQuote(cwd)} -ErrorAction Stop}catch{${SAY}($_.Exception.Message);${NOT_BEGUN}}`;
}

/**
 * cmd gets its line as it is, as from the server: PowerShell would quote it anew. `/s` takes away the outer quotes and no others. In a
 * directory that cmd cannot be in, such as a share, it would go to another one.
 */
function cmdStart(command: string): string[] {
  return [
    '$_myriad_d=(Get-Location).ProviderPath',
    `if((Get-Location).Provider.Name -ne 'FileSystem' -or $_myriad_d.StartsWith('\\\\')){${SAY}('myriad: cmd cannot be in this directory');${NOT_BEGUN}}`,
    '$_myriad_i=New-Object Diagnostics.ProcessStartInfo',
    "$_myriad_i.FileName=[Environment]::SystemDirectory+'\\cmd.exe'",
    `$_myriad_i.Arguments='/d /s /c "'+${powershellQuote(command)}+'"'`,
    '$_myriad_i.UseShellExecute=$false',
    '$_myriad_i.WorkingDirectory=$_myriad_d',
    `try{$_myriad_p=[Diagnostics.Process]::Start($_myriad_i)}catch{${SAY}($_.Exception.Message);${NOT_BEGUN}}`,
    '$_myriad_p.WaitForExit()',
    'exit $_myriad_p.ExitCode',
  ];
}

/**
 * The command is parsed alone before it is run with what tells how it ended: what is cut short is refused, and cannot swallow that.
 * The status is that of its last statement, as of any shell's line. `exit` would overtake tables that are still being made, so that
 * the output is written out before it.
 */
function powershellStart(command: string): string[] {
  return [
    `$_myriad_l=${powershellQuote(command)}`,
    `try{[void][scriptblock]::Create($_myriad_l);$_myriad_b=[scriptblock]::Create($_myriad_l+"\`n\`n"+'$_myriad_ok=$?')}catch{${SAY}($_.Exception.Message);${NOT_BEGUN}}`,
    '$_myriad_ok=$true',
    '$global:LASTEXITCODE=0',
    '.$_myriad_b|Out-Default',
    'if($_myriad_ok){exit 0}',
    'if($LASTEXITCODE){exit $LASTEXITCODE}',
    'exit 1',
  ];
}

/** What CreateProcess takes of one variable, with name and end, in UTF-16 units. */
const MAX_VARIABLE = 32_767;

/** Throws MyriadError `usage` for variables that Windows cannot have; values are never told. */
export function checkWindowsEnvironment(env: Readonly<Record<string, string>>): void {
  const seen = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    const of = `env ${JSON.stringify(name)}`;
    if (value === '') throw usage(`${of}: Windows has no variables that are empty`);
    if (name.length + value.length + 2 > MAX_VARIABLE) throw usage(`${of}: Windows takes at most 32,767 characters`);
    const other = seen.get(name.toUpperCase());
    if (other !== undefined) throw usage(`${of}: on Windows this is the same variable as ${JSON.stringify(other)}`);
    seen.set(name.toUpperCase(), name);
  }
}

function usage(message: string): MyriadError {
  return new MyriadError('usage', message);
}
