/** Answers folded, compared, and written to files; results as lists and tables. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import { present } from '../kit/servers.ts';
import { MAIN, myriad, totals } from './command.ts';
import { type MixedFleet, mixedFleet } from './mixed_fleet.ts';
import { CONTROL_C, Terminal } from './terminal.ts';

let fleet: MixedFleet;
let dir: string;

beforeAll(async () => {
  fleet = await mixedFleet();
  dir = mkdtempSync(join(tmpdir(), 'myriad-answers-'));
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const LOCAL = ['run', '--local', '--no-journal', '-w'];
const folder = (name: string) => join(dir, name);
/** Three answers: two hosts, one host, one without a word. */
const ANSWERS = ['--', 'sh', '-c', 'case $1 in a*) echo up; echo ok;; b*) echo up; echo late;; esac', 'sh', '{host}'];

describe.concurrent('folds', () => {
  it.each([
    [['-L'], 'a1: up\na1: ok\na2: up\na2: ok\nb1: up\nb1: late\n'],
    [['-LN'], 'up\nok\nup\nok\nup\nlate\n'],
    [['-L', '--normalize', 'times'], 'a[1-2]: up\na[1-2]: ok\nb1: up\nb1: late\n'],
    [['-bL'], 'a[1-2],b1: up\na[1-2]: ok\nb1: late\n'],
    [
      ['--diff'],
      '--- a[1-2] (2)\n+++ b1\n@@ -1,2 +1,2 @@\n up\n-ok\n+late\n--- a[1-2] (2)\n+++ c1\n@@ -1,2 +0,0 @@\n-up\n-ok\n',
    ],
    [['--normalize', 'host'], undefined],
  ])('%j', async (options, expected) => {
    const { code, stdout } = await myriad([...LOCAL, 'a[1-2],b1,c1', ...options, ...ANSWERS]);
    expect(code).toBe(0);
    if (expected !== undefined) expect(stdout).toBe(expected);
    else expect(stdout.match(/^[abc].*$/gm)).toEqual(['a[1-2] (2)', 'b1']);
  });

  it.each([['-b'], ['-B'], ['-L'], ['-LN'], ['-bL'], ['-BL'], ['-bN'], ['-bLN'], ['--diff']])(
    '%s is what it is to clush',
    async (option) => {
      const script = 'case $1 in a*) echo up; echo ok;; b*) echo up; echo late; echo err >&2; sleep 0.05;; esac';
      const words = ['-R', 'exec', '-w', 'a[1-3],b1', option, `sh -c '${script}' sh %h`];
      const clush = await promisify(execFile)('clush', words);
      const { stdout } = await myriad([...LOCAL, 'a[1-3],b1', option, '--', 'sh', '-c', script, 'sh', '{host}']);
      expect(stdout).toBe(clush.stdout);
    },
  );

  it('--normalize says what was not looked at', async () => {
    const words = ['-f', '1', '--normalize', 'host,numbers', '--', 'echo', 'I am {host} of {count}'];
    const { stdout } = await myriad([...LOCAL, 'a[1-3]', ...words]);
    const rule = '---------------';
    expect(stdout).toBe(`${rule}\na[1-3] (3), alike but for host, numbers\n${rule}\nI am a1 of 3\n`);
  });

  it('-r names groups, in folds and in the summary', async () => {
    const inventory = folder('groups.ini');
    writeFileSync(inventory, '[web]\na1\na2\n[db]\nb1\nb2\n');
    const words = [...LOCAL, 'a[1-2],b1', '-i', inventory, '-r', '-b', '--', 'sh', '-c', 'echo x; exit 3'];
    const { stdout, stderr } = await myriad(words);
    expect(stdout).toContain('\n@web,b1 (3)\n');
    expect(stderr).toContain('  3 failed(3): @web,b1\n');
  });

  it.each([
    [['--diff', '-L'], '--diff and --line-mode (-L) show answers in two ways; leave out one of them'],
    [['--diff', '--output', 'json'], '--diff: it is for text; leave out --output json'],
    [['-L', '--gather', 'stream'], '--line-mode (-L): it takes output that is collected; leave out --gather stream'],
    [['--normalize', 'case'], '--normalize: expected one of host, numbers, times, got "case"'],
    [['--gather', 'file'], '--gather file: there is no folder for the files; add --outdir or --errdir'],
    [
      ['--gather', 'discard', '--errdir', 'x'],
      '--errdir: there is nothing to write with --gather discard; leave it out',
    ],
    [['-o', 'out'], '-o "out": expected Keyword=value, as ssh_config has it; a folder for outputs is --outdir'],
    [
      ['--output', 'csv', '--gather', 'stream'],
      '--output csv: its lines have whole outputs; leave out --gather stream',
    ],
  ])('%j is refused', async (options, sentence) => {
    const { code, stderr } = await myriad([...LOCAL, 'a', ...options, '--', 'true']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: `myriad: ${sentence}\n` });
  });
});

describe.concurrent('the summary', () => {
  it('names each cause once, all hosts for -w, and the line that does it again on those', async () => {
    const hosts = fleet.pick('good', 'good', 'exit-1', 'killed', 'wrong-key', 'auth-refused');
    const words = ['run', ...hosts, ...fleet.reach, '--no-journal', 'echo out'];
    const { code, stdout, stderr } = await myriad(words);
    expect({ code, outcomes: totals(stderr) }).toEqual({
      code: 4,
      outcomes: { ok: 2, failed: 1, signalled: 1, 'auth-failed': 1, 'host-key': 1 },
    });
    expect(stdout.match(/: out$/gm)).toHaveLength(4);
    // Hosts stand behind their causes alone.
    expect(stderr).not.toMatch(/^127/m);
    expect(stderr.match(/^ {2}\d \S+: 127\S+$/gm)).toHaveLength(4);
    const bad = /^not ok: (\S+)$/m.exec(stderr)![1]!;
    const listed = await myriad(['-w', bad, '--list-hosts']);
    expect(listed.stdout.trim().split('\n').sort()).toEqual(hosts[1]!.split(',').slice(2).sort());
    expect(stderr).toContain(`again on 4 tasks not ok: myriad run -w '${bad}' --port `);
  });

  it.runIf(present('script')).each([[80], [200]])('on %i columns breaks sentences and no host set', async (columns) => {
    const hosts = fleet.pick('good', 'exit-1', 'wrong-key', 'auth-refused', 'no-sessions', 'reset');
    const words = [...hosts, ...fleet.reach, '--retries', '0', '--no-journal', '--progress', 'never', 'echo out'];
    const { code, stdout } = await new Terminal(words, { columns }).ended;
    expect(code).toBe(4);
    const lines = stdout.split('\r\n');
    const sentences = lines.filter((line) => /^ {5,}/.test(line));
    expect(sentences.length).toBeGreaterThan(5);
    for (const line of sentences) if (line.trim().includes(' ')) expect(line.length).toBeLessThanOrEqual(columns);
    expect(lines.filter((line) => /^ {2}\d \S+: 127\S+$/.test(line))).toHaveLength(5);
    expect(lines.some((line) => /^not ok: 127\S+$/.test(line))).toBe(true);
  });
});

describe.concurrent('data', () => {
  it('--output json is a list of events of the schema', async () => {
    const words = [...fleet.pick('good', 'exit-1', 'reset'), ...fleet.reach, '--retries', '0', '--output', 'json'];
    const { stdout } = await myriad([...words, '--gather', 'stream', '-q', 'echo out']);
    const events = JSON.parse(stdout) as { readonly type: string }[];
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);
    for (const event of events) expect(validate(event), JSON.stringify(validate.errors)).toBe(true);
    const types = events.map(({ type }) => type);
    expect([types[0], types.at(-1)]).toEqual(['run:start', 'run:end']);
    expect(types.filter((type) => type === 'task:end')).toHaveLength(3);
    expect(types).toContain('task:output');
  });

  it('--output csv is a line a task, with what was cut marked', async () => {
    const words = [...LOCAL, 'a,b', '--output', 'csv', '--max-output', '3', '--order', 'input', '-q'];
    const { stdout } = await myriad([...words, '--', 'sh', '-c', 'printf "%s\\n" 1,2,"$0"; exit 4', '{host}']);
    const lines = stdout.split('\r\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^index,host,.*,truncated$/);
    expect(lines.slice(1, 3).sort()[0]).toMatch(/^0,a,1,failed,failed\(4\),yes,4,exit status 4,.*,"1,2",6,,0,stdout$/);
  });

  it('no control sequence of a host is left in ndjson on a terminal', async () => {
    if (!present('script')) return;
    const words = [...LOCAL, 'a', '--output', 'ndjson', '--', 'printf', '\\033[2J\\302\\2332J\\177'];
    const { stdout } = await new Terminal(words).ended;
    expect(stdout).toContain('{"text":"\\u001b[2J\\u009b2J\\u007f"');
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f-\u009f]/);
  });
});

describe.concurrent('files', () => {
  const contents = (name: string) =>
    Object.fromEntries(readdirSync(folder(name)).map((file) => [file, readFileSync(join(folder(name), file), 'utf8')]));

  it('--outdir and --errdir: one for each host that was tried, and all is shown too', async () => {
    const hosts = fleet.pick('good', 'exit-1', 'reset');
    const words = [
      ...hosts,
      ...fleet.reach,
      '--retries',
      '0',
      '--outdir',
      folder('out/deep'),
      '--errdir',
      folder('err'),
    ];
    const { code, stdout } = await myriad([...words, 'echo out; echo err >&2']);
    const [good, , reset] = hosts[1]!.split(',') as [string, string, string];
    expect(code).toBe(4);
    expect(stdout).toContain(`${good}: out\n`);
    expect(contents('out/deep')).toMatchObject({ [good]: 'out\n', [reset]: '' });
    expect(contents('err')).toMatchObject({ [good]: 'err\n', [reset]: '' });
    expect(Object.keys(contents('err'))).toHaveLength(3);
  });

  it('--gather file: all of it, whatever --max-output is, and nothing else', async () => {
    const words = [...LOCAL, 'a,b', '--gather', 'file', '--outdir', folder('whole'), '--max-output', '10', '-q'];
    const { code, stdout, stderr } = await myriad([...words, '--', 'sh', '-c', 'yes | head -200000; echo err >&2']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
    const whole = 'y\n'.repeat(200_000);
    expect(contents('whole')).toEqual({ a: whole, b: whole });
  });

  it('--gather file with ndjson: no piece of output is an event', async () => {
    const words = [...LOCAL, 'a', '--gather', 'file', '--outdir', folder('events'), '--output', 'ndjson'];
    const { stdout } = await myriad([...words, '--', 'echo', 'x']);
    expect(stdout.match(/"type":"[^"]*"/g)).toEqual(
      ['run:start', 'task:start', 'task:end', 'run:end'].map((type) => `"type":"${type}"`),
    );
    expect(contents('events')).toEqual({ a: 'x\n' });
  });

  it('a folder that cannot be made is known before anything runs; a file, at the end', async () => {
    writeFileSync(folder('file'), '');
    const refused = await myriad([...LOCAL, 'a', '--outdir', folder('file'), '--', 'touch', folder('ran')]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^myriad: --outdir: ".*\/file" cannot be written to: EEXIST/);
    expect(readdirSync(dir)).not.toContain('ran');
    const late = ['--outdir', folder('late'), '--', 'sh', '-c', `mkdir ${folder('late')}/a; echo x`];
    const { code, stderr } = await myriad([...LOCAL, 'a', ...late]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^myriad: 1 piece of output was not written to files: EISDIR/m);
  });
});

describe.runIf(present('script'))('Enter', () => {
  it('prints how far it is, with what takes longest, as often as it is typed', async () => {
    const command = ['--', 'sh', '-c', 'sleep 100'];
    const terminal = new Terminal([...LOCAL, 'a[1-3]', '-f', '2', ...command], { columns: 200 });
    const status = '0\\/3 0%, .*2 running.*\\r\\nslowest: a[12] command \\d+ s, a[12] command \\d+ s\\r\\n';
    await terminal.shows(/2 running/);
    // Typed before it is read: the terminal keeps it.
    terminal.type('\r');
    await terminal.shows(new RegExp(status));
    terminal.type(CONTROL_C);
    await terminal.shows(/paused: /);
    terminal.type('c');
    await terminal.shows(/continuing/);
    terminal.type('\r');
    await terminal.shows(new RegExp(`${status}[\\s\\S]*continuing[\\s\\S]*${status}`));
    terminal.type(CONTROL_C);
    await terminal.shows(/paused: [\s\S]*paused: /);
    terminal.type(CONTROL_C);
    expect((await terminal.ended).code).toBe(130);
  });

  it('is not read in the background, where that would stop the run', async () => {
    // With job control it has a process group of its own. The shell reads once the run would have begun to, had it been let.
    const after = 'read -r line; echo "for the shell: $line"; kill -TERM $! && wait $!; echo "ended $?"';
    const line = `set -m; $MYRIAD run --local --no-journal -w a --progress always -- sleep 100 & sleep 2.5; ${after}`;
    const terminal = new Terminal(['--version'], { after: line, env: { MYRIAD: `${process.execPath} ${MAIN}` } });
    await terminal.shows(/1 running/);
    terminal.type('typed\r');
    await terminal.shows(/ended \d+/);
    expect((await terminal.ended).stdout).toMatch(/for the shell: typed\r\n[\s\S]*ended 130/);
  });
});
