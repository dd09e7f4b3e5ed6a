import { describe, expect, test } from 'vitest';
import { load } from './kit.ts';

/** A resolver that knows these names, and which it was asked for. */
function resolver(names: Readonly<Record<string, true | string>>) {
  const asked: string[] = [];
  const lookup = async (name: string) => {
    asked.push(name);
    return names[name] ?? false;
  };
  return { asked, lookup };
}

const BASE = 'CanonicalizeHostname yes\nCanonicalDomains a.example b.example\n';

describe('CanonicalizeHostname', () => {
  test.each<[string, string, Record<string, true | string>, string, string, string[]]>([
    ['', 'web', { 'web.b.example.': true }, 'web.b.example', 'renamed', ['web.a.example.', 'web.b.example.']],
    ['', 'Web', { 'web.a.example.': true }, 'web.a.example', 'renamed', ['web.a.example.']],
    ['', 'web', {}, 'web', 'kept', ['web.a.example.', 'web.b.example.']],
    ['CanonicalizeFallbackLocal no', 'web', {}, 'web', 'not-found', ['web.a.example.', 'web.b.example.']],
    ['', 'web.x', { 'web.x.a.example.': true }, 'web.x.a.example', 'renamed', ['web.x.a.example.']],
    ['', 'web.x.y', {}, 'web.x.y', 'kept', []],
    ['CanonicalizeMaxDots 0', 'web.x', {}, 'web.x', 'kept', []],
    ['', 'web.x.y.', { 'web.x.y.': true }, 'web.x.y', 'renamed', ['web.x.y.']],
    ['', '10.0.0.1', {}, '10.0.0.1', 'kept', []],
    ['ProxyJump j', 'web', {}, 'web', 'kept', []],
    ['HostName other', 'web', { 'other.a.example.': true }, 'other.a.example', 'renamed', ['other.a.example.']],
  ])('%j, host %s', async (more, name, names, hostName, canonicalization, asked) => {
    const dns = resolver(names);
    const host = await load(`${BASE}${more}`).resolveCanonical({ name }, dns.lookup);
    expect(host).toMatchObject({ name, hostName, canonicalization });
    expect(dns.asked).toEqual(asked);
  });

  test('always asks for hosts behind a jump host, too', async () => {
    const dns = resolver({ 'web.a.example.': true });
    const config = load('CanonicalizeHostname always\nCanonicalDomains a.example\nProxyJump j');
    expect((await config.resolveCanonical({ name: 'web' }, dns.lookup)).hostName).toBe('web.a.example');
  });

  test('canonical names are followed where a rule permits it', async () => {
    const rules = `${BASE}CanonicalizePermittedCNAMEs *.a.example:*.c.example,*.d.example\n`;
    const dns = resolver({ 'web.a.example.': 'Web7.C.example.', 'db.a.example.': 'evil.example' });
    const config = load(rules);
    expect((await config.resolveCanonical({ name: 'web' }, dns.lookup)).hostName).toBe('web7.c.example');
    expect((await config.resolveCanonical({ name: 'db' }, dns.lookup)).hostName).toBe('db.a.example');
  });

  test('the name itself may be an alias when no domain was tried', async () => {
    const dns = resolver({ 'x.y.a.example': 'z.c.example' });
    const config = load(`${BASE}CanonicalizePermittedCNAMEs *:*\n`);
    const host = await config.resolveCanonical({ name: 'x.y.a.example' }, dns.lookup);
    expect(host).toMatchObject({ hostName: 'z.c.example', canonicalization: 'renamed' });
  });

  test('the blocks are read again with the new name; what was set stays', async () => {
    const text = `${BASE}User first\nHost *.a.example\n User second\n Port 7\nMatch canonical host *.b.example\n Port 8\n`;
    const dns = resolver({ 'web.a.example.': true, 'db.b.example.': true });
    const config = load(text);
    expect(await config.resolveCanonical({ name: 'web' }, dns.lookup)).toMatchObject({ user: 'first', port: 7 });
    expect(await config.resolveCanonical({ name: 'db' }, dns.lookup)).toMatchObject({ user: 'first', port: 8 });
  });

  test('without a resolver the name stays, and says so', () => {
    const host = load(`${BASE}Match canonical\n Port 8\n`).resolve({ name: 'web' });
    expect(host).toMatchObject({ hostName: 'web', port: 8, canonicalization: 'pending' });
  });

  test('is off by default, and nobody is asked', async () => {
    const dns = resolver({ web: 'x' });
    const host = await load('CanonicalDomains a.example').resolveCanonical({ name: 'web' }, dns.lookup);
    expect(host).toMatchObject({ hostName: 'web', canonicalization: 'off' });
    expect(dns.asked).toEqual([]);
  });
});
