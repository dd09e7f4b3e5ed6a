/** The local transport with real programs: what `node` and `sh` do on this machine. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/contracts/limits.ts';
import type { StreamName } from '../../src/contracts/task.ts';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import type { JobKind } from '../../src/jobs/job.ts';
import { localKind } from '../../src/jobs/local.ts';
import { LocalTransport } from '../../src/transport/local/local_transport.ts';
import type { Connection, ExecOptions } from '../../src/transport/transport.ts';
import { NO_HOOKS, type Overrides, planOf, Reader, requestOf, spec } from '../engine/support.ts';

const clock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'local-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Gathers what a process says. */
class Sink {
  readonly stdout: Buffer[] = [];
  readonly stderr: Buffer[] = [];
  room = true;
  starts = 0;
  gate: Promise<void> | undefined = undefined;

  write(stream: StreamName, chunk: Uint8Array): boolean {
    this[stream].push(Buffer.from(chunk));
    return this.room;
  }

  options(lingerMs = 2000): ExecOptions {
    const started = (): void => {
      this.starts += 1;
    };
    return { sink: this, begin: () => this.gate, started, lingerMs };
  }

  get text(): string {
    return Buffer.concat(this.stdout).toString();
  }
}

async function connect(transport = new LocalTransport({ clock })): Promise<Connection> {
  return transport.connect({ label: 'h', name: 'h', index: 0, iteration: 1 });
}

/** Waits for what another process does. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const sh = (script: string): readonly string[] => ['/bin/sh', '-c', script];

describe('local process', () => {
  test('status, both streams, stdin and its end', async () => {
    const sink = new Sink();
    const running = (await connect()).exec(sh('cat; echo err >&2; exit 3'), sink.options());
    running.write(Buffer.from('to stdin'));
    running.end();
    expect(await running.ended).toEqual({ status: 3, signal: null, outputLeftOpen: false, outputCut: false });
    expect([sink.text, Buffer.concat(sink.stderr).toString(), sink.starts, running.began]).toEqual([
      'to stdin',
      'err\n',
      1,
      'yes',
    ]);
  });

  test('words reach the program as they are, without a shell', async () => {
    const sink = new Sink();
    const words = ['a b', '$HOME', '*', '', '"', ';'];
    const running = (await connect()).exec(['printf', '[%s]', ...words], sink.options());
    running.end();
    await running.ended;
    expect(sink.text).toBe(words.map((word) => `[${word}]`).join(''));
  });

  test('a signal is told by its name', async () => {
    const running = (await connect()).exec(sh('kill -USR1 $$'), new Sink().options());
    expect(await running.ended).toMatchObject({ status: null, signal: { name: 'USR1', coreDumped: false } });
  });

  test('signal() reaches the process, unknown names do nothing', async () => {
    const sink = new Sink();
    const running = (await connect()).exec(
      sh('trap "exit 9" HUP; echo up; while :; do sleep 0.05; done'),
      sink.options(),
    );
    await until(() => sink.text === 'up\n');
    running.signal('NONSENSE');
    running.signal('HUP');
    expect(await running.ended).toMatchObject({ status: 9 });
  });

  test('stdin of megabytes goes with back-pressure; a reader that leaves early is no error', async () => {
    const sink = new Sink();
    const running = (await connect()).exec(sh('wc -c'), sink.options());
    const piece = Buffer.alloc(100_000, 'x');
    let waits = 0;
    for (let i = 0; i < 40; i++) {
      if (running.write(piece)) continue;
      waits += 1;
      await running.drained();
    }
    running.end();
    await running.ended;
    expect(sink.text.trim()).toBe('4000000');
    expect(waits).toBeGreaterThan(0);
    const deaf = (await connect()).exec(sh('exit 4'), new Sink().options());
    for (let i = 0; i < 40; i++) if (!deaf.write(piece)) await deaf.drained();
    expect(await deaf.ended).toMatchObject({ status: 4 });
  });

  test('a full sink stops the reading until resume', async () => {
    const sink = new Sink();
    sink.room = false;
    const running = (await connect()).exec(sh('head -c 3000000 /dev/zero; echo done >&2'), sink.options());
    await until(() => sink.stdout.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(Buffer.concat(sink.stdout).length).toBeLessThan(1_000_000);
    sink.room = true;
    running.resume();
    await running.ended;
    expect(Buffer.concat(sink.stdout).length).toBe(3_000_000);
  });

  test('output that a child holds open is waited for while it speaks, then left', async () => {
    const sink = new Sink();
    const running = (await connect()).exec(sh('(echo child; sleep 60) & echo $!; exit 5'), sink.options(150));
    const end = await running.ended;
    expect(end).toEqual({ status: 5, signal: null, outputLeftOpen: true, outputCut: false });
    const pid = Number(/\d+/.exec(sink.text)![0]);
    expect(sink.text).toContain('child');
    expect(alive(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });

  test.each([
    ['/no/such/program', 'ENOENT', 'was not found'],
    ['no-such-program-in-path', 'ENOENT', 'was not found'],
    ['', 'ERR_INVALID_ARG_VALUE', 'was not started'],
  ])('a program that cannot be started: "%s"', async (program, code, words) => {
    const transport = new LocalTransport({ clock });
    const sink = new Sink();
    const running = (await connect(transport)).exec([program, 'x'], sink.options());
    const error: unknown = await running.ended.catch((thrown: unknown) => thrown);
    const outcome = transport.classify(error, 'maybe');
    expect(outcome).toMatchObject({ kind: 'error', began: 'no', code, message: expect.stringContaining(words) });
    expect([sink.starts, running.began]).toEqual([0, 'no']);
    expect(await running.terminate(10)).toBe('none');
  });

  test('a file that may not be executed', async () => {
    const path = join(folder, 'plain.txt');
    writeFileSync(path, 'text', { mode: 0o644 });
    const transport = new LocalTransport({ clock });
    const running = (await connect(transport)).exec([path], new Sink().options());
    const error: unknown = await running.ended.catch((thrown: unknown) => thrown);
    expect(transport.classify(error, 'maybe')).toMatchObject({ kind: 'error', began: 'no', code: 'EACCES' });
  });

  test('a machine that is full is a local limit', async () => {
    const full = (): never => {
      throw Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' });
    };
    const transport = new LocalTransport({ clock, spawn: full });
    const running = (await connect(transport)).exec(['true'], new Sink().options());
    const error: unknown = await running.ended.catch((thrown: unknown) => thrown);
    expect(transport.classify(error, 'maybe')).toMatchObject({
      kind: 'unreachable',
      cause: 'local-limit',
      began: 'no',
    });
  });

  test('nothing starts before the gate opens; stdin written before it arrives', async () => {
    const sink = new Sink();
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    const path = join(folder, 'gated');
    const running = (await connect()).exec(sh(`touch ${path}; cat`), sink.options());
    expect(running.write(Buffer.from('early'))).toBe(false);
    running.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([existsSync(path), running.began]).toEqual([false, 'no']);
    gate.resolve();
    expect(await running.ended).toMatchObject({ status: 0 });
    expect([existsSync(path), sink.text]).toEqual([true, 'early']);
  });

  test('what is stopped at the gate never starts', async () => {
    const sink = new Sink();
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    const path = join(folder, 'never');
    const running = (await connect()).exec(sh(`touch ${path}`), sink.options());
    expect(await running.terminate(100)).toBe('none');
    gate.resolve();
    await expect(running.ended).rejects.toThrow('before it began');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(existsSync(path)).toBe(false);
  });
});

describe('ending a local process', () => {
  test('TERM ends it and its children', async () => {
    const sink = new Sink();
    const running = (await connect()).exec(sh('sleep 60 & echo $!; wait'), sink.options());
    await until(() => sink.text.endsWith('\n'));
    expect(await running.terminate(5000)).toBe('killed');
    expect(await running.ended).toMatchObject({ status: null, signal: { name: 'TERM' } });
    await until(() => !alive(Number(sink.text)));
  });

  test('KILL ends what does not hear TERM', async () => {
    const sink = new Sink();
    const running = (await connect()).exec(sh('trap "" TERM; echo up; while :; do sleep 0.05; done'), sink.options());
    await until(() => sink.text === 'up\n');
    expect(await running.terminate(50)).toBe('killed');
    expect(await running.ended).toMatchObject({ signal: { name: 'KILL' } });
  });

  test('four at once end their own and no one else', async () => {
    const connection = await connect();
    const all = Array.from({ length: 8 }, () => {
      const sink = new Sink();
      return { sink, running: connection.exec(sh('echo $$; exec sleep 60'), sink.options()) };
    });
    await until(() => all.every(({ sink }) => sink.text !== ''));
    const fates = await Promise.all(all.slice(0, 4).map(({ running }) => running.terminate(5000)));
    expect(fates).toEqual(['killed', 'killed', 'killed', 'killed']);
    expect(all.map(({ sink }) => alive(Number(sink.text)))).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
      true,
      true,
    ]);
    await Promise.all(all.slice(4).map(({ running }) => running.terminate(5000)));
  });

  test('destroy kills at once; close leaves it running', async () => {
    const [left, killed] = [new Sink(), new Sink()];
    const [first, second] = [await connect(), await connect()];
    const leaving = first.exec(sh('echo $$; exec sleep 60'), left.options());
    const killing = second.exec(sh('echo $$; exec sleep 60'), killed.options());
    await until(() => left.text !== '' && killed.text !== '');
    first.close();
    second.destroy(new Error('dropped'));
    await expect(leaving.ended).rejects.toThrow('left running');
    await expect(killing.ended).rejects.toThrow('dropped');
    await until(() => !alive(Number(killed.text)));
    expect(alive(Number(left.text))).toBe(true);
    process.kill(Number(left.text), 'SIGKILL');
  });

  test('closing the transport leaves nothing, and takes nothing more', async () => {
    const transport = new LocalTransport({ clock });
    const sink = new Sink();
    const running = (await connect(transport)).exec(sh('echo $$; exec sleep 60'), sink.options());
    await until(() => sink.text !== '');
    await transport.close();
    expect(alive(Number(sink.text))).toBe(false);
    expect(await running.ended).toMatchObject({ status: null });
    await expect(connect(transport)).rejects.toMatchObject({ code: 'closed' });
  });

  test('a program that has ended by itself has nothing to be ended', async () => {
    const running = (await connect()).exec(['true'], new Sink().options());
    await running.ended;
    expect(await running.terminate(1000)).toBe('none');
  });
});

describe('job local on the local transport', () => {
  const run = async (names: readonly string[], options: object, overrides: Overrides = {}) => {
    const transport = new LocalTransport({ clock });
    const kinds = new Map([['local', localKind as JobKind]]);
    const executor = new InlineExecutor({ kinds, transports: () => transport, clock, random: Math.random });
    const job = spec('local', options);
    return new Reader(await executor.run(requestOf(planOf(names), { job, ...overrides }), NO_HOOKS));
  };

  test('runs once per host, with its name in the words', async () => {
    const reader = await run(['a', 'b', 'c'], {
      program: 'sh',
      args: ['-c', 'echo "$0"; exit "$1"', '{host}', '{rank}'],
    });
    const results = (await reader.done).toSorted((x, y) => x.index - y.index);
    expect(results.map(({ stdout, outcome }) => [stdout.text(), outcome])).toEqual([
      ['a\n', { kind: 'ok', began: 'yes', status: 0 }],
      ['b\n', { kind: 'failed', began: 'yes', status: 1 }],
      ['c\n', { kind: 'failed', began: 'yes', status: 2 }],
    ]);
    expect(results[0]!.reached).toEqual({ transport: 'local', address: 'a', port: 0, fingerprint: '', software: '' });
  });

  test('a program that is not there is an error that did not begin', async () => {
    const reader = await run(['a'], { program: '/no/such/{host}' });
    expect((await reader.done)[0]!.outcome).toMatchObject({ kind: 'error', began: 'no', code: 'ENOENT' });
  });

  test('the command deadline kills it', async () => {
    const reader = await run(['a'], { program: 'sleep', args: ['60'] }, { limits: { deadlines: { commandMs: 50 } } });
    expect((await reader.done)[0]!.outcome).toEqual({
      kind: 'timeout',
      began: 'yes',
      phase: 'command',
      remote: 'killed',
    });
  });

  test('255 at once', async () => {
    const names = Array.from({ length: 255 }, (_, i) => `h${i}`);
    let [now, most] = [0, 0];
    const transport = new LocalTransport({
      clock,
      spawn: (program, args, settings) => {
        const child = spawn(program, args, settings);
        now += 1;
        most = Math.max(most, now);
        child.once('exit', () => {
          now -= 1;
        });
        return child;
      },
    });
    const kinds = new Map([['local', localKind as JobKind]]);
    const executor = new InlineExecutor({ kinds, transports: () => transport, clock, random: Math.random });
    // Each waits for a file, so that all of them must be there at once.
    const path = join(folder, 'go');
    const job = spec('local', { program: 'sh', args: ['-c', `while [ ! -e ${path} ]; do sleep 0.5; done`] });
    const reader = new Reader(await executor.run(requestOf(planOf(names), { job, limits: { fanout: 255 } }), NO_HOOKS));
    await until(() => now === 255);
    writeFileSync(path, '');
    const results = await reader.done;
    expect(most).toBe(255);
    expect(results.filter((result) => result.outcome.kind === 'ok')).toHaveLength(255);
  });
});
