/** What stands between us and hosts, and the one line that mends it. */
import { describe, expect, it } from 'vitest';
import type { HostKeyCause, Outcome, UnreachableCause } from '../../src/contracts/outcome.ts';
import type { TaskResult } from '../../src/contracts/task.ts';
import { Bytes } from '../../src/contracts/task.ts';
import { Obstacles, type ObstaclesOptions, quote, readyLine } from '../../src/output/obstacles.ts';
import { IndexSet } from '../../src/util/index_set.ts';
import { fold, label } from './helpers.ts';

const WORDS = { targets: "-w 'web[1-9]'", connection: '-l deploy', hop: '-F mine' };
const OPTIONS: ObstaclesOptions = {
  label,
  fold,
  words: WORDS,
  destination: ({ name, user = 'deploy', port = 22 }) => ({ user, name, port }),
};

function result(index: number, outcome: Outcome, host = {}): TaskResult {
  return {
    run: 'r',
    round: 0,
    index,
    attempt: 1,
    iteration: 1,
    host: { label: label(index), name: label(index), ...host },
    outcome,
    reached: undefined,
    startedAt: 0,
    durationMs: 1,
    phases: {},
    executor: 'main',
    stdout: Bytes.empty,
    stderr: Bytes.empty,
    notes: [],
  };
}

const hostKey = (cause: HostKeyCause, advice: string): Outcome => ({
  kind: 'host-key',
  began: 'no',
  cause,
  keyType: 'ssh-ed25519',
  fingerprint: 'SHA256:x',
  advice,
});
const unreachable = (cause: UnreachableCause, message: string): Outcome => {
  return { kind: 'unreachable', began: 'no', cause, message };
};
const AUTH: Outcome = { kind: 'auth-failed', began: 'no', tried: ['publickey SHA256:x'], allowed: ['publickey'] };

function lines(results: readonly TaskResult[], more: Partial<ObstaclesOptions> = {}): string {
  const obstacles = new Obstacles({ ...OPTIONS, ...more });
  for (const each of results) obstacles.add(each);
  return obstacles.lines().join('\n');
}

describe('obstacles', () => {
  it('none of hosts that are ready or were passed over', () => {
    const obstacles = new Obstacles(OPTIONS);
    obstacles.add(result(0, { kind: 'ok', began: 'yes', status: null }));
    obstacles.add(result(1, { kind: 'skipped', began: 'no' }));
    expect(obstacles.lines()).toEqual([]);
    expect(obstacles.count).toBe(0);
  });

  it('of unknown keys: trust, for these hosts and in this way', () => {
    const advice = "add it with: ssh-keyscan 'web1' >> 'known_hosts' after verifying the fingerprint, or run with …";
    expect(lines([result(1, hostKey('unknown', advice)), result(0, hostKey('unknown', advice))])).toBe(
      [
        '  2 host-key(unknown): web[1-2]',
        '    for example web2: the key is not known: ssh-ed25519 SHA256:x',
        "    fix: myriad trust -w 'web[1-2]' -l deploy",
      ].join('\n'),
    );
  });

  it('of unknown keys, with what kept a certificate from vouching', () => {
    const advice =
      'its certificate is signed by X, and no @cert-authority line has that key; add it with: ssh-keyscan …';
    expect(lines([result(0, hostKey('unknown', advice))])).toContain(
      'the key is not known: ssh-ed25519 SHA256:x; its certificate is signed by X, and no @cert-authority line has that key\n',
    );
  });

  it('of unknown keys against which DNS speaks: no trust', () => {
    const advice = 'its SSHFP records in DNS name other keys; add it with: ssh-keyscan …';
    const text = lines([result(0, hostKey('unknown', advice)), result(1, hostKey('unknown', 'add it with: x'))]);
    expect(text).toMatch(
      /1 host-key\(unknown\): web1\n.*name other keys\n {4}fix: find out which of the two is right\n/,
    );
    expect(text).toMatch(/1 host-key\(unknown\): web2\n.*\n {4}fix: myriad trust -w web2 -l deploy$/);
  });

  it('of changed keys: the line that removes the old one, then trust', () => {
    const remove = "ssh-keygen -f '/h/known hosts' -R 'web1'";
    const advice = `the key in /h/known hosts:3 differs: if the change is genuine remove that line (${remove})`;
    expect(lines([0, 1, 2].map((index) => result(index, hostKey('changed', advice))))).toBe(
      [
        '  3 host-key(changed): web[1-3]',
        '    for example web1: the key in /h/known hosts:3 differs (ssh-ed25519 SHA256:x)',
        `    fix: where the change is genuine, and so for the other 2: ${remove}`,
        "    then: myriad trust -w 'web[1-3]' -l deploy",
      ].join('\n'),
    );
  });

  it('of revoked keys and of certificates, those apart that are mended in two ways', () => {
    const expired = (name: string) =>
      `the certificate "${name}" (serial 1) expired at 2020-01-02T00:00:00Z: have the host's key signed again`;
    const principal =
      'the certificate "c" (serial 2) is for ["x"] and not for "web3": sign it with -n and that name too';
    const revoked = 'the key is marked @revoked in f:1: do not use this host until it has a new key';
    const text = lines([
      result(0, hostKey('certificate', expired('a'))),
      result(1, hostKey('certificate', expired('b'))),
      result(2, hostKey('certificate', principal)),
      result(3, hostKey('revoked', revoked)),
    ]);
    expect(text).toMatch(
      /2 host-key\(certificate\): web\[1-2\]\n.*expired at 2020-01-02T00:00:00Z \(.*\n {4}fix: have the host's key signed again/,
    );
    expect(text).toMatch(
      /1 host-key\(certificate\): web3\n.*and not for "web3" \(.*\n {4}fix: sign it with -n and that name too/,
    );
    expect(text).toMatch(/1 host-key\(revoked\): web4\n.*@revoked in f:1 \(.*\n {4}fix: do not use this host until/);
  });

  it('of refused logins: ssh-copy-id, by user', () => {
    expect(lines([result(0, AUTH)])).toMatch(/auth-failed \(as deploy\): web1\n.*\n {4}fix: ssh-copy-id deploy@web1$/);
    expect(lines([result(0, AUTH, { user: 'root', port: 2222 })])).toMatch(/fix: ssh-copy-id -p 2222 root@web1$/);
    const text = lines([result(0, AUTH), result(1, AUTH), result(2, AUTH, { user: 'root' })]);
    expect(text).toContain(
      `fix: for host in $(myriad -w 'web[1-2]' --list-hosts); do ssh-copy-id deploy@"\${host##*@}"; done`,
    );
    expect(text).toMatch(/1 auth-failed \(as root\): web3\n/);
    const ports = [result(0, AUTH, { port: 1 }), result(1, AUTH, { port: 2 })];
    expect(lines(ports)).toMatch(/fix: ssh-copy-id -p 1 deploy@web1, and so for the other 1$/);
  });

  it('of a jump host, once for all behind it', () => {
    const one = unreachable('jump', 'jump host ann@b1:22: the host key is unknown (ssh-ed25519 SHA256:y)');
    const two = unreachable('jump', 'jump host b2: connect ECONNREFUSED');
    const text = lines([result(0, one), result(1, one), result(2, two)]);
    expect(text).toMatch(/2 unreachable\(jump\): web\[1-2\]\n.*\n {4}fix: myriad trust -w ann@b1:22 -F mine\n/);
    expect(text).toMatch(/1 unreachable\(jump\): web3\n.*\n {4}fix: myriad check -w b2 -F mine$/);
  });

  it.each([
    [unreachable('dns', 'no such name'), 'check the spelling and the name server: getent hosts web1'],
    [unreachable('refused', 'x'), 'nothing listens there: check -p and that sshd runs'],
    [
      unreachable('throttled', 'x'),
      'the server limits logins (MaxStartups, PerSourcePenalties): raise them there, or try a lower -f',
    ],
    [
      { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' } as const,
      'the host is down or a firewall drops the packets; -t waits longer',
    ],
  ])('of %o: %s', (outcome, fix) => {
    expect(lines([result(0, outcome)])).toMatch(new RegExp(`\\n {4}fix: ${fix.replace(/[()]/g, '\\$&')}$`));
  });

  it('most frequent first, in the width of the terminal, but for lines that are to be typed', () => {
    const many = Array.from({ length: 12 }, (_, index) =>
      result(index, unreachable('reset', 'word '.repeat(60).trim())),
    );
    const text = lines([result(20, AUTH), ...many], { columns: 60 });
    expect(text).toMatch(/^ {2}12 unreachable\(reset\): web\[1-12\]\n {5}for example web1: word/);
    expect(text).toMatch(/\n {3}1 auth-failed/);
    for (const line of text.split('\n')) if (!line.includes('fix:')) expect(line.length).toBeLessThanOrEqual(60);
  });

  it('of so many hosts that their set is too long: about the hosts as they were given', () => {
    const apart = Array.from({ length: 100 }, (_, index) => result(index * 2, hostKey('unknown', 'add it with: x')));
    expect(lines(apart)).toMatch(/fix: myriad trust -w 'web\[1-9\]' -l deploy$/);
  });

  it('with the words of hosts made visible, and bounded', () => {
    const text = lines([result(0, unreachable('throttled', `\x1b[2J${'x'.repeat(1000)}`))]);
    expect(text).not.toContain('\x1b');
    expect(text.split('\n')[1]!.length).toBeLessThan(320);
    // Jump hosts and users come from outside: beyond a bound they share a group.
    const chains = Array.from({ length: 300 }, (_, index) =>
      result(index, unreachable('jump', `jump host h${index}: x`)),
    );
    expect(lines(chains).match(/unreachable\(jump\)/g)!.length).toBeLessThanOrEqual(101);
  });
});

describe('the last line', () => {
  const ready = (...indices: number[]) => {
    const set = new IndexSet();
    for (const index of indices) set.add(index);
    return set;
  };

  it('has the hosts as they were given where all are ready', () => {
    expect(readyLine(2, ready(0, 1), undefined, OPTIONS)).toBe(
      "2 of 2 ready: myriad -w 'web[1-9]' -l deploy -- COMMAND",
    );
  });

  it('has the set of those that are, where it is short', () => {
    expect(readyLine(3000, ready(0, 1), undefined, OPTIONS)).toBe(
      "2 of 3,000 ready: myriad -w 'web[1-2]' -l deploy -- COMMAND",
    );
  });

  it('has the file where one was written', () => {
    expect(readyLine(3, ready(0), 'my file', OPTIONS)).toBe("1 of 3 ready: myriad -w '^my file' -l deploy -- COMMAND");
  });

  it('says how they are had, where their set is long', () => {
    const odd = ready(...Array.from({ length: 100 }, (_, index) => index * 2));
    expect(readyLine(200, odd, undefined, OPTIONS)).toBe(
      '100 of 200 ready; --ready FILE writes them to a file for -w ^FILE',
    );
  });

  it('has none where none is ready', () => {
    expect(readyLine(2, ready(), undefined, OPTIONS)).toBe('0 of 2 ready');
  });
});

it('a word for a shell stays one word', () => {
  expect(['a-b.c', "it's", 'a b', '', 'web[1-2]'].map(quote)).toEqual([
    'a-b.c',
    "'it'\\''s'",
    "'a b'",
    "''",
    "'web[1-2]'",
  ]);
});
