/** One line of ssh_config, checked: its keyword and its values in the spelling of `ssh -G`. */
import { specProblem } from './algorithm_spec.ts';
import { parseForward } from './forward.ts';
import { parseJumps } from './jump.ts';
import type { Keyword, Reader } from './keywords.ts';
import { type Environment, expandTokens, TokenError } from './tokens.ts';
import { checkDomain, parseBytes, parseCount, parsePort, parseSeconds } from './values.ts';

export interface Setting {
  /** The slot that the first value takes: a keyword of KEYWORDS, or one of the parts below. */
  readonly slot: string;
  readonly values: readonly string[];
  readonly file: string;
  readonly line: number;
  /** From the user's file or an option, not from the system's file. */
  readonly byUser: boolean;
}

/** What RekeyLimit and ForwardAgent set apart from each other, so that each part is taken from the first line that has it. */
export const REKEY_INTERVAL = 'rekeylimit interval';
export const FORWARDED_AGENT = 'forwardagent path';
/** ProxyCommand and ProxyJump share one slot: the first of both wins. Values: `command` or `jump`, and the text. */
export const PROXY = 'proxy';

/** What reading a line may ask of the machine. */
export interface ReadContext {
  readonly env: Environment;
  readonly service: (name: string) => number | undefined;
}

export type SlotValues = readonly (readonly [slot: string, values: readonly string[]])[];

interface Input {
  readonly keyword: Keyword;
  /** Taken from the front; what is left over is an error. */
  readonly args: string[];
  /** The rest of the line as it stands. */
  readonly text: string;
  readonly context: ReadContext;
}

/** The line cannot be used; the message is the reason. */
class BadValue extends Error {}

/** The slots that a line sets, or the reason why it cannot be used. */
export function readSetting(
  keyword: Keyword,
  args: readonly string[],
  text: string,
  context: ReadContext,
): SlotValues | string {
  const input: Input = { keyword, args: [...args], text, context };
  try {
    const values = READERS[keyword.reader](input);
    if (input.args.length > 0) return `extra argument "${input.args[0]}" at the end of ${keyword.name}`;
    return values;
  } catch (error) {
    if (error instanceof BadValue) return error.message;
    throw error;
  }
}

function next(input: Input): string {
  const word = input.args.shift();
  if (word === undefined || word === '') throw new BadValue(`${input.keyword.name} has no argument`);
  return word;
}

function all(input: Input): string[] {
  const words = input.args.splice(0);
  if (words.includes('')) throw new BadValue(`${input.keyword.name} has an empty argument`);
  return words;
}

/** All arguments, where `none` must stand alone. */
function allOrNone(input: Input): string[] {
  const words = all(input);
  if (words.length > 1 && words.some((word) => word.toLowerCase() === 'none')) {
    throw new BadValue(`"none" must be the only argument of ${input.keyword.name}`);
  }
  return words;
}

function set(input: Input, ...values: string[]): SlotValues {
  return [[input.keyword.name, values]];
}

function pick(input: Input, word: string): string {
  const { name, choices } = input.keyword;
  const value = choices?.[word.toLowerCase()];
  if (value !== undefined) return value;
  throw new BadValue(`${name} "${word}" is none of ${Object.keys(choices ?? {}).join(', ')}`);
}

function seconds(input: Input, word: string): string {
  const value = parseSeconds(word);
  if (value === undefined) throw new BadValue(`${input.keyword.name} "${word}" is not a time such as 90, 30s or 1h30m`);
  return String(value);
}

function commandText(input: Input): string {
  input.args.length = 0;
  return input.text.replace(/^[ \t\r\n=]+/, '');
}

const READERS: Readonly<Record<Reader, (input: Input) => SlotValues>> = {
  choice: (input) => set(input, pick(input, next(input))),
  word: (input) => set(input, next(input)),
  words: (input) => set(input, ...all(input)),
  'path-list': (input) => set(input, ...allOrNone(input)),
  any: (input) => set(input, ...input.args.splice(0)),
  command: (input) => {
    const text = commandText(input);
    return input.keyword.name === 'proxycommand' ? [[PROXY, ['command', text]]] : set(input, text);
  },
  count: (input) => {
    const word = next(input);
    const value = parseCount(word);
    if (value === undefined) throw new BadValue(`${input.keyword.name} "${word}" is not a whole number`);
    return set(input, String(value));
  },
  seconds: (input) => {
    const word = next(input);
    return word === 'none' ? [] : set(input, seconds(input, word));
  },
  port: (input) => {
    const word = next(input);
    const value = parsePort(word, input.context.service);
    if (value === undefined || value === 0) throw new BadValue(`port "${word}" is not a number from 1 to 65535`);
    return set(input, String(value));
  },
  algorithms: (input) => {
    const word = next(input);
    const problem = specProblem(word);
    if (problem !== undefined) throw new BadValue(problem);
    return set(input, word);
  },
  'add-keys': readAddKeys,
  'agent-path': (input) => set(input, agentPath(input, next(input))),
  cnames: readCnames,
  domains: (input) => set(input, ...allOrNone(input).map(domain)),
  'env-names': (input) => {
    const names = all(input);
    const bad = names.find((name) => name.includes('='));
    if (bad !== undefined) throw new BadValue(`"${bad}" is not a name of an environment variable`);
    return set(input, ...names);
  },
  'env-values': readEnvValues,
  escape: readEscape,
  forward: readForward,
  'forward-agent': (input) => {
    const word = next(input);
    const flag = { yes: 'yes', true: 'yes', no: 'no', false: 'no' }[word.toLowerCase()];
    if (flag !== undefined) return set(input, flag);
    return [...set(input, 'yes'), [FORWARDED_AGENT, [agentPath(input, word)]]];
  },
  jump: (input) => {
    const text = commandText(input);
    if (parseJumps(text, input.context.service) === undefined) {
      throw new BadValue(`proxyjump "${text}" is not a list of [user@]host[:port] or ssh://[user@]host[:port]`);
    }
    return [[PROXY, ['jump', text]]];
  },
  mask: (input) => {
    const word = next(input);
    if (!/^[0-7]{1,4}$/.test(word) || parseInt(word, 8) > 0o777) throw new BadValue(`"${word}" is not an octal mask`);
    return set(input, `0${parseInt(word, 8).toString(8)}`);
  },
  persist: (input) => {
    const word = next(input);
    const flag = { yes: 'yes', true: 'yes', no: 'no', false: 'no' }[word];
    const time = flag ?? seconds(input, word);
    return set(input, time === '0' ? 'yes' : time);
  },
  qos: (input) => {
    const interactive = qos(next(input));
    return set(input, interactive, input.args.length > 0 ? qos(next(input)) : interactive);
  },
  rekey: readRekey,
  'tun-device': (input) => {
    const word = next(input);
    const [local, remote = 'any', ...more] = word.toLowerCase().split(':');
    if (more.length > 0 || ![local!, remote].every((part) => part === 'any' || parseCount(part) !== undefined)) {
      throw new BadValue(`"${word}" is not a tunnel device such as 0, any or 0:any`);
    }
    return set(input, `${local}:${remote}`);
  },
};

function readAddKeys(input: Input): SlotValues {
  const [word, time] = [next(input), input.args.shift()];
  const known = { yes: 'true', true: 'true', no: 'false', false: 'false', ask: 'ask', confirm: 'confirm' };
  const value = (known as Record<string, string>)[word.toLowerCase()];
  if (value === undefined && time === undefined) return set(input, seconds(input, word));
  if (value === 'confirm' && time !== undefined) return set(input, value, seconds(input, time));
  if (value === undefined || time !== undefined) throw new BadValue(`addkeystoagent "${word}" is not a word it knows`);
  return set(input, value);
}

/** A socket: `none`, a path with tokens, or `$NAME`. */
function agentPath(input: Input, word: string): string {
  try {
    expandTokens(word.replaceAll('%', '%%'), '', () => '', input.context.env);
  } catch (error) {
    if (error instanceof TokenError) throw new BadValue(`${input.keyword.name} "${word}": ${error.message}`);
    throw error;
  }
  if (word.startsWith('$') && word[1] !== '{' && !/^\$\w+$/.test(word)) {
    throw new BadValue(`"${word}" is not a name of an environment variable`);
  }
  return word;
}

function readCnames(input: Input): SlotValues {
  const rules = allOrNone(input).map((rule) => {
    if (rule.toLowerCase() === 'none' || rule === '*') return rule === '*' ? '*:*' : 'none';
    if (!/:./.test(rule)) throw new BadValue(`"${rule}" is not a rule such as *.a.example:*.b.example`);
    return rule.toLowerCase();
  });
  return set(input, ...rules);
}

function domain(word: string): string {
  const checked = checkDomain(word);
  if ('reason' in checked) throw new BadValue(checked.reason);
  return checked.domain;
}

/** Of one name the first value counts. */
function readEnvValues(input: Input): SlotValues {
  const values = new Map<string, string>();
  for (const word of input.args.splice(0)) {
    const at = word.indexOf('=');
    if (at < 0) throw new BadValue(`setenv "${word}" is not NAME=value`);
    const name = word.slice(0, at);
    if (!values.has(name)) values.set(name, word);
  }
  return set(input, ...values.values());
}

function readEscape(input: Input): SlotValues {
  const word = next(input);
  if (word === 'none' || word.length === 1) return set(input, word);
  if (!/^\^[@-\x7f]$/.test(word)) throw new BadValue(`"${word}" is not an escape character`);
  // As vis(3) writes a control character.
  return set(input, `\\^${String.fromCharCode((word.charCodeAt(1) & 31) + 64)}`);
}

function readForward(input: Input): SlotValues {
  const direction = { localforward: 'local', remoteforward: 'remote' }[input.keyword.name] ?? 'dynamic';
  const args = input.args.splice(0, direction === 'dynamic' ? 1 : 2);
  if (direction === 'local' && args.length < 2) throw new BadValue('localforward has no target');
  const forward = parseForward(args, direction as 'local' | 'remote' | 'dynamic', input.context.service);
  if (forward === undefined) throw new BadValue(`"${args.join(' ')}" is not a forwarding`);
  return set(input, forward.text);
}

function readRekey(input: Input): SlotValues {
  const word = next(input);
  const bytes = word === 'default' ? 0n : parseBytes(word);
  if (bytes === undefined) throw new BadValue(`rekeylimit "${word}" is not a number of bytes such as 500M or 1G`);
  if (bytes !== 0n && bytes < 16n) throw new BadValue(`rekeylimit "${word}" is too small`);
  const limit = set(input, String(bytes));
  const interval = input.args.shift();
  return interval === undefined || interval === 'none'
    ? limit
    : [...limit, [REKEY_INTERVAL, [seconds(input, interval)]]];
}

/** Classes of traffic with their number, in the order in which a number is given a name. */
const QOS = new Map(
  (
    'af11=40 af12=48 af13=56 af21=72 af22=80 af23=88 af31=104 af32=112 af33=120 af41=136 af42=144 af43=152 cs0=0 ' +
    'cs1=32 cs2=64 cs3=96 cs4=128 cs5=160 cs6=192 cs7=224 ef=184 le=4 lowdelay=16 throughput=8 reliability=4'
  )
    .split(' ')
    .map((pair) => pair.split('=') as [string, string]),
);

function qos(word: string): string {
  const name = word.toLowerCase();
  if (name === 'none') return name;
  const value = QOS.get(name) ?? (/^(0x[\da-f]+|\d+)$/.test(name) ? String(Number(name)) : undefined);
  if (value === undefined || Number(value) > 255) throw new BadValue(`"${word}" is not a class of traffic for IPQoS`);
  for (const [known, number] of QOS) if (number === value) return known;
  return `0x${Number(value).toString(16).padStart(2, '0')}`;
}
