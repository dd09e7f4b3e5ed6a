/** What runs lend to their tasks, on simulated hosts: variables, stdin, and what no output may show. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fleet, type Host, type RunEvent, type RunOptions, type Variables } from '../../src/index.ts';
import { ndjsonListener } from '../../src/output/ndjson.ts';
import { type SimulatedFleet, simulate, sumOf } from '../kit/fleet.ts';

const dir = mkdtempSync(join(tmpdir(), 'myriad-aids-'));
let four: SimulatedFleet;
beforeAll(async () => {
  four = await simulate({ hosts: 4 });
});
afterAll(async () => {
  await four?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

describe('templates', () => {
  test('variables of all hosts and of each, quoted; user and port as reached', async () => {
    const labels = [...four.simulator.labels()];
    const variables: Variables = (host) => ({ rack: `rack ${labels.indexOf(host.label)}`, greeting: 'of the host' });
    await using hosts = fleet({ ...four.options, variables });
    const all = await hosts
      .run('echo {rack} {greeting} {rank:raw}/{count} {user} {port} {{rack}}', { variables: { greeting: 'hi; there' } })
      .all();
    expect(all.map((task) => task.stdout.text())).toEqual(
      labels.map((_, i) => `rack ${i} hi; there ${i}/4 root ${four.simulator.port} {rack}\n`),
    );
  });

  test('nothing is replaced where nobody asked for it', async () => {
    await using hosts = fleet({ ...four.options, variables: () => ({ rack: 'r' }) });
    const [first] = await hosts.run('echo {rack} {host} {{').all();
    expect(first!.stdout.text()).toBe('{rack} {host} {{\n');
  });

  test('in local programs a word stays a word', async () => {
    await using hosts = fleet({
      hosts: 'bob@a:7,b',
      config: 'none',
      user: 'eve',
      port: 22,
      variables: () => ({ x: "a b'c" }),
    });
    const all = await hosts.local('printf', ['%s|', '{x}', '{user}:{port}', '{y}'], { variables: { y: '{z} ' } }).all();
    expect(all.map((task) => task.stdout.text())).toEqual(["a b'c|bob:7|{z} |", "a b'c|eve:22|{z} |"]);
  });

  const ten: (without: readonly number[]) => Variables = (without) => (host) => {
    const number = Number(host.name.slice(1));
    return without.includes(number) ? { role: 'x' } : { rack: String(number) };
  };

  test.each<[string, string, Variables | undefined, RunOptions, RegExp]>([
    ['one of 10,000 hosts lacks it', '{rack}', ten([7123]), {}, /1 of 10000 hosts have no variable "\{rack\}": w7123$/],
    ['several lack it', '{rack}', ten([3, 4, 5, 9]), {}, /4 of 10000 hosts have no variable "\{rack\}": w\[3-5,9\]$/],
    ['it is misspelt', '{rakc}', ten([]), {}, /nothing is known as "\{rakc\}", did you mean "\{rack\}";/],
    ['it is misspelt, of the host', '{hsot}', ten([]), {}, /did you mean "\{host\}"/],
    ['there are none', '{colour}', undefined, {}, /nothing is known as "\{colour\}"; there are/],
    ['it stands on a prototype', '{toString}', () => ({}), {}, /nothing is known as "\{toString\}"/],
    ['a value has a NUL', '{rack}', () => ({ rack: 'a\0b' }), {}, /variable "rack" of w1: the value contains a NUL/],
    ['of all hosts: misspelt', '{rakc}', undefined, { variables: { rack: 'x' } }, /did you mean "\{rack\}"/],
    ['of all hosts: a name that is taken', 'x', undefined, { variables: { host: 'x' } }, /\{host\} is the host's own/],
    ['of all hosts: no name', 'x', undefined, { variables: { 'a b': 'x' } }, /variable "a b": a name is/],
    ['of all hosts: a NUL', 'x', undefined, { variables: { a: '\0' } }, /variable "a": the value contains a NUL/],
  ])('%s: refused before anything connects', async (_name, command, variables, options, message) => {
    await using hosts = fleet({ hosts: 'w[1-10000]', config: 'none', ...(variables && { variables }) });
    const events: RunEvent[] = [];
    const listener = (event: RunEvent): void => void events.push(event);
    const run = async () => hosts.run(command, { template: true, ...options, listener }).summary();
    await expect(run()).rejects.toThrow(message);
    await expect(run()).rejects.toThrow(expect.objectContaining({ code: 'usage' }));
    expect(events).toEqual([]);
  });
});

describe('stdin', () => {
  const bytes = Buffer.alloc(300_000, 'line of input\n');
  const sum = `${createHash('sha256').update(bytes).digest('hex')}  -\n`;
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001);
  }

  test.each<[string, () => NonNullable<RunOptions['stdin']>]>([
    ['bytes', () => bytes],
    ['a file', () => ({ file: join(dir, 'input') })],
    ['a stream', pieces],
  ])('%s to all hosts, here and there', async (_name, stdin) => {
    writeFileSync(join(dir, 'input'), bytes);
    await using hosts = fleet({ ...four.options, fanout: 2 });
    const there = await hosts.run('sha256sum', { stdin: stdin(), repeat: 2 }).all();
    expect(there.map((task) => task.stdout.text())).toEqual(Array(8).fill(sum));
    const here = await hosts.local('sha256sum', [], { stdin: stdin() }).all();
    expect(here.map((task) => task.stdout.text())).toEqual(Array(4).fill(sum));
  });

  test('a file that is not there is known before anything connects', async () => {
    await using hosts = fleet(four.options);
    const run = hosts.run('cat', { stdin: { file: join(dir, 'nothing') } });
    await expect(run.check()).rejects.toThrow('cannot be read (ENOENT)');
    await expect(run.summary()).rejects.toThrow(expect.objectContaining({ code: 'file' }));
  });

  test('a file that changes: an error for each host, and no command that took a part for the whole', async () => {
    const file = join(dir, 'changing');
    writeFileSync(file, Buffer.alloc(4_000_000));
    await using hosts = fleet(four.options);
    const run = hosts.local('sh', ['-c', `cat >${dir}/out.$0; echo whole >${dir}/whole.$0`, '{rank}'], {
      stdin: { file },
      listener: (event) => {
        if (event.type === 'task:start') truncateSync(file, 1000);
      },
    });
    const all = await run.all();
    for (const { outcome } of all) {
      expect(outcome).toMatchObject({ kind: 'error', began: 'yes', code: 'file' });
      expect((outcome as { message: string }).message).toContain('had 4000000 bytes, it has 1000');
    }
    expect(readdirSync(dir).filter((name) => name.startsWith('whole'))).toEqual([]);
  });

  test.each(['text', {}, { file: '' }, 7])('%j is none', async (stdin) => {
    await using hosts = fleet(four.options);
    expect(() => hosts.run('cat', { stdin: stdin as unknown as Uint8Array })).toThrow('stdin: expected bytes');
  });
});

describe('redaction', () => {
  /** Everything that listeners and callers get to see of a run, as ndjson and as objects. */
  async function seen(options: Parameters<typeof fleet>[0], command: string, more: RunOptions = {}): Promise<string> {
    await using hosts = fleet(options);
    const lines: string[] = [];
    const sink = { terminal: false, write: (text: string | Uint8Array) => void lines.push(String(text)) };
    const run = hosts.run(command, more);
    run.on(ndjsonListener(sink as never, { label: (i) => run.label(i), fold: (labels) => [...labels].join() }));
    const events: string[] = [];
    run.on((event) => {
      if (event.type === 'task:output') events.push(Buffer.from(event.data).toString());
    });
    const all = await run.all();
    expect(sumOf(await run.summary())).toBe(all.length);
    const results = all.map((task) => `${task.stdout.text()}${task.stderr.text()}${JSON.stringify(task.outcome)}`);
    return [run.title, ...lines, ...events, ...results].join('\n');
  }

  test.each(['collect', 'stream', 'discard'] as const)('of patterns, gather %s', async (gather) => {
    const text = await seen(four.options, 'echo token=abc123 rest; echo token=x >&2', {
      gather,
      redact: [/token=\w+/],
    });
    expect(text).not.toMatch(/token=/);
    expect(text).toContain('echo [redacted] rest');
    if (gather !== 'discard') expect(text).toContain('[redacted] rest\\n');
  });

  test.each(['collect', 'stream'] as const)('of a password that hosts print again, gather %s', async (gather) => {
    const password = 'correct horse 22';
    const { identity: _none, ...reach } = four.options;
    for (const source of [password, (_host: Host) => password, async () => password]) {
      const base64 = Buffer.from(password).toString('base64');
      const text = await seen(
        { ...reach, password: source },
        `echo got ${password} and ${base64}; echo ${password} >&2`,
        { gather },
      );
      expect(text).toContain('got [redacted] and [redacted]');
      // The command is the caller's own, and stands in the title as it was known then.
      const [title, start, ...rest] = text.split('\n');
      expect(rest.join('\n')).not.toMatch(/correct horse|Y29ycmVjdCBob3Jz/);
      if (source === password) expect(`${title}${start}`).not.toContain('correct horse');
    }
  });

  test('kept and cut after it: nothing of a match is left at the cut', async () => {
    await using hosts = fleet(four.options);
    const [task] = await hosts.run('echo 12 token=abcdefgh rest', { maxOutput: 8, redact: [/token=\w+/] }).all();
    expect([task!.stdout.text(), task!.stdout.total, task!.stdout.truncated]).toEqual(['12 [reda', 19, true]);
  });

  test('what is no pattern is refused', async () => {
    await using hosts = fleet(four.options);
    expect(() => hosts.run('x', { redact: ['x' as unknown as RegExp] })).toThrow('redact: expected RegExps, got x');
  });
});
