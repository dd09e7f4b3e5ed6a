/** Every line of docs/coming-from.md that is Myriad's runs, on simulated hosts with the names that the page uses. */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { environment, ROOT } from './command.ts';

const NAMES = ['web1', 'web2', 'web3', 'web4', 'db1', 'db2'];
const page = readFileSync(join(ROOT, 'docs/coming-from.md'), 'utf8');
/** The last column; a pipe in a cell of the first is written `\|`. */
const LINES = [...page.matchAll(/^\| .* \| `(myriad [^`]*)` \|$/gm)].map(([, line]) => line!);

let fleet: SimulatedFleet;

beforeAll(async () => {
  fleet = await simulate({ hosts: NAMES.length });
  const { simulator, dir, knownHosts, identity } = fleet;
  const labels = [...simulator.labels()];
  const files = {
    '.ssh/config': NAMES.map((name, at) => `Host ${name}\n  HostName ${labels[at]}\n`).join(''),
    '.config/myriad/myriad.yaml': `port: ${simulator.port}\nuser: root\nidentity: ${identity}\nknown-hosts: ${knownHosts}\n`,
    '.config/clustershell/groups.conf': '[Main]\ndefault: local\nautodir: $CFGDIR/groups.d\n',
    '.config/clustershell/groups.d/local.yaml': 'local:\n  web: "web[1-4]"\n  slow: web4\n  db: "db[1-2]"\n',
    'hosts.txt': 'web[1-3]\ndb1\n',
    'hosts.ini': '[web]\nweb[1:4]\n[slow]\nweb4\n[db]\ndb[1:2]\n',
    genders: 'web[1-3] web\nweb4 web,slow\ndb[1-2] db\n',
    key: readFileSync(identity, 'utf8'),
    'report.sh': '#!/bin/sh\nuptime\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), text, { mode: 0o600 });
  }
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** The words of a line as a shell would give them to the command. */
function shellWords(line: string): string[] {
  return execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(1, -1);
}

it('every line runs, and ends with 0', async () => {
  const ended: unknown[] = [];
  const child = fork(join(import.meta.dirname, 'lines_child.ts'), [], {
    cwd: fleet.dir,
    env: environment({ HOME: fleet.dir }),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    timeout: 150_000,
  });
  child.stderr!.resume();
  let stdout = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.on('message', (message) => ended.push(message));
  child.send(LINES.map(shellWords));
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(ended.length).toBe(LINES.length);
  const failed = LINES.map((line, at) => ({ line, ended: ended[at] }));
  expect(failed.filter(({ ended }) => JSON.stringify(ended) !== '{"code":0,"error":""}')).toEqual([]);
  // That they did something, a look at what came out tells.
  expect(stdout).toContain('web[1-4] (4)');
  expect(stdout.match(/load average/g)!.length).toBeGreaterThan(80);
}, 160_000);

it('each tool has its lines, and each line stands for one of theirs', () => {
  const sections = page.split(/^## /m).slice(1);
  expect(sections.map((text) => text.split(/[ ,\n]/, 1)[0])).toEqual([
    'clush',
    'pdsh',
    'pssh',
    'Ansible',
    'parallel-ssh',
  ]);
  for (const text of sections) expect(LINES.filter((line) => text.includes(line)).length).toBeGreaterThan(8);
  expect(LINES.length).toBe(page.match(/^\| .*`myriad .*\|$/gm)!.length);
});
