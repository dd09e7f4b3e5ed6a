import { describe, expect, test } from 'vitest';
import { type SystemLookup, SystemResolver } from '../../../src/transport/native/system_resolver.ts';
import { settle } from '../../util/manual_clock.ts';

type Callback = Parameters<SystemLookup>[2];

class FakeSystem {
  readonly calls: { name: string; family: 0 | 4 | 6; end: Callback }[] = [];
  readonly lookup: SystemLookup = (name, { family }, end) => void this.calls.push({ name, family, end });

  answer(at: number, ...addresses: string[]): void {
    this.calls[at]!.end(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  }

  fail(at: number, code: string): void {
    this.calls[at]!.end(Object.assign(new Error(code), { code }), []);
  }
}

function start() {
  const system = new FakeSystem();
  return { system, resolver: new SystemResolver(system.lookup) };
}

test('literals are not asked for', () => {
  const { system, resolver } = start();
  expect(resolver.resolve('192.0.2.1', 'any')).toEqual(['192.0.2.1']);
  expect(resolver.resolve('2001:db8::1', 6)).toEqual(['2001:db8::1']);
  expect(system.calls).toEqual([]);
});

describe('order', () => {
  test.each([
    [
      ['2001:db8::1', '2001:db8::2', '192.0.2.1'],
      ['2001:db8::1', '192.0.2.1', '2001:db8::2'],
    ],
    [
      ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
      ['192.0.2.1', '2001:db8::1', '192.0.2.2'],
    ],
    [['192.0.2.1', '192.0.2.1', '0.0.0.0'], ['192.0.2.1']],
  ])('%j', async (found, expected) => {
    const { system, resolver } = start();
    const waiting = resolver.resolve('web1', 'any');
    system.answer(0, ...found);
    expect(await waiting).toEqual(expected);
    expect(resolver.resolve('WEB1', 'any')).toEqual(expected);
    expect(system.calls).toHaveLength(1);
  });
});

test('the family that is wanted', () => {
  const { system, resolver } = start();
  for (const family of ['any', 4, 6] as const) void resolver.resolve('web1', family);
  expect(system.calls.map(({ family }) => family)).toEqual([0, 4, 6]);
});

test('four at once, the others in turn, each name once', async () => {
  const { system, resolver } = start();
  const all = Array.from({ length: 6 }, (_, i) => resolver.resolve(`web${i}`, 4));
  void resolver.resolve('web5', 4);
  expect(system.calls.map(({ name }) => name)).toEqual(['web0', 'web1', 'web2', 'web3']);
  system.answer(2, '192.0.2.3');
  expect(await all[2]).toEqual(['192.0.2.3']);
  expect(system.calls.map(({ name }) => name).slice(4)).toEqual(['web4']);
  system.answer(0, '192.0.2.1');
  expect(system.calls.map(({ name }) => name).slice(4)).toEqual(['web4', 'web5']);
});

test.each([
  ['ENOTFOUND', 'no-name', 'no such name (ENOTFOUND)'],
  ['EAI_AGAIN', 'server', "the system's resolver could not say (EAI_AGAIN)"],
  ['ESTRANGE', 'server', 'ESTRANGE'],
])('%s is %s, and not remembered', async (code, fault, why) => {
  const { system, resolver } = start();
  const waiting = resolver.resolve('web1', 'any');
  system.fail(0, code);
  await expect(waiting).rejects.toMatchObject({ fault, message: `name "web1" does not resolve: ${why}` });
  void resolver.resolve('web1', 'any');
  expect(system.calls).toHaveLength(2);
});

test('no address that can be a host: no-address', async () => {
  const { system, resolver } = start();
  const waiting = resolver.resolve('web1', 'any');
  system.answer(0, '0.0.0.0');
  await expect(waiting).rejects.toMatchObject({ fault: 'no-address' });
});

test('a promise that nobody waits for settles into nothing', async () => {
  const { system, resolver } = start();
  void resolver.resolve('web1', 'any');
  system.fail(0, 'ENOTFOUND');
  await settle();
  expect(system.calls).toHaveLength(1);
});

test('too many that wait: the oldest is refused', async () => {
  const { system, resolver } = start();
  const all = Array.from({ length: 4 + 16_384 }, (_, i) => resolver.resolve(`web${i}`, 4));
  const newest = resolver.resolve('newest', 4);
  await expect(all[4]).rejects.toMatchObject({ fault: 'local-limit' });
  system.answer(0, '192.0.2.1');
  expect(system.calls[4]!.name).toBe('web5');
  resolver.close();
  await expect(newest).rejects.toMatchObject({ fault: 'closed' });
});

test('closed: what is open and what comes after rejects; late answers are dropped', async () => {
  const { system, resolver } = start();
  const waiting = resolver.resolve('web1', 4);
  resolver.close();
  await expect(waiting).rejects.toMatchObject({ fault: 'closed' });
  await expect(resolver.resolve('web2', 4)).rejects.toMatchObject({ fault: 'closed' });
  system.answer(0, '192.0.2.1');
  expect(system.calls).toHaveLength(1);
});

test('the real one knows this machine', async () => {
  const addresses = await new SystemResolver().resolve('localhost', 4);
  expect(addresses).toEqual(['127.0.0.1']);
});
