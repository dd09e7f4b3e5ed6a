/** Settings: which of them count, what is refused with its place, and whose file is not taken. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Definitions, settingName } from '../../src/cli/definitions.ts';
import { completed, effective } from '../../src/cli/settings/effective.ts';
import { findFiles } from '../../src/cli/settings/files.ts';
import { ADDS_UP, displacedBy, holdsPath, OF_PROJECTS, SECRET } from '../../src/cli/settings/options.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { myriad, ROOT } from './command.ts';

const definitions = new Definitions(VERBS);
let root: string;
let project: string;
const uid = process.getuid!();

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'myriad-settings-'));
  project = join(root, 'home/work/project');
  mkdirSync(join(project, 'below'), { recursive: true });
  mkdirSync(join(project, '.git'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode: 0o644 });
  return file;
}
const user = (text: string) => write('home/.config/myriad/myriad.yaml', text);
const ofProject = (text: string) => write('home/work/project/myriad.yaml', text);

function around(env: Record<string, string> = {}, cwd = project) {
  return { cwd, env, uid, home: join(root, 'home') };
}

async function words(line: string, verb = 'run', env: Record<string, string> = {}): Promise<string> {
  const list = completed(await effective(definitions, verb, line.split(' '), around(env)));
  return list.join(' ').replaceAll(root, '');
}

describe('precedence', () => {
  it('command line, profile, project, user', async () => {
    user('fanout: 1\nuser: u\nretries: 1\ndeadline: 1h\nprofiles: {p: {deadline: 2h, retries: 4}}');
    ofProject('fanout: 2\nretries: 2\nprofiles: {p: {retries: 3}}');
    expect(await words('-w a true')).toBe('--fanout=2 --retries=2 --user=u --deadline=1h -w a true');
    expect(await words('-w a --profile p true')).toBe('--retries=3 --deadline=2h --fanout=2 --user=u -w a true');
    expect(await words('-f 9 -w a true', 'run', { MYRIAD_PROFILE: 'p' })).not.toContain('--fanout');
    expect(await words('--profile=p -f9 -l x -w a true')).toBe('--retries=3 --deadline=2h -f9 -l x -w a true');
  });

  it("a verb's own section before the top, and nobody else's", async () => {
    user('run: {fanout: 3}\nscript: {fanout: 4}\nfanout: 5\nsimulate: {port: 2200}');
    expect(await words('-w a true')).toBe('--fanout=3 -w a true');
    expect(await words('-w a x.sh', 'script')).toBe('--fanout=4 -w a x.sh');
    expect(await words('-w a', 'check')).toBe('--fanout=5 -w a');
    expect(await words('9', 'simulate')).toBe('--port=2200 9');
  });

  it('verbs that mean something else by an option do not take it from the top', async () => {
    user('port: 22\nknown-hosts: kh\nlimit: 5\nyes: true\njournal: /j\ncheck: "true"\nhosts: [a]');
    expect(await words('9', 'simulate')).toBe('9');
    expect(await words('last', 'show')).toBe('--journal=/j last');
    expect(await words('-2 -b', 'show')).toBe('-2 --journal=/j -b');
    expect(await words('--limit all', 'runs')).toBe('--journal=/j --limit all');
    expect(await words('-w a', 'trust')).not.toContain('--yes');
    user('rate: 5/s\nfanout: 9\nport: 2200');
    expect(await words('-w a', 'ping')).toBe('-w a');
  });

  it('what excludes each other goes by the stronger one', async () => {
    user('hosts: a\ngather-same: true\nsudo: true\npassword-command: pass\nexclude: [x, "y[1-2]"]');
    expect(await words('-g web --doas -k --output ndjson -x z true')).toBe(
      '--exclude=x --exclude=y[1-2] -g web --doas -k --output ndjson -x z true',
    );
    ofProject('exclude: v\ngroup: web');
    expect(await words('true')).toBe(
      '--exclude=v --group=web --gather-same --sudo --password-command=pass --exclude=x --exclude=y[1-2] true',
    );
    expect(await words('--local -w a true')).not.toMatch(/sudo/);
    user('output: ndjson\ngather: stream');
    ofProject('');
    expect(await words('-w a -b true')).toBe('-w a -b true');
    expect(await words('-w a true')).toBe('--output=ndjson --gather=stream -w a true');
  });

  it('what polling needs waits for it, and rounds give way to waves', async () => {
    user('fail-after: 3\nchanges-only: true\njitter: 1s\nmetrics: 9464');
    expect(await words('-w a true')).toBe('-w a true');
    expect(await words('-w a --every 1m true')).toBe(
      '--fail-after=3 --changes-only --jitter=1s --metrics=9464 -w a --every 1m true',
    );
    expect(await words('-w a --every 1m', 'ping')).toBe('--fail-after=3 --changes-only --metrics=9464 -w a --every 1m');
    ofProject('every: 5m\nrounds: 2');
    expect(await words('--no-jitter --no-metrics -w a true')).toBe(
      '--every=5m --rounds=2 --fail-after=3 --changes-only -w a true',
    );
    for (const other of ['--serial 1', '-b', '--fail-fast']) {
      expect(await words(`${other} -w a true`)).toBe(`${other} -w a true`);
    }
  });

  it('--no-NAME switches off; false does, too', async () => {
    user('gather-same: true\nlabel: false\njournal: false\nquiet: false');
    expect(await words('-w a true')).toBe('--gather-same --no-label --no-journal -w a true');
    expect(await words('--no-gather-same -w a true')).toBe('--no-label --no-journal -w a true');
    expect(await words('--no-journal --no-fanout -w a true')).toBe('--gather-same --no-label --no-journal -w a true');
    ofProject('gather-same: false');
    expect(await words('-w a true')).toBe('--no-label --no-journal -w a true');
  });

  it('words of the command stay its own', async () => {
    user('fanout: 3');
    expect(await words('-w a echo --settings none --no-label')).toBe('--fanout=3 -w a echo --settings none --no-label');
    expect(await words('-w a -- --profile')).toBe('--fanout=3 -w a -- --profile');
    expect(await words('-w --settings echo')).toBe('--fanout=3 -w --settings echo');
  });

  it('--settings takes the place of both files', async () => {
    user('fanout: 1');
    ofProject('fanout: 2');
    const file = write('other.yaml', 'host-keys: strict');
    expect(await words('-w a --settings none true')).toBe('-w a true');
    expect(await words(`-w a --settings=${file} true`)).toBe('--host-keys=strict -w a true');
    expect(await words('-w a true', 'run', { MYRIAD_SETTINGS: file })).toBe('--host-keys=strict -w a true');
    await expect(words('-w a --settings /nowhere true')).rejects.toThrow(
      'settings "/nowhere": it cannot be read: ENOENT',
    );
  });
});

it('lists, mappings and paths', async () => {
  const file = user(`
identity: [~/k1, k2]
ok-status: [0, 1]
env: {A: 1, B: "x y"}
inventory: [ansible:hosts.ini, "command:inv --all"]
hosts: [^list, web1]
config: none
audit: syslog
user: 007
`);
  const of = await effective(definitions, 'run', ['true'], around());
  const folder = dirname(file);
  expect(Object.fromEntries(of.settings.map(({ name, values }) => [name, values]))).toEqual({
    identity: [join(root, 'home/k1'), `${folder}/k2`],
    'ok-status': ['0,1'],
    env: ['A=1', 'B=x y'],
    inventory: [`ansible:${folder}/hosts.ini`, 'command:inv --all'],
    hosts: [`^${folder}/list`, 'web1'],
    config: ['none'],
    audit: ['syslog'],
    user: ['007'],
  });
});

describe('what is refused', () => {
  it.each([
    ['fanot: 3', '1:1: no verb has an option "fanot"; did you mean fanout?'],
    ['user: x\nrunn:\n  fanout: 3', '2:1: no verb has an option "runn"; did you mean run?'],
    ['run:\n  port: 3\n  base: x', '3:3: run has no option "base"'],
    ['profiles:\n  p:\n    run: {fanuot: 1}', '3:11: run has no option "fanuot"; did you mean fanout?'],
    ['fanout:  -3', '1:10: fanout: expected a whole number of at least 1, got "-3"'],
    ['port: [22, 23]', '1:7: port: expected a whole number from 1 to 65535, got "22,23"'],
    ['gather-same: 1', '1:14: gather-same: expected true or false'],
    ['fanout:', '1:1: fanout: there is no value'],
    ['fanout: {a: b}', '1:9: fanout: expected a value or a list'],
    ['fanout: 3\nfanout: 4', '2:1: "fanout" stands there twice'],
    ['fanout: &a 3', '1:9: anchors and aliases are not taken; write it out'],
    ['fanout: !!int 3', '1:9: tags are not taken; write the value alone'],
    ['- fanout', '1:1: expected "option: value" lines'],
    ['profiles: 3', '1:11: profiles: expected "option: value" lines below it'],
    ['guard: 100', '1:8: guard: expected two numbers of hosts such as 100,1000, got "100"'],
    ['fanout: "3', '2:1: '],
  ])('%j', async (text, message) => {
    const file = user(`${text}\n`);
    const error = await words('-w a true').catch((cause: Error) => cause);
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(`${file}:${message}`) });
    // Help is there all the same.
    expect(await words('-w a --help')).toBe('-w a --help');
  });

  it('a profile that nobody has', async () => {
    user('profiles: {prod: {fanout: 1}}');
    await expect(words('--profile prd true')).rejects.toThrow('no settings have a profile "prd"; did you mean prod?');
    await expect(words('--profile zzzzz true')).rejects.toThrow('have a profile "zzzzz"; there are prod');
  });
});

describe('whose word counts', () => {
  it('a project may not do what could harm, until it is trusted', async () => {
    const file = ofProject('user: x\npassword-command: evil');
    await expect(words('-w a true')).rejects.toThrow(
      `${file}:2:1: password-command: a project's file sets this only where "trusted-projects: [${project}]" stands in`,
    );
    user('trusted-projects: [~/work]');
    expect(await words('-w a true')).toContain('--password-command=evil');
    user(`trusted-projects: [${project.slice(0, -1)}]`);
    await expect(words('-w a true')).rejects.toThrow('password-command');
    // It cannot say of itself that it is trusted.
    ofProject(`trusted-projects: [${project}]\nsudo: true`);
    await expect(words('-w a true')).rejects.toThrow('sudo: a project');
  });

  it('no option of a verb that is not known to be harmless is taken from a project', async () => {
    const harmful = new Set<string>();
    for (const verb of definitions.verbs) {
      for (const option of (await definitions.of(verb)).options) {
        const name = settingName(option);
        if (!OF_PROJECTS.has(name)) harmful.add(name);
      }
    }
    for (const name of [
      'host-keys',
      'known-hosts',
      'config',
      'option',
      'inventory',
      'password-command',
      'yes',
      'guard',
    ]) {
      expect(harmful).toContain(name);
    }
    for (const name of [
      'on-change',
      'metrics',
      'check',
      'check-on',
      'sudo',
      'identity',
      'journal',
      'env',
      'stdin',
      'audit',
      'raw',
      'local',
    ]) {
      expect(harmful).toContain(name);
    }
  });

  it.each([0o664, 0o646])('a file that others may write to: %o', async (mode) => {
    const file = ofProject('user: x');
    // Root has no group of its own here.
    if (uid !== 0 && process.getgid!() === uid && mode === 0o664)
      return expect(await words('-w a')).toContain('--user');
    chmodSync(file, mode);
    await expect(words('-w a true')).rejects.toThrow('others may write to it');
    expect(await words('-w a --settings none true')).toBe('-w a true');
  });

  it('a folder that everybody may write to, but for one like /tmp', async () => {
    ofProject('user: x');
    chmodSync(project, 0o777);
    await expect(words('-w a true')).rejects.toThrow('everybody may write to its folder');
    chmodSync(project, 0o1777);
    expect(await words('-w a true')).toBe('--user=x -w a true');
  });

  it('a file of somebody else', async () => {
    const file = ofProject('user: x');
    if (uid === 0) {
      chownSync(file, 12_345, 12_345);
      await expect(words('-w a true')).rejects.toThrow('its owner is uid 12345; it must be yours');
    } else {
      // Root's is taken; that of another than the one who asks is not.
      const other = { ...around(), uid: uid + 1 };
      await expect(effective(definitions, 'run', ['true'], other)).rejects.toThrow(
        `its owner is uid ${uid}; it must be yours`,
      );
    }
  });

  it('a pipe, a folder, a link to nowhere, too much', async () => {
    mkdirSync(join(project, 'myriad.yaml'));
    await expect(words('-w a true')).rejects.toThrow('it is not a regular file');
    rmSync(join(project, 'myriad.yaml'), { recursive: true });
    symlinkSync('/nowhere', join(project, 'myriad.yaml'));
    await expect(words('-w a true')).rejects.toThrow('it cannot be read: ENOENT');
    rmSync(join(project, 'myriad.yaml'));
    ofProject(`user: x\n#${'x'.repeat(1 << 20)}`);
    await expect(words('-w a true')).rejects.toThrow('larger than 1 MiB');
  });
});

describe('where the project is', () => {
  const found = (cwd: string) =>
    findFiles(around({}, join(root, cwd)), undefined).map(({ file }) => file.slice(root.length));

  it('up to the root of the repository, or the home', () => {
    write('home/work/myriad.yaml', '');
    expect(found('home/work/project/below')).toEqual([]);
    ofProject('');
    expect(found('home/work/project/below')).toEqual(['/home/work/project/myriad.yaml']);
    write('home/work/project/below/myriad.yaml', '');
    expect(found('home/work/project/below')).toEqual(['/home/work/project/below/myriad.yaml']);
    expect(found('home/work')).toEqual(['/home/work/myriad.yaml']);
    write('myriad.yaml', '');
    expect(found('home')).toEqual([]);
  });

  it('outside both, the working directory alone', () => {
    write('out/myriad.yaml', '');
    mkdirSync(join(root, 'out/below'));
    expect(found('out')).toEqual(['/out/myriad.yaml']);
    expect(found('out/below')).toEqual([]);
  });
});

it('every verb says its options, and every name that the tables hold is one', async () => {
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const verb of definitions.verbs) {
    const { options } = await definitions.of(verb);
    if (verb !== 'completion') expect(options.length, verb).toBeGreaterThan(0);
    for (const option of options) names.add(settingName(option));
    for (const option of options.filter(holdsPath)) paths.add(settingName(option));
  }
  const usual = [
    'inventory',
    'identity',
    'known-hosts',
    'config',
    'hostfile',
    'password-file',
    'env-file',
    'job',
    'audit',
  ];
  expect([...paths]).toEqual(expect.arrayContaining([...usual, 'sudo-password-file', 'journal', 'ready', 'stdin']));
  expect(paths).not.toContain('cwd');
  const told = [...OF_PROJECTS, ...SECRET, ...ADDS_UP, ...displacedBy('local'), ...displacedBy('output')];
  expect(told.filter((name) => !names.has(name))).toEqual([]);
});

describe('the command', () => {
  it('takes them, records them, and says where a mistake is', async () => {
    const home = join(root, 'home');
    const config = user('fanout: 7\nuser: ann\nguard: 1,2');
    const env = { HOME: home };
    const dry = await myriad(['-w', 'a', '--dry-run', 'true'], { env });
    expect(dry.stdout).toContain('as ann@a:22\nfanout 7\n');
    const refused = await myriad(['-w', 'h[1-3]', '--no-journal', '--local', 'true'], { env });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('3 hosts and no terminal to ask on') });
    write('home/.config/myriad/myriad.yaml', 'fanout: many');
    const wrong = await myriad(['-w', 'a', 'true'], { env });
    expect(wrong).toEqual({
      code: 2,
      stdout: '',
      stderr: `myriad: ${config}:1:9: fanout: expected a whole number of at least 1, got "many"\n`,
    });
    write('home/.config/myriad/myriad.yaml', 'profiles: {p: {env: {A: b}, retries: 0, redact: secret}}');
    const again = await myriad(['-w', 'a', '--profile', 'p', '--no-fanout', '-N', '--local', 'false'], { env });
    // What settings add is there by itself, the next time.
    expect(again.stderr).toMatch(
      /^again on 1 task not ok: myriad run --from \S+ --profile p --no-fanout --no-label --local -- false$/m,
    );
    const local = await myriad(['-w', 'a', '--local', '--settings', 'none', 'true'], { env });
    expect(local.code).toBe(0);
    write('home/.config/myriad/myriad.yaml', 'order: input\nok-status: [0, 3]');
    expect((await myriad(['-w', 'a', '--local', 'sh', '-c', 'exit 3'], { env })).code).toBe(0);
    const recorded = await myriad(['show', 'last', '--output', 'ndjson'], { env });
    expect(recorded.stdout).toContain('"ok"');
    // What it ran with stays with the run.
    rmSync(config);
    expect(await myriad(['resume', 'last'], { env })).toMatchObject({ code: 0 });
  });

  it('docs/settings.md: its examples are taken', async () => {
    const page = readFileSync(join(ROOT, 'docs/settings.md'), 'utf8');
    const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
    expect(blocks.length).toBe(2);
    for (const text of blocks) {
      user(text);
      for (const verb of definitions.verbs) await effective(definitions, verb, ['x'], around({}));
    }
    user(blocks[0]!);
    expect(await words('--profile production -w a true')).toContain('--jump=bastion.example.org');
  });
});
