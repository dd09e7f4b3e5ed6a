#!/usr/bin/env -S node --max-semi-space-size=8 --
/**
 * The command: finds the verb and loads it. Nothing else is imported before, so that --version and help start fast.
 *
 * The first line gives the young generation 8 MiB instead of 32 for each half: 40 MB less at the peak, at the same CPU.
 */
import { keepCompiled } from './compile_cache.ts';
import { failure, watchStreams } from './failure.ts';
import { withSettings } from './settings/apply.ts';
import { VERBS } from './verbs.ts';

/** package.json's `engines`: an older Node has not all that is used, and would fail in the middle of a run. */
const OLDEST_NODE = 24;

async function main(argv: readonly string[]): Promise<number> {
  const { node } = process.versions;
  if (Number(node.split('.')[0]) < OLDEST_NODE) {
    process.stderr.write(`myriad: Node ${OLDEST_NODE} or newer is needed, this is ${node}\n`);
    return 2;
  }
  const [first = '', ...rest] = argv;
  if (first === '--version' || first === '-V') {
    const { version } = await import('./version.ts');
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  if (first === '') {
    const { overview } = await import('./overview.ts');
    process.stderr.write(overview());
    return 2;
  }
  keepCompiled();
  if (first === 'help' || first === '--help' || first === '-h') return help(rest[0]);
  if (first === '__complete') return (await import('./complete.ts')).complete(rest, VERBS);
  // A verb counts only as the very first word; without one it is `run`, as pdsh and clush users write it.
  const verb = VERBS.find((candidate) => candidate.name === first);
  const load = verb ?? VERBS[0]!;
  const line = await withSettings(VERBS, load.name, verb ? rest : argv);
  return (await load.load())(line.words, line);
}

/** `myriad help` and `myriad help VERB`. */
async function help(name: string | undefined): Promise<number> {
  const verb = VERBS.find((candidate) => candidate.name === name);
  if (verb) return (await verb.load())(['--help']);
  const { overview } = await import('./overview.ts');
  process.stdout.write(overview());
  return 0;
}

/** What to say besides of this error: a misspelt verb is the command of a run, which then has no hosts. */
async function besides(error: unknown, word: string): Promise<string> {
  if ((error as { code?: string }).code !== 'empty-selection') return '';
  const { nearestText } = await import('../util/nearest.ts');
  const names = VERBS.map(({ name }) => name);
  const near = names.includes(word) ? '' : nearestText(word, names);
  return near === '' ? '' : `; "${word}" is no verb${near}`;
}

watchStreams();
try {
  const code = await main(process.argv.slice(2));
  process.exitCode = code === 0 ? (process.exitCode ?? 0) : code;
} catch (error) {
  process.exitCode = failure(error, await besides(error, process.argv[2] ?? ''));
}
