/** What a session asks for before its command, on the wire and against the server half. */
import { describe, expect, it } from 'vitest';
import { MSG } from '../../src/ssh/messages.ts';
import type { SessionRequests } from '../../src/ssh/session_requests.ts';
import { bool, msg, str, u32 } from './bytes.ts';
import { ClientHalf, join, Link } from './halves.ts';
import { confirmation, Puppet } from './puppet.ts';

const ALL: SessionRequests = {
  agentForward: true,
  pty: {
    term: 'xterm',
    columns: 120,
    rows: 40,
    modes: [
      [53, 0],
      [128, 38_400],
    ],
  },
  env: [
    ['LANG', 'C.UTF-8'],
    ['EMPTY', ''],
  ],
};

const options = (requests?: SessionRequests) => ({
  data: () => true,
  begin: () => undefined,
  started() {},
  lingerMs: 2000,
  ...(requests ? { requests } : {}),
});

const request = (name: string, ...fields: Buffer[]) => msg(MSG.CHANNEL_REQUEST, u32(9), str(name), ...fields);

async function connected() {
  const link = new Link();
  const writes: Buffer[] = [];
  const stream = link.stream('toServer');
  const client = new ClientHalf({
    ...stream,
    write: (bytes) => {
      writes.push(bytes);
      stream.write(bytes);
    },
  });
  const back = link.stream('toClient');
  const puppet = new Puppet((bytes) => back.write(bytes), { role: 'server' });
  link.client = client;
  link.server = puppet;
  client.transport.start();
  const login = puppet.login();
  await link.settle();
  await login;
  return { link, client, puppet, writes };
}

describe('on the wire', () => {
  it('all leave in one write with the command, as RFC 4254 has them, without a reply', async () => {
    const { link, client, puppet, writes } = await connected();
    const session = client.session();
    session.exec('id', options(ALL));
    await link.settle();
    await puppet.expect(MSG.CHANNEL_OPEN);
    writes.length = 0;
    puppet.send(confirmation(0));
    await link.settle();
    expect(writes.length).toBe(1);
    const sent: Buffer[] = [];
    for (let i = 0; i < 5; i++) sent.push(await puppet.expect(MSG.CHANNEL_REQUEST));
    const modes = Buffer.concat([Buffer.of(53), u32(0), Buffer.of(128), u32(38_400), Buffer.of(0)]);
    expect(sent).toEqual([
      request('auth-agent-req@openssh.com', bool(false)),
      request('pty-req', bool(false), str('xterm'), u32(120), u32(40), u32(0), u32(0), str(modes)),
      request('env', bool(false), str('LANG'), str('C.UTF-8')),
      request('env', bool(false), str('EMPTY'), str('')),
      request('exec', bool(true), str('id')),
    ]);
  });

  it('a new size before the command is the first size; later it is a window-change; without a terminal it is nothing', async () => {
    const { link, client, puppet } = await connected();
    const session = client.session();
    session.exec('id', options({ pty: { term: 'vt100', columns: 80, rows: 24 } }));
    session.resize(100, 30);
    await link.settle();
    await puppet.expect(MSG.CHANNEL_OPEN);
    puppet.send(confirmation(0));
    await link.settle();
    const size = [u32(100), u32(30), u32(0), u32(0)];
    expect(await puppet.expect(MSG.CHANNEL_REQUEST)).toEqual(
      request('pty-req', bool(false), str('vt100'), ...size, str(Buffer.of(0))),
    );
    await puppet.expect(MSG.CHANNEL_REQUEST);
    session.resize(101, 31);
    await link.settle();
    expect(await puppet.expect(MSG.CHANNEL_REQUEST)).toEqual(
      request('window-change', bool(false), u32(101), u32(31), u32(0), u32(0)),
    );
    const plain = client.session();
    plain.exec('id', options());
    await link.settle();
    await puppet.expect(MSG.CHANNEL_OPEN);
    puppet.send(confirmation(1));
    await link.settle();
    await puppet.expect(MSG.CHANNEL_REQUEST);
    plain.resize(1, 1);
    plain.signal('TERM');
    await link.settle();
    expect(await puppet.expect(MSG.CHANNEL_REQUEST)).toEqual(request('signal', bool(false), str('TERM')));
  });
});

describe('the server half', () => {
  it('takes them all, and runs the command', async () => {
    const { link, client } = join((line, session) => ({
      run() {
        session.write(Buffer.from(line));
        session.exit(0);
      },
      stdin: () => true,
      stdinEnd() {},
      signal() {},
      drained() {},
      gone() {},
    }));
    await link.settle();
    const session = client.session();
    session.exec('id', options(ALL));
    session.resize(90, 20);
    await link.settle();
    expect(await session.ended).toMatchObject({ status: 0 });
    expect(client.closed).toBeUndefined();
  });

  const asks: readonly [string, Buffer][] = [
    ['env', Buffer.concat([str('A'), str('b')])],
    ['pty-req', Buffer.concat([str('vt100'), u32(80), u32(24), u32(0), u32(0), str(Buffer.of(0))])],
  ];

  async function served() {
    const all = join((_line, _session) => ({
      run() {},
      stdin: () => true,
      stdinEnd() {},
      signal() {},
      drained() {},
      gone() {},
    }));
    await all.link.settle();
    const replies: boolean[] = [];
    const nothing = {
      opened() {},
      openFailed() {},
      data: () => true,
      eof() {},
      request() {},
      drained() {},
      closed() {},
    };
    const channel = all.client.mux.open('session', { ...nothing, reply: (yes) => void replies.push(yes) });
    all.client.transport.flush();
    await all.link.settle();
    const ask = async (name: string, fields: Buffer) => {
      channel.request(name, true).raw(fields);
      channel.sendRequest();
      all.client.transport.flush();
      await all.link.settle();
    };
    return { ...all, replies, ask };
  }

  it.each(asks)('answers %s where a reply is wanted: yes before the command, no after it', async (name, fields) => {
    const { replies, ask } = await served();
    await ask(name, fields);
    await ask('exec', str('id'));
    await ask(name, fields);
    await ask('x11-req', str(''));
    expect(replies).toEqual([true, true, false, false]);
  });

  it.each(asks)('ends the connection for a %s that is cut short', async (name, fields) => {
    const { server, ask } = await served();
    await ask(name, fields.subarray(0, fields.length - 1));
    expect(server.closed).toMatchObject({ reason: 'protocol' });
  });
});
