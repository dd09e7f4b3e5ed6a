import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlDir } from '../../../src/transport/openssh/control_dir.ts';
import { clientArgs, masterArgs, type Program, versionOf } from '../../../src/transport/openssh/program.ts';

const NEW: Program = { path: 'ssh', remoteCommand: true, logVerbose: true, sessionType: true };
const OLD: Program = { path: 'ssh', remoteCommand: false, logVerbose: false, sessionType: false };

describe('the version', () => {
  test.each([
    ['OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026', 902],
    ['OpenSSH_10.0p2, OpenSSL 3.5.0', 1000],
    ['OpenSSH_7.4p1, OpenSSL 1.0.2k-fips', 704],
    ['OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2', 801],
    ['Sun_SSH_1.1.5, SSH protocols 1.5/2.0', undefined],
    ['Dropbear v2022.83', undefined],
    ['', undefined],
  ])('%s', (text, version) => {
    expect(versionOf(text)).toBe(version);
  });
});

describe('arguments', () => {
  test('of a master: ours first, then the host, and the command line ends there', () => {
    const args = masterArgs(NEW, '/d/1', ['-p', '2022'], 'h');
    expect(args.slice(0, 5)).toEqual(['-M', '-N', '-T', '-S', '/d/1']);
    expect(args.slice(-2)).toEqual(['--', 'h']);
    expect(args.indexOf('BatchMode=yes')).toBeLessThan(args.indexOf('-p'));
    expect(args.indexOf('StrictHostKeyChecking=yes')).toBeGreaterThan(args.indexOf('2022'));
  });

  test('of a client: no way past the master, and the command is one word', () => {
    const args = clientArgs(NEW, '/d/1', '/d/2', ['-p', '2022'], 'h', 'a  b; -c');
    expect(args.slice(-3)).toEqual(['--', 'h', 'a  b; -c']);
    expect(args).toContain('ProxyCommand=false');
    expect(args[args.indexOf('-E') + 1]).toBe('/d/2');
  });

  test('an old program is given nothing that it does not know', () => {
    const all = [...masterArgs(OLD, '/d/1', [], 'h'), ...clientArgs(OLD, '/d/1', '/d/2', [], 'h', 'c')].join(' ');
    expect(all).not.toMatch(/LogVerbose|SessionType|StdinNull|ForkAfter|RemoteCommand/);
  });

  test('a percent sign in the folder is no token', () => {
    expect(masterArgs(NEW, '/d%h/1', [], 'h')[4]).toBe('/d%%h/1');
  });
});

describe('the control folder', () => {
  let base = '';
  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), 'h-'));
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  test('is private, and each name in it is new', () => {
    const dir = new ControlDir(base);
    expect(statSync(dir.path).mode & 0o777).toBe(0o700);
    expect(new Set(Array.from({ length: 100 }, () => dir.name())).size).toBe(100);
    dir.remove();
    expect(() => statSync(dir.path)).toThrow('ENOENT');
  });

  test('that is too long for a socket is refused, with what may be', () => {
    expect(() => new ControlDir(`/${'d'.repeat(65)}`)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining('66 bytes, at most 65') }),
    );
  });

  test('that is not there is refused by name', () => {
    expect(() => new ControlDir('/no/such/folder')).toThrow(
      expect.objectContaining({ code: 'file', message: expect.stringContaining('"/no/such/folder"') }),
    );
  });
});
