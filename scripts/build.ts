/**
 * Makes dist/ of src/, as it is published: JavaScript, declarations, the schema of the events, the command. It is replaced as a
 * whole, once it is there: what does not compile leaves the last one alone.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { bundle } from './bundle.ts';

const FRESH = 'dist.new';
const SCHEMA = 'contracts/events.schema.json';
const COMMAND = `${FRESH}/cli/main.js`;
/** Without the two dashes node takes its own options, as --env-file, from the words of a command that is to run elsewhere. */
const SHEBANG = '#!/usr/bin/env -S node --max-semi-space-size=8 --\n';

rmSync(FRESH, { recursive: true, force: true });
const declared = spawnSync('tsc', ['-p', 'tsconfig.build.json', '--outDir', FRESH], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (declared.error) throw declared.error;
if (declared.status !== 0) process.exit(1);
await bundle(FRESH);
copyFileSync(`src/${SCHEMA}`, `${FRESH}/${SCHEMA}`);
if (!readFileSync(COMMAND, 'utf8').startsWith(SHEBANG)) {
  console.error(`${COMMAND} does not start with "${SHEBANG.trim()}": add the line to src/cli/main.ts`);
  process.exit(1);
}
chmodSync(COMMAND, 0o755);
// Completion must not have to load the library to know what options there are.
const table = spawnSync(process.execPath, [COMMAND, '__complete', '--table'], { stdio: ['ignore', 'pipe', 'inherit'] });
if (table.status !== 0) process.exit(1);
writeFileSync(`${FRESH}/cli/completion/table.json`, table.stdout);
if (spawnSync(process.execPath, ['scripts/man.ts', 'man/myriad.1'], { stdio: 'inherit' }).status !== 0) process.exit(1);
rmSync('dist', { recursive: true, force: true });
renameSync(FRESH, 'dist');
