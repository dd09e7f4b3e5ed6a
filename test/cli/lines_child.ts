/** Runs command lines one after the other in one process, which starts once for all: tells its parent each one's exit code. */
import { withSettings } from '../../src/cli/settings/apply.ts';
import { VERBS } from '../../src/cli/verbs.ts';

async function run([first = '', ...rest]: readonly string[]): Promise<{ code: number; error: string }> {
  const verb = VERBS.find(({ name }) => name === first);
  const { name, load } = verb ?? VERBS[0]!;
  try {
    const words = verb ? rest : [first, ...rest];
    const line = await withSettings(VERBS, name, words);
    return { code: await (await load())(line.words, line), error: '' };
  } catch (error) {
    return { code: 2, error: (error as Error).message };
  }
}

process.on('message', async (lines: readonly (readonly string[])[]) => {
  for (const words of lines) process.send?.(await run(words));
  process.disconnect?.();
});
