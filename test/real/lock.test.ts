/** Locks on hosts that nobody here wrote: OpenSSH, dropbear and login shells of every kind; what ends a lease, and who meets whose. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, outcomeLabel, outcomeMessage, type RunOptions } from '../../src/index.ts';
import { launch } from '../cli/command.ts';
import { present, type RealServer, startDropbear } from '../kit/servers.ts';
import {
  type Account,
  everythingOfProcesses,
  isRoot,
  loginOptions,
  makeAccount,
  processesWith,
  runOne,
  seen,
  sshdForAccounts,
  sudoers,
} from './accounts.ts';

const OK = { kind: 'ok', began: 'yes', status: 0 };
const STATE = mkdtempSync(join(tmpdir(), 'myriad-lock-'));
process.env.XDG_STATE_HOME = STATE;
afterAll(() => rmSync(STATE, { recursive: true, force: true }));

const names: string[] = [];
/** A lock of the test's own: what root has of it is removed. */
function newLock(): string {
  const name = `test-${randomBytes(6).toString('hex')}`;
  names.push(name);
  return name;
}
afterEach(() => {
  for (const name of names.splice(0)) rmSync(`/run/myriad-lock-0/${name}`, { recursive: true, force: true });
});

/** A run that has the lock until `release`; its command is a shell that waits for a word on a file of its own. */
async function holding(login: FleetOptions, command: string, options: RunOptions) {
  const hosts = fleet(login);
  // Two runs from one machine would be told apart here already.
  const run = hosts.run(`echo up; ${command}`, { ...options, gather: 'stream', onLocked: () => true });
  const up = new Promise<void>((resolve) => run.on(({ type }) => type === 'task:output' && resolve()));
  const results = run.all();
  await Promise.race([up, results]);
  return {
    run,
    results,
    async [Symbol.asyncDispose]() {
      run.cancel();
      await results;
      await hosts.close();
    },
  };
}

/** Tries until it ends in another way, at most 500 times. */
async function firstThatIsNot(label: string, login: FleetOptions, options: RunOptions): Promise<string> {
  let seen = label;
  for (let tries = 0; seen === label && tries < 500; tries++) {
    seen = outcomeLabel((await runOne(login, 'true', options)).outcome);
  }
  return seen;
}

const again = { onLocked: () => true };

describe.skipIf(!(present('sshd') && isRoot))('a lock on hosts with OpenSSH', () => {
  let server: RealServer;
  const accounts = new Map<string, Account>();
  const shells = ['dash', 'bash', 'rbash', 'csh', 'fish', 'mksh', 'zsh'].filter((shell) => present(shell));
  let other: Account;
  beforeAll(async () => {
    server = await sshdForAccounts();
    for (const shell of shells) accounts.set(shell, makeAccount(`/usr/bin/${shell}`));
    other = makeAccount();
  });
  afterAll(async () => {
    for (const account of [...accounts.values(), other]) {
      rmSync(`/tmp/myriad-lock-${uidOf(account)}`, { recursive: true, force: true });
      await account[Symbol.asyncDispose]();
    }
    await server[Symbol.asyncDispose]();
  });
  const uidOf = ({ home }: Account) => lstatSync(home).uid;
  const on = (shell: string) => loginOptions(server, accounts.get(shell)!);

  it.each(shells)('changes nothing for the command, whatever the login shell: %s', async (shell) => {
    const lock = newLock();
    const options: RunOptions = { lock, env: { A: `it's` }, cwd: '/usr', stdin: Buffer.from('stdin\nis whole') };
    const result = await runOne(on(shell), 'echo "$A" "$PWD" "$#"; umask; cat; echo err >&2; exit 7', options);
    const { stdout, stderr, outcome } = result;
    expect(stdout.text()).toMatch(/^it's \/usr 0\n\d+\nstdin\nis whole$/);
    expect(stderr.text()).toBe(`${shell === 'rbash' ? 'rbash: line 1: exec: restricted\n' : ''}err\n`);
    expect(outcome).toEqual({ kind: 'failed', began: 'yes', status: 7 });
  });

  it('one of two runs has it, the other one is told who', async () => {
    const lock = newLock();
    await using first = await holding(on('dash'), 'exec sleep 987020', { lock, graceMs: 200 });
    const second = await runOne(on('dash'), 'echo begun', { lock, ...again });
    expect(outcomeLabel(second.outcome)).toBe('refused(lock)');
    expect(outcomeMessage(second.outcome)).toMatch(
      new RegExp(`^locked by \\S+ since 20\\S+Z \\(run ${first.run.id}\\)$`),
    );
    expect(second).toMatchObject({ outcome: { began: 'no' }, attempt: 1 });
    expect([second.stdout.text(), second.stderr.text()]).toEqual(['', '']);
    expect(await runOne(on('dash'), 'true', { lock: newLock() })).toMatchObject({ outcome: OK });
    expect(everythingOfProcesses('cmdline')).not.toContain(lock);
  });

  it('a command that a signal or its deadline ends leaves it free', async () => {
    const lock = newLock();
    expect(await runOne(on('bash'), 'kill -9 $$', { lock })).toMatchObject({ outcome: { signal: 'KILL' } });
    const stubborn = `trap '' TERM; echo up; while :; do sleep 987021; done`;
    const cut = await runOne(on('bash'), stubborn, { lock, commandMs: 300, graceMs: 100 });
    expect(cut.outcome).toMatchObject({ kind: 'timeout', phase: 'command', remote: 'killed' });
    expect((await runOne(on('bash'), 'true', { lock })).outcome).toEqual(OK);
  });

  it('a script has it, too', async () => {
    const lock = newLock();
    const file = join(STATE, 'script.sh');
    writeFileSync(file, '#!/bin/sh\necho up "$1"\nexec sleep 987022\n');
    await using hosts = fleet(on('dash'));
    const run = hosts.script(file, ['a b'], { lock, gather: 'stream', graceMs: 200 });
    const up = new Promise<void>((resolve) => run.on(({ type }) => type === 'task:output' && resolve()));
    const results = run.all();
    await up;
    const second = await runOne(on('dash'), 'true', { lock, ...again });
    expect(outcomeMessage(second.outcome)).toContain(`(run ${run.id})`);
    run.cancel();
    await results;
    expect((await runOne(on('dash'), 'true', { lock })).outcome).toEqual(OK);
  });

  it('when the one who started the command is killed, it is held while the command runs', async () => {
    const lock = newLock();
    const login = on('dash');
    const args = ['run', '-w', '127.0.0.1', '-p', String(login.port), '-l', login.user!, '-F', 'none', '--no-journal'];
    args.push('--identity', String(login.identity), '--known-hosts', String(login.knownHosts), '--gather', 'stream');
    const words = [...args, '--lock', lock, 'echo up; exec sleep 987023'];
    const client = launch(words, { env: { XDG_STATE_HOME: STATE } });
    await client.shows(/up\n/);
    client.child.kill('SIGKILL');
    await client.ended;
    // Here its process is gone, and so is its lock; there the command goes on.
    const second = await runOne(login, 'true', { lock });
    expect(outcomeLabel(second.outcome)).toBe('refused(lock)');
    const left = processesWith('sleep 987023').map((line) => Number(line.split(' ')[0]));
    expect(left.length).toBeGreaterThan(0);
    for (const pid of left) process.kill(pid, 'SIGKILL');
    expect(await firstThatIsNot('refused(lock)', login, { lock })).toBe('ok');
  });

  it('it ends by the clock, too: nobody waits for ever for what hangs', async () => {
    const lock = newLock();
    await using _first = await holding(on('dash'), 'exec sleep 987024', { lock, lockMs: 1000, graceMs: 200 });
    expect(await firstThatIsNot('refused(lock)', on('dash'), { lock, ...again })).toBe('ok');
  });

  it.skipIf(!present('sudo'))('behind sudo it is that of root, for whoever logs in', async () => {
    const lock = newLock();
    const ann = accounts.get('dash')!;
    await using _rules = sudoers(ann, [`${ann.name} ALL=(ALL) NOPASSWD: ALL`]);
    await using _more = sudoers(other, [`${other.name} ALL=(ALL) NOPASSWD: ALL`]);
    const sudo = {};
    await using first = await holding(on('dash'), 'exec sleep 987025', { lock, sudo, graceMs: 200 });
    const bob = loginOptions(server, other);
    const second = await runOne(bob, 'true', { lock, sudo, ...again });
    expect(outcomeMessage(second.outcome)).toContain(`(run ${first.run.id})`);
    expect(second.outcome).toMatchObject({ kind: 'refused', began: 'no' });
    expect((await runOne(bob, 'true', { lock, ...again })).outcome).toEqual(OK);
    expect(lstatSync(`/run/myriad-lock-0/${lock}`)).toMatchObject({ uid: 0 });
  });

  it('a place that somebody else has made, or that is a link, is not used', async () => {
    const lock = newLock();
    const place = `/tmp/myriad-lock-${uidOf(other)}`;
    const bob = loginOptions(server, other);
    const refusal = async () => seen(await runOne(bob, 'echo begun', { lock }));
    const refused = (words: string) => {
      const reason = `no lease could be taken: ${place} ${words}`;
      return { outcome: { kind: 'refused', began: 'no', what: 'lock', reason }, stdout: '', stderr: '' };
    };
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place, { mode: 0o700 });
    expect(await refusal()).toEqual(refused('belongs to user 0'));
    rmSync(place, { recursive: true });
    mkdirSync(place, { mode: 0o755 });
    chownSync(place, uidOf(other), 0);
    expect(await refusal()).toEqual(refused('is no directory for its user alone'));
    rmSync(place, { recursive: true });
    const victim = mkdtempSync(join(tmpdir(), 'myriad-victim-'));
    chownSync(victim, uidOf(other), 0);
    symlinkSync(victim, place);
    expect(await refusal()).toEqual(refused('is no directory for its user alone'));
    expect(readdirSync(victim)).toEqual([]);
    rmSync(place);
    rmSync(victim, { recursive: true });
  });
});

describe.skipIf(!(present('dropbear') && present('dropbearconvert') && isRoot))(
  'a lock on a host with dropbear',
  () => {
    it('is held and freed as anywhere', async () => {
      await using server = await startDropbear();
      const { port, user, identity, knownHosts } = server;
      const uid = execFileSync('id', ['-u', user], { encoding: 'utf8' }).trim();
      await using places = new AsyncDisposableStack();
      places.defer(() => rmSync(`/tmp/myriad-lock-${uid}`, { recursive: true, force: true }));
      const login: FleetOptions = { hosts: '127.0.0.1', port, user, identity, knownHosts, config: 'none' };
      const lock = newLock();
      {
        await using first = await holding(login, 'exec sleep 987026', { lock, graceMs: 200 });
        const second = await runOne(login, 'true', { lock, ...again });
        expect(outcomeMessage(second.outcome)).toContain(`(run ${first.run.id})`);
      }
      expect((await runOne(login, 'echo begun', { lock })).stdout.text()).toBe('begun\n');
    });
  },
);
