/** The doctor: what is wrong is found, each with the line that mends it, and settings are shown with their places. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DiagnosisView } from '../../src/output/doctor.ts';
import { fakeAgent, framed, honest } from '../ssh/agent_fake.ts';
import { type Ended, myriad, ROOT } from './command.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'myriad-doctor-'));
  mkdirSync(join(home, '.ssh'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function write(path: string, text: string, mode = 0o600): string {
  const file = join(home, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

const doctor = (args: readonly string[] = [], env = {}): Promise<Ended> =>
  myriad(['doctor', ...args], { env: { HOME: home, ...env } });

async function view(args: readonly string[] = [], env = {}): Promise<DiagnosisView & { code: number | null }> {
  const { code, stdout, stderr } = await doctor([...args, '--output', 'json'], env);
  expect(stderr).toBe('');
  return { ...(JSON.parse(stdout) as DiagnosisView), code };
}

const of = ({ findings }: DiagnosisView, area: string) =>
  findings.filter((finding) => finding.area === area).map(({ state, what, fix }) => `${state}: ${what} | ${fix}`);

function healthy(): void {
  write('.ssh/id_ed25519', 'key');
  const { stdout } = {
    stdout: execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, 'host')]),
  };
  expect(stdout.length).toBe(0);
  write('.ssh/known_hosts', `a ${readFileSync(join(home, 'host.pub'), 'utf8')}`);
}

it('nothing is wrong', async () => {
  healthy();
  const found = await view();
  expect(found.code).toBe(0);
  expect(of(found, 'known_hosts')[0]).toMatch(/^ok: 1 key of a host is known/);
  expect(of(found, 'journal')).toEqual([`ok: 0 recorded runs in ${home}/.local/state/myriad/runs | `]);
  expect(of(found, 'agent')).toEqual(['ok: no SSH agent is in use (SSH_AUTH_SOCK is not set) | ']);
  expect(of(found, 'settings')).toEqual([`ok: there are none; yours would be ${home}/.config/myriad/myriad.yaml | `]);
  expect(found.findings.filter(({ state, fix }) => (state === 'ok') === (fix === ''))).toEqual(found.findings);
  const { stdout } = await doctor();
  for (const { what } of found.findings.filter(({ area }) => area !== 'limits')) expect(stdout).toContain(what);
});

describe('what is wrong', () => {
  it('no key, no known host', async () => {
    const found = await view();
    expect(found.code).toBe(1);
    expect(of(found, 'keys')[0]).toMatch(/^problem: there is no key to log in with.*\| ssh-keygen -t ed25519/);
    expect(of(found, 'known_hosts')[0]).toMatch(/^warning: no host is known yet.*\| myriad trust -w HOSTS$/);
    expect((await doctor()).stdout).toMatch(/^keys +problem +there is no key.*\n +fix: ssh-keygen/m);
  });

  it('a key that others may read, a known_hosts that others may write, with lines that do not count', async () => {
    healthy();
    chmodSync(join(home, '.ssh/id_ed25519'), 0o644);
    writeFileSync(join(home, '.ssh/known_hosts'), 'a ssh-ed25519 junk\n\nb\n', { flag: 'a' });
    chmodSync(join(home, '.ssh/known_hosts'), 0o666);
    const found = await view();
    expect(found.code).toBe(1);
    expect(of(found, 'keys')).toEqual([
      `problem: others may read the private key ${home}/.ssh/id_ed25519 | chmod 600 ${home}/.ssh/id_ed25519`,
    ]);
    expect(of(found, 'known_hosts').slice(1)).toEqual([
      expect.stringMatching(/^problem: others may write to .*\| chmod go-w /),
      expect.stringMatching(/known_hosts, line 2: .*and 1 more lines that do not count \| sed -i.old 2d /),
    ]);
    // The lines mend it.
    for (const { fix } of found.findings) if (/^(?:chmod|sed) /.test(fix)) execFileSync('sh', ['-c', fix]);
    const next = await view();
    expect(next.code).toBe(0);
    // What was line 4 is line 3 now.
    expect(of(next, 'known_hosts').slice(1)).toEqual([expect.stringContaining('known_hosts, line 3: ')]);
  });

  it('a bad line and an odd one of ssh_config', async () => {
    healthy();
    write('.ssh/config', 'Host a\n  CompressionLevel 3\n');
    expect(of(await view(), 'ssh_config')[0]).toMatch(/^warning: .*config, line 2: /);
    write('.ssh/config', 'Host a\n  Fanout 3\n');
    const found = await view();
    expect(found.code).toBe(1);
    expect(of(found, 'ssh_config')[0]).toMatch(/^problem: ssh_config ".*", line 2: .*\| mend that line/);
  });

  it('agents: one with keys, one that is empty, one that hangs up, one that is not there', async () => {
    healthy();
    const state = async (socket: string) => of(await view([], { SSH_AUTH_SOCK: socket }), 'agent')[0];
    const full = await fakeAgent(honest);
    expect(await state(full.socketPath)).toBe(`ok: the SSH agent at ${full.socketPath} holds 2 keys | `);
    const none = await fakeAgent((_asked, socket) => void socket.write(framed(12, Buffer.alloc(4))));
    expect(await state(none.socketPath)).toMatch(/^warning: .* holds no key, or is locked \| ssh-add$/);
    expect(await state(join(home, 'nowhere'))).toMatch(/^problem: .*nowhere.*\| eval "\$\(ssh-agent\)" && ssh-add/);
    const path = join(home, 'agent');
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(await state(path)).toMatch(/^problem: /);
    server.close();
  });

  it('a journal that cannot be used', async () => {
    healthy();
    write('.local/state/myriad/runs', 'a file');
    const found = await view();
    expect(found.code).toBe(1);
    expect(of(found, 'journal')[0]).toMatch(/^problem: .*myriad\/runs.*\| /);
  });

  it('settings of any verb and any profile', async () => {
    healthy();
    const file = write('.config/myriad/myriad.yaml', 'user: x\nscript: {fanout: none}\nprofiles:\n  p: {port: 0}\n');
    const found = await view();
    expect(found.code).toBe(1);
    expect(of(found, 'settings')).toEqual([
      expect.stringMatching(
        new RegExp(`^problem: ${file}:2:18: fanout: expected .*\\| \\$\\{EDITOR:-vi\\} \\+2 ${file}$`),
      ),
      expect.stringMatching(new RegExp(`^problem: ${file}:4:13: port: expected `)),
    ]);
  });
});

it('settings in force, the strongest first, with their places and without secrets', async () => {
  healthy();
  const file = write(
    '.config/myriad/myriad.yaml',
    'user: x\nenv: {TOKEN: secret}\nknown-hosts: kh\npassword-command: echo secret\nprofiles: {p: {user: y, quiet: true}}\n',
  );
  const { settings, ...found } = await view(['--profile', 'p']);
  expect(settings.options.map(({ name, values, place, profile }) => [name, values.join(' '), place, profile])).toEqual([
    ['user', 'y', `${file}:5:16`, 'p'],
    ['quiet', '', `${file}:5:25`, 'p'],
    ['env', 'TOKEN=…', `${file}:2:1`, null],
    ['known-hosts', `${home}/.config/myriad/kh`, `${file}:3:1`, null],
    ['password-command', '…', `${file}:4:1`, null],
  ]);
  // What is looked at is what settings say.
  expect(of({ ...found, settings }, 'known_hosts')[0]).toMatch(/^warning: no host is known/);
  const { stdout } = await doctor(['check', '--profile', 'p']);
  expect(stdout).toContain('settings of check, profile p, the strongest first:\n');
  expect(stdout).not.toMatch(/secret|TOKEN/);
  expect((await view(['--settings', 'none'])).settings).toMatchObject({ files: [], options: [] });
});

it('words it does not know', async () => {
  expect(await doctor(['nonsense'])).toMatchObject({ code: 2, stderr: expect.stringContaining('no verb "nonsense"') });
});

it('docs/doctor.md names every option and every area', async () => {
  const page = readFileSync(join(ROOT, 'docs/doctor.md'), 'utf8');
  for (const area of ['limits', 'agent', 'keys', 'known_hosts', 'ssh_config', 'journal', 'settings']) {
    expect(page).toContain(`\`${area}\``);
  }
  const { stdout } = await doctor(['--help']);
  for (const option of stdout.match(/(?<=^ {2})--[a-z-]+/gm) ?? []) expect(page).toContain(`\`${option}`);
});
