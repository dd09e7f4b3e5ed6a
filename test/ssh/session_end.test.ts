/** How a session ends: what RFC 4254 lets a server send, in every order it allows. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MSG } from '../../src/ssh/messages.ts';
import { bool, msg, str, u32 } from './bytes.ts';
import { type Answer, ClientHalf, Link } from './halves.ts';
import { exitStatus, Puppet } from './puppet.ts';

const STDOUT = Buffer.from('what it said');
const STDERR = Buffer.from('what it complained of');

type Part = 'stdout' | 'stderr' | 'eof' | 'status' | 'signal' | 'adjust' | 'unknown';

function payload(part: Part, channel: number): Buffer {
  switch (part) {
    case 'stdout':
      return msg(MSG.CHANNEL_DATA, u32(channel), str(STDOUT));
    case 'stderr':
      return msg(MSG.CHANNEL_EXTENDED_DATA, u32(channel), u32(1), str(STDERR));
    case 'eof':
      return msg(MSG.CHANNEL_EOF, u32(channel));
    case 'status':
      return exitStatus(channel, 5);
    case 'signal':
      return msg(
        MSG.CHANNEL_REQUEST,
        u32(channel),
        str('exit-signal'),
        bool(false),
        str('TERM'),
        bool(true),
        str(''),
        str(''),
      );
    case 'adjust':
      return msg(MSG.CHANNEL_WINDOW_ADJUST, u32(channel), u32(1000));
    case 'unknown':
      return msg(MSG.CHANNEL_REQUEST, u32(channel), str('eow@openssh.com'), bool(false));
  }
}

const close = (channel: number) => msg(MSG.CHANNEL_CLOSE, u32(channel));

interface Running {
  readonly link: Link;
  readonly client: ClientHalf;
  readonly puppet: Puppet;
  readonly channel: number;
  readonly answer: Promise<Answer>;
}

/** A client with a command that a puppet has just started. */
async function running(): Promise<Running> {
  const link = new Link();
  const client = new ClientHalf(link.stream('toServer'));
  const stream = link.stream('toClient');
  const puppet = new Puppet((bytes) => stream.write(bytes), { role: 'server' });
  link.client = client;
  link.server = puppet;
  client.transport.start();
  const started = puppet.started();
  await link.settle();
  const answer = client.run('a command');
  answer.catch(() => {});
  await link.settle();
  return { link, client, puppet, channel: await started, answer };
}

describe('a session', () => {
  it('has the same result in every order of its messages', async () => {
    const parts = fc.shuffledSubarray<Part>(['stdout', 'stderr', 'eof', 'status', 'signal', 'adjust', 'unknown']);
    // RFC 4254 §5.3: no data after EOF. All else may come as it likes.
    const legal = parts.filter((order) => {
      const eof = order.indexOf('eof');
      return eof < 0 || !order.slice(eof).some((part) => part === 'stdout' || part === 'stderr');
    });
    await fc.assert(
      fc.asyncProperty(legal, fc.integer({ min: 1, max: 500 }), async (order, size) => {
        const { link, client, puppet, channel, answer } = await running();
        puppet.send(...order.map((part) => payload(part, channel)), close(channel));
        await link.settle(() => size);
        const signal = order.includes('signal') ? { name: 'TERM', coreDumped: true } : null;
        expect(await answer).toEqual({
          status: order.includes('status') && signal === null ? 5 : null,
          signal,
          outputLeftOpen: false,
          outputCut: false,
          stdout: order.includes('stdout') ? STDOUT : Buffer.alloc(0),
          stderr: order.includes('stderr') ? STDERR : Buffer.alloc(0),
        });
        expect(client.closed).toBeUndefined();
        expect(client.timers.count).toBe(0);
        await puppet.expect(MSG.CHANNEL_EOF);
        await puppet.expect(MSG.CHANNEL_CLOSE);
      }),
      { numRuns: 80 },
    );
  });

  it.each<[string, readonly Part[], boolean]>([
    ['with its output left open', ['stdout', 'status'], true],
    ['with its output ended', ['stdout', 'eof', 'status'], false],
  ])('that nobody closes ends when the linger is over, %s', async (_what, order, outputLeftOpen) => {
    const { link, client, puppet, channel, answer } = await running();
    puppet.send(...order.map((part) => payload(part, channel)));
    await link.settle();
    client.timers.fire();
    await link.settle();
    expect(await answer).toMatchObject({ status: 5, outputLeftOpen, outputCut: false, stdout: STDOUT });
    await puppet.expect(MSG.CHANNEL_EOF);
    await puppet.expect(MSG.CHANNEL_CLOSE);
    // What was under way when we closed is dropped; the peer's CLOSE ends it.
    const underWay: Part[] = outputLeftOpen ? ['stdout', 'eof', 'unknown'] : ['unknown'];
    puppet.send(...underWay.map((part) => payload(part, channel)), close(channel));
    await link.settle();
    expect(client.closed).toBeUndefined();
    expect(client.mux.channels).toBe(0);
  });

  it.each<[string, readonly Part[], object]>([
    ['after the status, output open', ['stdout', 'status'], { status: 5, outputCut: true, stdout: STDOUT }],
    ['after status and EOF', ['stdout', 'eof', 'status'], { status: 5, outputCut: false, stdout: STDOUT }],
    ['after a signal', ['signal'], { status: null, signal: { name: 'TERM', coreDumped: true }, outputCut: true }],
  ])('whose connection goes down %s', async (_what, order, result) => {
    const { link, puppet, channel, answer } = await running();
    puppet.send(...order.map((part) => payload(part, channel)));
    link.hangUp('toClient');
    await link.settle();
    expect(await answer).toMatchObject(result);
  });

  it.each<[string, readonly Part[]]>([
    ['at once', []],
    ['after output', ['stdout']],
    ['after EOF', ['stdout', 'eof']],
  ])('whose connection goes down without a status, %s, has no result', async (_what, order) => {
    const { link, puppet, channel, answer } = await running();
    puppet.send(...order.map((part) => payload(part, channel)));
    link.hangUp('toClient');
    await link.settle();
    await expect(answer).rejects.toMatchObject({ reason: 'closed' });
  });

  it('answers requests that want it: yes to a status, no to what it does not know', async () => {
    const { link, puppet, channel, answer } = await running();
    puppet.send(
      msg(MSG.CHANNEL_REQUEST, u32(channel), str('keepalive@openssh.com'), bool(true)),
      msg(MSG.CHANNEL_REQUEST, u32(channel), str('exit-status'), bool(true), u32(0)),
    );
    await link.settle();
    await puppet.expect(MSG.CHANNEL_EOF);
    await puppet.expect(MSG.CHANNEL_FAILURE);
    await puppet.expect(MSG.CHANNEL_SUCCESS);
    puppet.send(close(channel));
    await link.settle();
    expect((await answer).status).toBe(0);
  });
});
