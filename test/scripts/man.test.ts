/** The manual: every verb and option is in it, and roff has nothing to say against it. */
import { spawnSync } from 'node:child_process';
import { beforeAll, expect, it } from 'vitest';
import { manPage } from '../../scripts/man.ts';
import { Definitions } from '../../src/cli/definitions.ts';
import { VERBS } from '../../src/cli/verbs.ts';

let page: string;
let shown: string;

beforeAll(async () => {
  page = await manPage();
  const { stdout, stderr, status } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-P-c', '-rLL=78n'], {
    input: page,
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  shown = stdout.replace(/.\x08/g, '');
});

it('every verb with every option, as it can be copied', async () => {
  const definitions = new Definitions(VERBS);
  for (const verb of definitions.verbs) {
    expect(shown).toContain(`myriad ${verb}`);
    for (const { long, hidden } of (await definitions.of(verb)).options) if (!hidden) expect(shown).toContain(long);
  }
});

it('examples stay as they are', () => {
  expect(shown).toMatch(/^ +myriad -w 'web\[1-100\]' -x web7 -b -- 'uname -r; uptime'$/m);
  expect(shown).toMatch(/^ +myriad -w \^hosts\.txt -l deploy /m);
  expect(page).not.toMatch(/^\.(?!\\"|TH|SH|SS|TP|PP|nf|fi|br)/m);
});
