/**
 * What a master says at LogLevel DEBUG1: the only way to learn how far it has come and whom it has reached.
 *
 * The server's banner and its disconnect message come in the same stream, so every line may be the server's invention.
 * Nothing follows from a line but what is said of that one server: phases, words of an outcome, a status of its own.
 */
import { Lines } from './lines.ts';

/** Kept of what is said without `debug`. */
const MAX_WORDS = 24;
/** Keys and methods kept. */
const MAX_TRIED = 24;

/** What a master said so far. */
export interface Heard {
  /** Lines that are not of the debugger's, the latest last. */
  readonly words: readonly string[];
  /** Of the last address that was tried; empty where a proxy was used. */
  readonly address: string;
  readonly port: number;
  /** The server's identification without `SSH-2.0-`; empty until it came. */
  readonly software: string;
  /** `ssh-ed25519` and `SHA256:…`; empty until the key came. */
  readonly keyType: string;
  readonly fingerprint: string;
  /** Methods and keys: `publickey SHA256:…`, `password`. */
  readonly tried: readonly string[];
  /** Methods that the server named last. */
  readonly allowed: readonly string[];
}

/** Who wants to know at once. */
export interface MasterListener {
  /** The server's identification is there. */
  identified(): void;
  /** The key exchange is over. */
  secured(): void;
  /** Authenticated, and the control socket is made. */
  interactive(): void;
  /** A channel got this number: what was said of the number before concerns another one. */
  opened(channel: number): void;
  /** The server's answer to the request to run the command on a channel. Said by programs that know LogVerbose. */
  answered(channel: number, accepted: boolean): void;
  /** The status of the command on a channel. Said by programs that know LogVerbose. */
  status(channel: number, status: number): void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

type Hear = (log: { readonly heard: Mutable<Heard>; readonly listener: MasterListener }, match: string[]) => void;

/** In the order in which they come. */
const LINES: readonly (readonly [RegExp, Hear])[] = [
  [
    /^debug1: Connecting to \S+ \[([^\]]+)\] port (\d+)/,
    ({ heard }, [, address = '', port]) => {
      heard.address = address;
      heard.port = Number(port);
    },
  ],
  [
    // All that is known where a proxy leads there.
    /^debug1: Authenticating to .*:(\d+) as /,
    ({ heard }, [, port]) => {
      heard.port ||= Number(port);
    },
  ],
  [
    /^debug1: Remote protocol version \S+, remote software version (.*)$/,
    ({ heard, listener }, [, software = '']) => {
      heard.software = software;
      listener.identified();
    },
  ],
  [
    /^debug1: Server host (?:key|certificate): (\S+) (SHA256:[A-Za-z0-9+/]+)/,
    ({ heard }, [, keyType = '', fingerprint = '']) => {
      heard.keyType = keyType;
      heard.fingerprint = fingerprint;
    },
  ],
  [/^debug1: SSH2_MSG_NEWKEYS received/, ({ listener }) => listener.secured()],
  [
    /^debug1: Authentications that can continue: (\S+)/,
    ({ heard }, [, methods = '']) => {
      heard.allowed = methods.split(',');
    },
  ],
  [/^debug1: Next authentication method: (\S+)/, ({ heard }, [, method = '']) => note(heard, method)],
  [
    /^debug1: Offering public key: .*?(SHA256:[A-Za-z0-9+/]+)/,
    ({ heard }, [, fingerprint = '']) => note(heard, `publickey ${fingerprint}`),
  ],
  [/^debug1: Entering interactive session/, ({ listener }) => listener.interactive()],
  [/^debug1: channel (\d+): new\b/, ({ listener }, [, channel]) => listener.opened(Number(channel))],
  [
    // SSH_MSG_CHANNEL_SUCCESS and FAILURE; nothing else that a client asks for is answered.
    /^debug\d: .*channel_input_status_confirm.*: type (99|100) id (\d+)/,
    ({ listener }, [, type, channel]) => listener.answered(Number(channel), type === '99'),
  ],
  [
    /^debug\d: .*mux_exit_message.*: channel (\d+): exit message, exitval (\d+)/,
    ({ listener }, [, channel, status]) => listener.status(Number(channel), Number(status)),
  ],
];

/** A method is named before its keys: the keys say more. */
function note(heard: Mutable<Heard>, what: string): void {
  if (what === 'publickey' || heard.tried.includes(what) || heard.tried.length >= MAX_TRIED) return;
  heard.tried = [...heard.tried, what];
}

export class MasterLog {
  readonly #lines = new Lines((line) => this.#take(line));
  readonly #heard: Mutable<Heard> = {
    words: [],
    address: '',
    port: 0,
    software: '',
    keyType: '',
    fingerprint: '',
    tried: [],
    allowed: [],
  };
  readonly #listener: MasterListener;

  constructor(listener: MasterListener) {
    this.#listener = listener;
  }

  get heard(): Heard {
    return this.#heard;
  }

  feed(chunk: Uint8Array): void {
    this.#lines.feed(chunk);
  }

  end(): void {
    this.#lines.end();
  }

  #take(line: string): void {
    for (const [pattern, hear] of LINES) {
      const match = pattern.exec(line);
      if (match === null) continue;
      hear({ heard: this.#heard, listener: this.#listener }, match);
      break;
    }
    if (line !== '' && !line.startsWith('debug')) this.#heard.words = [...this.#heard.words, line].slice(-MAX_WORDS);
  }
}
