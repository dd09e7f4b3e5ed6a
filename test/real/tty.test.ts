/** Commands with a terminal and commands with stdin, as OpenSSH's sshd gives them to both of our ways to hosts. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fleet, type FleetOptions, fleet, type Run, type RunEvent } from '../../src/index.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';

/** Resolves when the live output of a run, of all its tasks, matches. */
function shows(run: Run, pattern: RegExp): Promise<void> {
  let text = '';
  return new Promise((resolve) => {
    run.on((event: RunEvent) => {
      if (event.type !== 'task:output') return;
      text += Buffer.from(event.data).toString();
      if (pattern.test(text)) resolve();
    });
  });
}

function processes(): string {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
}

describe.skipIf(!present('sshd'))('sshd', () => {
  let server: RealServer;
  let options: FleetOptions;
  const open = (more: FleetOptions = {}): Fleet => fleet({ ...options, ...more });

  beforeAll(async () => {
    server = await startSshd(['MaxSessions 20', 'MaxStartups 100']);
    const { port, user, identity, knownHosts } = server;
    options = { hosts: '127.0.0.1', port, user, identity, knownHosts, config: 'none' };
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  describe.each(['native', 'openssh'] as const)('by %s', (transport) => {
    it('a terminal of the name and size asked for; stderr comes on stdout, lines end in CR LF', async () => {
      await using hosts = open({ transport });
      const tty = { term: 'vt220', columns: 111, rows: 33 };
      const [task] = await hosts.run('tty; echo "$TERM"; stty size; echo err >&2', { tty }).all();
      expect(task!.outcome).toMatchObject({ kind: 'ok', status: 0 });
      expect(task!.stdout.text()).toMatch(/^\/dev\/pts\/\d+\r\nvt220\r\n33 111\r\nerr\r\n$/);
      expect(task!.stderr.text()).toBe('');
    });

    it('80×24 and dumb where nothing is said', async () => {
      await using hosts = open({ transport });
      const [task] = await hosts.run('echo "$TERM"; stty size', { tty: {} }).all();
      expect(task!.stdout.text()).toBe('dumb\r\n24 80\r\n');
    });

    it('what reads its terminal finds the end of input at once, or behind stdin', async () => {
      await using hosts = open({ transport });
      const command = 'stty -echo; echo ready; cat; echo over';
      const [none] = await hosts.run(command, { tty: {} }).all();
      expect(none!.stdout.text().replace(/^(ready\r\n|\x04|\^D|\x08)+/, '')).toBe('over\r\n');
      for (const text of ['two\nlines\n', 'no end of line']) {
        const [given] = await hosts.run(command, { tty: {}, stdin: Buffer.from(text) }).all();
        expect(given!.outcome.kind).toBe('ok');
        expect(given!.stdout.text().replaceAll('\r', '')).toContain(text);
        expect(given!.stdout.text()).toMatch(/over\r\n$/);
      }
    });

    it('stopped: nothing of it is left', async () => {
      await using hosts = open({ transport });
      const mark = `myriad-tty-${process.pid}-${transport}`;
      const command = `trap '' HUP; sh -c 'trap "" HUP; echo up; exec -a ${mark} sleep 600; sleep 601' & exec sleep 600.${process.pid}`;
      const run = hosts.run(`bash -c ${JSON.stringify(command.replaceAll('sh -c', 'bash -c'))}`, {
        tty: {},
        gather: 'stream',
        graceMs: 500,
      });
      const up = shows(run, /up/);
      const ended = run.all();
      await up;
      run.cancel();
      const [task] = await ended;
      expect(task!.outcome).toMatchObject({ kind: 'cancelled', remote: 'killed' });
      expect(processes()).not.toContain(mark);
      expect(processes()).not.toContain(`600.${process.pid}`);
    });

    it('stdin by a file, to several at once', async () => {
      await using hosts = open({ transport });
      const file = join(server.dir, 'input');
      const bytes = Buffer.alloc(1_000_000, 'some words of input ');
      writeFileSync(file, bytes);
      const all = await hosts.run('sha256sum', { stdin: { file }, repeat: 4 }).all();
      const sum = createHash('sha256').update(bytes).digest('hex');
      expect(all.map((task) => task.stdout.text())).toEqual(Array(4).fill(`${sum}  -\n`));
    });
  });

  it('a new size reaches what runs, and what starts later', async () => {
    await using hosts = open({ fanout: 1 });
    const command = 'trap "stty size; exit" WINCH; stty size; echo {i} is up; while :; do sleep 0.05; done';
    const run = hosts.run(command, { tty: { columns: 100, rows: 30 }, template: true, repeat: 2, gather: 'stream' });
    const output: string[] = [];
    run.on((event) => {
      if (event.type === 'task:output') output.push(Buffer.from(event.data).toString());
    });
    const first = shows(run, /1 is up/);
    const second = shows(run, /2 is up/);
    const ended = run.all();
    await first;
    run.resize(90, 25);
    await second;
    run.resize(80, 20);
    expect((await ended).map((task) => task.outcome.kind)).toEqual(['ok', 'ok']);
    expect(output.join('').match(/\d+ \d+\r/g)).toEqual(['30 100\r', '25 90\r', '25 90\r', '20 80\r']);
  });

  it('what no terminal is', async () => {
    await using hosts = open();
    expect(() => hosts.run('x', { tty: { columns: 0 } })).toThrow('tty.columns: expected a whole number');
    expect(() => hosts.run('x', { tty: { term: 'a b' } })).toThrow('tty.term');
    expect(() => hosts.local('x', [], { tty: {} })).toThrow('tty: a local program gets none');
    expect(() => hosts.run('x', { tty: {}, env: { A: 'b' } })).toThrow('tty: it goes together with none of env');
  });

  it('stdin that nobody reads holds nobody up', async () => {
    await using hosts = open();
    const [task] = await hosts.run('exit 3', { stdin: Buffer.alloc(10_000_000) }).all();
    expect(task!.outcome).toMatchObject({ kind: 'failed', status: 3 });
  });
});
