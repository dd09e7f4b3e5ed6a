/** The openssh transport on a real server: what the contract does not say. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { outcomeLabel } from '../../../src/contracts/outcome.ts';
import { InlineExecutor } from '../../../src/engine/inline_executor.ts';
import { OpensshTransport } from '../../../src/transport/openssh/openssh_transport.ts';
import {
  children,
  connectTo,
  pidsOf,
  Sink,
  systemClock,
  TARGET,
  uniqueSleep,
  until,
} from '../../contract/transport_world.ts';
import { KINDS, NO_HOOKS, planOf, Reader, requestOf, spec } from '../../engine/support.ts';
import { keygen, present, type RealServer, startProxy, startSshd } from '../../kit/servers.ts';
import { opensshTo, sshArgs } from './support.ts';

const logins = (server: RealServer): number => server.log().match(/Accepted publickey/g)?.length ?? 0;

describe.skipIf(!['ssh', 'sshd'].every(present))('openssh on sshd', () => {
  let server: RealServer;
  let folder = '';
  let before: ReadonlySet<number>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'openssh-'));
    server = await startSshd(['AcceptEnv LC_*', 'MaxStartups 100']);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    before = children();
  });
  afterEach(async () => {
    await until(() => [...children()].every((pid) => before.has(pid)));
  });

  /** Runs a command on a connection of its own, and gives what it said and how it ended. */
  async function run(transport: OpensshTransport, command: string, target = TARGET) {
    const connection = await connectTo(transport, target);
    const sink = new Sink();
    const running = connection.exec(command, sink.options());
    running.end();
    try {
      const end = await running.ended;
      return { ...end, text: sink.text(), label: undefined };
    } catch (error) {
      return { text: sink.text(), label: outcomeLabel(transport.classify(error, running.began)) };
    } finally {
      connection.close();
    }
  }

  test('one login serves connection after connection', async () => {
    const transport = opensshTo(server, { controlDir: folder });
    const count = logins(server);
    for (let i = 0; i < 3; i++) expect(await run(transport, `exit ${i}`)).toMatchObject({ status: i });
    await transport.close();
    expect(logins(server)).toBe(count + 1);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('to stop one command leaves another of the same host alone', async () => {
    const transport = opensshTo(server);
    const sleeps = [uniqueSleep(), uniqueSleep()] as const;
    const [first, second] = [await connectTo(transport), await connectTo(transport)];
    const stopping = first.exec(`sleep ${sleeps[0]}`, new Sink().options());
    const staying = second.exec(`sleep ${sleeps[1]}`, new Sink().options());
    await until(() => sleeps.every((sleep) => pidsOf('sleep', sleep).length === 1));
    expect(await stopping.terminate(5_000)).toBe('killed');
    expect(sleeps.map((sleep) => pidsOf('sleep', sleep).length)).toEqual([0, 1]);
    expect(await staying.terminate(5_000)).toBe('killed');
    await transport.close();
  });

  test('a command that is running when its connection is closed is left, with its master ended', async () => {
    const transport = opensshTo(server);
    const sleep = uniqueSleep();
    const connection = await connectTo(transport);
    const left = connection.exec(`exec sleep ${sleep} </dev/null >/dev/null 2>&1`, new Sink().options());
    await until(() => pidsOf('sleep', sleep).length === 1);
    connection.close();
    await expect(left.ended).rejects.toThrow('left running');
    const count = logins(server);
    expect(await run(transport, 'true')).toMatchObject({ status: 0 });
    expect(logins(server)).toBe(count + 1);
    await transport.close();
    for (const pid of pidsOf('sleep', sleep)) process.kill(pid, 'SIGKILL');
  });

  test('what the server says aloud is not output', async () => {
    await using noisy = await startSshd([`Banner ${banner(folder)}`]);
    const transport = opensshTo(noisy);
    expect(await run(transport, 'echo out')).toMatchObject({ status: 0, text: 'out\n' });
    await transport.close();
  });

  test('an old program: status and start are known all the same', async () => {
    const program = join(folder, 'old-ssh');
    const script = '#!/bin/sh\n[ "$1" = -V ] && { echo OpenSSH_7.4p1 >&2; exit 0; }\nexec ssh "$@"\n';
    writeFileSync(program, script, { mode: 0o755 });
    const transport = opensshTo(server, { program });
    const connection = await connectTo(transport);
    const silent = new Sink();
    const running = connection.exec('read -r line; exit 255', silent.options());
    await until(() => silent.starts === 1);
    running.write(Buffer.from('go\n'));
    expect(await running.ended).toMatchObject({ status: 255 });
    connection.close();
    expect(await run(transport, 'kill -KILL $$')).toMatchObject({ status: null });
    await transport.close();
  });

  test('many at once on one connection: to each its own end', async () => {
    const transport = opensshTo(server);
    const connection = await connectTo(transport);
    const ends = await Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        const seen: (number | null)[] = [];
        for (let round = 0; round < 5; round++) {
          const running = connection.exec(
            round % 2 === 1 ? 'kill -KILL $$' : `exit ${lane * 10 + round}`,
            new Sink().options(),
          );
          running.end();
          seen.push((await running.ended).status);
        }
        return seen;
      }),
    );
    expect(ends).toEqual(ends.map((_, lane) => [lane * 10, null, lane * 10 + 2, null, lane * 10 + 4]));
    await transport.close();
  });

  test('words reach the program as they are', async () => {
    const transport = opensshTo(server);
    const connection = await connectTo(transport);
    const words = ['a b', '$HOME', '*', '', '"', "'", ';', '--', '-v'];
    const sink = new Sink();
    const running = connection.exec(['printf', '[%s]', ...words], sink.options());
    running.end();
    await running.ended;
    expect(sink.text()).toBe(words.map((word) => `[${word}]`).join(''));
    await transport.close();
  });

  test('a command that is too long for an argument', async () => {
    const transport = opensshTo(server);
    expect(await run(transport, `: ${'x'.repeat(200_000)}`)).toMatchObject({ label: 'error(E2BIG)' });
    expect(await run(transport, 'exit 3')).toMatchObject({ status: 3 });
    await transport.close();
  });

  test("our locale is not the host's", async () => {
    process.env.LC_MYRIAD = 'seen';
    const transport = opensshTo(server, { extra: ['-o', 'SendEnv=LC_*'] });
    const { text } = await run(transport, 'echo "$LC_MYRIAD:$LC_ALL"');
    expect(text).toBe(`seen:${process.env.LC_ALL ?? ''}\n`);
    delete process.env.LC_MYRIAD;
    await transport.close();
  });

  test('a connection that is cut: in the words of ssh', async () => {
    await using proxy = await startProxy(server.port);
    const transport = opensshTo({ ...server, port: proxy.port }, { extra: ['-o', 'StrictHostKeyChecking=accept-new'] });
    const connection = await connectTo(transport);
    const sink = new Sink();
    const cut = connection.exec('echo up; sleep 5', sink.options());
    await until(() => sink.text() === 'up\n');
    proxy.cut();
    const error: unknown = await cut.ended.catch((thrown: unknown) => thrown);
    expect(transport.classify(error, cut.began)).toMatchObject({
      kind: 'lost',
      message: expect.stringMatching(/closed by remote host|reset by peer|Broken pipe/),
    });
    const late = connection.exec('true', new Sink().options());
    await expect(late.ended).rejects.toMatchObject({ reason: 'lost' });
    expect(late.began).toBe('no');
    connection.close();
    await expect(connection.exec('true', new Sink().options()).ended).rejects.toThrow('closed');
    await transport.close();
  });

  test.each([
    ['no session', 'MaxSessions 0', [], 'refused(session)'],
    ['nothing in common', 'Ciphers aes256-ctr', ['-o', 'Ciphers=aes128-ctr'], 'refused(algorithm)'],
  ])('refused: %s', async (_what, config, extra, label) => {
    await using strict = await startSshd([config]);
    const transport = opensshTo(strict, { extra });
    const outcome = await run(transport, 'true').catch((error: unknown) => ({
      label: outcomeLabel(transport.classify(error, 'no')),
    }));
    expect(outcome).toMatchObject({ label });
    await transport.close();
  });

  test('a server with one session only: what becomes of the command is not known', async () => {
    await using single = await startSshd(['MaxSessions 1']);
    const transport = opensshTo(single);
    const sleep = uniqueSleep();
    const connection = await connectTo(transport);
    const running = connection.exec(`exec sleep ${sleep}`, new Sink().options());
    await until(() => pidsOf('sleep', sleep).length === 1);
    expect(await running.terminate(100)).toBe('unknown');
    await expect(running.ended).rejects.toThrow('stopped');
    await transport.close();
    for (const pid of pidsOf('sleep', sleep)) process.kill(pid, 'SIGKILL');
  });

  test.each([
    [['-o', 'NoSuchOption=1'], 'error(ssh-config)'],
    [['-o', 'ProxyCommand=/no/such/program'], 'unreachable(no-route)'],
  ])('arguments that lead nowhere: %j', async (extra, label) => {
    const transport = opensshTo(server, { extra });
    const error: unknown = await connectTo(transport).catch((thrown: unknown) => thrown);
    expect(outcomeLabel(transport.classify(error, 'no'))).toBe(label);
    await transport.close();
  });

  test('a certificate that is not for this host', async () => {
    const ca = keygen(folder, 'ca');
    const host = keygen(folder, 'certified', '-t', 'ecdsa');
    await sign(ca, `${host}.pub`);
    await using certified = await startSshd([`HostKey ${host}`, `HostCertificate ${host}-cert.pub`]);
    const [type, blob] = readFileSync(`${ca}.pub`, 'utf8').split(' ');
    writeFileSync(certified.knownHosts, `@cert-authority * ${type} ${blob}\n`);
    const transport = opensshTo(certified);
    const error: unknown = await connectTo(transport).catch((thrown: unknown) => thrown);
    expect(transport.classify(error, 'no')).toMatchObject({
      kind: 'host-key',
      cause: 'certificate',
      advice: expect.stringContaining('name is not a listed principal'),
    });
    await transport.close();
  });

  /** A user's own configuration, with all that could be in our way. */
  function configFile(): string {
    const file = join(folder, 'config');
    const lines = [
      'Host target closed',
      '  RemoteCommand echo not this',
      '  RequestTTY force',
      '  LogLevel QUIET',
      '  ControlMaster auto',
      `  ControlPath ${join(folder, 'theirs')}`,
      '  ControlPersist 60',
      `  LocalForward 127.0.0.1:${server.port} 127.0.0.1:1`,
      '  ExitOnForwardFailure yes',
      '  BatchMode no',
      '  ProxyJump jump',
      'Host closed',
      '  Port 1',
      'Host *',
      '  HostName 127.0.0.1',
      `  Port ${server.port}`,
      `  User ${server.user}`,
      `  IdentityFile ${server.identity}`,
      '  IdentitiesOnly yes',
      '  PasswordAuthentication no',
      '  KbdInteractiveAuthentication no',
      `  UserKnownHostsFile ${server.knownHosts}`,
      '  GlobalKnownHostsFile /dev/null',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  }

  test('through a jump host, by a configuration of the user', async () => {
    const config = configFile();
    const transport = new OpensshTransport({ args: () => ['-F', config], clock: systemClock, controlDir: folder });
    const target = (name: string) => ({ ...TARGET, label: name, name });
    const sink = new Sink();
    const connection = await connectTo(transport, target('target'));
    expect(connection.reached).toMatchObject({
      address: 'target',
      port: server.port,
      software: expect.stringMatching(/^OpenSSH/),
    });
    const running = connection.exec('echo this; exit 6', sink.options());
    running.end();
    expect(await running.ended).toMatchObject({ status: 6 });
    expect(sink.text()).toBe('this\n');
    const error: unknown = await connectTo(transport, target('closed')).catch((thrown: unknown) => thrown);
    expect(outcomeLabel(transport.classify(error, 'no'))).toBe('unreachable(refused)');
    await transport.close();
    expect(existsSync(join(folder, 'theirs'))).toBe(false);
  });

  test('40 tasks on one server by the engine', async () => {
    const transport = opensshTo(server);
    const executor = new InlineExecutor({
      kinds: KINDS,
      transports: () => transport,
      clock: systemClock,
      random: Math.random,
    });
    const job = spec('command', { command: 'echo {i}; exit 255', template: true });
    const request = requestOf(planOf(['127.0.0.1'], 40), { job, limits: { fanout: 8 } });
    const results = await new Reader(await executor.run(request, NO_HOOKS)).done;
    expect(results.map(({ outcome }) => outcomeLabel(outcome))).toEqual(Array(40).fill('failed(255)'));
    const texts = results.toSorted((a, b) => a.index - b.index).map(({ stdout }) => stdout.text());
    expect(texts).toEqual(Array.from({ length: 40 }, (_, i) => `${i + 1}\n`));
    await executor.close();
    await transport.close();
  });

  test('if we crash, nothing is left', async () => {
    const base = mkdtempSync(join(folder, 'c'));
    const script = fileURLToPath(new URL('./crash_program.ts', import.meta.url));
    const child = spawn(process.execPath, [script, base, ...sshArgs(server.user, server)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await until(() => said === 'open\n' || child.exitCode !== null);
    expect(said).toBe('open\n');
    const [dir = ''] = readdirSync(base);
    const socket = join(base, dir, '1');
    expect(existsSync(socket)).toBe(true);
    child.kill('SIGKILL');
    await until(() => readdirSync(base).length === 0);
    await until(() => mastersOf(socket).length === 0);
  });
});

/** The processes that name this socket. */
function mastersOf(socket: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(socket);
    } catch {
      return false;
    }
  });
}

function banner(folder: string): string {
  const file = join(folder, 'banner');
  writeFileSync(file, 'debug1: Entering interactive session.\nu@h: Permission denied (publickey).\n');
  return file;
}

/** Signs a host key for a name that no one has. */
async function sign(ca: string, key: string): Promise<void> {
  const child = spawn('ssh-keygen', ['-q', '-s', ca, '-I', 'id', '-h', '-n', 'other.example', key]);
  await new Promise((resolve) => child.once('exit', resolve));
}
