import { describe, expect, test } from 'vitest';
import { parseMatch } from '../../../src/ssh/config/match.ts';
import { load } from './kit.ts';

/** Whether a host is in the block. */
function isIn(
  conditions: string,
  host: Parameters<ReturnType<typeof load>['resolve']>[0],
  before = '',
  more = {},
): boolean {
  const config = load(`${before}\nMatch ${conditions}\n BatchMode yes`, {}, more);
  return config.resolve(host).settings.batchMode;
}

describe('conditions', () => {
  test.each<[string, boolean]>([
    ['all', true],
    ['!all', false],
    ['host web*', true],
    ['host WEB1', true],
    ['host db1,web1', true],
    ['host web*,!web1', false],
    ['!host db1', true],
    ['host=web1', true],
    ['originalhost web1 user ann localuser ann', true],
    ['user root', false],
    ['localuser !root,*', true],
    ['host web1 all', true],
    ['host db1 all', false],
    ['host web1 # all', true],
    ['canonical', false],
    ['final', true],
    ['final all', true],
    ['!final host web1', true],
    ['sessiontype exec', true],
    ['sessiontype shell,subsystem', false],
  ])('%j: %j', (conditions, expected) => {
    expect(isIn(conditions, { name: 'web1' })).toBe(expected);
  });

  test('host is the HostName so far, originalhost what was asked for', () => {
    expect(isIn('host real', { name: 'alias' }, 'HostName real')).toBe(true);
    expect(isIn('host alias.x', { name: 'alias' }, 'HostName %h.x')).toBe(true);
    expect(isIn('originalhost alias', { name: 'alias' }, 'HostName real')).toBe(true);
    expect(isIn('host real', { name: 'alias' }, 'Host other\n HostName real')).toBe(false);
  });

  test('user is the user so far', () => {
    expect(isIn('user root', { name: 'h' }, 'User root')).toBe(true);
    expect(isIn('user root', { name: 'h', user: 'root' }, 'User ann')).toBe(true);
    expect(isIn('user root', { name: 'h', overrides: new Map([['user', ['root']]]) })).toBe(true);
  });

  test('tagged', () => {
    expect(isIn('tagged prod*', { name: 'h' }, 'Tag prod-eu')).toBe(true);
    expect(isIn('tagged prod', { name: 'h', tag: 'prod' }, 'Tag test')).toBe(true);
    expect(isIn('tagged prod', { name: 'h' })).toBe(false);
  });

  test('localnetwork', () => {
    const more = { localAddresses: () => ['10.1.2.3', 'fe80::1'] };
    expect(isIn('localnetwork 10.0.0.0/8', { name: 'h' }, '', more)).toBe(true);
    expect(isIn('localnetwork fe80::/10', { name: 'h' }, '', more)).toBe(true);
    expect(isIn('localnetwork 192.168.0.0/16,10.1.2.3', { name: 'h' }, '', more)).toBe(true);
    expect(isIn('localnetwork 192.168.0.0/16', { name: 'h' }, '', more)).toBe(false);
    expect(isIn('localnetwork !10.1.0.0/16,10.0.0.0/8', { name: 'h' }, '', more)).toBe(false);
  });
});

describe('exec', () => {
  test('runs once per distinct command, and only where all before it holds', () => {
    const commands: string[] = [];
    const exec = (command: string) => {
      commands.push(command);
      return command !== 'test 1';
    };
    const config = load('Match host web* exec "test %p"\n User x\nMatch !exec "in %h"\n Port 5', {}, { exec });
    expect(config.resolve({ name: 'web1' }).user).toBe('x');
    expect(config.resolve({ name: 'web2' }).user).toBe('x');
    expect(config.resolve({ name: 'web2', port: 1 }).user).toBe('ann');
    expect(config.resolve({ name: 'db1' }).user).toBe('ann');
    expect(commands).toEqual(['test 22', 'in web1', 'in web2', 'test 1', 'in db1']);
  });

  test('that throws leaves nothing behind', () => {
    let broken = true;
    const exec = () => {
      if (broken) throw new Error('no shell');
      return true;
    };
    const files = { '/inner': 'Host *\n User inner' };
    const config = load('Host a\n Include /inner\nMatch exec x\n Port 5', files, { exec });
    expect(() => config.resolve({ name: 'a' })).toThrow('no shell');
    broken = false;
    expect(config.resolve({ name: 'b' })).toMatchObject({ user: 'ann', port: 5 });
    expect(config.resolve({ name: 'a' })).toMatchObject({ user: 'inner', port: 5 });
  });

  test('its tokens are those of the settings so far', () => {
    let command = '';
    const exec = (text: string) => {
      command = text;
      return true;
    };
    const before = 'Host a\n HostName real\n User u\n Port 5\n';
    load(`${before}Match exec "%%|%d|%h|%i|%k|%L|%l|%n|%p|%r|%u"\n`, {}, { exec }).resolve({ name: 'a' });
    expect(command).toBe('%|/home/ann|real|1000|real|box|box.example.net|a|5|u|ann');
    load(`HostKeyAlias al\nMatch exec "%k"\n`, {}, { exec }).resolve({ name: 'a' });
    expect(command).toBe('al');
  });
});

test.each<[string, string]>([
  ['#x', 'Match has no condition'],
  ['host', 'the condition "host" of Match has no argument'],
  ['host #x', 'the condition "host" of Match has no argument'],
  ['foo x', 'Match does not know "foo"'],
  ['all host x', '"all" cannot be combined with other conditions of Match'],
  ['host a user b all', '"all" cannot be combined with other conditions of Match'],
  ['exec "x %q"', 'Match exec "x %q": the token %q is not known here'],
  ['localnetwork 10.0.0.0/33', '"10.0.0.0/33" is not a list of networks'],
])('Match %s', (text, reason) => {
  expect(parseMatch(text)).toBe(reason);
});
