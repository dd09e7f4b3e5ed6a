import { chmodSync, existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type FolderOptions,
  findRun,
  journalFolder,
  listRunFiles,
  mountType,
  networkType,
} from '../../src/journal/folder.ts';
import { parseRunReference } from '../../src/journal/selection.ts';
import { whoRuns } from '../../src/journal/who.ts';
import { sentence, temporary } from './kit.ts';

const UID = process.getuid!();

/** Where the journal goes, and what was told. */
function chosen(top: string, changes: Partial<FolderOptions> = {}): { folder: string; told: string[] } {
  const told: string[] = [];
  const folder = journalFolder({
    env: { HOME: join(top, 'home') },
    uid: UID,
    tell: (line) => told.push(line),
    varTmp: join(top, 'tmp'),
    ...changes,
  });
  return { folder, told };
}

describe('the folder of the journal', () => {
  it('is private, in the state folder of the user', () => {
    const top = temporary();
    const { folder, told } = chosen(top);
    expect([folder, told]).toEqual([join(top, 'home/.local/state/myriad/runs'), []]);
    expect(lstatSync(folder).mode & 0o777).toBe(0o700);
    chmodSync(folder, 0o755);
    chosen(top);
    expect(lstatSync(folder).mode & 0o777).toBe(0o700);
  });

  it('follows XDG_STATE_HOME where that is absolute, and the user before it', () => {
    const top = temporary();
    const env = { HOME: top, XDG_STATE_HOME: join(top, 'state') };
    expect(chosen(top, { env }).folder).toBe(join(top, 'state/myriad/runs'));
    expect(chosen(top, { env: { ...env, XDG_STATE_HOME: 'state' } }).folder).toBe(
      join(top, '.local/state/myriad/runs'),
    );
    const own = chosen(top, { env, folder: join(top, 'mine/here'), networkType: () => 'nfs' });
    expect(own).toEqual({ folder: join(top, 'mine/here'), told: [] });
  });

  it('is elsewhere on a network file system, and says so once', () => {
    const top = temporary();
    const { folder, told } = chosen(top, { networkType: () => 'nfs' });
    expect(folder).toBe(join(top, `tmp/myriad-${UID}`));
    expect(lstatSync(folder).mode & 0o777).toBe(0o700);
    const usual = join(top, 'home/.local/state/myriad/runs');
    expect(told).toEqual([`the journal is kept in ${folder}, because ${usual} is on a network file system (nfs)`]);
  });

  it.each(['a link', 'a file', 'of another user'])('refuses a place that is %s', async (what) => {
    const top = temporary();
    mkdirSync(join(top, 'tmp'));
    const place = join(top, `tmp/myriad-${UID}`);
    if (what === 'a link') {
      mkdirSync(join(top, 'elsewhere'));
      symlinkSync(join(top, 'elsewhere'), place);
    } else if (what === 'a file') writeFileSync(place, '');
    // Both are ours; only the user who asks differs.
    const uid = what === 'of another user' ? UID + 1 : UID;
    const said = await sentence(() => chosen(top, { networkType: () => 'nfs', uid }));
    expect(said).toMatch(
      /^journal folder \/.* cannot be used: .*; choose another with --journal, or run with --no-journal$/,
    );
    expect(existsSync(join(top, 'elsewhere/anything'))).toBe(false);
  });

  it.each(['/proc', '/proc/self', '/dev/null'])('below %s is refused at once, in one sentence', async (state) => {
    const said = await sentence(() => journalFolder({ env: { XDG_STATE_HOME: state }, uid: UID, tell: () => {} }));
    expect(said).toMatch(
      /^journal folder \/.*\/myriad\/runs cannot be used: E[A-Z]+: .*; choose another with --journal, or run with --no-journal$/,
    );
  });

  it('is not on a network here', () => {
    expect(networkType(temporary())).toBeUndefined();
  });

  it.each([
    ['/home/ada/state', 'fuse.sshfs'],
    ['/home/bob', 'ext4'],
    ['/home/ada space/x', 'fuse.other'],
    ['/home/ada2', 'ext4'],
  ])('of %s is %s by the table of mounts', (path, type) => {
    const table = [
      '21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '40 21 0:41 / /home/ada rw,nosuid - fuse.sshfs far:/home rw',
      '41 21 0:42 / /home/ada\\040space rw - fuse.other x rw',
    ].join('\n');
    expect(mountType(path, table)).toBe(type);
  });

  it('without runs says so, and an id is never a path', async () => {
    const folder = temporary();
    expect(listRunFiles(join(folder, 'missing'))).toEqual([]);
    expect(await sentence(() => findRun(folder, 'last'))).toBe(`no run is recorded in ${folder}`);
    expect(await sentence(() => findRun(folder, '../../etc/passwd'))).toContain('no run is recorded');
  });
});

describe('RUN[:SEL]', () => {
  it.each([
    ['last', 'last', { by: 'all' }],
    ['-2:unreached', '-2', { by: 'unreached' }],
    ['3lx0-abc:auth-failed', '3lx0-abc', { by: 'outcome', kind: 'auth-failed' }],
    ['last:rc=127', 'last', { by: 'status', status: 127 }],
  ])('takes %s', (text, run, selection) => {
    expect(parseRunReference(text)).toEqual({ run, selection });
  });

  it.each(['', ':bad', 'last:', 'last:faild', 'last:rc=', 'last:rc=-1', 'last:bad:ok'])('refuses "%s"', (text) => {
    expect(() => parseRunReference(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

it('who runs is known by name, machine and process', () => {
  const who = whoRuns({});
  expect(who).toMatchObject({ uid: UID, pid: process.pid, hostName: expect.stringMatching(/./) });
  expect(who.loginUser).not.toBe('');
});
