import { describe, expect, test } from 'vitest';
import { MyriadError } from '../../../src/contracts/errors.ts';
import { outcomeLabel } from '../../../src/contracts/outcome.ts';
import { classify, lastWords } from '../../../src/transport/openssh/classify.ts';
import { type Heard, MasterLog } from '../../../src/transport/openssh/master_log.ts';
import { OpensshError, spawnError, stopped } from '../../../src/transport/openssh/openssh_error.ts';

/** What a master is heard to say. */
function heard(text: string): Heard {
  const nothing = (): void => {};
  const log = new MasterLog({
    identified: nothing,
    secured: nothing,
    interactive: nothing,
    opened: nothing,
    status: nothing,
    answered: nothing,
  });
  log.feed(Buffer.from(text));
  log.end();
  return log.heard;
}

const CONNECTING = 'debug1: Connecting to h [1.2.3.4] port 22.';
const IDENTIFIED = 'debug1: Remote protocol version 2.0, remote software version x';

function outcomeOf(text: string, reason: 'connect' | 'lost' = 'connect') {
  // What is said through a proxy is said without an address.
  const all = heard(text.includes('UNKNOWN') ? text : `${CONNECTING}\n${text}`);
  return classify(
    new OpensshError(reason, lastWords(all.words) ?? 'nothing', { heard: all }),
    reason === 'lost' ? 'yes' : 'no',
  );
}

const CHANGED = `debug1: Server host key: ssh-ed25519 SHA256:AAAA
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
The fingerprint for the ED25519 key sent by the remote host is
SHA256:AAAA.
Please contact your system administrator.
Offending ED25519 key in /home/u/.ssh/known_hosts:3
  remove with:
  ssh-keygen -f "/home/u/.ssh/known_hosts" -R "[h]:2022"
Host key for [h]:2022 has changed and you have requested strict checking.
Host key verification failed.`;

const REVOKED = `@       WARNING: REVOKED HOST KEY DETECTED!               @
The ED25519 host key for h is marked as revoked.
ED25519 host key for h was revoked and you have requested strict checking.
Host key verification failed.`;

const JUMP_END =
  'kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535';

describe('what ssh says when no connection came about', () => {
  test.each([
    ['ssh: Could not resolve hostname h: Name or service not known', 'unreachable(dns)'],
    ['ssh: Could not resolve hostname h: Temporary failure in name resolution', 'unreachable(dns)'],
    ['ssh: connect to host h port 22: Connection refused', 'unreachable(refused)'],
    ['ssh: connect to host h port 22: Connection timed out', 'timeout(connect)'],
    ['ssh: connect to host h port 22: Operation timed out', 'timeout(connect)'],
    ['ssh: connect to host h port 22: No route to host', 'unreachable(no-route)'],
    ['ssh: connect to host h port 22: Network is unreachable', 'unreachable(no-route)'],
    ['ssh: connect to host h port 22: Connection reset by peer', 'unreachable(reset)'],
    ['ssh: connect to host h port 22: Cannot assign requested address', 'unreachable(local-limit)'],
    ['ssh: connect to host h port 22: Too many open files', 'unreachable(local-limit)'],
    ['socket: Too many open files', 'unreachable(local-limit)'],
    ['Connection timed out during banner exchange\nConnection to 1.2.3.4 port 22 timed out', 'timeout(connect)'],
    [
      'kex_exchange_identification: Connection closed by remote host\nConnection closed by 1.2.3.4 port 22',
      'unreachable(throttled)',
    ],
    [
      'kex_exchange_identification: read: Connection reset by peer\nConnection reset by 1.2.3.4 port 22',
      'unreachable(throttled)',
    ],
    ['ssh_exchange_identification: Connection closed by remote host', 'unreachable(throttled)'],
    ['kex_exchange_identification: banner line 0: Exceeded MaxStartups', 'unreachable(throttled)'],
    [
      'kex_exchange_identification: banner line 0: Not allowed at this time\nConnection closed by 1.2.3.4 port 22',
      'unreachable(throttled)',
    ],
    ['kex_exchange_identification: banner line contains invalid characters', 'protocol'],
    ['Protocol major versions differ: 2 vs. 1', 'protocol'],
    ['Connection reset by 1.2.3.4 port 22', 'unreachable(throttled)'],
    ['Connection closed by 1.2.3.4 port 22', 'unreachable(throttled)'],
    [`${IDENTIFIED}\nConnection reset by 1.2.3.4 port 22`, 'unreachable(reset)'],
    [`${IDENTIFIED}\nConnection closed by 1.2.3.4 port 22`, 'unreachable(reset)'],
    ['ssh_dispatch_run_fatal: Connection to 1.2.3.4 port 22: Connection reset by peer', 'unreachable(reset)'],
    [
      'Bad packet length 4294967295.\nssh_dispatch_run_fatal: Connection to h port 22: message authentication code incorrect',
      'protocol',
    ],
    ['Timeout, server h not responding.', 'unreachable(reset)'],
    [
      'Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures\nDisconnected from 1.2.3.4 port 22',
      'auth-failed',
    ],
    ['Received disconnect from 1.2.3.4 port 22:12: Too many connections', 'unreachable(throttled)'],
    ['Received disconnect from 1.2.3.4 port 22:7: not here', 'refused(service)'],
    ['Received disconnect from 1.2.3.4 port 22:3: nothing in common', 'refused(algorithm)'],
    ['Received disconnect from 1.2.3.4 port 22:14: none left', 'auth-failed'],
    ['Received disconnect from 1.2.3.4 port 22:11: bye', 'unreachable(reset)'],
    ['Unable to negotiate with h port 22: no matching cipher found. Their offer: aes256-ctr', 'refused(algorithm)'],
    ['Unable to negotiate with h port 22: no matching host key type found. Their offer: ssh-rsa', 'refused(algorithm)'],
    ['u@h: Permission denied (publickey,password).', 'auth-failed'],
    [CHANGED, 'host-key(changed)'],
    [REVOKED, 'host-key(revoked)'],
    ['Host key ED25519 SHA256:A revoked by file /etc/r\nHost key verification failed.', 'host-key(revoked)'],
    [
      'No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.',
      'host-key(unknown)',
    ],
    [
      'Certificate invalid: expired\nNo ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.',
      'host-key(certificate)',
    ],
    [
      `channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n${JUMP_END}`,
      'unreachable(refused)',
    ],
    [
      `channel 0: open failed: connect failed: Name or service not known\nstdio forwarding failed\n${JUMP_END}`,
      'unreachable(dns)',
    ],
    [`channel 0: open failed: connect failed: Connection timed out\n${JUMP_END}`, 'timeout(connect)'],
    [
      `channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n${JUMP_END}`,
      'refused(forwarding)',
    ],
    [`u@jump: Permission denied (publickey).\n${JUMP_END}`, 'auth-failed'],
    [`/bin/sh: 1: /no/such: not found\n${JUMP_END}`, 'unreachable(no-route)'],
    [`kex_exchange_identification: Connection closed by remote host\n${JUMP_END}`, 'unreachable(throttled)'],
    ['command-line: line 0: Bad configuration option: nosuch', 'error(ssh-config)'],
    [
      '/home/u/.ssh/config: line 3: Bad configuration option: x\n/home/u/.ssh/config: terminating, 1 bad configuration options',
      'error(ssh-config)',
    ],
    ['Bad owner or permissions on /home/u/.ssh/config', 'error(ssh-config)'],
    ["Can't open user config file /no/such: No such file or directory", 'error(ssh-config)'],
    ['unix_listener: path "/a/b" too long for Unix domain socket', 'error(ssh)'],
    ['something that no one has ever read', 'error(ssh)'],
    ['', 'error(ssh)'],
  ])('%s', (text, label) => {
    const outcome = outcomeOf(text);
    expect(outcomeLabel(outcome)).toBe(label);
    expect(outcome.began).toBe('no');
  });

  test.each([
    'kex_exchange_identification: read: Connection reset by peer\nConnection reset by UNKNOWN port 65535',
    'debug1: kex_exchange_identification: write: Connection reset by peer\nConnection reset by UNKNOWN port -1',
  ])('a reset so early that the address is forgotten is no matter of a proxy: %s', (text) => {
    expect(outcomeLabel(outcomeOf(`${CONNECTING}\n${text}`))).toBe('unreachable(throttled)');
  });

  test('a changed key: which, where, and what to do', () => {
    expect(outcomeOf(CHANGED)).toEqual({
      kind: 'host-key',
      began: 'no',
      cause: 'changed',
      keyType: 'ssh-ed25519',
      fingerprint: 'SHA256:AAAA',
      advice:
        'the key in /home/u/.ssh/known_hosts:3 differs: if the change is genuine remove that line (ssh-keygen -f "/home/u/.ssh/known_hosts" -R "[h]:2022")',
    });
  });

  test("a jump host's key: type and fingerprint from the words", () => {
    const words = CHANGED.split('\n').slice(1).join('\n');
    expect(outcomeOf(words)).toMatchObject({ keyType: 'ED25519', fingerprint: 'SHA256:AAAA' });
  });

  test('a certificate: what is wrong with it', () => {
    const text = 'Certificate invalid: name is not a listed principal\nHost key verification failed.';
    expect(outcomeOf(text)).toMatchObject({ advice: expect.stringContaining('name is not a listed principal') });
  });

  test('a refused login: what was tried, and what the server would take', () => {
    const text = `debug1: Authentications that can continue: publickey,password
debug1: Next authentication method: gssapi-with-mic
debug1: Next authentication method: publickey
debug1: Offering public key: /home/u/.ssh/a file ED25519 SHA256:AbC+/d explicit
debug1: Offering public key: RSA SHA256:EfG agent
debug1: Next authentication method: password
u@h: Permission denied (publickey,password).`;
    expect(outcomeOf(text)).toEqual({
      kind: 'auth-failed',
      began: 'no',
      tried: ['gssapi-with-mic', 'publickey SHA256:AbC+/d', 'publickey SHA256:EfG', 'password'],
      allowed: ['publickey', 'password'],
    });
  });

  test('too many keys: the methods that the server named before', () => {
    const text = `debug1: Authentications that can continue: publickey
Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures`;
    expect(outcomeOf(text)).toMatchObject({ kind: 'auth-failed', allowed: ['publickey'] });
  });

  test('the words of the system and of the peer are kept', () => {
    expect(outcomeOf('ssh: connect to host h port 22: No route to host')).toMatchObject({
      message: 'ssh: connect to host h port 22: No route to host',
    });
  });
});

describe('other errors', () => {
  test.each([
    ['client_loop: send disconnect: Broken pipe', 'lost(reset)'],
    ['Read from remote host h: Connection reset by peer', 'lost(reset)'],
    ['Timeout, server h not responding.', 'lost(reset)'],
    ['Connection to h closed by remote host.', 'lost(peer-closed)'],
    ['Connection to h closed by remote host.\nclient_loop: send disconnect: Broken pipe', 'lost(peer-closed)'],
    ['', 'lost(peer-closed)'],
  ])('a master that was open goes down: %s', (text, label) => {
    expect(outcomeLabel(outcomeOf(text, 'lost'))).toBe(label);
  });

  test('nothing is lost of what had not begun', () => {
    const error = new OpensshError('lost', 'gone', { heard: heard('Connection to h closed by remote host.') });
    expect(classify(error, 'no')).toEqual({ kind: 'unreachable', began: 'no', cause: 'reset', message: 'gone' });
  });

  test.each([
    [spawnError('/no/ssh', Object.assign(new Error('x'), { code: 'ENOENT' })), 'maybe', 'error(ENOENT)', 'no'],
    [spawnError('ssh', Object.assign(new Error('x'), { code: 'EACCES' })), 'maybe', 'error(EACCES)', 'no'],
    [spawnError('ssh', Object.assign(new Error('x'), { code: 'E2BIG' })), 'maybe', 'error(E2BIG)', 'no'],
    [spawnError('ssh', Object.assign(new Error('x'), { code: 'EAGAIN' })), 'maybe', 'unreachable(local-limit)', 'no'],
    [spawnError('ssh', 'odd'), 'no', 'error(spawn)', 'no'],
    [new OpensshError('session', 'x'), 'maybe', 'refused(session)', 'no'],
    [new OpensshError('exec', 'x'), 'maybe', 'refused(exec)', 'no'],
    [new OpensshError('local', 'x'), 'maybe', 'error(ssh)', 'maybe'],
    [stopped(new Error('enough')), 'yes', 'error(stopped)', 'yes'],
    [new MyriadError('usage', 'x'), 'no', 'error(usage)', 'no'],
    [new Error('x'), 'yes', 'error(internal)', 'yes'],
    ['odd', 'no', 'error(internal)', 'no'],
  ] as const)('%s', (error, began, label, then) => {
    const outcome = classify(error, began);
    expect([outcomeLabel(outcome), outcome.began]).toEqual([label, then]);
  });
});
