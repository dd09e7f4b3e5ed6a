/** SSHFP records and canonical names, asked of scripted name servers. */
import { describe, expect, it } from 'vitest';
import { realClock, resolverOf, serve } from './resolver_kit.ts';
import { answerTo, type Reply, type Script } from './scripted_name_server.ts';

const PRINT = 'ab'.repeat(32);
const KEY: Reply = { records: [{ type: 'SSHFP', value: `0402${PRINT}` }], authentic: true };
const RECORD = { algorithm: 4, type: 2, fingerprint: Buffer.from(PRINT, 'hex') };

const ask = async (script: Script, conf = 'options trust-ad', name = 'web1.example') => {
  const server = await serve(script);
  const answer = await resolverOf([server], { conf, clock: realClock }).sshfp(name);
  return { answer, questions: server.questions };
};

describe('SSHFP records', () => {
  it('are secure where the server says so and is trusted to', async () => {
    expect((await ask(() => KEY)).answer).toEqual({ records: [RECORD], secure: true });
    expect((await ask(() => KEY, '')).answer).toEqual({ records: [RECORD], secure: false });
    const plain = { records: [{ type: 'SSHFP', value: `0402${PRINT}` }] } as const;
    expect((await ask(() => plain)).answer).toEqual({ records: [RECORD], secure: false });
  });

  it('are asked for with the AD bit, and over TCP where they do not fit', async () => {
    const { answer, questions } = await ask(({ over }) => (over === 'udp' ? { truncated: true } : KEY));
    expect(answer.records).toEqual([RECORD]);
    expect(questions.map(({ over, type, message }) => [over, type, message[3]! & 0x20])).toEqual([
      ['udp', 'SSHFP', 0x20],
      ['tcp', 'SSHFP', 0x20],
    ]);
  });

  it.each([
    ['no such name', { code: 3 }],
    ['none', { records: [] }],
    ['one too short to be one', { records: [{ type: 'SSHFP', value: '0402' }] }],
    ['another type', { records: [{ type: 'TXT', value: 'x' }] }],
  ] as const)('%s is none', async (_what, reply) => {
    expect((await ask(() => reply as Reply)).answer).toEqual({ records: [], secure: false });
  });

  it('of addresses are not asked for', async () => {
    const { answer, questions } = await ask(() => KEY, 'options trust-ad', '192.0.2.1');
    expect([answer.records, questions]).toEqual([[], []]);
  });

  it('by a stranger, for another question or id, are not heard', async () => {
    const wrong = (message: Buffer, change: (copy: Buffer) => void) => {
      const copy = Buffer.concat([message]);
      copy[2] = 0x81;
      change(copy);
      return copy;
    };
    const { answer } = await ask((asked) => {
      const { message } = asked;
      const other = wrong(message, (copy) => copy.writeUInt16BE(copy.readUInt16BE(0) ^ 1, 0));
      const question = wrong(message, (copy) => copy.writeUInt8(copy[13]! ^ 1, 13));
      return [other, question, answerTo(asked, KEY as Exclude<Reply, 'drop' | readonly Buffer[]>)];
    });
    expect(answer).toEqual({ records: [RECORD], secure: true });
  });
});

describe('canonical names', () => {
  const script: Script = ({ name, type }) => {
    if (name === 'alias.example') {
      return {
        records: [
          { type: 'CNAME', value: 'real.example' },
          { name: 'real.example', type: 'A', value: '127.0.0.1' },
        ],
      };
    }
    if (name === 'real.example') return type === 'A' ? { records: [{ type: 'A', value: '127.0.0.1' }] } : {};
    return { code: 3 };
  };

  it.each([
    ['alias.example.', 'real.example'],
    ['real.example.', true],
    ['none.example.', false],
    ['not a name.', false],
  ] as const)('%s is %s', async (name, canonical) => {
    const resolver = resolverOf([await serve(script)], { conf: 'search elsewhere.example' });
    expect(await resolver.canonical(name, 'any')).toBe(canonical);
  });

  it('nobody can say is an error', async () => {
    const resolver = resolverOf([await serve(() => ({ code: 2 }))], { clock: realClock });
    await expect(resolver.canonical('web1.example.', 4)).rejects.toThrow(/web1.example.*SERVFAIL/);
  });
});
