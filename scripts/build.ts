/** Compiles src/ into dist/, as it is published: JavaScript, declarations, the schema of the events, the command. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const SCHEMA = 'contracts/events.schema.json';
const COMMAND = 'dist/cli/main.js';
/** Without the two dashes node takes its own options, as --env-file, from the words of a command that is to run elsewhere. */
const SHEBANG = '#!/usr/bin/env -S node --\n';

rmSync('dist', { recursive: true, force: true });
const compiled = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: ['ignore', 'inherit', 'inherit'] });
if (compiled.error) throw compiled.error;
if (compiled.status !== 0) process.exit(1);
copyFileSync(`src/${SCHEMA}`, `dist/${SCHEMA}`);
if (!readFileSync(COMMAND, 'utf8').startsWith(SHEBANG)) {
  console.error(`${COMMAND} does not start with "${SHEBANG.trim()}": add the line to src/cli/main.ts`);
  process.exit(1);
}
chmodSync(COMMAND, 0o755);
// Completion must not have to load the library to know what options there are.
const table = spawnSync(process.execPath, [COMMAND, '__complete', '--table'], { stdio: ['ignore', 'pipe', 'inherit'] });
if (table.status !== 0) process.exit(1);
writeFileSync('dist/cli/completion/table.json', table.stdout);
if (spawnSync(process.execPath, ['scripts/man.ts', 'man/myriad.1'], { stdio: 'inherit' }).status !== 0) process.exit(1);
