/**
 * Variables for the commands: `--env K=V`, `--env K` with the value from here, and files.
 *
 * A file has one `K=V` a line; blank lines and lines that begin with `#` are skipped, `export ` in front is allowed. The value is the
 * rest of the line as it is, but for a pair of quotes around the whole of it. Nothing is expanded, no `\` is special.
 */
import { readFileSync, statSync } from 'node:fs';
import { MyriadError } from '../index.ts';

const MAX_FILE = 1024 * 1024;

/** Files first, then the words of the command line; the last of a name counts. Values are never told. Throws `usage`, `file`. */
export function readEnvironment(words: readonly string[] = [], files: readonly string[] = []): Record<string, string> {
  const env: Record<string, string> = Object.create(null);
  for (const file of files) Object.assign(env, readEnvFile(file));
  for (const word of words) {
    const at = word.indexOf('=');
    const name = at < 0 ? word : word.slice(0, at);
    checkName('--env', name);
    const value = at < 0 ? process.env[name] : word.slice(at + 1);
    if (value === undefined) {
      throw new MyriadError(
        'usage',
        `--env ${name}: there is no such variable here; set it, or write --env ${name}=VALUE`,
      );
    }
    env[name] = value;
  }
  return { ...env };
}

function readEnvFile(file: string): Record<string, string> {
  const option = `--env-file ${JSON.stringify(file)}`;
  let text: string;
  try {
    if (statSync(file).size > MAX_FILE) throw new MyriadError('file', `${option} has more than 1 MiB`);
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof MyriadError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new MyriadError('file', `${option} cannot be read (${code ?? 'unknown'})`, { cause });
  }
  const env: Record<string, string> = Object.create(null);
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const bare = line.trimStart();
    if (bare === '' || bare.startsWith('#')) continue;
    const where = `${option}, line ${index + 1}`;
    const [, name, value] = /^(?:export[ \t]+)?([^=\s]+)=(.*)$/s.exec(bare) ?? [];
    if (name === undefined || value === undefined) throw new MyriadError('file', `${where}: expected NAME=VALUE`);
    checkName(where, name);
    env[name] = /^(["']).*\1$/s.test(value) && value.length > 1 ? value.slice(1, -1) : value;
  }
  return env;
}

/** Before the value is looked for: a name that is none may be a value that was typed in its place. */
function checkName(where: string, name: string): void {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return;
  throw new MyriadError('usage', `${where}: a name is letters, digits and _, and begins with no digit`);
}
