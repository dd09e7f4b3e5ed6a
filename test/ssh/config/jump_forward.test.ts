import { describe, expect, test } from 'vitest';
import { parseForward } from '../../../src/ssh/config/forward.ts';
import { formatJump, parseJumps } from '../../../src/ssh/config/jump.ts';

const service = (name: string) => (name === 'ssh' ? 22 : undefined);

describe('ProxyJump', () => {
  test.each<[string, string | undefined]>([
    ['a', 'a'],
    ['u@a:2222', 'u@a:2222'],
    ['u@x@a', 'u@x@a'],
    ['a:ssh', 'a:22'],
    ['a:', 'a'],
    ['[::1]:23', '[::1]:23'],
    ['1.2.3.4', '[1.2.3.4]'],
    ['a,u@b:1,c', 'a,u@b:1,c'],
    ['a # comment', 'a'],
    ['ssh://u@a:22/', 'u@a:22'],
    ['ssh://a%40b;x=1@h', 'a@b@h'],
    ['none', ''],
    ['NONE', ''],
    ['@a', undefined],
    ['a:0', undefined],
    ['a:x', undefined],
    ['a/b', undefined],
    ['a,', undefined],
    ['', undefined],
    ['[::1', undefined],
    ['-oProxyCommand=x', undefined],
    ['ssh://a/x', undefined],
    ['ssh://@a', undefined],
    ['ssh://%4@a', undefined],
    ['ssh://a!b', undefined],
  ])('%j', (text, expected) => {
    expect(parseJumps(text, service)?.map(formatJump).join(',')).toBe(expected);
  });
});

describe('forwardings', () => {
  test.each<['local' | 'remote' | 'dynamic', string[], string | undefined]>([
    ['local', ['8080', 'a:80'], '8080 [a]:80'],
    ['local', ['*:8080', 'a:80'], '[*]:8080 [a]:80'],
    ['local', ['[::1]:81', '[::2]:82'], '[::1]:81 [::2]:82'],
    ['local', [':80', 'a:1'], '[]:80 [a]:1'],
    ['local', ['80', '/x/y'], '80 /x/y'],
    ['local', ['/a/b', 'c:1'], '/a/b [c]:1'],
    ['local', ['/a', '/b'], '/a /b'],
    ['local', ['h:81', '/b'], '[h]:81 /b'],
    ['local', ['0', 'a:1'], undefined],
    ['local', ['1', 'a:0'], undefined],
    ['local', ['1', 'a'], undefined],
    ['local', ['1:2:3', 'a:1'], undefined],
    ['remote', ['80'], '80 [socks]:0'],
    ['remote', ['0', 'a:1'], '0 [a]:1'],
    ['remote', ['/a/b'], '/a/b [socks]:0'],
    ['dynamic', ['1080'], '1080'],
    ['dynamic', ['x:1080'], '[x]:1080'],
    ['dynamic', ['x:1080:2'], undefined],
    ['dynamic', ['x'], undefined],
    ['dynamic', ['[::1'], undefined],
  ])('%s %j', (direction, args, expected) => {
    expect(parseForward(args, direction, service)?.text).toBe(expected);
  });
});
