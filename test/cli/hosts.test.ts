/** `myriad hosts`, and runs on what an inventory says. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { myriad, ROOT, reach, totals } from './command.ts';

let fleet: SimulatedFleet;
let inventory: string;
let groups: string;

beforeAll(async () => {
  fleet = await simulate({ hosts: 8 });
  inventory = join(fleet.dir, 'hosts.ini');
  const hosts = Array.from(
    { length: 6 },
    (_, index) => `web${index} ansible_host=127.1.0.${index} rack=r${index % 2}\n`,
  );
  const all = `[all:vars]\nansible_port=${fleet.simulator.port}\nansible_user=root\nnote=a,"b"\n`;
  writeFileSync(inventory, `[web]\n${hosts.join('')}[db]\ndb0 ansible_host=127.1.0.7\n${all}`);
  groups = join(fleet.dir, 'groups.yaml');
  writeFileSync(groups, 'roles:\n  web: web[1-20]\n  db: "db[1-3],@web&web20"\n');
});
afterAll(() => fleet[Symbol.asyncDispose]());

async function hosts(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await myriad(['hosts', ...words]);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

describe.concurrent('myriad hosts', () => {
  it.each<[readonly string[], string]>([
    [['-w', 'web[3,1-2]!web2'], 'web3\nweb1\n'],
    [['-w', 'web[1-3],db1 db2', '--fold'], 'web[1-3],db[1-2]\n'],
    [['-w', '10.0.0.0/8', '--count'], '16777216\n'],
    [['-i', '@groups', '-g', 'db', '--fold'], 'web20\n'],
    [['-i', '@groups', '--groups', '-a'], '@web (20): web[1-20]\n@db (1): web20\n'],
    [['-i', '@inventory', '-a', '--where', 'rack=r1', '-x', 'web3', '--fold'], 'web[1,5]\n'],
    [['-i', '@inventory', '-a', '--limit', '2', '--pick', '5', '--seed', 's', '--count'], '2\n'],
  ])('%j', async (words, expected) => {
    const filled = words.map((word) => (word === '@groups' ? groups : word === '@inventory' ? inventory : word));
    expect(await hosts(...filled)).toBe(expected);
  });

  it('explains', async () => {
    const text = await hosts('-i', inventory, '-w', 'web1', '--explain', '-F', 'none');
    const said = `web1: root@127.1.0.1:${fleet.simulator.port}\n  groups: all, web\n`;
    expect(text.startsWith(said)).toBe(true);
    expect(text).toContain('  rack=r1\n');
  });

  it('says the same as JSON, a line each, and as CSV', async () => {
    const words = ['-i', inventory, '-g', 'web', '--limit', '2', '-F', 'none', '--output'];
    const list = JSON.parse(await hosts(...words, 'json'));
    expect(list).toMatchObject([
      { host: 'web0', name: '127.1.0.0', user: 'root', port: fleet.simulator.port, groups: ['all', 'web'] },
      { host: 'web1', variables: { rack: 'r1', note: 'a,"b"' } },
    ]);
    const lines = (await hosts(...words, 'ndjson')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(list);
    const [head, first] = (await hosts(...words, 'csv')).split('\r\n');
    expect(head).toBe('host,name,user,port,groups,ansible_port,ansible_user,note,ansible_host,rack');
    expect(first).toBe(
      `web0,127.1.0.0,root,${fleet.simulator.port},all web,${fleet.simulator.port},root,"a,""b""",127.1.0.0,r0`,
    );
  });

  it.each<[readonly string[], string]>([
    [['-w', 'wbe1'], '--hosts (-w): "wbe1": the inventory does not know wbe1'],
    [['-g', 'wbe'], '--group (-g): host set "@wbe": at position 1: expected a group that is known'],
    [['-a', '-X', 'wbe'], '--exclude-group (-X): host set "@wbe"'],
    [['-g', 'web', '-X', 'db'], '--exclude-group (-X): exclusion "@db" matches none'],
    [['-g', 'web', '-x', 'db0'], '--exclude (-x): exclusion "db0" matches none'],
    [['-a', '--where', 'rack='], 'where "rack=": at position 6: expected a value'],
    [['-a', '--where', 'rock=1'], 'where "rock=1": no host has a variable "rock"; nearest is "rack"'],
    [['-a', '--expect', '9'], '--expect 9: the selection has 7 hosts'],
    [[], 'no hosts were given; name them with -w, -g, or -a'],
  ])('%j is refused', async (words, message) => {
    const { code, stdout, stderr } = await myriad(['hosts', '-i', inventory, ...words]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});

it('--allow-unmatched warns instead, in runs too', async () => {
  const words = ['-i', inventory, '-g', 'web,wbe', '-x', 'db0', '--allow-unmatched'];
  const said = [
    'myriad: host set "@web,@wbe": at position 6: expected a group that is known; "@wbe" is not; nearest is "web"',
    'myriad: exclusion "db0" matches none of the selected hosts',
    '',
  ].join('\n');
  const listed = await myriad(['hosts', ...words, '--count']);
  expect(listed).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\n$/), stderr: said });
  const dry = await myriad([...words, '--dry-run', 'true']);
  expect([dry.code, dry.stderr]).toEqual([0, said]);
});

it('--dry-run: each host as it would be reached, with its command', async () => {
  const file = join(fleet.dir, 'dry.json');
  const web = { host: 'web1', address: '127.1.0.1', user: 'ann', port: 2222, identity: '/keys/web', role: 'a b' };
  writeFileSync(file, JSON.stringify([web, { host: 'web2', address: '127.1.0.2', role: 'c' }]));
  const words = ['-F', 'none', '-l', 'bob', '-i', file, '-a', '--dry-run'];
  const { stdout } = await myriad([...words, '--template', '--', 'echo {role} {name}']);
  expect(stdout.split('\n').slice(1, 3)).toEqual([
    "web1 as ann@127.1.0.1:2222 with /keys/web: echo 'a b' 127.1.0.1",
    'web2 as bob@127.1.0.2:22: echo c 127.1.0.2',
  ]);
  const named = await myriad([...words, '--identity', fleet.identity, 'true']);
  expect(named.stdout.split('\n')[1]).toBe('web1 as ann@127.1.0.1:2222');
  const local = await myriad([...words, '--local', '--', 'echo', '{host}', '{role}']);
  expect(local.stdout).toContain("\nweb1: echo web1 'a b'\n");
});

it('groups come from where clush has them, unless an inventory is named', async () => {
  const folder = join(fleet.dir, 'clustershell');
  mkdirSync(folder);
  writeFileSync(join(folder, 'groups.conf'), '[g]\nmap: echo "$GROUP[1-3]"\nall: echo a1 b2\n');
  const env = { XDG_CONFIG_HOME: fleet.dir };
  expect((await myriad(['hosts', '-g', 'web', '-w', 'b*'], { env })).stdout).toBe('b2\nweb1\nweb2\nweb3\n');
  expect((await myriad(['hosts', '-i', groups, '-g', 'web', '--count'], { env })).stdout).toBe('20\n');
});

it('docs/hosts.md names every option', async () => {
  const page = readFileSync(join(ROOT, 'docs/hosts.md'), 'utf8');
  const options = (await hosts('--help')).match(/(?<=^ {2}(?:-\w, )?)--[a-z][a-z0-9-]*/gm) ?? [];
  expect(options.length).toBeGreaterThan(15);
  const short = ['--hosts', '--exclude', '--help'];
  expect(options.filter((option) => !short.includes(option) && !page.includes(`\`${option}`))).toEqual([]);
});

describe.concurrent('a run on an inventory', () => {
  const secrets = () => reach(fleet).slice(4);

  it('reaches hosts by their addresses, ports and users, and shows their names', async () => {
    const words = ['-i', inventory, '-g', 'web,db', '-x', 'web2', ...secrets(), '-F', 'none', 'hostname'];
    const { code, stdout, stderr } = await myriad(words);
    expect(stdout.trimEnd().split('\n').sort()).toEqual(
      ['db0: sim-7', 'web0: sim-0', 'web1: sim-1', 'web3: sim-3', 'web4: sim-4', 'web5: sim-5'].sort(),
    );
    expect([code, totals(stderr)]).toEqual([0, { ok: 6 }]);
  });

  it('variables fill templates, in threads too where there is no template', async () => {
    const some = ['-i', inventory, '-g', 'web', ...secrets(), '-F', 'none'];
    const filled = await myriad([...some, '--template', '-N', 'echo {rack}']);
    expect(filled.stdout.trimEnd().split('\n').sort()).toEqual(['r0', 'r0', 'r0', 'r1', 'r1', 'r1']);
    const threads = await myriad([...some, '--threads', '2', '-f', '64', '-N', 'hostname']);
    expect([threads.code, totals(threads.stderr)]).toEqual([0, { ok: 6 }]);
  });

  it('goes on with the inventory given again, where its command has places for variables', async () => {
    const journal = join(fleet.dir, 'runs');
    const words = ['-i', inventory, '-g', 'web', ...secrets(), '-F', 'none', '--journal', journal];
    const first = await myriad([
      ...words,
      '-f',
      '1',
      '--threads',
      '1',
      '--max-fail',
      '0',
      '--template',
      'echo {rack}; exit 1',
    ]);
    expect([first.code, totals(first.stderr)]).toEqual([6, { failed: 1, 'not-run': 5 }]);
    const resume = ['resume', 'last', '--journal', journal, '--max-fail', '100%', '-N'];
    const without = await myriad(resume);
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining('its hosts (an inventory, -i) again')]);
    const { code, stdout, stderr } = await myriad([...resume, '-i', inventory]);
    expect([code, totals(stderr)]).toEqual([5, { failed: 6 }]);
    expect(stdout.trimEnd().split('\n').sort()).toEqual(['r0', 'r0', 'r1', 'r1', 'r1']);
  });
});
