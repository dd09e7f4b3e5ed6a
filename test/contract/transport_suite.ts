/** The suite that every transport passes: native and openssh on a real server, local on a shell. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Began, Outcome } from '../../src/contracts/outcome.ts';
import type { Connection, RemoteProcess, Transport } from '../../src/transport/transport.ts';
import { keygen, startProxy } from '../kit/servers.ts';
import {
  type Capabilities,
  children,
  connectTo,
  type Detour,
  Phases,
  pidsOf,
  Sink,
  type TransportWorld,
  uniqueSleep,
  until,
} from './transport_world.ts';

const MiB = 1024 * 1024;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What a test of a transport is given: one transport, closed after the test. */
interface Stage {
  readonly world: TransportWorld;
  readonly transport: Transport;
  connect(): Promise<Connection>;
  exec(line: string, sink: Sink, lingerMs?: number): Promise<RemoteProcess>;
  /** A file that is not there yet. */
  file(): string;
}

type UseStage = () => Stage;

/** `possible`: false where the programs for it are missing; the reason was printed. */
export function transportSuite(
  name: string,
  capabilities: Capabilities,
  open: () => Promise<TransportWorld>,
  possible = true,
): void {
  describe.skipIf(!possible)(`transport ${name}`, () => {
    let world: TransportWorld;
    let transport: Transport;
    let before: ReadonlySet<number>;
    let files = 0;
    beforeAll(async () => {
      world = await open();
    });
    afterAll(async () => {
      await world?.[Symbol.asyncDispose]();
    });
    beforeEach(() => {
      before = children();
      transport = world.make();
    });
    afterEach(async () => {
      await transport.close();
      await until(() => [...children()].every((pid) => before.has(pid)));
    });
    const stage: UseStage = () => ({
      world,
      transport,
      connect: () => connectTo(transport, world.target),
      async exec(line, sink, lingerMs) {
        const connection = await connectTo(transport, world.target);
        return connection.exec(world.command(line), sink.options(lingerMs));
      },
      file() {
        files += 1;
        return join(world.dir, `contract-${files}`);
      },
    });
    outputTests(stage);
    beginTests(stage);
    endTests(stage);
    terminateTests(stage);
    signalTests(stage, capabilities);
    if (capabilities.network) networkTests(stage);
  });
}

function outputTests(stage: UseStage): void {
  test.each([0, 1, 42, 254, 255])('status %i', async (status) => {
    const running = await stage().exec(`exit ${status}`, new Sink());
    running.end();
    expect(await running.ended).toEqual({ status, signal: null, outputLeftOpen: false, outputCut: false });
  });

  test('stdout and stderr stay apart', async () => {
    const sink = new Sink();
    const running = await stage().exec('echo out; echo err >&2; echo more', sink);
    running.end();
    await running.ended;
    expect([sink.text('stdout'), sink.text('stderr')]).toEqual(['out\nmore\n', 'err\n']);
  });

  test('a silent command says nothing of its own', async () => {
    const sink = new Sink();
    const running = await stage().exec('exit 9', sink);
    running.end();
    await running.ended;
    expect([sink.text('stdout'), sink.text('stderr')]).toEqual(['', '']);
  });

  test('16 MiB of output come whole', async () => {
    const sink = new Sink();
    const running = await stage().exec(`yes 0123456789abcde | head -c ${16 * MiB}`, sink);
    running.end();
    expect(await running.ended).toMatchObject({ status: 0 });
    expect(sha256(sink.bytes())).toBe(sha256(Buffer.alloc(16 * MiB, '0123456789abcde\n')));
  });

  test('a full sink holds the host back until resume', async () => {
    const sink = new Sink();
    sink.room = false;
    const running = await stage().exec(`head -c ${64 * MiB} /dev/zero; echo done >&2`, sink);
    running.end();
    await until(() => sink.size > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sink.size).toBeLessThan(32 * MiB);
    expect(sink.text('stderr')).toBe('');
    sink.room = true;
    running.resume();
    expect(await running.ended).toMatchObject({ status: 0 });
    expect([sink.size, sink.text('stderr')]).toEqual([64 * MiB, 'done\n']);
  });

  test('a sink that is full at each piece loses nothing, nor after the end', async () => {
    const sink = new Sink();
    sink.room = false;
    const running = await stage().exec(`yes 0123456789abcde | head -c ${MiB}`, sink);
    running.end();
    sink.onWrite = () => void setTimeout(() => running.resume(), 1);
    expect(await running.ended).toMatchObject({ status: 0 });
    expect(sha256(sink.bytes())).toBe(sha256(Buffer.alloc(MiB, '0123456789abcde\n')));
  });

  test('4 MiB of stdin arrive whole, with their end', async () => {
    const sink = new Sink();
    const running = await stage().exec('sha256sum', sink);
    const stdin = randomBytes(4 * MiB);
    for (let at = 0; at < stdin.length; at += 65_536) {
      if (!running.write(stdin.subarray(at, at + 65_536))) await running.drained();
    }
    running.end();
    await running.ended;
    expect(sink.text()).toBe(`${sha256(stdin)}  -\n`);
  });

  test('stdin that ends at once is empty', async () => {
    const sink = new Sink();
    const running = await stage().exec('wc -c', sink);
    running.end();
    await running.ended;
    expect(sink.text().trim()).toBe('0');
  });

  test('a command that does not read its stdin ends as it would', async () => {
    const running = await stage().exec('exit 4', new Sink());
    const piece = Buffer.alloc(65_536);
    for (let i = 0; i < 64; i++) if (!running.write(piece)) await running.drained();
    running.end();
    expect(await running.ended).toMatchObject({ status: 4 });
  });
}

function beginTests(stage: UseStage): void {
  test('began goes from no to yes, and started is called once', async () => {
    const { exec, file } = stage();
    const sink = new Sink();
    const go = file();
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    const running = await exec(`until [ -e ${go} ]; do sleep 0.05; done; echo out; echo err >&2`, sink);
    running.end();
    const seen: Began[] = [running.began];
    gate.resolve();
    // Silent until we allow it: it must be told without any output.
    await until(() => sink.starts > 0);
    seen.push(running.began);
    writeFileSync(go, '');
    await running.ended;
    expect(seen).toEqual(['no', 'yes']);
    expect([running.began, sink.starts]).toEqual(['yes', 1]);
  });

  test('nothing runs before the gate opens; what was written before arrives', async () => {
    const { exec, file } = stage();
    const sink = new Sink();
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    const mark = file();
    const running = await exec(`touch ${mark}; cat`, sink);
    running.write(Buffer.from('early'));
    running.end();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([existsSync(mark), running.began, sink.starts]).toEqual([false, 'no', 0]);
    gate.resolve();
    expect(await running.ended).toMatchObject({ status: 0 });
    expect([existsSync(mark), sink.text()]).toEqual([true, 'early']);
  });

  test('what is stopped at a gate never runs, whether it opens or not', async () => {
    const { connect, file, world } = stage();
    const connection = await connect();
    const [first, second] = [file(), file()];
    const gate = Promise.withResolvers<void>();
    const [opening, closed] = [new Sink(), new Sink()];
    opening.gate = gate.promise;
    closed.gate = new Promise(() => {});
    const late = connection.exec(world.command(`touch ${first}`), opening.options());
    const never = connection.exec(world.command(`touch ${second}`), closed.options());
    expect([await late.terminate(100), await never.terminate(100)]).toEqual(['none', 'none']);
    gate.resolve();
    await expect(late.ended).rejects.toThrow();
    await expect(never.ended).rejects.toThrow();
    const after = connection.exec(world.command('true'), new Sink().options());
    after.end();
    await after.ended;
    expect([existsSync(first), existsSync(second)]).toEqual([false, false]);
    expect([opening.starts, closed.starts]).toEqual([0, 0]);
  });

  test('a gate that fails is the end of it', async () => {
    const sink = new Sink();
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    const running = await stage().exec('true', sink);
    // The transport may ask for the gate only later.
    gate.promise.catch(() => {});
    gate.reject(new Error('not today'));
    await expect(running.ended).rejects.toThrow('not today');
    expect([running.began, sink.starts]).toEqual(['no', 0]);
  });

  test('two at once on one connection', async () => {
    const { connect, file, world } = stage();
    const connection = await connect();
    const [a, b] = [file(), file()];
    const meet = (mine: string, other: string) =>
      `touch ${mine}; until [ -e ${other} ]; do sleep 0.05; done; cat; exit`;
    const [one, two] = [new Sink(), new Sink()];
    const first = connection.exec(world.command(`${meet(a, b)} 1`), one.options());
    const second = connection.exec(world.command(`${meet(b, a)} 2`), two.options());
    first.write(Buffer.from('first'));
    second.write(Buffer.from('second'));
    first.end();
    second.end();
    expect(await Promise.all([first.ended, second.ended])).toMatchObject([{ status: 1 }, { status: 2 }]);
    expect([one.text(), two.text()]).toEqual(['first', 'second']);
  });
}

function endTests(stage: UseStage): void {
  test('output that something else holds open is left after the linger', async () => {
    const sink = new Sink();
    const ending = await stage().exec(`sleep ${uniqueSleep()} & echo $!; exit 5`, sink, 300);
    ending.end();
    const end = await ending.ended;
    process.kill(Number(sink.text()), 'SIGKILL');
    expect(end).toEqual({ status: 5, signal: null, outputLeftOpen: true, outputCut: false });
  });

  test('output that goes on within the linger is all taken', async () => {
    const sink = new Sink();
    const late = '(for i in 1 2 3 4 5; do sleep 0.2; echo $i; done) & exit 3';
    const ending = await stage().exec(late, sink, 1_000);
    ending.end();
    expect(await ending.ended).toEqual({ status: 3, signal: null, outputLeftOpen: false, outputCut: false });
    expect(sink.text()).toBe('1\n2\n3\n4\n5\n');
  });

  test('destroy ends a process in each of its states', async () => {
    const { connect, world } = stage();
    const connection = await connect();
    const [over, gated, silent, speaking] = [new Sink(), new Sink(), new Sink(), new Sink()];
    gated.gate = new Promise(() => {});
    const first = connection.exec(world.command('exit 3'), over.options());
    first.end();
    const end = await first.ended;
    const sleep = uniqueSleep();
    const all = [
      connection.exec(world.command('true'), gated.options()),
      connection.exec(world.command(`sleep ${sleep}`), silent.options()),
      connection.exec(world.command(`echo $$; exec sleep ${sleep}`), speaking.options()),
    ];
    const ready = () => speaking.text().endsWith('\n') && silent.starts === 1;
    await until(() => ready() && pidsOf('sleep', sleep).length === 2);
    const begun = all.map(({ began }) => began);
    connection.destroy(new Error('dropped by the test'));
    for (const { ended } of all) await expect(ended).rejects.toThrow('dropped by the test');
    expect(await first.ended).toBe(end);
    expect([begun, gated.starts]).toEqual([['no', 'yes', 'yes'], 0]);
    for (const pid of pidsOf('sleep', sleep)) process.kill(pid, 'SIGKILL');
  });

  test('destroy before the command was asked for', async () => {
    const connection = await stage().connect();
    const process = connection.exec(stage().world.command('true'), new Sink().options());
    connection.destroy(new Error('dropped by the test'));
    await expect(process.ended).rejects.toThrow('dropped by the test');
  });

  test('a connection can be made again after close, and closed twice', async () => {
    const { connect, world } = stage();
    for (let i = 0; i < 3; i++) {
      const connection = await connect();
      const process = connection.exec(world.command(`exit ${i}`), new Sink().options());
      process.end();
      expect(await process.ended).toMatchObject({ status: i });
      connection.close();
      connection.close();
    }
  });
}

function terminateTests(stage: UseStage): void {
  test('terminate ends a command with its children, and says killed', async () => {
    const sleep = uniqueSleep();
    const sink = new Sink();
    const stopping = await stage().exec(`sleep ${sleep} & sleep ${sleep} & echo up; wait`, sink);
    await until(() => sink.text() === 'up\n' && pidsOf('sleep', sleep).length === 2);
    expect(await stopping.terminate(5_000)).toBe('killed');
    expect(pidsOf('sleep', sleep).length).toBe(0);
    await stopping.ended.catch(() => {});
    expect(stopping.began).toBe('yes');
  });

  test('terminate ends what does not hear TERM', async () => {
    const sleep = uniqueSleep();
    const sink = new Sink();
    const stopping = await stage().exec(`trap '' TERM; echo up; sleep ${sleep}; sleep ${sleep}`, sink);
    await until(() => sink.text() === 'up\n' && pidsOf('sleep', sleep).length === 1);
    expect(await stopping.terminate(200)).toBe('killed');
    expect(pidsOf('sleep', sleep).length).toBe(0);
    await stopping.ended.catch(() => {});
  });

  test('terminate may be called while it is at it', async () => {
    const sleep = uniqueSleep();
    const stopping = await stage().exec(`exec sleep ${sleep}`, new Sink());
    await until(() => pidsOf('sleep', sleep).length === 1);
    const fates = await Promise.all([stopping.terminate(5_000), stopping.terminate(5_000)]);
    expect(fates).toContain('killed');
    expect(fates).not.toContain('left-running');
    expect(pidsOf('sleep', sleep)).toEqual([]);
  });

  test('writing and ending are harmless when it is over', async () => {
    const ended = await stage().exec('true', new Sink());
    ended.end();
    await ended.ended;
    ended.write(Buffer.from('late'));
    await ended.drained();
    ended.end();
    ended.resume();
    ended.signal('TERM');
    expect(await ended.ended).toMatchObject({ status: 0 });
  });
}

function signalTests(stage: UseStage, { signals, network }: Capabilities): void {
  test(`the signal that ended a command is ${signals ? 'told' : 'not told, nor made a status'}`, async () => {
    const ending = await stage().exec('kill -KILL $$', new Sink());
    ending.end();
    const signal = signals ? { name: 'KILL', coreDumped: false } : null;
    expect(await ending.ended).toMatchObject({ status: null, signal });
  });

  // OpenSSH before 9.8 passes no signals on to what runs as root.
  const statuses = { told: network ? [3, 9] : [9], untold: [3] }[signals ? 'told' : 'untold'];
  test(`a signal is sent, or does no harm: status ${statuses.join(' or ')}`, async () => {
    const sink = new Sink();
    const ending = await stage().exec('trap "exit 9" HUP; echo up; cat; exit 3', sink);
    await until(() => sink.text() === 'up\n');
    ending.signal('NONSENSE');
    ending.signal('HUP');
    ending.end();
    expect(statuses).toContain((await ending.ended).status);
  });
}

/** The outcome of a connection that does not come about. */
async function failure(world: TransportWorld, detour: Detour): Promise<Outcome> {
  const transport = world.make(detour);
  try {
    const connection = await connectTo(transport, world.target);
    connection.destroy(new Error('it should not have been connected'));
    throw new Error('it should not have been connected');
  } catch (error) {
    return transport.classify(error, 'no');
  } finally {
    await transport.close();
  }
}

function networkTests(stage: UseStage): void {
  test('says whom it reached, and by which phases', async () => {
    const { transport, world } = stage();
    const watch = new Phases();
    const { reached } = await connectTo(transport, world.target, watch);
    const [type, blob = ''] = readFileSync(world.server!.knownHosts, 'utf8').trim().split(' ').slice(1);
    const digest = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '');
    expect(type).toBe('ssh-ed25519');
    expect(reached).toMatchObject({
      address: '127.0.0.1',
      port: world.server!.port,
      fingerprint: `SHA256:${digest}`,
      software: expect.stringMatching(/^OpenSSH_/),
    });
    expect(watch.entered.filter((phase) => phase !== 'dns')).toEqual(['connect', 'handshake', 'auth']);
  });

  test('a host that is said to have no shell for our program is sent none: what is stopped is unknown', async () => {
    const { connect, world } = stage();
    const connection = await connect();
    const sink = new Sink();
    // Ends with its stdin, so that nothing is left of it.
    const line = world.command('echo up; exec cat');
    const stopping = connection.exec(line, { ...sink.options(), ending: 'signal' });
    await until(() => sink.text() === 'up\n');
    expect(await stopping.terminate(5_000)).toBe('unknown');
    await expect(stopping.ended).rejects.toThrow();
    expect(stopping.began).toBe('yes');
  });

  test('a port where no one listens', async () => {
    const outcome = await failure(stage().world, { port: 1 });
    expect(outcome).toMatchObject({ kind: 'unreachable', cause: 'refused', began: 'no' });
  });

  test('a host that is not known', async () => {
    const { world } = stage();
    const outcome = await failure(world, { knownHosts: '/dev/null' });
    expect(outcome).toMatchObject({ kind: 'host-key', cause: 'unknown', keyType: 'ssh-ed25519', began: 'no' });
  });

  test('a host with another key', async () => {
    const { world, file } = stage();
    const [type, blob] = readFileSync(`${keygen(world.dir, 'another')}.pub`, 'utf8').split(' ');
    const knownHosts = file();
    writeFileSync(knownHosts, `[127.0.0.1]:${world.server!.port} ${type} ${blob}\n`);
    const outcome = await failure(world, { knownHosts });
    expect(outcome).toMatchObject({ kind: 'host-key', cause: 'changed', keyType: 'ssh-ed25519', began: 'no' });
    expect(outcome).toMatchObject({ advice: expect.stringContaining(`${knownHosts}:1`) });
  });

  test('a user key that the host does not take', async () => {
    const { world } = stage();
    const outcome = await failure(world, { identity: keygen(world.dir, 'stranger') });
    expect(outcome).toMatchObject({
      kind: 'auth-failed',
      began: 'no',
      tried: [expect.stringMatching(/^publickey SHA256:/)],
      allowed: expect.arrayContaining(['publickey']),
    });
  });

  test('a connection that is stopped while it is made', async () => {
    const { transport, world } = stage();
    const watch = new Phases();
    const connecting = connectTo(transport, world.target, watch);
    await until(() => watch.entered.includes('connect') && watch.stop !== undefined);
    watch.stop!(new Error('no longer wanted'));
    await expect(connecting).rejects.toThrow('no longer wanted');
  });

  test('a connection that is cut in the middle of a command', async () => {
    const { world } = stage();
    await using proxy = await startProxy(world.server!.port);
    const transport = world.make({ port: proxy.port });
    const connection = await connectTo(transport, world.target);
    const sink = new Sink();
    const cut = connection.exec(world.command('echo up; sleep 5'), sink.options());
    await until(() => sink.text() === 'up\n');
    proxy.cut();
    const error: unknown = await cut.ended.catch((thrown: unknown) => thrown);
    expect(transport.classify(error, cut.began)).toMatchObject({ kind: 'lost', began: 'yes' });
    await transport.close();
  });

  test('a connection that is cut between the status and the end of the output', async () => {
    const { world } = stage();
    await using proxy = await startProxy(world.server!.port);
    const transport = world.make({ port: proxy.port });
    const connection = await connectTo(transport, world.target);
    const sink = new Sink();
    const cut = connection.exec(world.command('sleep 5 & echo up; exit 3'), sink.options(60_000));
    cut.end();
    await until(() => sink.text() === 'up\n');
    // The status follows the output at once; there is no sign of it in the contract.
    await new Promise((resolve) => setTimeout(resolve, 300));
    proxy.cut();
    expect(await cut.ended).toEqual({ status: 3, signal: null, outputLeftOpen: false, outputCut: true });
    await transport.close();
  });
}
