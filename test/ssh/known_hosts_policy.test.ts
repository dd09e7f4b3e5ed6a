import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { createHostKeyVerifier, type HostKeyPolicy, type HostKeyVerifier } from '../../src/ssh/host_key_policy.ts';
import { KnownHosts } from '../../src/ssh/known_hosts.ts';
import { knownHostsLine } from '../../src/ssh/known_hosts_entry.ts';
import { KnownHostsWriter } from '../../src/ssh/known_hosts_writer.ts';
import { withLockFile } from '../../src/ssh/lock_file.ts';
import { ed25519Blob, temporaryDirectory } from './private_key_tools.ts';

const TYPE = 'ssh-ed25519';
const directory = temporaryDirectory();
let files = 0;

function newFile(): string {
  return join(directory, `known_hosts_${files++}`);
}

function blob(n: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32BE(n);
  return ed25519Blob(bytes);
}

function host(name: string, port = 22): { name: string; port: number } {
  return { name, port };
}

function verifier(policy: HostKeyPolicy, file: string | undefined, text = ''): HostKeyVerifier {
  const known = KnownHosts.parse([{ file: file ?? 'given', text: Buffer.from(text) }]);
  return createHostKeyVerifier({ policy, known, file });
}

async function refusal(verify: () => void | Promise<void>): Promise<SshError> {
  try {
    await verify();
  } catch (error) {
    expect(error).toBeInstanceOf(SshError);
    return error as SshError;
  }
  throw new Error('the key was accepted');
}

describe('strict', () => {
  const text = `${knownHostsLine('web1', 22, blob(1))}@revoked * ${TYPE} ${blob(9).toString('base64')}\n`;

  it('takes a known key at once', () => {
    expect(verifier('strict', '/f', text).verify(host('web1'), TYPE, blob(1))).toBeUndefined();
  });

  it.each([
    [
      'unknown',
      host('web2'),
      blob(1),
      "add it with: ssh-keyscan 'web2' >> '/f' after verifying the fingerprint, or run with --host-keys accept-new",
    ],
    [
      'unknown',
      host("it's", 2222),
      blob(1),
      "add it with: ssh-keyscan -p 2222 'it'\\''s' >> '/f' after verifying the fingerprint, or run with --host-keys accept-new",
    ],
    [
      'changed',
      host('web1'),
      blob(2),
      "the key in /f:1 differs: if the change is genuine remove that line (ssh-keygen -f '/f' -R 'web1')",
    ],
    [
      'revoked',
      host('web1'),
      blob(9),
      'the key is marked @revoked in /f:2: do not use this host until it has a new key',
    ],
  ] as const)('refuses an %s key with advice', async (cause, where, key, advice) => {
    for (const policy of ['strict', 'accept-new'] as const) {
      if (policy === 'accept-new' && cause === 'unknown') continue;
      const error = await refusal(() => verifier(policy, '/f', text).verify(where, TYPE, key));
      const { fingerprint } = error.detail.hostKey!;
      expect(error.reason).toBe('host-key');
      expect(error.message).toContain(`the host key is ${cause} (ssh-ed25519 ${fingerprint})`);
      expect(error.detail.hostKey).toEqual({ cause, keyType: TYPE, advice, fingerprint });
      expect(fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    }
  });

  it('says which types are known where only others are', async () => {
    const error = await refusal(() => verifier('strict', '/f', text).verify(host('web1'), 'ssh-rsa', Buffer.from('x')));
    expect(error.detail.hostKey?.advice).toContain('only other key types are known for this host (ssh-ed25519; /f:1)');
  });

  it('asks for the known types first', () => {
    expect(verifier('strict', '/f', text).typesFor({ name: 'web1', port: 22 })).toEqual([TYPE]);
    expect(verifier('strict', '/f', text).typesFor({ name: 'web2', port: 22 })).toEqual([]);
  });
});

describe('off', () => {
  it('takes any key', async () => {
    const open = verifier('off', newFile(), knownHostsLine('web1', 22, blob(1)));
    expect(open.verify(host('web1'), TYPE, blob(2))).toBeUndefined();
    expect(open.typesFor({ name: 'web1', port: 22 })).toEqual([]);
    expect(open.accepted).toBe(0);
    await open.close();
  });
});

describe('accept-new', () => {
  it('writes a new key before the host is used, and takes no other one afterwards', async () => {
    const file = newFile();
    const learning = verifier('accept-new', file);
    await learning.verify(host('web1'), TYPE, blob(1));
    expect(readFileSync(file, 'latin1')).toBe(knownHostsLine('web1', 22, blob(1)));
    expect(learning.accepted).toBe(1);
    expect(learning.verify(host('WEB1'), TYPE, blob(1))).toBeUndefined();
    const error = await refusal(() => learning.verify(host('web1'), TYPE, blob(2)));
    expect(error.detail.hostKey).toMatchObject({ cause: 'changed' });
    expect(error.detail.hostKey?.advice).toContain('earlier in this run');
    await learning.close();
  });

  it('takes one of two keys that one host shows at the same time', async () => {
    const file = newFile();
    const learning = verifier('accept-new', file);
    const first = learning.verify(host('web1'), TYPE, blob(1));
    const again = learning.verify(host('Web1'), TYPE, blob(1));
    const error = await refusal(() => learning.verify(host('web1'), TYPE, blob(2)));
    expect(error.detail.hostKey?.cause).toBe('changed');
    await Promise.all([first, again]);
    expect(readFileSync(file, 'latin1')).toBe(knownHostsLine('web1', 22, blob(1)));
    expect(learning.accepted).toBe(1);
  });

  it('writes many at once, whole lines only, and nothing is left of the lock', async () => {
    const file = newFile();
    writeFileSync(file, '# no line break at the end');
    const learning = verifier('accept-new', file);
    const all = Array.from({ length: 500 }, (_, i) => learning.verify(host(`h${i}`, i % 2 ? 22 : 2222), TYPE, blob(i)));
    await learning.close();
    const lines = readFileSync(file, 'latin1').split('\n');
    await Promise.all(all);
    expect(lines.shift()).toBe('# no line break at the end');
    expect(lines.pop()).toBe('');
    const expected = Array.from({ length: 500 }, (_, i) => knownHostsLine(`h${i}`, i % 2 ? 22 : 2222, blob(i)).trim());
    expect(lines).toEqual(expected);
    expect(readdirSync(directory).filter((name) => name.includes('.lock'))).toEqual([]);
    await refusal(() => learning.verify(host('late'), TYPE, blob(1)));
  });

  it('makes file and directory for their owner only, and leaves the mode of a file that is there', async () => {
    const file = join(directory, 'new', 'deep', 'known_hosts');
    await verifier('accept-new', file).verify(host('web1'), TYPE, blob(1));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'new')).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'new', 'deep')).mode & 0o777).toBe(0o700);
    chmodSync(file, 0o644);
    await verifier('accept-new', file).verify(host('web2'), TYPE, blob(1));
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  it('remembers in memory where there is no file', async () => {
    const learning = verifier('accept-new', undefined);
    await learning.verify(host('web1'), TYPE, blob(1));
    expect(learning.verify(host('web1'), TYPE, blob(1))).toBeUndefined();
    expect(learning.accepted).toBe(1);
  });

  it('does not take the key when it cannot be written', async () => {
    const file = newFile();
    mkdirSync(file);
    const learning = verifier('accept-new', file);
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await refusal(() => learning.verify(host('web1'), TYPE, blob(1)));
      expect(error.reason).toBe('local');
      expect(error.message).toContain(`the new host key could not be written to ${file}: EISDIR`);
    }
    expect(learning.accepted).toBe(0);
    await learning.close();
  });
});

const WRITER = fileURLToPath(new URL('./known_hosts_writer_process.ts', import.meta.url));

/** A process of its own that appends `count` lines to `file`, each by a writer call of its own. */
function writerProcess(file: string, label: string, count: number): ChildProcess {
  return fork(WRITER, [file, label, String(count)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  return (await once(child, 'exit'))[0];
}

describe('several processes', () => {
  it('lose and mix no lines', async () => {
    const file = newFile();
    // Each append is synced to a disk that other tests sync to, too.
    const count = 40;
    const labels = ['a', 'b', 'c'];
    const children = labels.map((label) => writerProcess(file, label, count));
    const writer = new KnownHostsWriter(file);
    for (let i = 0; i < count; i++) await writer.append(knownHostsLine(`own${i}`, 22, blob(i)));
    expect(await Promise.all(children.map(exitCode))).toEqual([0, 0, 0]);
    const lines = readFileSync(file, 'latin1').trimEnd().split('\n').sort();
    const expected = [...labels, 'own'].flatMap((label) =>
      Array.from({ length: count }, (_, i) => knownHostsLine(`${label}${i}`, 22, blob(i)).trim()),
    );
    expect(lines).toEqual(expected.sort());
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('go on when the owner of the lock was killed', async () => {
    const file = newFile();
    const gone = execFileSync('sh', ['-c', 'echo $$']).toString().trim();
    writeFileSync(`${file}.lock`, `${gone} 1 ${hostname()}\n`);
    const children = ['a', 'b'].map((label) => writerProcess(file, label, 20));
    expect(await Promise.all(children.map(exitCode))).toEqual([0, 0]);
    expect(readFileSync(file, 'latin1').trimEnd().split('\n')).toHaveLength(40);
    expect(existsSync(`${file}.lock`)).toBe(false);
  });
});

describe('the lock', () => {
  it.skipIf(!existsSync('/proc/self/stat'))('is stale when its process number belongs to a later process', async () => {
    const path = join(directory, 'reused.lock');
    writeFileSync(path, `${process.pid} 1 ${hostname()}\n`);
    expect(await withLockFile(path, async () => readFileSync(path, 'latin1').split(' ')[0], 2000)).toBe(
      `${process.pid}`,
    );
    expect(existsSync(path)).toBe(false);
  });

  it('of another machine is respected while it is fresh', async () => {
    const path = join(directory, 'foreign.lock');
    writeFileSync(path, '1 1 elsewhere.example.org\n');
    await expect(withLockFile(path, async () => 'done', 30)).rejects.toMatchObject({
      code: 'file',
      message: `${path} was held by process 1 on elsewhere.example.org for 0.03 s; remove it if that process is no longer there`,
    });
    expect(existsSync(path)).toBe(true);
    const old = Date.now() / 1000 - 3600;
    utimesSync(path, old, old);
    expect(await withLockFile(path, async () => 'done', 2000)).toBe('done');
  });

  it('is released when the work fails, and a breaker that was killed is got over', async () => {
    const path = join(directory, 'failing.lock');
    writeFileSync(path, `${2 ** 22 + 1} 1 ${hostname()}\n`);
    writeFileSync(`${path}.break`, '');
    const old = Date.now() / 1000 - 3600;
    utimesSync(`${path}.break`, old, old);
    const work = withLockFile(path, () => Promise.reject(new Error('failed')), 2000);
    await expect(work).rejects.toThrow('failed');
    expect(readdirSync(directory).filter((name) => name.startsWith('failing'))).toEqual([]);
  });

  it('lets one in at a time', async () => {
    const path = join(directory, 'mutual.lock');
    let inside = 0;
    let most = 0;
    const enter = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    await Promise.all(Array.from({ length: 12 }, () => withLockFile(path, enter)));
    expect(most).toBe(1);
    expect(inside).toBe(0);
  });
});
