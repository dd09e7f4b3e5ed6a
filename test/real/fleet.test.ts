/** The library against real servers: what ends how, and that nothing is left running. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, type Outcome, outcomeLabel } from '../../src/index.ts';
import { killAnswer, killScript } from '../../src/transport/kill.ts';
import { keygen, present, type RealServer, startDropbear, startProxy, startSshd } from '../kit/servers.ts';

const MiB = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function optionsFor(server: RealServer, more: Partial<FleetOptions> = {}): FleetOptions {
  const { port, user, identity, knownHosts } = server;
  return { hosts: '127.0.0.1', port, user, identity, knownHosts, ...more };
}

/** How many processes of this machine have exactly these arguments. */
function running(...args: string[]): number {
  const wanted = `${args.join('\0')}\0`;
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === wanted;
    } catch {
      return false;
    }
  }).length;
}

/** A sleep that no one else has. */
const uniqueSleep = () => `600.${process.pid}${Math.floor(Math.random() * 1e6)}`;

const KINDS = [
  { name: 'OpenSSH', programs: ['sshd'], start: () => startSshd() },
  { name: 'dropbear', programs: ['dropbear', 'dropbearconvert'], start: startDropbear },
];

for (const kind of KINDS) {
  const possible = kind.programs.every(present) && (kind.name === 'OpenSSH' || isRoot);
  describe.skipIf(!possible)(kind.name, () => {
    let server: RealServer;
    beforeAll(async () => {
      server = await kind.start();
    });
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
    });

    it('keeps status, stdout and stderr apart', async () => {
      await using hosts = fleet(optionsFor(server));
      const [result] = await hosts.run('echo out; echo err >&2; exit 3').all();
      expect(result!.outcome).toEqual({ kind: 'failed', began: 'yes', status: 3 });
      expect(result!.stdout.text()).toBe('out\n');
      expect(result!.stderr.text()).toBe('err\n');
      expect(result!.reached).toMatchObject({ address: '127.0.0.1', port: server.port });
    });

    it('collects 64 MiB byte for byte', async () => {
      await using hosts = fleet(optionsFor(server));
      const size = 64 * MiB;
      const [result] = await hosts.run(`yes 0123456789abcde | head -c ${size}`, { maxOutput: 100 * MiB }).all();
      expect(result!.stdout).toMatchObject({ total: size, truncated: false });
      expect(sha256(result!.stdout.bytes)).toBe(sha256(Buffer.alloc(size, '0123456789abcde\n')));
    });

    it('sends 8 MiB of stdin byte for byte', async () => {
      await using hosts = fleet(optionsFor(server));
      const stdin = randomBytes(8 * MiB);
      const [result] = await hosts.run('sha256sum', { stdin }).all();
      expect(result!.stdout.text()).toBe(`${sha256(stdin)}  -\n`);
    });

    it('reports a signal as signalled', async () => {
      await using hosts = fleet(optionsFor(server));
      const [result] = await hosts.run('kill -9 $$').all();
      expect(outcomeLabel(result!.outcome)).toBe('signalled(KILL)');
    });

    it('leaves nothing running after the command deadline', async () => {
      await using hosts = fleet(optionsFor(server));
      const sleep = uniqueSleep();
      const [result] = await hosts.run(`sleep ${sleep}`, { commandMs: 1000 }).all();
      expect(result!.outcome).toEqual({ kind: 'timeout', began: 'yes', phase: 'command', remote: 'killed' });
      expect(running('sleep', sleep)).toBe(0);
    });

    it('ends children that ignore TERM, and those in groups of their own', async () => {
      await using hosts = fleet(optionsFor(server));
      const [stubborn, apart] = [uniqueSleep(), uniqueSleep()];
      const command = `trap '' TERM; setsid sleep ${apart} & sleep ${stubborn}; sleep ${stubborn}`;
      const [result] = await hosts.run(command, { commandMs: 1000, graceMs: 500 }).all();
      expect(result!.outcome).toMatchObject({ kind: 'timeout', remote: 'killed' });
      expect(running('sleep', stubborn) + running('sleep', apart)).toBe(0);
    });

    it('ends what runs when it is cancelled', async () => {
      const stop = new AbortController();
      await using hosts = fleet(optionsFor(server));
      const sleep = uniqueSleep();
      const run = hosts.run(`echo started; sleep ${sleep}`, { gather: 'stream', signal: stop.signal });
      for await (const { line } of run.lines()) if (line === 'started') stop.abort();
      const summary = await run.summary();
      expect(summary.outcomes.cancelled).toBe(1);
      expect(summary.stopped).toBe('cancelled');
      expect(running('sleep', sleep)).toBe(0);
    });

    it('ends within the linger where a service keeps the output open', async () => {
      await using hosts = fleet(optionsFor(server));
      const quiet = await hosts.run('sleep 5 >/dev/null 2>&1 & echo started', { lingerMs: 300 }).all();
      expect(quiet[0]).toMatchObject({ outcome: { kind: 'ok', status: 0 }, notes: [] });
      const open = await hosts.run('sleep 5 & echo started', { lingerMs: 300 }).all();
      expect(open[0]!.outcome).toMatchObject({ kind: 'ok', status: 0 });
      expect(open[0]!.stdout.text()).toBe('started\n');
      expect(open[0]!.durationMs).toBeLessThan(5000);
    });

    it('reports a connection cut in mid-command as lost', async () => {
      await using proxy = await startProxy(server.port);
      await using hosts = fleet(optionsFor(server, { port: proxy.port, hostKeys: 'off' }));
      const run = hosts.run('echo begun; sleep 5', { gather: 'stream' });
      const ends: Outcome[] = [];
      run.on((event) => {
        if (event.type === 'task:output') proxy.cut();
        if (event.type === 'task:end') ends.push(event.result.outcome);
      });
      expect((await run.summary()).outcomes.lost).toBe(1);
      expect(ends).toEqual([expect.objectContaining({ kind: 'lost', began: 'yes' })]);
    });
  });
}

describe.skipIf(!present('sshd'))('OpenSSH only', () => {
  it('refuses a host whose key changed, with advice', async () => {
    await using server = await startSshd();
    const other = keygen(server.dir, 'other');
    const [type, blob] = readFileSync(`${other}.pub`, 'utf8').split(' ');
    writeFileSync(server.knownHosts, `[127.0.0.1]:${server.port} ${type} ${blob}\n`);
    await using hosts = fleet(optionsFor(server));
    const [result] = await hosts.run('true').all();
    expect(outcomeLabel(result!.outcome)).toBe('host-key(changed)');
    expect(result!.outcome).toMatchObject({ began: 'no', advice: expect.stringContaining('ssh-keygen -f') });
  });

  it('says refused when the server takes no session', async () => {
    await using server = await startSshd(['MaxSessions 0']);
    await using hosts = fleet(optionsFor(server));
    const [result] = await hosts.run('true').all();
    expect(outcomeLabel(result!.outcome)).toBe('refused(session)');
  });

  it('says what both sides offer when nothing is common', async () => {
    await using server = await startSshd(['Ciphers 3des-cbc']);
    await using hosts = fleet(optionsFor(server));
    const [result] = await hosts.run('true').all();
    expect(outcomeLabel(result!.outcome)).toBe('refused(algorithm)');
    expect(result!.outcome).toMatchObject({ reason: expect.stringMatching(/3des-cbc.*aes128-gcm/) });
  });

  it('reports the methods and keys tried', async () => {
    await using server = await startSshd();
    const identity = keygen(server.dir, 'stranger');
    await using hosts = fleet(optionsFor(server, { identity }));
    const [result] = await hosts.run('true').all();
    expect(result!.outcome).toMatchObject({
      kind: 'auth-failed',
      tried: [expect.stringMatching(/^publickey SHA256:/)],
      allowed: expect.arrayContaining(['publickey']),
    });
  });

  it('runs 200 times on one server with default settings, in order', async () => {
    await using server = await startSshd();
    await using hosts = fleet(optionsFor(server));
    const run = hosts.run('echo hello world {i}', { repeat: 200, template: true });
    const results = await run.all({ order: 'input' });
    expect(results.map((result) => result.stdout.text())).toEqual(
      Array.from({ length: 200 }, (_, i) => `hello world ${i + 1}\n`),
    );
    expect((await run.summary()).outcomes.ok).toBe(200);
  });

  it('recognises MaxStartups drops and retries them', async () => {
    await using server = await startSshd(['MaxStartups 2:50:5']);
    await using hosts = fleet(optionsFor(server, { perAddress: 10 }));
    const run = hosts.run('true', { repeat: 40 });
    const summary = await run.summary();
    expect(summary.outcomes.ok).toBe(40);
  });

  it('silent hosts first do not hold the good ones back', async () => {
    await using server = await startSshd(['MaxStartups 100']);
    const mute = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    const silent = Array.from({ length: 10 }, (_, i) => `u${i}@127.0.0.1:${port}`);
    const good = Array.from({ length: 20 }, (_, i) => `127.0.0.${i + 1}`);
    const options = optionsFor(server, { hosts: [...silent, ...good].join(','), hostKeys: 'off', fanout: 8 });
    await using hosts = fleet({ ...options, perAddress: 100, deadlines: { connectMs: 8000 } });
    const kinds = (await hosts.run('true').all({ order: 'done' })).map((result) => outcomeLabel(result.outcome));
    mute.close();
    // sshd listens on 127.0.0.1 only: the other addresses refuse; what counts is that none waits for the silent ones.
    expect(kinds.slice(0, 20)).not.toContain('timeout(connect)');
    expect(kinds.slice(20)).toEqual(Array.from({ length: 10 }, () => 'timeout(connect)'));
  });

  it('the kill script is a POSIX script', () => {
    execFileSync('sh', ['-n'], { input: killScript(2000) });
    // Alone, with nothing that its parent started but itself, it finds nothing to end.
    const output = execFileSync('sh', ['-c', 'sh -s; :'], { input: killScript(100) }).toString();
    expect(killAnswer(output)).toBe('none');
  });
});
