/**
 * The installed ssh as the judge: `ssh -G` on made-up configurations must say what we say, key for key, and must refuse the lines that we
 * refuse. What is known to differ is listed here, each with its reason.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AlgorithmTables } from '../../../src/ssh/config/dump.ts';
import { SshConfigError } from '../../../src/ssh/config/problems.ts';
import { SshConfig } from '../../../src/ssh/config/ssh_config.ts';
import { present } from '../../kit/servers.ts';
import { type MadeConfig, makeBadConfig, makeConfig } from './oracle_texts.ts';

const GOOD = 540;
const BAD = 160;
const PARALLEL = 4;

/** Keys whose value is the build's own when nothing is set. */
const BUILD_DEFAULTS = new Set(['forwardx11trusted', 'gssapikexalgorithms', 'identityfile', 'xauthlocation', 'ipqos']);
/** A local forwarding of a path is printed by `ssh -G` as a dynamic one as well. */
const NOT_COMPARED = new Set(['dynamicforward', 'host']);

type Settings = Map<string, string[]>;

function parseDump(text: string): Settings {
  const settings: Settings = new Map();
  for (const line of text.split('\n')) {
    const [, keyword, value] = /^(\S+) ?(.*)$/.exec(line) ?? [];
    if (keyword === undefined) continue;
    const key = keyword.toLowerCase();
    settings.set(key, [...(settings.get(key) ?? []), value!]);
  }
  return settings;
}

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function askSsh(args: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile('ssh', args, { timeout: 30_000, maxBuffer: 2 ** 22 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
    });
    child.stdin?.end();
  });
}

/** Runs `work` on all items, a few at a time. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}

function listed(query: string): string[] {
  const { stdout } = spawnSync('ssh', ['-Q', query], { encoding: 'utf8' });
  return stdout.split('\n').filter((name) => name !== '');
}

function algorithmTables(defaults: Settings): AlgorithmTables {
  const queries: Record<string, string> = {
    ciphers: 'cipher',
    macs: 'mac',
    kexalgorithms: 'kex',
    hostkeyalgorithms: 'key-sig',
    hostbasedacceptedalgorithms: 'key-sig',
    pubkeyacceptedalgorithms: 'key-sig',
    casignaturealgorithms: 'sig',
  };
  return Object.fromEntries(
    Object.entries(queries).map(([keyword, query]) => [
      keyword,
      { defaults: defaults.get(keyword)![0]!.split(','), known: listed(query) },
    ]),
  );
}

describe.skipIf(!present('ssh'))('ssh -G', () => {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-oracle-'));
  const { homedir: home, username: localUser, uid } = userInfo();
  let defaults: Settings;
  let tables: AlgorithmTables;

  beforeAll(async () => {
    defaults = parseDump((await askSsh(['-F', 'none', '-G', 'host'])).out);
    tables = algorithmTables(defaults);
  });

  afterAll(() => rmSync(dir, { recursive: true }));

  function writeConfig(made: MadeConfig, seed: number): string {
    const place = (text: string) => text.replace(/@(\d+)@/g, (_, number) => join(dir, `${seed}.inc${number}.conf`));
    for (const [index, text] of made.included.entries()) {
      writeFileSync(join(dir, `${seed}.inc${index + 1}.conf`), place(text), { mode: 0o600 });
    }
    const file = join(dir, `${seed}.conf`);
    writeFileSync(file, place(made.text), { mode: 0o600 });
    return file;
  }

  function loadConfig(file: string): SshConfig {
    return SshConfig.load({
      userFile: file,
      systemFile: undefined,
      userFileNamed: true,
      home,
      localUser,
      localHost: hostname(),
      uid,
      exec: (command) => spawnSync('/bin/sh', ['-c', command], { stdio: 'ignore' }).status === 0,
    });
  }

  /** What our answer lacks or has otherwise, as lines; empty when they are the same. */
  function differences(ours: Settings, theirs: Settings): string[] {
    const found: string[] = [];
    for (const [key, values] of theirs) {
      const mine = ours.get(key) ?? [];
      if (NOT_COMPARED.has(key) || values.join('\n') === mine.join('\n')) continue;
      // Keywords of a newer release, and defaults that are the build's own.
      if ((BUILD_DEFAULTS.has(key) || !ours.has(key)) && values.join('\n') === defaults.get(key)?.join('\n')) continue;
      found.push(`${key}: ssh ${JSON.stringify(values)}, we ${JSON.stringify(mine)}`);
    }
    for (const key of ours.keys()) {
      // A build without Kerberos prints nothing of it.
      if (!theirs.has(key) && !key.startsWith('gssapi')) found.push(`${key}: only we have it`);
    }
    return found;
  }

  test(`says the same of ${GOOD} made-up configurations`, async () => {
    const seeds = Array.from({ length: GOOD }, (_, seed) => seed);
    const wrong: string[] = [];
    let accepted = 0;
    await inParallel(seeds, async (seed) => {
      const made = makeConfig(seed);
      const file = writeConfig(made, seed);
      for (const host of new Set(made.hosts)) {
        const answer = await askSsh(['-F', file, '-G', host]);
        let found: string[];
        try {
          const ours = loadConfig(file).resolve({ name: host }).dump(tables);
          found =
            answer.code === 0 ? differences(parseDump(ours), parseDump(answer.out)) : [`ssh refuses: ${answer.err}`];
          accepted++;
        } catch (error) {
          if (!(error instanceof SshConfigError)) throw error;
          found = answer.code === 0 ? [`we refuse: ${error.message}`] : [];
        }
        if (found.length > 0) wrong.push(`seed ${seed}, host ${host}\n${found.join('\n')}`);
      }
    });
    expect(wrong.slice(0, 5)).toEqual([]);
    // Were most of them refused, this would compare nothing.
    expect(accepted).toBeGreaterThan(GOOD);
  });

  test(`refuses the same lines of ${BAD} bad ones`, async () => {
    const seeds = Array.from({ length: BAD }, (_, seed) => seed);
    const wrong: string[] = [];
    await inParallel(seeds, async (seed) => {
      const made = makeBadConfig(seed);
      const file = writeConfig(made, 100_000 + seed);
      const answer = await askSsh(['-F', file, '-G', made.hosts[0]!]);
      const theirs = Number(/terminating, (\d+) bad/.exec(answer.err)?.[1] ?? 0);
      const lines = new Set([...answer.err.matchAll(/ line (\d+): (?!Unsupported)/g)].map((found) => Number(found[1])));
      let ours: readonly number[] = [];
      try {
        loadConfig(file);
      } catch (error) {
        if (!(error instanceof SshConfigError)) throw error;
        ours = error.problems.map((problem) => problem.line);
      }
      const expected = [...lines].sort((a, b) => a - b);
      if (ours.length !== theirs || ours.join() !== expected.join()) {
        wrong.push(`seed ${seed}: ssh has ${theirs} in ${expected}, we have ${ours}\n${answer.err}`);
      }
    });
    expect(wrong.slice(0, 5)).toEqual([]);
  });
});
