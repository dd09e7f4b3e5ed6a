import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readClientFacts } from '../../../src/transport/openssh/client_log.ts';
import { Lines } from '../../../src/transport/openssh/lines.ts';
import { MasterLog } from '../../../src/transport/openssh/master_log.ts';

/** What OpenSSH 9.2 says of a connection with one command. */
const MASTER = `debug1: Executing proxy command: exec nc
debug1: Connecting to h [2001:db8::1] port 22.
debug1: connect to address 2001:db8::1 port 22: Connection refused
debug1: Connecting to h [127.0.0.1] port 2022.
debug1: Connection established.
debug1: Local version string SSH-2.0-OpenSSH_9.2p1 Debian-2
debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2
debug1: Server host key: ssh-ed25519 SHA256:0TBq6tzaHSTCiziqmpEetqGgpBIGAT8ciLWVbF02JQY
debug1: SSH2_MSG_NEWKEYS received
debug1: Authentications that can continue: publickey,password
debug1: Next authentication method: publickey
debug1: Offering public key: /k ED25519 SHA256:Z9Ve98 explicit
Authenticated to h ([127.0.0.1]:2022) using "publickey".
debug1: channel 0: new mux listener [/s] (inactive timeout: 0)
debug1: Entering interactive session.
debug1: channel 2: new session [client-session] (inactive timeout: 0)
debug3: mux.c:mux_exit_message():1228 (pid=26319): channel 2: exit message, exitval 255
debug2: channels.c:channel_input_status_confirm():3509 (pid=26319): type 99 id 2
debug2: channels.c:channel_input_status_confirm():3509 (pid=26319): type 100 id 4
and words of its own
`;

function listen(): { log: MasterLog; said: string[] } {
  const said: string[] = [];
  const log = new MasterLog({
    identified: () => void said.push('identified'),
    secured: () => void said.push('secured'),
    interactive: () => void said.push('interactive'),
    opened: (channel) => void said.push(`opened ${channel}`),
    status: (channel, status) => void said.push(`status ${channel} ${status}`),
    answered: (channel, accepted) => void said.push(`${accepted ? 'accepted' : 'refused'} ${channel}`),
  });
  return { log, said };
}

describe('the log of a master', () => {
  test.each(['\n', '\r\n'])('gives phases and facts, lines end in %j', (end) => {
    const { log, said } = listen();
    log.feed(Buffer.from(MASTER.replaceAll('\n', end)));
    expect(said).toEqual([
      'identified',
      'secured',
      'opened 0',
      'interactive',
      'opened 2',
      'status 2 255',
      'accepted 2',
      'refused 4',
    ]);
    expect(log.heard).toEqual({
      words: ['Authenticated to h ([127.0.0.1]:2022) using "publickey".', 'and words of its own'],
      address: '127.0.0.1',
      port: 2022,
      software: 'OpenSSH_9.2p1 Debian-2',
      keyType: 'ssh-ed25519',
      fingerprint: 'SHA256:0TBq6tzaHSTCiziqmpEetqGgpBIGAT8ciLWVbF02JQY',
      tried: ['publickey SHA256:Z9Ve98'],
      allowed: ['publickey', 'password'],
    });
  });

  test('a host certificate gives its key', () => {
    const { log } = listen();
    log.feed(
      Buffer.from(
        'debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com SHA256:A2GJ, serial 0 ID "id" CA ssh-ed25519 SHA256:pRmJ\n',
      ),
    );
    expect(log.heard).toMatchObject({ keyType: 'ssh-ed25519-cert-v01@openssh.com', fingerprint: 'SHA256:A2GJ' });
  });

  test('however it is cut into pieces, it says the same', () => {
    const bytes = Buffer.from(MASTER);
    const whole = listen();
    whole.log.feed(bytes);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 30 }), (cuts) => {
        const pieces = listen();
        let from = 0;
        for (const cut of [...cuts, bytes.length].toSorted((a, b) => a - b)) {
          pieces.log.feed(bytes.subarray(from, cut));
          from = cut;
        }
        expect([pieces.said, pieces.log.heard]).toEqual([whole.said, whole.log.heard]);
      }),
    );
  });

  test('a banner without end takes bounded memory', () => {
    const { log } = listen();
    for (let i = 0; i < 5_000; i++) log.feed(Buffer.from(`line ${i} of a banner\n`));
    for (let i = 0; i < 5_000; i++) log.feed(Buffer.from(`debug1: Next authentication method: m${i}\n`));
    for (let i = 0; i < 500; i++) log.feed(Buffer.alloc(10_000, 'x'));
    log.end();
    expect(log.heard.words).toHaveLength(24);
    expect(log.heard.words.at(-1)).toBe('x'.repeat(4_096));
    expect(log.heard.tried).toHaveLength(24);
  });
});

describe('lines', () => {
  test('no bytes of a peer get through but printable ones', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (pieces) => {
        const lines: string[] = [];
        const reader = new Lines((line) => lines.push(line));
        for (const piece of pieces) reader.feed(piece);
        reader.end();
        expect(lines.every((line) => /^[\x20-\x7e]*$/.test(line))).toBe(true);
        const ends = pieces.flatMap((piece) => [...piece]).filter((byte) => byte === 0x0a).length;
        expect(lines.length - ends === 0 || lines.length - ends === 1).toBe(true);
      }),
    );
  });
});

const CLIENT = 'debug2: fd 4 setting O_NONBLOCK\r\ndebug2: mux_client_hello_exchange: master version 4\r\n';

describe('the log of a client', () => {
  const nothing = { channel: undefined, status: undefined, refused: undefined, noMaster: false, words: undefined };
  test.each([
    ['', nothing],
    [CLIENT, nothing],
    [`${CLIENT}debug1: mux_client_request_session: master session id: 2\r\n`, { ...nothing, channel: 2 }],
    [
      `${CLIENT}debug1: mux_client_request_session: master session id: 7\r\ndebug2: Received exit status from master 255\r\n`,
      { ...nothing, channel: 7, status: 255 },
    ],
    [
      `${CLIENT}debug1: mux_client_request_session: master session id: 2\r\ndebug2: Control master terminated unexpectedly\r\n`,
      { ...nothing, channel: 2 },
    ],
    [
      `${CLIENT}mux_client_request_session: session request failed: Session open refused by peer\r\n`,
      {
        ...nothing,
        refused: 'Session open refused by peer',
        words: 'mux_client_request_session: session request failed: Session open refused by peer',
      },
    ],
    ['debug1: Control socket "/s" does not exist\r\n', { ...nothing, noMaster: true }],
    [
      'Control socket connect(/s): Connection refused\r\n',
      { ...nothing, noMaster: true, words: 'Control socket connect(/s): Connection refused' },
    ],
    [
      'command-line: line 0: Bad configuration option: x\r\n',
      { ...nothing, words: 'command-line: line 0: Bad configuration option: x' },
    ],
  ])('%j', (text, facts) => {
    expect(readClientFacts(text)).toEqual(facts);
  });

  test('reads anything', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => readClientFacts(text) !== undefined));
  });
});
