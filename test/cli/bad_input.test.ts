/** Whatever cannot be taken: one sentence that names the option and quotes the value, exit 2, before anything connects. */
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { keygen, present } from '../kit/servers.ts';
import { type Ended, myriad, reach } from './command.ts';

let simulated: SimulatedFleet;

beforeAll(async () => {
  simulated = await simulate({ hosts: 3 });
  const file = (name: string, text: string) => writeFileSync(join(simulated.dir, name), text);
  file('empty', '# nobody\n\n');
  file('broken', 'web1\n\nweb[1-\n');
  file('not-a-key', 'hello\n');
  file('misspelt', 'Host *\n  Prot 22\n');
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const jwk = publicKey.export({ format: 'jwk' });
  const text = (value: string | Buffer) => Buffer.concat([Buffer.from([0, 0, 0, value.length]), Buffer.from(value)]);
  const blob = Buffer.concat([text('ssh-ed25519'), text(Buffer.from(jwk.x!, 'base64url'))]);
  file('id.pub', `ssh-ed25519 ${blob.toString('base64')} someone\n`);
  const sealed = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'secret' });
  file('sealed', sealed.toString());
  file(
    'damaged',
    privateKey
      .export({ format: 'pem', type: 'pkcs8' })
      .toString()
      .replace(/\n.{20}/, '\n'),
  );
});
afterAll(() => simulated[Symbol.asyncDispose]());

/** Whose options and files are in `@`: the directory of the fleet. */
const HOST = ['-w', '127.1.0.0'];
const KEY = ['--identity', '@/id_ed25519'];
const AT = (words: readonly string[]) => words.map((word) => word.replace('@', simulated.dir));

/** Words, and what the sentence says; `true` is the command. */
const SELECTIONS: readonly (readonly [string, readonly string[], RegExp])[] = [
  [
    'a bracket that is not closed',
    ['-w', 'a[1-3', 'true'],
    /--hosts \(-w\): host set "a\[1-3": at position 6: expected/,
  ],
  ['an empty host set', ['-w', '', 'true'], /--hosts \(-w\): host set "": at position 1: expected a host name/],
  ['an option for a host set', ['-w', '-x', 'a', 'true'], /--hosts \(-w\): host set "-x": at position 1: expected/],
  ['a port of a host', ['-w', 'a:99999', 'true'], /"a:99999": at position 3: expected a port from 1 to 65535/],
  ['another spelling of -w', ['-H', 'a[', 'true'], /--pssh \(-H\): host set "a\[": at position 3: expected/],
  [
    'a host set to leave out',
    [...HOST, '-x', 'b]', 'true'],
    /--exclude \(-x\): host set "b\]": at position 2: expected/,
  ],
  [
    'an exclusion that matches nothing',
    [...HOST, '-x', 'web9', 'true'],
    /--exclude \(-x\): exclusion "web9" matches none/,
  ],
  ['an exclusion of all', [...HOST, '-x', '127.1.0.0', 'true'], /exclusion "127.1.0.0" leaves no host/],
  ['no hosts', ['true'], /no hosts were given; name them with -w or --hostfile/],
  [
    'a missing hosts file',
    ['--hostfile', '@/gone', 'true'],
    /--hostfile: hosts file ".*\/gone" cannot be read: ENOENT/,
  ],
  ['a missing hosts file by -w', ['-w', '^@/gone', 'true'], /--hosts \(-w\): hosts file ".*\/gone" cannot be read/],
  ['a directory as hosts file', ['--hostfile', '@', 'true'], /--hostfile: hosts file ".*" cannot be read: EISDIR/],
  ['a hosts file that names nobody', ['--hostfile', '@/empty', 'true'], /hosts file ".*\/empty" names no host/],
  [
    'a hosts file that does not parse',
    ['-w', '^@/broken', 'true'],
    /\/broken, line 3, position 7: expected a number in "web/,
  ],
  ['an empty stdin', ['-w', '-', 'true'], /names no host/],
  ['stdin twice', ['-w', '-', '-w', '-', 'true'], /-w -: stdin can be read only once/],
];

const OPTIONS: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a negative fanout', ['-f', '-1'], /--fanout \(-f\): expected a whole number of at least 1, got "-1"/],
  ['a fanout of nothing', ['--fanout', '0'], /--fanout \(-f\): .* got "0"/],
  ['a fanout in words', ['--fanout=many'], /--fanout \(-f\): .* got "many"/],
  ['a rate of nothing', ['--rate', '0/s'], /--rate: expected logins per second such as 50\/s, or max, got "0\/s"/],
  ['a rate by the minute', ['--rate=50/m'], /--rate: .* got "50\/m"/],
  ['an unknown option', ['--colour-of-hosts'], /unknown option '--colour-of-hosts'/],
  ['an unknown letter', ['-Z'], /unknown option '-Z'/],
  ['a misspelt option', ['--fanot', '3'], /unknown option '--fanot' \(Did you mean --fanout\?\)/],
  ['another misspelt option', ['--host-key', 'off'], /unknown option '--host-key' \(Did you mean --host-keys\?\)/],
  ['a value for an option that has none', ['--yes=1'], /unknown option '--yes=1'/],
  ['a duration', ['-u', '3q'], /--command-timeout \(-u\): expected a duration above 0 .*, got "3q"/],
  ['a negative duration', ['-t', '-5s'], /--connect-timeout \(-t\): expected a duration .*, got "-5s"/],
  ['a connect timeout of nothing', ['-t', '0'], /--connect-timeout \(-t\): expected a duration above 0 .*, got "0"/],
  ['a deadline', ['--deadline', 'soon'], /--deadline: expected a duration .*, got "soon"/],
  ['a size', ['--max-output', '3XB'], /--max-output: expected a size .*, got "3XB"/],
  ['a port', ['-p', '70000'], /--port \(-p\): expected a whole number from 1 to 65535, got "70000"/],
  ['a port of nothing', ['-p', 'ssh'], /--port \(-p\): .* got "ssh"/],
  ['a user without a name', ['-l', ''], /--user \(-l\): expected a name, got ""/],
  ['--output', ['--output', 'xml'], /--output: expected one of text, ndjson, json, csv, got "xml"/],
  ['--gather', ['--gather', 'all'], /--gather: expected one of collect, stream, discard, file, got "all"/],
  ['--host-keys', ['--host-keys', 'no'], /--host-keys: expected one of strict, accept-new, off, got "no"/],
  ['--order', ['--order', 'random'], /--order: expected one of done, input, got "random"/],
  ['--color', ['--color', 'some'], /--color: expected one of auto, always, never, got "some"/],
  ['--progress', ['--progress', 'maybe'], /--progress: expected one of auto, always, never, got "maybe"/],
  [
    '--ok-status',
    ['--ok-status', '0,4294967296'],
    /--ok-status: expected statuses from 0 to 4294967295 or none.*, got "0,4294967296"/,
  ],
  ['--repeat', ['--repeat', '0'], /--repeat: expected a whole number of at least 1, got "0"/],
  ['--retries', ['--retries', '1.5'], /--retries: expected a whole number of at least 0, got "1.5"/],
  ['--threads', ['--threads', '0'], /--threads: expected .*, got "0"/],
  ['--expect', ['--expect', 'some'], /--expect: expected a count such as .*, got "some"/],
  ['an expectation that is not met', ['--expect', '2'], /--expect 2: the selection has 1 host; nothing was connected/],
  ['a place that is not known', ['--repeat', '2', '--', '{hst}'], /nothing is known as "\{hst\}"/],
  ['folding of events', ['-b', '--output', 'ndjson'], /--gather-same \(-b\): it is for text; leave out --output ndj/],
  [
    'folding of a stream',
    ['-B', '--gather', 'stream'],
    /--gather-both \(-B\): it takes output that is collected.* --gather stream/,
  ],
  ['a password for nothing', ['--local', '-k'], /--ask-password \(-k\): nothing logs in with --local/],
  ['a password without a terminal', ['-k'], /--ask-password \(-k\): there is no terminal to ask on/],
  [
    'a missing known_hosts',
    ['--known-hosts', '@/gone'],
    /--known-hosts: known hosts file ".*gone" cannot be read: ENOENT/,
  ],
  ['a missing ssh_config', ['-F', '@/gone'], /ssh_config ".*gone"/],
  ['an ssh_config with a bad line', ['-F', '@/misspelt'], /ssh_config ".*misspelt", line 2: unknown option "prot"/],
  ['an option without a value', ['-o', 'Port'], /-o "Port": expected Keyword=value/],
  ['an option that ssh_config has not', ['-o', 'Prot=22'], /ssh_config option prot: there is no such option/],
];

const KEYS: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a missing key', ['--identity', '@/gone'], /--identity ".*\/gone" cannot be read: ENOENT/],
  ['a directory', ['--identity', '@'], /--identity ".*" cannot be read: EISDIR/],
  [
    'a public key',
    ['--identity', '@/id.pub'],
    /--identity: .*\/id.pub: that is a public key; give the private key file/,
  ],
  ['something else', ['--identity', '@/not-a-key'], /--identity: .*\/not-a-key is not a private key/],
  ['a damaged key', ['--identity', '@/damaged'], /--identity: the private key .*\/damaged is damaged/],
  [
    'an encrypted key, no terminal',
    ['--identity', '@/sealed'],
    /--identity ".*\/sealed" is encrypted: there is no terminal/,
  ],
  [
    'no key at all',
    [],
    /no way to log in to "127\.1\.0\.0": no --identity, no password, no key in an SSH agent, and no usable IdentityFile/,
  ],
];

const COMMANDS: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['no command', [...HOST], /no command was given: add it after the options/],
  ['no command after --', [...HOST, '--'], /no command was given/],
  ['an empty command', [...HOST, '--', ''], /no command was given/],
  ['a command of blanks', [...HOST, '--', ' ', ' '], /no command was given/],
  ['an empty program', ['--local', ...HOST, '--', '', 'x'], /no command was given/],
  ['an option that wants a value', [...HOST, '-f'], /option '-f, --fanout <n>' argument missing/],
];

/** One sentence on one line, and nothing else anywhere. */
function expectRefusal({ code, stdout, stderr }: Ended, says: RegExp): void {
  expect(stderr).toMatch(says);
  expect(stderr).toMatch(/^myriad: [^\n]+\n$/);
  expect(stderr).not.toMatch(/internal error|\.\n$/);
  expect(stdout).toBe('');
  expect(code).toBe(2);
  expect(simulated.simulator.stats.connections).toBe(0);
}

describe.concurrent('bad input', () => {
  it.each([...SELECTIONS, ...COMMANDS])('hosts and commands: %s', async (_, words, says) => {
    expectRefusal(await myriad(AT([...KEY, '-p', String(simulated.simulator.port), ...words])), says);
  });

  it.each(OPTIONS)('options: %s', async (_, words, says) => {
    const port = String(simulated.simulator.port);
    const options = AT(['-p', port, ...HOST, ...KEY, ...words, ...(words.includes('--') ? [] : ['true'])]);
    expectRefusal(await myriad(options), says);
  });

  it.each(KEYS)('keys: %s', async (_, words, says) => {
    expectRefusal(await myriad(AT(['-p', String(simulated.simulator.port), ...HOST, ...words, 'true'])), says);
  });

  it('a key in OpenSSH format that is encrypted, and one that may not be read', async () => {
    if (!present('ssh-keygen')) return;
    const sealed = keygen(simulated.dir, 'openssh', '-t', 'ecdsa', '-N', 'secret');
    const words = [...HOST, '-p', String(simulated.simulator.port), 'true'];
    expectRefusal(await myriad(['--identity', sealed, ...words]), /--identity ".*\/openssh" is encrypted/);
    chmodSync(sealed, 0);
    // Root reads every file.
    if (process.getuid?.() === 0) return;
    expectRefusal(await myriad(['--identity', sealed, ...words]), /--identity ".*\/openssh" cannot be read: EACCES/);
  });

  it('control characters in a value are made visible', async () => {
    expectRefusal(await myriad(['-w', 'a\x1b[31m\nb', 'true']), /host set "a\^\[\[31m\^Jb": at position 2/);
  });

  it('the same words without the mistake connect', async () => {
    await using another = await simulate({ hosts: 1 });
    expect((await myriad(['-w', '127.1.0.0', ...reach(another), 'true'])).code).toBe(0);
    expect(another.simulator.stats.connections).toBe(1);
  });

  it('the command without a word says how to use it', async () => {
    const { code, stdout, stderr } = await myriad([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^myriad: .*\n\nUsage: myriad \[run\] -w HOSTS/);
  });
});
