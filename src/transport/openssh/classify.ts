/** Turns what the ssh program said into outcomes: the only place that does. */
import { MyriadError } from '../../contracts/errors.ts';
import type {
  Began,
  HostKeyCause,
  LostCause,
  Outcome,
  RefusedWhat,
  UnreachableCause,
} from '../../contracts/outcome.ts';
import type { Heard } from './master_log.ts';
import { OpensshError } from './openssh_error.ts';

/** A line that a rule found, with all that was said. */
interface Found {
  readonly line: string;
  readonly match: RegExpExecArray;
  readonly heard: Heard;
}

interface Rule {
  readonly pattern: RegExp;
  readonly outcome: (found: Found) => Outcome;
}

/** The system's errors that say that this machine is full. */
const FULL_WORDS =
  /Cannot assign requested address|Address already in use|Too many open files|No buffer space|Resource temporarily|Cannot allocate memory|No child processes/;
const FULL_CODES: ReadonlySet<string> = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS']);

/** What is wrong with a host certificate. */
const CERTIFICATE = /^Certificate (?:invalid: |for \S+ )(.+)$|^Certificate (lacks .+)$/;

/**
 * OpenSSH's words of a connection that did not come about, in the locale C. The first rule that finds a line decides, so
 * what names the cause stands before what only says that it ended: every failure ends in `Connection closed by`.
 */
const RULES: readonly Rule[] = [
  // Ours: the configuration, and what this machine lacks.
  { pattern: /[Bb]ad configuration option|terminating, \d+ bad configuration|^command-line: line/, outcome: config },
  { pattern: /Bad owner or permissions on|Can't open user config file|percent_expand: unknown key/, outcome: config },
  {
    pattern: /^(unknown option|illegal option|usage: ssh)|: line \d+: .*(argument|[Uu]nsupported option)/,
    outcome: config,
  },
  { pattern: /too long for Unix domain socket|ControlPath .*too long|muxserver_listen|^unix_listener:/, outcome: ours },
  // The host key, before the line that all of its failures end in.
  { pattern: /REVOKED HOST KEY|[Hh]ost key .*(was revoked|revoked by file)/, outcome: hostKey('revoked') },
  { pattern: /HOST IDENTIFICATION HAS CHANGED/, outcome: hostKey('changed') },
  { pattern: CERTIFICATE, outcome: hostKey('certificate') },
  { pattern: /Host key verification failed|No \S+ host key is known for/, outcome: hostKey('unknown') },
  // Login.
  { pattern: /Permission denied \(([^)]*)\)/, outcome: authFailed },
  {
    pattern: /Too many authentication failures|No supported authentication methods|No more authentication/,
    outcome: authFailed,
  },
  // Nothing in common.
  { pattern: /no matching .* found/i, outcome: refused('algorithm') },
  // A jump host that found no way: its own words, before the end of the pipe that they cause.
  { pattern: /open failed: administratively prohibited/, outcome: refused('forwarding') },
  { pattern: /open failed: connect failed: (.*)$/, outcome: ({ match, line }) => connectFailed(match[1] ?? '', line) },
  // No TCP connection.
  { pattern: /Could not resolve hostname/, outcome: unreachable('dns') },
  { pattern: /Timeout, server .* not responding/, outcome: unreachable('reset') },
  { pattern: /timed out during banner exchange|Connection to \S+ port \d+ timed out/, outcome: connectTimeout },
  {
    pattern: /^ssh: connect to (?:host|address) .*: (.*)$/,
    outcome: ({ match, line }) => connectFailed(match[1] ?? '', line),
  },
  { pattern: /^socket: |^ssh: .*: (Too many open files|Cannot allocate memory)/, outcome: unreachable('local-limit') },
  // The peer said why it goes, with a code of RFC 4253.
  { pattern: /Received disconnect from .*?:\s*(\d+):/, outcome: disconnected },
  // Before the server's identification; what it sent instead is in the line.
  {
    pattern: /exchange_identification: .*(Exceeded MaxStartups|Not allowed at this time)/,
    outcome: unreachable('throttled'),
  },
  { pattern: /exchange_identification: .*(closed|reset by peer|Broken pipe)/, outcome: endedEarly },
  {
    pattern:
      /exchange_identification: |Protocol major versions differ|Bad remote protocol version|protocol (identifier|mismatch)/i,
    outcome: protocol,
  },
  // In the middle of it.
  { pattern: /ssh_dispatch_run_fatal: .*(closed|reset|Broken pipe|timed out)/i, outcome: unreachable('reset') },
  {
    pattern: /ssh_dispatch_run_fatal: |Corrupted MAC|Bad packet length|[Pp]adding error|Protocol error/,
    outcome: protocol,
  },
  { pattern: /Connection (closed|reset|to \S+ closed)|Broken pipe|reset by peer|Software caused/, outcome: ended },
];

/** How a master that was open went down: by a reset, or (all else) closed by the peer. */
const RESET = /reset|Broken pipe|not responding|timed out|No route to host|unreachable|Software caused/i;

/** Lines that come with a failure and are not its reason. */
const NOISE =
  /^(\*\*|@@|Warning: |Load key |no such identity|Authenticated to |Transferred: |Bytes per second|sign_and_send_pubkey|Pseudo-terminal)/;

export function classify(error: unknown, began: Began): Outcome {
  if (error instanceof OpensshError) return fromOpenssh(error, began);
  if (error instanceof MyriadError) return { kind: 'error', began, code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'error', began, code: 'internal', message };
}

function fromOpenssh(error: OpensshError, began: Began): Outcome {
  const { message, detail } = error;
  switch (error.reason) {
    case 'spawn':
      return fromSpawn(detail.code ?? 'spawn', message);
    case 'connect':
      return fromWords(error);
    case 'lost':
      return fromLost(error, began);
    case 'session':
      return { kind: 'refused', began: 'no', what: 'session', reason: message };
    case 'exec':
      return { kind: 'refused', began: 'no', what: 'exec', reason: message };
    case 'local':
      return { kind: 'error', began, code: 'ssh', message };
    case 'stopped':
      return { kind: 'error', began, code: 'stopped', message };
  }
}

function fromSpawn(code: string, message: string): Outcome {
  if (FULL_CODES.has(code)) return { kind: 'unreachable', began: 'no', cause: 'local-limit', message };
  return { kind: 'error', began: 'no', code, message };
}

function fromWords(error: OpensshError): Outcome {
  const { heard } = error.detail;
  for (const { pattern, outcome } of heard === undefined ? [] : RULES) {
    for (const line of heard!.words) {
      const match = pattern.exec(line);
      if (match !== null) return outcome({ line, match, heard: heard! });
    }
  }
  return { kind: 'error', began: 'no', code: 'ssh', message: error.message };
}

function fromLost(error: OpensshError, began: Began): Outcome {
  const { message, detail } = error;
  if (began === 'no') return { kind: 'unreachable', began, cause: 'reset', message };
  const words = detail.heard?.words.join('\n') ?? '';
  const cause: LostCause = RESET.test(words) && !words.includes('closed by remote host') ? 'reset' : 'peer-closed';
  return { kind: 'lost', began, cause, message };
}

/** The line that says most about the end of a program; undefined where it said nothing. */
export function lastWords(words: readonly string[]): string | undefined {
  return words.findLast((line) => !NOISE.test(line));
}

function config({ line }: Found): Outcome {
  return { kind: 'error', began: 'no', code: 'ssh-config', message: `ssh does not take its configuration: ${line}` };
}

function ours({ line }: Found): Outcome {
  return { kind: 'error', began: 'no', code: 'ssh', message: line };
}

function connectTimeout(): Outcome {
  return { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' };
}

function protocol({ line }: Found): Outcome {
  return { kind: 'protocol', began: 'no', message: line };
}

function unreachable(cause: UnreachableCause): (found: Found) => Outcome {
  return ({ line }) => ({ kind: 'unreachable', began: 'no', cause, message: line });
}

function refused(what: RefusedWhat): (found: Found) => Outcome {
  return ({ line }) => ({ kind: 'refused', began: 'no', what, reason: line });
}

/** What connect(2) said, here or on a jump host. */
function connectFailed(words: string, message: string): Outcome {
  if (/timed out/.test(words)) return connectTimeout();
  let cause: UnreachableCause = 'no-route';
  if (/Connection refused/.test(words)) cause = 'refused';
  else if (/reset by peer/.test(words)) cause = 'reset';
  else if (FULL_WORDS.test(words)) cause = 'local-limit';
  else if (/Name or service not known|name resolution|nodename nor servname|resolve/i.test(words)) cause = 'dns';
  return { kind: 'unreachable', began: 'no', cause, message };
}

/** Before the identification ssh names the step only where it was reading, and not where it was writing its own. */
function ended(found: Found): Outcome {
  return found.heard.software === '' ? endedEarly(found) : unreachable('reset')(found);
}

/** The peer hung up before its identification; or a proxy did: for what, only it can say, and what it said stands first. */
function endedEarly({ line, heard }: Found): Outcome {
  const early = heard.words.filter((word) => word.includes('exchange_identification: '));
  // A jump host that hung up says so itself, and then its client's client does.
  if (heard.address !== '' || early.length > 1)
    return { kind: 'unreachable', began: 'no', cause: 'throttled', message: line };
  return { kind: 'unreachable', began: 'no', cause: 'no-route', message: `the proxy ended: ${heard.words[0]}` };
}

/** `Permission denied (publickey,password).`: the methods that the server would still take. */
function authFailed({ match, line, heard }: Found): Outcome {
  const allowed = match[1] === undefined ? heard.allowed : match[1].split(',');
  return { kind: 'auth-failed', began: 'no', tried: heard.tried.length > 0 ? heard.tried : [line], allowed };
}

/** Reason codes of RFC 4253 §11.1, as the native transport takes them. */
function disconnected(found: Found): Outcome {
  switch (Number(found.match[1])) {
    case 3:
      return refused('algorithm')(found);
    case 7:
      return refused('service')(found);
    case 12:
      return unreachable('throttled')(found);
    case 14:
    case 15:
      return authFailed({ ...found, match: /$/.exec('')! });
    default:
      return unreachable('reset')(found);
  }
}

function hostKey(cause: HostKeyCause): (found: Found) => Outcome {
  return ({ heard }) => ({
    kind: 'host-key',
    began: 'no',
    cause,
    // Of a jump host's key nothing is heard but the words.
    keyType: heard.keyType || (inWords(heard.words, /\b(?:No|for the) ([A-Z0-9-]+) (?:host )?key /) ?? ''),
    fingerprint: heard.fingerprint || (inWords(heard.words, /(SHA256:[A-Za-z0-9+/]+)/) ?? ''),
    advice: ADVICE[cause](heard.words),
  });
}

const ADVICE: Readonly<Record<HostKeyCause, (words: readonly string[]) => string>> = {
  unknown: () =>
    'add it to known_hosts (ssh-keyscan) after verifying the fingerprint, or run with --host-keys accept-new',
  changed(words) {
    const place = inWords(words, /^Offending \S+ key in (.+)$/);
    const remove = inWords(words, /^\s*(ssh-keygen -f .+ -R .+)$/);
    const differs = place === undefined ? 'the key in known_hosts differs' : `the key in ${place} differs`;
    return `${differs}: if the change is genuine remove that line${remove === undefined ? '' : ` (${remove})`}`;
  },
  certificate: (words) =>
    `it is signed by a known authority, but ${inWords(words, CERTIFICATE) ?? 'not good for this host'}`,
  revoked: () => 'the key is marked as revoked: do not use this host until it has a new key',
};

function inWords(words: readonly string[], pattern: RegExp): string | undefined {
  for (const line of words) {
    const match = pattern.exec(line);
    if (match !== null) return match[1] ?? match[2];
  }
  return undefined;
}
