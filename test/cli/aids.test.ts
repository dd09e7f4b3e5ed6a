/** `-e`, `--template`, `--stdin`, `--tty` and `--redact` as their user gives them. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';
import { launch, launchOpen, myriad, reach } from './command.ts';
import { CONTROL_C, Terminal } from './terminal.ts';

let three: SimulatedFleet;
let there: string[];
beforeAll(async () => {
  three = await simulate({ hosts: 3 });
  there = ['-w', [...three.simulator.labels()].join(','), ...reach(three)];
});
afterAll(() => three?.[Symbol.asyncDispose]());

describe('variables', () => {
  it('are filled in, quoted', async () => {
    const { code, stdout } = await myriad([...there, '-N', '-e', 'what=a  b=c', '--', 'echo {what} {rank:raw} {{']);
    expect([code, stdout.split('\n').sort()]).toEqual([0, ['', 'a  b=c 0 {', 'a  b=c 1 {', 'a  b=c 2 {']]);
  });

  it('only where somebody asked for it', async () => {
    const plain = await myriad([...there, '-N', '--', 'echo {rank}']);
    expect(plain.stdout).toBe('{rank}\n'.repeat(3));
    const asked = await myriad([...there, '-N', '--template', '--order', 'input', '--', 'echo {rank}']);
    expect(asked.stdout).toBe('0\n1\n2\n');
  });

  it.each([
    [['-e', 'whta=x', '--', 'echo {what}'], 'nothing is known as "{what}", did you mean "{whta}"'],
    [['-e', 'what', '--', 'echo'], '--var (-e): expected NAME=VALUE, got "what"'],
    [['-e', 'host=x', '--', 'echo'], "{host} is the host's own"],
    [['--template', '--', 'echo {hots}'], 'did you mean "{host}"'],
  ])('%j is refused in one sentence', async (words, message) => {
    const { code, stdout, stderr } = await myriad([...there, ...words]);
    expect([code, stdout, stderr.trim().split('\n').length]).toEqual([2, '', 1]);
    expect(stderr).toContain(message);
  });
});

describe('stdin', () => {
  it('a file, and what is piped in, reach every host', async () => {
    const file = join(three.dir, 'input');
    writeFileSync(file, 'line\n'.repeat(50_000));
    const given = await myriad([...there, '-N', '--stdin', file, '--', 'cat']);
    expect(given.stdout.length).toBe(3 * 250_000);
    const piped = launchOpen([...there, '-N', '--stdin', '-', '--', 'cat']);
    piped.child.stdin!.write('first ');
    piped.child.stdin!.end('second\n');
    expect(await piped.ended).toMatchObject({ code: 0, stdout: 'first second\n'.repeat(3) });
  });

  it('is not read unless asked for, and is no longer once all have ended', async () => {
    const open = launchOpen([...there, '-N', '--', 'cat']);
    expect(await open.ended).toMatchObject({ code: 0, stdout: '' });
    const unread = launchOpen([...there, '-N', '--stdin', '-', '--', 'echo done']);
    expect(await unread.ended).toMatchObject({ code: 0, stdout: 'done\n'.repeat(3) });
  });

  it('reaches programs here', async () => {
    const piped = launchOpen(['--local', '-w', 'a,b', '-N', '--stdin', '-', '--', 'cat']);
    piped.child.stdin!.end('words\n');
    expect(await piped.ended).toMatchObject({ code: 0, stdout: 'words\nwords\n' });
  });

  it.each([
    [['--stdin', '/no/such/file'], '"/no/such/file" cannot be read (ENOENT)'],
    [['--stdin', '/'], 'is a directory'],
    [['--stdin', ''], '--stdin: expected a file'],
    [['--stdin', '-', '-k'], '--stdin -: --ask-password (-k) reads stdin too'],
    [['--stdin', '-', '-K', '--sudo'], '--ask-sudo-password (-K) reads stdin too'],
    [['--stdin', '-', '--hostfile', '/dev/stdin'], 'reads stdin too'],
  ])('%j is refused in one sentence', async (words, message) => {
    const { code, stdout, stderr } = await myriad([...there, ...words, '--', 'cat']);
    expect([code, stdout, stderr.trim().split('\n').length]).toEqual([2, '', 1]);
    expect(stderr).toContain(message);
  });
});

describe('redaction', () => {
  it.each([[[]], [['-b']], [['--output', 'ndjson']], [['--gather', 'stream']], [['-v', '--order', 'input']]])(
    'nothing that matches is seen anywhere with %j',
    async (words) => {
      const command = 'echo key=abc123; echo key=def456 >&2; exit 1';
      const { code, stdout, stderr } = await myriad([
        ...there,
        ...words,
        '--redact',
        'key=\\w+',
        '--redact',
        '45',
        '--',
        command,
      ]);
      expect(code).toBe(5);
      expect(stdout).toContain('[redacted]');
      expect(stdout + stderr).not.toMatch(/key=|abc123|def456/);
    },
  );

  it('what a host says cannot make a search take for ever', async () => {
    const { code, stdout } = await myriad([...there, '-N', '--redact', '(a+)+$', '--', `echo ${'a'.repeat(40)}b`]);
    expect([code, stdout]).toEqual([0, `${'a'.repeat(40)}b\n`.repeat(3)]);
  });

  it.each([
    ['(', '--redact "(": not a regular expression: Unterminated group'],
    ['', '--redact: expected a regular expression'],
  ])('%j is refused', async (pattern, message) => {
    const { code, stderr } = await myriad([...there, '--redact', pattern, '--', 'echo']);
    expect([code, stderr.trim().split('\n').length]).toEqual([2, 1]);
    expect(stderr).toContain(message);
  });
});

describe.skipIf(!present('sshd'))('terminals', () => {
  let server: RealServer;
  let real: string[];
  beforeAll(async () => {
    server = await startSshd();
    const { port, user, identity, knownHosts } = server;
    real = ['-w', '127.0.0.1', '-p', String(port), '-l', user, '--identity', identity, '--known-hosts', knownHosts];
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  it('are as large as the one here, and have its name; without one 80×24', async () => {
    const here = new Terminal([...real, '-F', 'none', '-N', '--tty', '--', 'stty size; echo $TERM'], { columns: 97 });
    expect((await here.ended).stdout).toMatch(/24 97\r+\nxterm\r+\n/);
    const none = await myriad([...real, '-F', 'none', '-N', '--tty', '--', 'stty size']);
    expect(none).toMatchObject({ code: 0, stdout: '24 80\r\n' });
  });

  it('follow its size; ^C pauses, and ends them', async () => {
    const command = 'trap "stty size" WINCH; echo up; while :; do sleep 0.05; done';
    const after = 'echo exit=$?';
    const here = new Terminal([...real, '-F', 'none', '-N', '--tty', '--gather', 'stream', '--', command], { after });
    await here.shows(/up/);
    // `script` is a terminal whose size nobody changes: it is changed from beside it.

    const tty = execFileSync('ps', ['-eo', 'tty,args'], { encoding: 'utf8' })
      .split('\n')
      .find((line) => line.includes(command) && line.startsWith('pts/'))!
      .split(/\s+/)[0]!;
    execFileSync('stty', ['-F', `/dev/${tty}`, 'rows', '31', 'columns', '101']);
    await here.shows(/31 101/);
    here.type(CONTROL_C);
    await here.shows(/paused/);
    here.type(CONTROL_C);
    expect((await here.ended).stdout).toMatch(/exit=130/);
  });

  it('are none of programs here', async () => {
    const { code, stderr } = await launch(['--local', '-w', 'a', '--tty', '--', 'true']).ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining('--tty: a program that runs here (--local) gets none')]);
  });
});
