/** ProxyCommand with real programs; time is moved by hand. */
import { createServer, type Server } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import type { SshError } from '../../../src/ssh/errors.ts';
import type { ClientStream } from '../../../src/ssh/socket.ts';
import { proxyCommand } from '../../../src/transport/native/proxy_command.ts';
import { ManualClock } from '../../util/manual_clock.ts';

const streams: ClientStream[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.destroy();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

class Heard {
  readonly clock = new ManualClock();
  readonly stream: ClientStream;
  readonly connected: Promise<void>;
  readonly ended: Promise<unknown>;
  text = '';
  ends = 0;
  drained = 0;

  constructor(command: string) {
    const connected = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<unknown>();
    this.connected = connected.promise;
    this.ended = ended.promise;
    const setTimer = (delayMs: number, callback: () => void) => this.clock.setTimer(delayMs, callback);
    this.stream = proxyCommand(command, { setTimer })({
      connected: () => connected.resolve(),
      received: (chunk) => {
        this.text += chunk.toString('latin1');
      },
      drained: () => {
        this.drained += 1;
      },
      ended: (error) => {
        this.ends += 1;
        ended.resolve(error);
      },
    });
    streams.push(this.stream);
  }

  async error(): Promise<SshError> {
    return (await this.ended) as SshError;
  }

  /** The number that the program printed as its identification. */
  async pid(): Promise<number> {
    await vi.waitFor(() => expect(this.text).toMatch(/SSH-2\.0-\d+\n/), { interval: 5 });
    return Number(/SSH-2\.0-(\d+)/.exec(this.text)![1]);
  }
}

/** Whether any process of the group is left. */
function alive(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(group: number): Promise<void> {
  await vi.waitFor(() => expect(alive(group)).toBe(false), { interval: 5, timeout: 4000 });
}

/** What netcat does, for machines without one. */
const relay = (port: number) =>
  `'${process.execPath}' -e 'const s = require("net").connect(${port}, "127.0.0.1"); process.stdin.pipe(s).pipe(process.stdout)'`;

/** Says an identification, then whatever it is told; closes after `bye`. */
async function echoServer(): Promise<number> {
  const server = createServer((socket) => {
    socket.write('SSH-2.0-echo\r\n');
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (chunk.toString().endsWith('bye')) socket.end(chunk);
      else socket.write(chunk);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

test('bytes there and back, and the end of the other side', async () => {
  const heard = new Heard(relay(await echoServer()));
  await heard.connected;
  heard.stream.write(Buffer.from('one '));
  heard.stream.write(Buffer.from('two bye'));
  expect(await heard.ended).toBeUndefined();
  expect(heard.text).toBe('SSH-2.0-echo\r\none two bye');
  expect(heard.ends).toBe(1);
});

test.each([
  [`sh -c 'echo no way >&2; exit 1'`, 'ProxyCommand "sh" exited with status 1: no way'],
  [`exec sh -c 'echo one >&2; echo two >&2; exit 9'`, 'ProxyCommand "sh" exited with status 9: one; two'],
  ['true', 'ProxyCommand "true" exited with status 0 without an SSH identification'],
  ['echo Connection refused', 'ProxyCommand "echo" exited with status 0 without an SSH identification'],
  [`sh -c 'kill -KILL $$'`, 'ProxyCommand "sh" was ended by SIGKILL'],
  [
    `sh -c 'printf "\\033[2J\\033]0;x\\007" >&2; exit 2'`,
    'ProxyCommand "sh" exited with status 2: \\x1b[2J\\x1b]0;x\\x07',
  ],
])('%s: no connection, in one sentence', async (command, message) => {
  const heard = new Heard(command);
  expect(await heard.error()).toMatchObject({ reason: 'connect', message });
  expect(heard.ends).toBe(1);
});

test('a program that is not there: the status and words of the shell, without the arguments', async () => {
  const heard = new Heard('/nowhere/at/all --password=secret');
  const { reason, message } = await heard.error();
  expect(reason).toBe('connect');
  expect(message).toMatch(/^ProxyCommand "\/nowhere\/at\/all" exited with status 127: .*not found$/);
  expect(message).not.toContain('secret');
});

test('a failure after the identification is the loss of a connection', async () => {
  const heard = new Heard(`sh -c 'echo SSH-2.0-x; echo cut >&2; exit 3'`);
  expect(await heard.error()).toMatchObject({
    reason: 'closed',
    message: 'ProxyCommand "sh" exited with status 3: cut',
  });
});

test('a flood on stderr: its last KiB', async () => {
  const heard = new Heard(`sh -c 'yes noise | head -c 6000000 >&2; echo the end >&2; exit 1'`);
  const { message } = await heard.error();
  expect(message).toMatch(/noise; noise; the end$/);
  expect(message.length).toBeLessThan(2000);
});

test('one that never speaks is dropped with all it has started', async () => {
  const heard = new Heard(`sh -c 'echo SSH-2.0-$$; sleep 1000 & sleep 1000'`);
  const group = await heard.pid();
  heard.stream.destroy();
  await gone(group);
  await heard.clock.advance(5000);
  expect(heard.ends).toBe(0);
  expect(heard.clock.timers).toBe(0);
});

test('one that is dropped before it has started leaves nothing', async () => {
  const heard = new Heard('sleep 1000');
  heard.stream.destroy();
  expect(process.getActiveResourcesInfo()).toContain('ProcessWrap');
  await vi.waitFor(() => expect(process.getActiveResourcesInfo()).not.toContain('ProcessWrap'), { interval: 5 });
  expect(heard.ends).toBe(0);
});

test('TERM that is ignored is followed by KILL after two seconds', async () => {
  const heard = new Heard(`sh -c 'trap "" TERM; echo SSH-2.0-$$; exec sleep 1000'`);
  const group = await heard.pid();
  heard.stream.destroy();
  await heard.clock.advance(1900);
  expect(alive(group)).toBe(true);
  await heard.clock.advance(200);
  await gone(group);
  expect(heard.clock.timers).toBe(0);
});

test('stdout closed before the end: as a connection that was closed; what still runs is ended', async () => {
  const heard = new Heard(`sh -c 'echo SSH-2.0-$$; exec sleep 1000 >&- 2>&-'`);
  const group = await heard.pid();
  await vi.waitFor(() => expect(heard.clock.timers).toBe(1), { interval: 5 });
  await heard.clock.advance(300);
  expect(await heard.ended).toBeUndefined();
  await gone(group);
});

test('stdout closed before the identification: no connection', async () => {
  const heard = new Heard(`sh -c 'exec sleep 1000 >&-'`);
  await vi.waitFor(() => expect(heard.clock.timers).toBe(1), { interval: 5 });
  await heard.clock.advance(300);
  expect(await heard.error()).toMatchObject({
    reason: 'connect',
    message: 'ProxyCommand "sh" closed its output without an SSH identification',
  });
});

test('after our goodbye it has two seconds', async () => {
  const heard = new Heard(`sh -c 'echo SSH-2.0-$$; exec sleep 1000'`);
  const group = await heard.pid();
  heard.stream.end();
  await heard.clock.advance(1900);
  expect([alive(group), heard.ends]).toEqual([true, 0]);
  await heard.clock.advance(200);
  expect(await heard.ended).toBeUndefined();
  await gone(group);
});

test('one that does not read holds the writer back', async () => {
  const heard = new Heard(`sh -c 'echo SSH-2.0-$$; kill -STOP $$; cat >/dev/null'`);
  const group = await heard.pid();
  const sent = 4 * 1024 * 1024;
  for (let i = 0; i < 64; i++) heard.stream.write(Buffer.alloc(sent / 64));
  expect(heard.stream.waiting).toBeGreaterThan(sent / 2);
  expect(heard.drained).toBe(0);
  await vi.waitFor(() => process.kill(-group, 'SIGCONT'));
  await vi.waitFor(
    () => {
      // It may not have stopped yet when the first one came.
      process.kill(-group, 'SIGCONT');
      expect(heard.drained).toBe(1);
    },
    { interval: 5, timeout: 4000 },
  );
  expect(heard.stream.waiting).toBe(0);
});
