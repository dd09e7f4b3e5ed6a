import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { A, AAAA, decodeAnswer, encodeQuery, nameFault, readdress } from '../../../src/transport/native/dns_message.ts';
import { type AnswerRecord, answerTo, type Question } from './scripted_name_server.ts';

function ask(name: string, type: 'A' | 'AAAA' = 'A'): Question {
  const message = encodeQuery(name, type === 'A' ? A : AAAA);
  return { name, type, over: 'udp', from: 0, message, end: message.length };
}

function decode(question: Question, message: Buffer) {
  return decodeAnswer(message, question.message, question.type === 'A' ? A : AAAA);
}

function answer(records: AnswerRecord[], name = 'web1.example', type: 'A' | 'AAAA' = 'A') {
  const question = ask(name, type);
  return decode(question, answerTo(question, { records }));
}

test('a query is one question, recursion desired', () => {
  expect(encodeQuery('web1.example', AAAA).toString('hex')).toBe(
    `000001000001000000000000${'04'}${Buffer.from('web1').toString('hex')}07${Buffer.from('example').toString('hex')}00001c0001`,
  );
});

describe('names', () => {
  test.each([
    ['web1', undefined],
    ['_srv.a-b.example', undefined],
    ['', 'a part of it is empty'],
    ['a..b', 'a part of it is empty'],
    ['.a', 'a part of it is empty'],
    ['a.', 'a part of it is empty'],
    ['a b', 'it has a character that names do not have'],
    ['a/b', 'it has a character that names do not have'],
    ['ä', 'it has a character that names do not have'],
    ['x'.repeat(63), undefined],
    ['x'.repeat(64), 'a part of it is longer than 63 characters'],
    [`${'x.'.repeat(126)}x`, undefined],
    [`${'x.'.repeat(127)}x`, 'it is longer than 253 characters'],
  ])('%j: %s', (name, expected) => expect(nameFault(name)).toBe(expected));
});

describe('answers', () => {
  test.each<[string, AnswerRecord[], unknown]>([
    ['one address', [{ type: 'A', value: '192.0.2.1' }], { kind: 'addresses', addresses: ['192.0.2.1'] }],
    [
      'several',
      [
        { type: 'A', value: '192.0.2.1' },
        { type: 'A', value: '192.0.2.2' },
      ],
      { kind: 'addresses', addresses: ['192.0.2.1', '192.0.2.2'] },
    ],
    ['none', [], { kind: 'no-address' }],
    [
      'of another type',
      [
        { type: 'AAAA', value: '2001:db8::1' },
        { type: 'TXT', value: 'x' },
      ],
      { kind: 'no-address' },
    ],
    ['of another name', [{ name: 'web2.example', type: 'A', value: '192.0.2.1' }], { kind: 'no-address' }],
    [
      'the name written out, in capitals',
      [{ name: 'WEB1.example', type: 'A', value: '192.0.2.1' }],
      { kind: 'addresses', addresses: ['192.0.2.1'] },
    ],
    [
      'an alias',
      [
        { type: 'CNAME', value: 'a.example' },
        { name: 'a.example', type: 'A', value: '192.0.2.1' },
      ],
      { kind: 'addresses', addresses: ['192.0.2.1'], alias: 'a.example' },
    ],
    [
      'aliases in the wrong order',
      [
        { name: 'b.example', type: 'A', value: '192.0.2.1' },
        { name: 'a.example', type: 'CNAME', value: 'B.example' },
        { type: 'CNAME', value: 'a.example' },
      ],
      { kind: 'addresses', addresses: ['192.0.2.1'], alias: 'b.example' },
    ],
    ['an alias without an address', [{ type: 'CNAME', value: 'a.example' }], { kind: 'no-address' }],
    ['an alias of itself', [{ type: 'CNAME', value: 'web1.example' }], { kind: 'failed', why: 'more than 8 aliases' }],
    [
      'aliases in a circle',
      [
        { type: 'CNAME', value: 'a' },
        { name: 'a', type: 'CNAME', value: 'web1.example' },
      ],
      { kind: 'failed', why: 'more than 8 aliases' },
    ],
  ])('%s', (_what, records, expected) => expect(answer(records)).toEqual(expected));

  const chain = (links: number): AnswerRecord[] => [
    ...Array.from(
      { length: links },
      (_, i): AnswerRecord => ({
        ...(i === 0 ? {} : { name: `a${i}` }),
        type: 'CNAME',
        value: `a${i + 1}`,
      }),
    ),
    { name: `a${links}`, type: 'A', value: '192.0.2.1' },
  ];
  test('eight aliases are followed, nine are not', () => {
    expect(answer(chain(8))).toEqual({ kind: 'addresses', addresses: ['192.0.2.1'], alias: 'a8' });
    expect(answer(chain(9))).toEqual({ kind: 'failed', why: 'more than 8 aliases' });
  });

  test.each([
    ['A', '192.0.2.1'],
    ['AAAA', '2001:db8::1'],
  ] as const)(
    'one %s record: read the same with its name as a pointer, written out, or among others',
    (type, value) => {
      const expected = { kind: 'addresses', addresses: [value] };
      expect(answer([{ type, value }], 'web1.example', type)).toEqual(expected);
      expect(answer([{ name: 'web1.example', type, value }], 'web1.example', type)).toEqual(expected);
      expect(
        answer(
          [
            { type: 'TXT', value: 'x' },
            { type, value },
          ],
          'web1.example',
          type,
        ),
      ).toEqual(expected);
    },
  );

  test('one record that is cut short, of a wrong length or of another class is no address', () => {
    const question = ask('web1.example');
    const whole = answerTo(question, { records: [{ type: 'A', value: '192.0.2.1' }] });
    const unreadable = { kind: 'failed', why: 'an answer that cannot be read' };
    for (let length = question.end; length < whole.length; length++) {
      expect(decode(question, whole.subarray(0, length))).toEqual(unreadable);
    }
    const changed = (at: number, value: number) => {
      const message = Buffer.from(whole);
      message[question.end + at] = value;
      return decode(question, message);
    };
    expect(changed(11, 3)).toEqual(unreadable);
    expect(changed(5, 3)).toEqual({ kind: 'no-address' });
    expect(changed(3, 16)).toEqual({ kind: 'no-address' });
  });

  test('the query of one type, made into that of the other', () => {
    const query = encodeQuery('web1.example', A);
    readdress(query, AAAA, 0xabcd);
    const expected = encodeQuery('web1.example', AAAA);
    expected.writeUInt16BE(0xabcd, 0);
    expect(query).toEqual(expected);
    // What it was made into last does not matter to the answers.
    const both = ask('web1.example');
    const message = answerTo(both, { records: [{ type: 'A', value: '192.0.2.1' }] });
    expect(decodeAnswer(message, query, A)).toEqual({ kind: 'addresses', addresses: ['192.0.2.1'] });
    expect(decodeAnswer(message, query, AAAA)).toBeUndefined();
  });

  test('IPv6', () => {
    expect(answer([{ type: 'AAAA', value: '2001:db8::1' }], 'web1', 'AAAA')).toEqual({
      kind: 'addresses',
      addresses: ['2001:db8::1'],
    });
  });

  test('at most sixteen addresses', () => {
    const records = Array.from({ length: 30 }, (_, i): AnswerRecord => ({ type: 'A', value: `192.0.2.${i}` }));
    expect(answer(records)).toMatchObject({ addresses: { length: 16 } });
  });

  test.each([
    [1, { kind: 'failed', why: 'FORMERR' }],
    [2, { kind: 'failed', why: 'SERVFAIL' }],
    [3, { kind: 'no-name' }],
    [4, { kind: 'failed', why: 'NOTIMP' }],
    [5, { kind: 'failed', why: 'REFUSED' }],
    [11, { kind: 'failed', why: 'code 11' }],
  ])('code %i', (code, expected) => {
    const question = ask('web1');
    expect(decode(question, answerTo(question, { code }))).toEqual(expected);
  });

  test('cut short', () => {
    const question = ask('web1');
    expect(decode(question, answerTo(question, { truncated: true }))).toEqual({ kind: 'truncated' });
  });

  test('a refusal that leaves the question out counts, a success does not', () => {
    const question = ask('web1');
    const bare = answerTo(question, { code: 5 }).subarray(0, 12);
    bare[5] = 0;
    expect(decode(question, bare)).toEqual({ kind: 'failed', why: 'REFUSED' });
    for (const code of [0, 3]) {
      bare[3] = 0x80 | code;
      expect(decode(question, bare)).toBeUndefined();
    }
  });

  test('what does not answer the question is no answer', () => {
    const question = ask('web1.example');
    for (const other of [ask('web2.example'), ask('web1.example', 'AAAA'), ask('web1'), ask('web1.example.org')]) {
      expect(decode(question, answerTo(other, { records: [{ type: 'A', value: '192.0.2.1' }] }))).toBeUndefined();
    }
    expect(decode(question, question.message)).toBeUndefined();
  });

  test('capitals in the question are no difference', () => {
    expect(decode(ask('web1.example'), answerTo(ask('WEB1.Example'), { code: 3 }))).toEqual({ kind: 'no-name' });
  });
});

describe('hostile answers', () => {
  const question = ask('web1.example');
  const good = answerTo(question, {
    records: [
      { type: 'CNAME', value: 'a.example' },
      { name: 'a.example', type: 'A', value: '192.0.2.1' },
    ],
  });
  const unreadable = { kind: 'failed', why: 'an answer that cannot be read' };

  test('cut anywhere behind the question', () => {
    for (let length = question.end; length < good.length; length++) {
      expect(decode(question, good.subarray(0, length))).toEqual(unreadable);
    }
  });

  test.each([
    ['a name that points at itself', (at: number) => Buffer.from([0xc0, at])],
    ['a name that points forward', (at: number) => Buffer.from([0xc0, at + 2])],
    ['a label of a kind that does not exist', () => Buffer.from([0x80, 0])],
  ])('%s', (_what, name) => {
    const record = Buffer.concat([name(question.end), Buffer.from('00010001000000000004c0000201', 'hex')]);
    const message = Buffer.concat([answerTo(question, {}), record]);
    message[7] = 1;
    expect(['no-address', 'failed']).toContain(decode(question, message)?.kind);
  });

  test('an address of the wrong length', () => {
    const message = Buffer.concat([answerTo(question, {}), Buffer.from('c00c00010001000000000003c00002', 'hex')]);
    message[7] = 1;
    expect(decode(question, message)).toEqual(unreadable);
  });

  test('any bytes, and any change to a good answer: an answer of the wanted kind or none, never an exception', () => {
    const changed = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    const random = fc.uint8Array({ minLength: 0, maxLength: 80 }).map((bytes) => Buffer.from(bytes));
    const behind = random.map((bytes) => Buffer.concat([good.subarray(0, question.end), bytes]));
    fc.assert(
      fc.property(fc.oneof(changed, random, behind), fc.constantFrom(A, AAAA), (message, type) => {
        const query = encodeQuery('web1.example', type);
        const result = decodeAnswer(message, query, type);
        if (result?.kind !== 'addresses') return;
        expect(result.addresses.length).toBeGreaterThan(0);
        for (const address of result.addresses) expect(type === A ? isIPv4(address) : isIPv6(address)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
});
