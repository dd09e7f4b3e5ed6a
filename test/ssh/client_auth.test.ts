/** User authentication, client half, against a scripted server: what is sent when, and what secrets and keys are told. */
import { describe, expect, it } from 'vitest';
import { type AuthKey, ClientAuth, type Credentials } from '../../src/ssh/client_auth.ts';
import type { Secret, SecretTry } from '../../src/ssh/client_auth_secret.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { MSG } from '../../src/ssh/messages.ts';
import { Reader, Writer } from '../../src/ssh/wire.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The server's side of a ClientAuth: takes its packets apart, gives it messages. */
class Server {
  readonly sent: string[] = [];
  readonly auth: ClientAuth;
  /** When the server's deadline stood still. */
  readonly waits: string[] = [];
  error: unknown;
  succeeded = false;
  #packet = new Writer(64);
  readonly #shared = new Writer(4096);

  constructor(credentials: Partial<Credentials>, serverSigAlgs?: readonly string[]) {
    const transport = {
      sessionId: Buffer.alloc(32, 7),
      serverSigAlgs,
      packet: (type: number) => {
        this.#packet = this.#shared.reset().byte(type);
        return this.#packet;
      },
      send: () => void this.sent.push(describePacket(Buffer.from(this.#packet.view()))),
      flush: () => {},
    };
    this.auth = new ClientAuth(
      transport as never,
      { user: 'deploy', keys: [], ...credentials },
      {
        requested: () => {},
        succeeded: () => {
          this.succeeded = true;
        },
        failed: (error) => this.fail(error),
        waits: () => {
          this.waits.push('waits');
          return () => void this.waits.push('goes on');
        },
      },
    );
    this.#guarded(() => this.auth.begin());
  }

  /** As SshClient does: whatever ends the connection goes by way of `ended`. */
  fail(error: unknown): void {
    const own = error instanceof SshError ? error : new SshError('local', String(error), {}, { cause: error });
    this.error ??= this.auth.ended(own);
  }

  async says(type: number, build: (writer: Writer) => void = () => {}): Promise<void> {
    const writer = new Writer(256);
    build(writer);
    this.#guarded(() => this.auth.message(type, new Reader(writer.copy())));
    await turn();
  }

  refuses(methods: string, partial = false): Promise<void> {
    return this.says(MSG.USERAUTH_FAILURE, (writer) => writer.text(methods).boolean(partial));
  }

  accepts(): Promise<void> {
    return this.says(MSG.USERAUTH_SUCCESS);
  }

  asks(...prompts: readonly (readonly [text: string, echo: boolean])[]): Promise<void> {
    return this.says(MSG.USERAUTH_60, (writer) => {
      writer.text('').text('').text('').uint32(prompts.length);
      for (const [text, echo] of prompts) writer.text(text).boolean(echo);
    });
  }

  /** Secrets are wiped from the packet buffer that lives on. */
  get wiped(): boolean {
    return !this.#shared.buffer.includes('xyzzy');
  }

  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail(error);
    }
  }
}

function describePacket(packet: Buffer): string {
  const reader = new Reader(packet);
  const type = reader.byte();
  if (type === MSG.SERVICE_REQUEST) return 'service';
  if (type === MSG.USERAUTH_INFO_RESPONSE) {
    const count = reader.uint32();
    return `answers ${Array.from({ length: count }, () => reader.text()).join(',')}`;
  }
  reader.text();
  reader.text();
  const method = reader.text();
  if (method === 'password') {
    reader.boolean();
    return `password ${reader.text()}`;
  }
  if (method !== 'publickey') return method;
  return `${reader.boolean() ? 'signed' : 'query'} ${reader.text()}`;
}

/** A secret that says what it was told. */
class Told implements Secret {
  readonly told: string[] = [];
  signal: AbortSignal | undefined;
  readonly #give: () => string | undefined | Promise<string | undefined>;

  constructor(give: () => string | undefined | Promise<string | undefined> = () => 'xyzzy') {
    this.#give = give;
  }

  take(signal: AbortSignal): SecretTry | undefined | Promise<SecretTry | undefined> {
    this.told.push('taken');
    this.signal = signal;
    const value = this.#give();
    return value instanceof Promise ? value.then((got) => this.#attempt(got)) : this.#attempt(value);
  }

  #attempt(value: string | undefined): SecretTry | undefined {
    if (value === undefined) return undefined;
    const tell = (what: string) => () => void this.told.push(what);
    return { value, accepted: tell('accepted'), refused: tell('refused'), gone: tell('gone') };
  }
}

const ALL = 'publickey,password,keyboard-interactive';

function key(sign: AuthKey['sign'] = () => Buffer.from('signature')): AuthKey {
  return { publicBlob: Buffer.from('blob'), fingerprint: 'SHA256:x', signatureAlgorithms: ['ssh-ed25519'], sign };
}

/** What the server does, what was sent after the service request, what the secret was told, how it ended. */
type Case = readonly [
  name: string,
  credentials: (password: Told) => Partial<Credentials>,
  server: (server: Server) => Promise<void>,
  sent: readonly string[],
  told: readonly string[],
];

const interactive = 'keyboard-interactive';
const CASES: readonly Case[] = [
  ['accepted', (password) => ({ password }), (server) => server.accepts(), ['password xyzzy'], ['taken', 'accepted']],
  [
    'refused by password: not tried by keyboard-interactive',
    (password) => ({ password }),
    (server) => server.refuses(ALL),
    ['password xyzzy'],
    ['taken', 'refused'],
  ],
  [
    'not looked at where password is not offered, then the answer to a hidden question',
    (password) => ({ password }),
    async (server) => {
      await server.refuses(interactive);
      await server.asks(['Password: ', false]);
      await server.asks();
      await server.accepts();
    },
    ['password xyzzy', interactive, 'answers xyzzy', 'answers '],
    ['taken', 'gone', 'taken', 'accepted'],
  ],
  [
    'refused by keyboard-interactive: not tried by password',
    (password) => ({ password, methods: [interactive, 'password'] }),
    async (server) => {
      await server.asks(['Password: ', false]);
      await server.refuses(ALL);
    },
    [interactive, 'answers xyzzy'],
    ['taken', 'refused'],
  ],
  [
    'not taken for a question that is shown, nor for two',
    (password) => ({ password, methods: [interactive] }),
    (server) => server.asks(['Password: ', false], ['Code: ', false]),
    [interactive],
    [],
  ],
  [
    'accepted as one step of several',
    (password) => ({ password, answer: async () => ['1234'] }),
    async (server) => {
      await server.refuses(interactive, true);
      await server.asks(['Code: ', true]);
      await server.refuses(interactive);
    },
    ['password xyzzy', interactive, 'answers 1234'],
    ['taken', 'accepted'],
  ],
  [
    'right, but expired',
    (password) => ({ password, methods: ['password'] }),
    (server) => server.says(MSG.USERAUTH_60, (writer) => writer.text('expired').text('')),
    ['password xyzzy'],
    ['taken', 'accepted'],
  ],
  [
    'not asked for where a key is enough',
    (password) => ({ password, keys: [key()] }),
    async (server) => {
      await server.says(MSG.USERAUTH_60, (writer) => writer.text('ssh-ed25519').text('blob'));
      await server.accepts();
    },
    ['query ssh-ed25519', 'signed ssh-ed25519'],
    [],
  ],
  [
    'the connection is cut before the verdict',
    (password) => ({ password }),
    async (server) => server.fail(new SshError('reset', 'cut')),
    ['password xyzzy'],
    ['taken', 'gone'],
  ],
  [
    'the server hangs up on it',
    (password) => ({ password }),
    async (server) => server.fail(new SshError('disconnected', 'Too many authentication failures', { code: 2 })),
    ['password xyzzy'],
    ['taken', 'refused'],
  ],
  [
    'prompts 0: neither it nor anyone is asked',
    (password) => ({ password, keys: [key()], answer: async () => ['x'], prompts: 0 }),
    (server) => server.refuses(ALL),
    ['signed ssh-ed25519'],
    [],
  ],
  [
    'methods: the order, and nothing else',
    (password) => ({ password, keys: [key()], methods: ['password', 'publickey', 'hostbased', 'password'] }),
    async (server) => {
      await server.refuses(ALL);
      await server.refuses(ALL);
    },
    ['password xyzzy', 'query ssh-ed25519'],
    ['taken', 'refused'],
  ],
];

describe('a secret', () => {
  it.each(CASES)('%s', async (_, credentials, script, sent, told) => {
    const password = new Told();
    const server = new Server(credentials(password));
    await script(server);
    expect(server.sent.slice(1)).toEqual(sent);
    expect(password.told).toEqual(told);
    expect(server.succeeded).toBe(server.error === undefined);
    expect(server.wiped).toBe(true);
  });

  it('that comes later is sent later, and nothing before', async () => {
    const later = Promise.withResolvers<string | undefined>();
    const server = new Server({ password: new Told(() => later.promise) });
    await turn();
    expect(server.sent).toEqual(['service']);
    expect(server.waits).toEqual(['waits']);
    later.resolve('xyzzy');
    await turn();
    expect(server.sent).toEqual(['service', 'password xyzzy']);
    expect(server.waits).toEqual(['waits', 'goes on']);
  });

  it('that comes when the connection is over is given back, and not sent', async () => {
    const later = Promise.withResolvers<string | undefined>();
    const password = new Told(() => later.promise);
    const server = new Server({ password });
    server.fail(new SshError('reset', 'cut'));
    expect(password.signal!.aborted).toBe(true);
    later.resolve('xyzzy');
    await turn();
    expect(password.told).toEqual(['taken', 'gone']);
    expect(server.sent).toEqual(['service']);
  });

  it.each([
    ['password', ['password', interactive]],
    [interactive, [interactive, 'password']],
  ])('that cannot be had ends the authentication with its error, asked for by %s', async (_, methods) => {
    const error = new Error('nobody knows it');
    const server = new Server({ password: new Told(() => Promise.reject(error)), methods });
    await turn();
    if (methods[0] === interactive) await server.asks(['Password: ', false]);
    expect(server.error).toMatchObject({ reason: 'local', cause: error });
  });

  it('of which there is none for this host is as if none had been given', async () => {
    const server = new Server({ password: new Told(() => undefined), answer: async () => ['1234'] });
    expect(server.sent).toEqual(['service', interactive]);
    await server.asks(['Password: ', false]);
    await server.accepts();
    expect(server.sent.at(-1)).toBe('answers 1234');
    expect(server.succeeded).toBe(true);
  });
});

describe('a person', () => {
  it('is asked again where the answers were refused, as often as prompts says', async () => {
    let asked = 0;
    const answer = async () => [`try ${++asked}`];
    const server = new Server({ answer, prompts: 3 });
    for (let i = 0; i < 3; i++) {
      await server.asks(['Code: ', true]);
      await server.refuses(interactive);
    }
    expect(asked).toBe(3);
    expect(server.error).toMatchObject({ reason: 'auth' });
    expect(server.sent.filter((line) => line === interactive)).toHaveLength(3);
  });

  it('is not asked again where the server never asked', async () => {
    const server = new Server({ answer: async () => ['x'], prompts: 3 });
    await server.refuses(interactive);
    expect(server.sent).toEqual(['service', interactive]);
    expect(server.error).toMatchObject({ reason: 'auth' });
  });

  it('hears that the connection is over', async () => {
    let heard: AbortSignal | undefined;
    const never = new Promise<undefined>(() => {});
    const server = new Server({
      answer: (_prompts, _about, signal) => {
        heard = signal;
        return never;
      },
    });
    await server.asks(['Code: ', true]);
    expect(heard!.aborted).toBe(false);
    server.fail(new SshError('stopped', 'the deadline passed'));
    expect(heard!.aborted).toBe(true);
  });
});

describe('a key that signs later', () => {
  it('hears that the connection is over, and what comes then is dropped', async () => {
    const later = Promise.withResolvers<Buffer>();
    let heard: AbortSignal | undefined;
    const slow = key((_data, _algorithm, context) => {
      heard = context.signal;
      return later.promise;
    });
    const server = new Server({ keys: [slow] });
    expect(heard!.aborted).toBe(false);
    server.fail(new SshError('stopped', 'the deadline passed'));
    expect(heard!.aborted).toBe(true);
    later.resolve(Buffer.from('signature'));
    await turn();
    expect(server.sent).toEqual(['service']);
  });

  it('that fails leaves the others', async () => {
    const server = new Server({ keys: [key(() => Promise.reject(new Error('locked')))], password: 'xyzzy' });
    await server.says(MSG.USERAUTH_60, (writer) => writer.text('ssh-ed25519').text('blob'));
    expect(server.sent.slice(1)).toEqual(['query ssh-ed25519', 'password xyzzy']);
    await server.refuses(ALL);
    expect(server.error).toMatchObject({ detail: { tried: ['publickey SHA256:x (locked)', 'password'] } });
  });
});

describe('an RSA key', () => {
  /** What it signed with. */
  function rsaKey(...signatureAlgorithms: string[]): { readonly rsa: AuthKey; readonly by: string[] } {
    const by: string[] = [];
    const sign: AuthKey['sign'] = (_data, algorithm) => {
      by.push(algorithm);
      return Buffer.from('signature');
    };
    return { rsa: { ...key(sign), signatureAlgorithms }, by };
  }

  it('signs by SHA-1 where that is allowed, after the others, for a server that says nothing of its algorithms', async () => {
    const { rsa, by } = rsaKey('rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa');
    const server = new Server({ keys: [rsa] });
    expect(by).toEqual(['rsa-sha2-512']);
    await server.refuses('publickey');
    expect(by).toEqual(['rsa-sha2-512', 'ssh-rsa']);
    await server.accepts();
    expect(server.succeeded).toBe(true);
  });

  it('does not where the server takes better, or it is not allowed', async () => {
    const modern = rsaKey('rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa');
    const server = new Server({ keys: [modern.rsa] }, ['ssh-ed25519', 'rsa-sha2-256', 'ssh-rsa']);
    await server.refuses('publickey');
    expect(modern.by).toEqual(['rsa-sha2-256']);
    expect(server.error).toMatchObject({ reason: 'auth' });
    const usual = rsaKey('rsa-sha2-512', 'rsa-sha2-256');
    await new Server({ keys: [usual.rsa] }).refuses('publickey');
    expect(usual.by).toEqual(['rsa-sha2-512']);
  });

  it('does at once where nothing else is allowed, or the server takes nothing else', () => {
    const only = rsaKey('ssh-rsa');
    new Server({ keys: [only.rsa] });
    expect(only.by).toEqual(['ssh-rsa']);
    const both = rsaKey('rsa-sha2-512', 'ssh-rsa');
    new Server({ keys: [both.rsa] }, ['ssh-rsa']);
    expect(both.by).toEqual(['ssh-rsa']);
  });
});
