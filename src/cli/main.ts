#!/usr/bin/env node
/** The command: finds the verb and loads it. Nothing else is imported before, so that --version and help start fast. */
import { failure } from './failure.ts';
import { VERBS } from './verbs.ts';

async function main(argv: readonly string[]): Promise<number> {
  const [first = '', ...rest] = argv;
  if (first === '--version' || first === '-V') {
    const { version } = await import('./version.ts');
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  if (first === '' || first === 'help' || first === '--help' || first === '-h') {
    const { overview } = await import('./overview.ts');
    process.stdout.write(overview());
    return first === '' ? 2 : 0;
  }
  // A verb counts only as the very first word; without one it is `run`, as pdsh and clush users write it.
  const verb = VERBS.find((candidate) => candidate.name === first);
  const load = verb ?? VERBS[0]!;
  return (await load.load())(verb ? rest : argv);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = failure(error);
}
