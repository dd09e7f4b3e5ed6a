import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileName, HostFiles, openFolder } from '../../src/output/host_files.ts';
import { ended, piece } from './helpers.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'myriad-files-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const content = () =>
  Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'latin1')]));

describe('fileName', () => {
  it.each([
    ['web1', 'web1'],
    ['deploy@web1.example.org:2222', 'deploy@web1.example.org:2222'],
    ['[2001:db8::1]:22', '%5B2001:db8::1%5D:22'],
    ['..', '%2E.'],
    ['../../etc/passwd', '%2E.%2F..%2Fetc%2Fpasswd'],
    ['a~2', 'a%7E2'],
    ['é', '%C3%A9'],
  ])('%s is %s', (label, name) => expect(fileName(label)).toBe(name));

  it('is a name of its own in its folder, whatever the label', () => {
    const label = fc.oneof(fc.string({ minLength: 1, unit: 'binary' }), fc.string({ minLength: 100, maxLength: 400 }));
    fc.assert(
      fc.property(label, label, (one, other) => {
        const name = fileName(one);
        expect(name).toMatch(/^[A-Za-z0-9_@:+=,%-][A-Za-z0-9_.@:+=,%~-]{0,199}$/);
        expect(name === fileName(other)).toBe(one === other);
      }),
    );
  });
});

describe('HostFiles', () => {
  it('has a file for each task that was tried, empty where nothing came', async () => {
    writeFileSync(join(dir, 'web2'), 'of an earlier run');
    writeFileSync(join(dir, 'web3'), 'stays');
    const files = new HostFiles({ outdir: dir, live: false, hosts: 10 });
    files.listener(ended(0, { stdout: Buffer.from([0xff, 0x0a]), stderr: 'not asked for' }));
    files.listener(ended(1, { outcome: { kind: 'unreachable', began: 'no', cause: 'refused', message: '' } }));
    files.listener(ended(2, { outcome: { kind: 'not-run', began: 'no' } }));
    await files.end();
    expect(content()).toEqual({ web1: '\xff\n', web2: '', web3: 'stays' });
    expect(files).toMatchObject({ failure: '', pending: 0 });
  });

  it('repetitions have files of their own', async () => {
    const files = new HostFiles({ outdir: dir, live: false, hosts: 2 });
    for (const index of [0, 1, 2, 3]) {
      const host = { label: `web${(index % 2) + 1}`, name: '' };
      files.listener(ended(index, { stdout: `${index}`, changes: { host } }));
    }
    await files.end();
    expect(content()).toEqual({ web1: '0', web2: '1', 'web1~2': '2', 'web2~2': '3' });
  });

  it('live: pieces in order, another attempt anew, both streams', async () => {
    const out = join(dir, 'o');
    const err = join(dir, 'e');
    await openFolder(out);
    await openFolder(err);
    const files = new HostFiles({ outdir: out, errdir: err, live: true, hosts: 10 });
    files.listener(piece(0, 'stdout', Buffer.from('lost'), 1));
    files.listener(piece(0, 'stdout', Buffer.from('a'), 2));
    files.listener(piece(0, 'stdout', Buffer.from('b'), 2));
    files.listener(ended(0, { changes: { attempt: 2 } }));
    files.listener(ended(1));
    await files.end();
    const read = (folder: string) => readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
    expect([read(out), read(err)]).toEqual([
      ['ab', ''],
      ['', ''],
    ]);
  });

  it('is full while much waits, and tells when it has left', async () => {
    const files = new HostFiles({ outdir: dir, live: false, hosts: 10, bound: 1000 });
    files.listener(ended(0, { stdout: 'x'.repeat(2000) }));
    expect(files.full).toBe(true);
    await files.drained();
    expect([files.full, files.pending]).toEqual([false, 0]);
  });

  it('follows no link, and says once what was not written', async () => {
    symlinkSync('/dev/null', join(dir, 'web1'));
    const files = new HostFiles({ outdir: dir, live: false, hosts: 10 });
    for (const index of [0, 0, 1]) files.listener(ended(index, { stdout: 'x' }));
    await files.end();
    expect(files.failure).toMatch(/^2 pieces of output were not written to files: ELOOP/);
    expect(content().web2).toBe('x');
  });

  it('a folder that cannot be made is told', async () => {
    writeFileSync(join(dir, 'file'), '');
    await expect(openFolder(join(dir, 'file/below'))).rejects.toThrow('ENOTDIR');
  });
});
