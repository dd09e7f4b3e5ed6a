/** Masters kept and let go, on a program that only plays ssh. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { outcomeLabel } from '../../../src/contracts/outcome.ts';
import type { Target } from '../../../src/contracts/task.ts';
import { OpensshTransport, type OpensshTransportOptions } from '../../../src/transport/openssh/openssh_transport.ts';
import { type Spawn, systemSpawn } from '../../../src/transport/openssh/spawn.ts';
import type { ConnectPhase, Watch } from '../../../src/transport/transport.ts';
import { children, connectTo, Phases, Sink, until } from '../../contract/transport_world.ts';
import { ManualClock } from '../../util/manual_clock.ts';

/** A master that is open at once and greets clients; the host `shut` ends it. */
const SCRIPT = `#!/bin/sh
[ "$1" = -V ] && { echo 'OpenSSH_9.2p1 in a play' >&2; exit 0; }
echo 'debug1: Remote protocol version 2.0, remote software version play' >&2
case "$*" in *' shut') echo 'ssh: connect to host shut port 22: Connection refused' >&2; exit 255 ;; esac
exec '${process.execPath}' -e '
const server = require("node:net").createServer((socket) => socket.on("error", () => {}).end("hello"));
server.listen(process.argv[1], () => console.error("debug1: Entering interactive session."));
process.once("SIGTERM", () => process.exit());
' "$5"
`;

let folder = '';
let program = '';
let before: ReadonlySet<number> = new Set();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'play-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  before = children();
  program = join(folder, 'ssh');
  writeFileSync(program, SCRIPT);
  chmodSync(program, 0o755);
});
afterEach(async () => {
  await until(() => [...children()].every((pid) => before.has(pid)));
  // Nothing is left behind but the play.
  expect(readdirSync(folder).filter((name) => name !== 'ssh')).toEqual([]);
});

interface Play extends AsyncDisposable {
  readonly transport: OpensshTransport;
  readonly clock: ManualClock;
  /** The process of each master, in the order of their start. */
  readonly masters: number[];
  /** The same, by host. */
  readonly byHost: Map<string, number>;
}

function play(more: Partial<OpensshTransportOptions> = {}): Play {
  const clock = new ManualClock();
  const masters: number[] = [];
  const byHost = new Map<string, number>();
  const spawn: Spawn = (name, args, options) => {
    const child = systemSpawn(name, args, options);
    if (args[0] === '-M' && child.pid !== undefined) {
      masters.push(child.pid);
      byHost.set(args.at(-1)!, child.pid);
    }
    return child;
  };
  const transport = new OpensshTransport({ program, args: () => [], clock, controlDir: folder, spawn, ...more });
  return { transport, clock, masters, byHost, [Symbol.asyncDispose]: () => transport.close() };
}

const host = (name: string): Target => ({ label: name, name, index: 0, iteration: 1 });

const alive = (pid: number | undefined): boolean => pid !== undefined && children().has(pid);

describe('masters', () => {
  test('are kept for the next connection to the same host', async () => {
    await using stage = play();
    for (let i = 0; i < 3; i++) (await connectTo(stage.transport, host('a'))).close();
    expect(stage.masters).toHaveLength(1);
  });

  test('are lent to one connection at a time', async () => {
    await using stage = play();
    const [first, second] = [await connectTo(stage.transport, host('a')), await connectTo(stage.transport, host('a'))];
    first.close();
    second.close();
    expect(stage.masters).toHaveLength(2);
  });

  test('are not shared by hosts, nor by other arguments for one host', async () => {
    await using stage = play({ args: ({ user }) => (user === undefined ? [] : ['-l', user]) });
    (await connectTo(stage.transport, host('a'))).close();
    (await connectTo(stage.transport, host('b'))).close();
    (await connectTo(stage.transport, { ...host('a'), user: 'other' })).close();
    expect(stage.masters).toHaveLength(3);
  });

  test('are not kept when they were destroyed, or went down by themselves', async () => {
    await using stage = play();
    (await connectTo(stage.transport, host('a'))).destroy(new Error('x'));
    const second = await connectTo(stage.transport, host('a'));
    process.kill(stage.masters[1]!, 'SIGKILL');
    await until(() => !alive(stage.masters[1]));
    second.close();
    (await connectTo(stage.transport, host('a'))).close();
    process.kill(stage.masters[2]!, 'SIGKILL');
    await until(() => !alive(stage.masters[2]));
    (await connectTo(stage.transport, host('a'))).close();
    expect(stage.masters).toHaveLength(4);
  });

  test('go when they were idle for a minute, used or not in between', async () => {
    await using stage = play();
    (await connectTo(stage.transport, host('a'))).close();
    await stage.clock.advance(50_000);
    (await connectTo(stage.transport, host('a'))).close();
    await stage.clock.advance(50_000);
    expect(alive(stage.masters[0])).toBe(true);
    await stage.clock.advance(10_000);
    await until(() => !alive(stage.masters[0]));
    expect(stage.masters).toHaveLength(1);
  });

  test('go when more than 16 are idle, the longest idle first', async () => {
    await using stage = play();
    const all = await Promise.all(Array.from({ length: 18 }, (_, i) => connectTo(stage.transport, host(`h${i}`))));
    const pids = stage.byHost;
    for (const connection of all) connection.close();
    await until(() => !alive(pids.get('h0')) && !alive(pids.get('h1')));
    expect([...pids.values()].filter(alive)).toHaveLength(16);
  });

  test('that do not hear TERM are killed after 2 s', async () => {
    writeFileSync(program, SCRIPT.replace('process.exit()', '{}'));
    await using stage = play();
    const connection = await connectTo(stage.transport, host('a'));
    connection.close();
    const closing = stage.transport.close();
    await stage.clock.advance(1_999);
    expect(alive(stage.masters[0])).toBe(true);
    await stage.clock.advance(1);
    await closing;
    expect(alive(stage.masters[0])).toBe(false);
  });

  test('stand still while a limit is full, and then go on', async () => {
    await using stage = play();
    const gate = Promise.withResolvers<void>();
    const entered: ConnectPhase[] = [];
    const watch: Watch = {
      stop: undefined,
      enter(phase) {
        entered.push(phase);
        return phase === 'handshake' ? gate.promise : undefined;
      },
    };
    const connecting = connectTo(stage.transport, host('a'), watch as Phases);
    await until(() => stage.masters.length === 1 && stateOf(stage.masters[0]!) === 'T');
    gate.resolve();
    (await connecting).close();
    expect(entered).toEqual(['connect', 'handshake']);
  });
});

function stateOf(pid: number): string | undefined {
  return readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '')[0];
}

describe('connections that do not come about', () => {
  const failure = async (transport: OpensshTransport, target = host('a'), watch = new Phases()) => {
    const error: unknown = await connectTo(transport, target, watch).catch((thrown: unknown) => thrown);
    return outcomeLabel(transport.classify(error, 'no'));
  };

  test('no program', async () => {
    await using stage = play({ program: '/no/such/ssh' });
    expect(await failure(stage.transport)).toBe('error(ENOENT)');
  });

  test('a program that is not OpenSSH', async () => {
    await using stage = play({ program: '/bin/true' });
    expect(await failure(stage.transport)).toBe('error(ssh)');
    expect(await failure(stage.transport)).toBe('error(ssh)');
  });

  test('a program that is gone after it was asked', async () => {
    await using stage = play();
    (await connectTo(stage.transport, host('a'))).close();
    unlinkSync(program);
    expect(await failure(stage.transport, host('b'))).toBe('error(ENOENT)');
    writeFileSync(program, SCRIPT, { mode: 0o755 });
  });

  test.each(['throws', 'says so later'])('a machine that is full: spawn %s', async (how) => {
    const full = Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' });
    const spawn: Spawn = (name, args, options) => {
      if (args[0] !== '-M') return systemSpawn(name, args, options);
      if (how === 'throws') throw full;
      const child = systemSpawn('/no/such/program', [], options);
      child.removeAllListeners('error').prependListener('error', (error) => Object.assign(error, full));
      return child;
    };
    await using stage = play({ spawn });
    expect(await failure(stage.transport)).toBe('unreachable(local-limit)');
  });

  test('a master that ends', async () => {
    await using stage = play();
    expect(await failure(stage.transport, host('shut'))).toBe('unreachable(refused)');
  });

  test('a command through a master that is gone', async () => {
    await using stage = play();
    const connection = await connectTo(stage.transport, host('a'));
    const sink = new Sink();
    sink.gate = new Promise(() => {});
    const waiting = connection.exec('true', sink.options());
    process.kill(stage.masters[0]!, 'SIGKILL');
    const error: unknown = await waiting.ended.catch((thrown: unknown) => thrown);
    expect(outcomeLabel(stage.transport.classify(error, waiting.began))).toBe('unreachable(reset)');
  });

  test.each(['-oProxyCommand=x', 'u@h', 'a b', 'a/b', ''])('a host that is none: "%s"', async (name) => {
    await using stage = play();
    await expect(connectTo(stage.transport, host(name))).rejects.toMatchObject({ code: 'usage' });
    expect(stage.masters).toEqual([]);
  });

  test('stopped before there is a process', async () => {
    await using stage = play();
    const watch = new Phases();
    const connecting = connectTo(stage.transport, host('a'), watch);
    watch.stop!(new Error('no longer wanted'));
    await expect(connecting).rejects.toThrow('no longer wanted');
    expect(stage.masters).toEqual([]);
  });

  test('after close, and while it closes', async () => {
    const stage = play();
    const open = await connectTo(stage.transport, host('a'));
    const connecting = connectTo(stage.transport, host('b'));
    const waiting = connecting.catch((thrown: unknown) => thrown);
    await stage.transport.close();
    await stage.transport.close();
    expect(await waiting).toBeInstanceOf(Error);
    open.close();
    await expect(connectTo(stage.transport, host('a'))).rejects.toMatchObject({ code: 'closed' });
  });
});
