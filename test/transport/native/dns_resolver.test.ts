/** The resolver against a scripted name server on real sockets: what it makes of answers. */
import { promises as dns } from 'node:dns';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock, settle } from '../../util/manual_clock.ts';
import { both, bothOf, faultOf, resolverOf, serve } from './resolver_kit.ts';
import { answerTo, zone } from './scripted_name_server.ts';

describe('what needs no server', () => {
  test.each([
    ['192.0.2.1', 'any', ['192.0.2.1']],
    ['192.0.2.1', 4, ['192.0.2.1']],
    ['2001:db8::1', 6, ['2001:db8::1']],
    ['fe80::1%eth0', 'any', ['fe80::1%eth0']],
    ['0.0.0.0', 'any', ['0.0.0.0']],
    ['localhost', 'any', ['::1', '127.0.0.1']],
    ['a.localhost.', 4, ['127.0.0.1']],
    ['Here', 'any', ['2001:db8::9', '192.0.2.9']],
    ['here', 6, ['2001:db8::9']],
    ['four', 'any', ['192.0.2.8']],
  ] as const)('%s (%s): at once', async (name, family, expected) => {
    const server = await serve(() => 'drop');
    const resolver = resolverOf([server], {
      hosts: '192.0.2.9 here\n2001:db8::9 here\n192.0.2.8 four\n0.0.0.0 blocked',
    });
    expect(resolver.resolve(name, family)).toEqual(expected);
    expect(server.asked).toEqual([]);
  });

  test.each([
    ['192.0.2.1', 6, 'no-address', 'it is an IPv4 address, and only IPv6 is wanted'],
    ['::1', 4, 'no-address', 'it is an IPv6 address, and only IPv4 is wanted'],
    ['192.0.2.256', 'any', 'name', 'neither an address nor a name'],
    ['', 'any', 'name', 'not a name: a part of it is empty'],
    ['a..b', 'any', 'name', 'not a name: a part of it is empty'],
    ['.', 'any', 'name', 'not a name: a part of it is empty'],
    ['a b', 'any', 'name', 'not a name: it has a character that names do not have'],
    ['a\nb', 'any', 'name', 'not a name: it has a character that names do not have'],
    ['x'.repeat(64), 'any', 'name', 'not a name: a part of it is longer than 63 characters'],
    [`${'x'.repeat(64)}.example`, 'any', 'name', 'not a name: a part of it is longer than 63 characters'],
    [`${'x.'.repeat(124)}xxxxxx`, 'any', 'name', 'not a name: it is longer than 253 characters'],
    ['a.example..', 'any', 'name', 'not a name: a part of it is empty'],
    ['a.exam ple', 'any', 'name', 'not a name: it has a character that names do not have'],
  ] as const)('%j (%s) is refused: %s', async (name, family, fault, why) => {
    const server = await serve(() => 'drop');
    const error = await faultOf(resolverOf([server]).resolve(name, family));
    expect(error).toMatchObject({ fault, message: `name "${name}" does not resolve: ${why}` });
    expect(server.asked).toEqual([]);
  });

  test('a refusal at once that nobody looks at yet harms nobody', async () => {
    const waiting = resolverOf([await serve(() => 'drop')]).resolve('a..b', 'any');
    await settle();
    expect(await faultOf(waiting)).toMatchObject({ fault: 'name' });
  });

  test('a silent server delays no literal and no name of the hosts file', async () => {
    const server = await serve(() => 'drop');
    const resolver = resolverOf([server], { hosts: '192.0.2.9 here' });
    const waiting = faultOf(resolver.resolve('web1.example', 'any'));
    await server.seen(2);
    expect(resolver.resolve('192.0.2.1', 'any')).toEqual(['192.0.2.1']);
    expect(resolver.resolve('here', 'any')).toEqual(['192.0.2.9']);
    resolver.close();
    expect(await waiting).toMatchObject({ fault: 'closed' });
  });

  test('a name of the hosts file without the family that is wanted is asked for', async () => {
    const server = await serve(both);
    const resolver = resolverOf([server], { hosts: '192.0.2.9 web1.example' });
    expect(await resolver.resolve('web1.example', 6)).toEqual(['2001:db8::1']);
  });
});

describe('answers', () => {
  test('both types together, IPv6 first, remembered', async () => {
    const server = await serve(both);
    const resolver = resolverOf([server]);
    expect(await resolver.resolve('Web1.Example', 'any')).toEqual(bothOf);
    expect(resolver.resolve('web1.example', 'any')).toEqual(bothOf);
    expect(server.asked.sort()).toEqual(['web1.example A', 'web1.example AAAA']);
  });

  test.each([
    [4, '', ['web1.example A'], ['192.0.2.1', '192.0.2.2']],
    [6, 'options no-aaaa', ['web1.example AAAA'], ['2001:db8::1']],
    ['any', 'options no-aaaa', ['web1.example A'], ['192.0.2.1', '192.0.2.2']],
  ] as const)('only what is wanted: %s %s', async (family, conf, asked, expected) => {
    const server = await serve(both);
    expect(await resolverOf([server], { conf }).resolve('web1.example', family)).toEqual(expected);
    expect(server.asked).toEqual(asked);
  });

  test.each([
    ['web12', 'web12'],
    ['Web_1.Example', 'web_1.example'],
    ['1a.2b.example.', '1a.2b.example'],
    ['10.0.0', '10.0.0'],
    ['x.9', 'x.9'],
    [`${'x'.repeat(63)}.example`, `${'x'.repeat(63)}.example`],
    [`${'x.'.repeat(126)}x`, `${'x.'.repeat(126)}x`],
  ])('%s is asked for as %s', async (name, asked) => {
    const server = await serve(({ type }) => ({
      records: [{ type, value: type === 'A' ? '192.0.2.7' : '2001:db8::7' }],
    }));
    expect(await resolverOf([server]).resolve(name, 'any')).toEqual(['2001:db8::7', '192.0.2.7']);
    expect(server.asked.sort()).toEqual([`${asked} A`, `${asked} AAAA`]);
    const [first, second] = server.questions.map(({ message }) => message.readUInt16BE(0));
    expect(first).not.toBe(second);
  });

  test('one name asked for many times at once is one question', async () => {
    const server = await serve(both);
    const resolver = resolverOf([server]);
    const all = await Promise.all(Array.from({ length: 20 }, () => resolver.resolve('web1.example', 'any')));
    expect(all).toEqual(Array.from({ length: 20 }, () => bothOf));
    expect(server.asked).toHaveLength(2);
  });

  test('a name that does not exist: said so, remembered for five seconds', async () => {
    const server = await serve(both);
    const clock = new ManualClock();
    const resolver = resolverOf([server], { clock });
    const first = await faultOf(resolver.resolve('none.example', 'any'));
    expect(first).toMatchObject({
      fault: 'no-name',
      message: 'name "none.example" does not resolve: no such name (NXDOMAIN)',
    });
    expect(await faultOf(resolver.resolve('none.example', 'any'))).toBe(first);
    expect(server.asked).toHaveLength(2);
    clock.jump(5001);
    await faultOf(resolver.resolve('none.example', 'any'));
    expect(server.asked).toHaveLength(4);
  });

  test.each([
    ['empty.example', 'any', 'the name has no address'],
    ['empty.example', 4, 'the name has no IPv4 address'],
    ['old.example', 6, 'the name has no IPv6 address'],
  ] as const)('%s (%s) has no address: %s', async (name, family, why) => {
    const error = await faultOf(resolverOf([await serve(both)]).resolve(name, family));
    expect(error).toMatchObject({ fault: 'no-address', message: `name "${name}" does not resolve: ${why}` });
  });

  test('denied for one type and there for the other: it has no address', async () => {
    const server = await serve(({ type }) => ({ code: type === 'A' ? 0 : 3 }));
    expect(await faultOf(resolverOf([server]).resolve('web1.example', 'any'))).toMatchObject({ fault: 'no-address' });
  });

  test('denied for one type and failed for the other: it does not exist', async () => {
    const server = await serve(({ type }) => ({ code: type === 'A' ? 3 : 2 }));
    const resolver = resolverOf([server], { conf: 'options attempts:1' });
    expect(await faultOf(resolver.resolve('web1.example', 'any'))).toMatchObject({ fault: 'no-name' });
  });

  test('an address that is this machine for the kernel is none', async () => {
    const server = await serve(({ type }) => ({ records: [{ type, value: type === 'A' ? '0.0.0.0' : '::' }] }));
    const error = await faultOf(resolverOf([server]).resolve('blocked.example', 'any'));
    expect(error).toMatchObject({ fault: 'no-address' });
    expect(error.message).toContain(`::, 0.0.0.0 cannot be a host's address`);
  });

  test('aliases are followed, circles are a failure', async () => {
    const server = await serve(
      zone({
        'a.example': [
          { type: 'CNAME', value: 'b.example' },
          { name: 'b.example', type: 'A', value: '192.0.2.1' },
        ],
        'c.example': [{ type: 'CNAME', value: 'c.example' }],
      }),
    );
    const clock = new ManualClock();
    const resolver = resolverOf([server], { clock, conf: 'options attempts:1' });
    expect(await resolver.resolve('a.example', 4)).toEqual(['192.0.2.1']);
    const error = await faultOf(resolver.resolve('c.example', 4));
    expect(error).toMatchObject({ fault: 'server' });
    expect(error.message).toContain('more than 8 aliases');
  });

  test('names that are not ASCII', async () => {
    const server = await serve(zone({ 'xn--bcher-kva.example': [{ type: 'A', value: '192.0.2.1' }] }));
    expect(await resolverOf([server]).resolve('Bücher.example', 4)).toEqual(['192.0.2.1']);
  });

  test('c-ares hears the same from the same server', async () => {
    const server = await serve(both);
    const theirs = new dns.Resolver();
    theirs.setServers([`127.0.0.1:${server.address.port}`]);
    const v4 = await theirs.resolve4('web1.example');
    const v6 = await theirs.resolve6('web1.example');
    expect(new Set(await resolverOf([server]).resolve('web1.example', 'any'))).toEqual(new Set([...v4, ...v6]));
  });
});

describe('TCP', () => {
  test.each([1, 7, 65_537])('an answer that is too long for UDP comes over TCP, in pieces of %i', async (pieces) => {
    const server = await serve((question) => (question.over === 'udp' ? { truncated: true } : both(question)));
    server.pieces = pieces;
    expect(await resolverOf([server]).resolve('web1.example', 'any')).toEqual(bothOf);
    expect(server.questions.map(({ over }) => over).sort()).toEqual(['tcp', 'tcp', 'udp', 'udp']);
  });

  test('options use-vc: TCP from the start, one connection for all', async () => {
    const server = await serve(both);
    const resolver = resolverOf([server], { conf: 'options use-vc' });
    await Promise.all([resolver.resolve('web1.example', 'any'), resolver.resolve('old.example', 'any')]);
    expect(server.questions.map(({ over }) => over)).toEqual(['tcp', 'tcp', 'tcp', 'tcp']);
  });

  test('an answer cut short over TCP is a failure', async () => {
    const server = await serve(() => ({ truncated: true }));
    const error = await faultOf(resolverOf([server], { conf: 'options attempts:1' }).resolve('web1.example', 4));
    expect(error.message).toContain('an answer cut short over TCP');
  });
});

describe('what is not an answer', () => {
  test('wrong id, wrong question, wrong port, garbage: the true answer counts', async () => {
    const other = await serve(() => 'drop');
    const server = await serve((question) => {
      const wrong = answerTo(question, { records: [{ type: 'A', value: '198.51.100.1' }] });
      const wrongId = Buffer.from(wrong);
      wrongId.writeUInt16BE((wrongId.readUInt16BE(0) + 1) & 0xffff, 0);
      const wrongName = Buffer.from(wrong);
      wrongName[13]! ^= 1;
      const noAnswer = Buffer.from(wrong);
      noAnswer[2]! &= 0x7f;
      const right = answerTo(question, { records: [{ type: 'A', value: '192.0.2.1' }] });
      return [wrongId, wrongName, noAnswer, wrong.subarray(0, 11), wrong.subarray(0, 20), right];
    });
    expect(await resolverOf([server, other]).resolve('web1.example', 4)).toEqual(['192.0.2.1']);
  });

  test('any garbage under the right id', async () => {
    let garbage: Uint8Array = new Uint8Array();
    const server = await serve((question) => [
      Buffer.concat([question.message.subarray(0, 2), garbage]),
      answerTo(question, { records: [{ type: 'A', value: '192.0.2.1' }] }),
    ]);
    const resolver = resolverOf([server]);
    let names = 0;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        // A bare refusal without the question would count: it only makes the client ask again.
        fc.pre(!(bytes.length >= 4 && bytes[2] === 0 && bytes[3] === 0));
        garbage = bytes;
        expect(await resolver.resolve(`n${names++}.example`, 4)).toEqual(['192.0.2.1']);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the search list', () => {
  const conf = 'search a.example b.example';

  test.each([
    ['web1', { 'web1.a.example': '192.0.2.1' }, ['web1.a.example'], ['192.0.2.1']],
    ['web1', { 'web1.b.example': '192.0.2.2' }, ['web1.a.example', 'web1.b.example'], ['192.0.2.2']],
    ['web1', { web1: '192.0.2.3' }, ['web1.a.example', 'web1.b.example', 'web1'], ['192.0.2.3']],
    ['web1.x', { 'web1.x': '192.0.2.4' }, ['web1.x'], ['192.0.2.4']],
    ['web1.x', { 'web1.x.a.example': '192.0.2.5' }, ['web1.x', 'web1.x.a.example'], ['192.0.2.5']],
  ] as const)('%s with %j', async (name, names, asked, expected) => {
    const records = Object.entries(names).map(([known, value]) => [known, [{ type: 'A', value } as const]]);
    const server = await serve(zone(Object.fromEntries(records)));
    expect(await resolverOf([server], { conf }).resolve(name, 4)).toEqual(expected);
    expect(server.asked).toEqual(asked.map((each) => `${each} A`));
  });

  test('what was asked for is said', async () => {
    const error = await faultOf(resolverOf([await serve(() => ({ code: 3 }))], { conf }).resolve('web1', 'any'));
    expect(error.message).toBe(
      'name "web1" does not resolve: no such name (NXDOMAIN); asked for "web1.a.example", "web1.b.example", "web1"',
    );
  });

  test('a dot at the end: the name as it stands', async () => {
    const server = await serve(() => ({ code: 3 }));
    await faultOf(resolverOf([server], { conf }).resolve('web1.', 4));
    expect(server.asked).toEqual(['web1 A']);
  });

  test('a failure ends it: the next name could be another host', async () => {
    const server = await serve(({ name, type }) =>
      name === 'web1.a.example' ? { code: 2 } : { records: [{ type, value: '192.0.2.1' }] },
    );
    const error = await faultOf(resolverOf([server], { conf: `${conf}\noptions attempts:1` }).resolve('web1', 4));
    expect(error).toMatchObject({ fault: 'server' });
    expect(error.message).toContain('SERVFAIL');
    expect(server.asked).toEqual(['web1.a.example A']);
  });
});

describe('closed', () => {
  test('what is open and what comes after rejects; what is known stays known', async () => {
    const server = await serve((question) => (question.name === 'web1.example' ? both(question) : 'drop'));
    const clock = new ManualClock();
    const resolver = resolverOf([server], { clock });
    await resolver.resolve('web1.example', 'any');
    const waiting = faultOf(resolver.resolve('web2.example', 'any'));
    resolver.close();
    expect(await waiting).toMatchObject({ fault: 'closed' });
    expect(await faultOf(resolver.resolve('web3.example', 'any'))).toMatchObject({ fault: 'closed' });
    expect(resolver.resolve('web1.example', 'any')).toEqual(bothOf);
    expect(clock.timers).toBe(0);
  });
});
