/** The conditions of Match. */
import { BlockList, isIP } from 'node:net';
import { WordReader } from './lexer.ts';
import { hostListTest, listTest } from './pattern.ts';
import { COMMON_TOKENS, expandTokens, type HostFacts, type LocalFacts, TokenError, tokenValues } from './tokens.ts';

/** With a list of patterns. */
const LISTED = ['host', 'originalhost', 'user', 'localuser', 'tagged', 'sessiontype'] as const;
type Listed = (typeof LISTED)[number];

/** `final` and `canonical` are the same: both hold in the second pass only. `all` holds always and ends the line. */
export type Criterion =
  | { readonly kind: 'all' | 'final'; readonly negated: boolean }
  | { readonly kind: 'exec' | 'localnetwork'; readonly negated: boolean; readonly argument: string }
  | { readonly kind: Listed; readonly negated: boolean; readonly test: (text: string) => boolean };

export interface MatchLine {
  readonly criteria: readonly Criterion[];
  /** `final` is among them: there must be a second pass. */
  readonly wantsFinal: boolean;
}

/** Reads what follows the word Match; a text is the reason why it cannot be read. */
export function parseMatch(text: string): MatchLine | string {
  const words = new WordReader(text);
  const criteria: Criterion[] = [];
  let wantsFinal = false;
  for (let word = words.next(); word !== undefined && word !== '' && !word.startsWith('#'); word = words.next()) {
    const negated = word.startsWith('!');
    const kind = (negated ? word.slice(1) : word).toLowerCase();
    if (kind === 'all') {
      const after = words.next() ?? '';
      if (criteria.length > 1 || (after !== '' && !after.startsWith('#'))) {
        return `"${word}" cannot be combined with other conditions of Match`;
      }
      return { criteria: [...criteria, { kind, negated }], wantsFinal };
    }
    if (kind === 'final' || kind === 'canonical') {
      wantsFinal ||= kind === 'final';
      criteria.push({ kind: 'final', negated });
      continue;
    }
    const criterion = parseCriterion(kind, negated, words);
    if (typeof criterion === 'string') return criterion;
    criteria.push(criterion);
  }
  return criteria.length === 0 ? 'Match has no condition' : { criteria, wantsFinal };
}

/** A condition with an argument, or the reason why it cannot be read. */
function parseCriterion(kind: string, negated: boolean, words: WordReader): Criterion | string {
  const listed = LISTED.find((name) => name === kind);
  if (listed === undefined && kind !== 'exec' && kind !== 'localnetwork') return `Match does not know "${kind}"`;
  const argument = words.next() ?? '';
  if (argument === '' || argument.startsWith('#')) return `the condition "${kind}" of Match has no argument`;
  if (listed !== undefined) {
    const folds = listed === 'host' || listed === 'originalhost';
    return { kind: listed, negated, test: folds ? hostListTest(argument) : listTest(argument) };
  }
  if (kind === 'localnetwork') {
    if (networks(argument) === undefined) return `"${argument}" is not a list of networks`;
    return { kind, negated, argument };
  }
  try {
    expandTokens(argument, COMMON_TOKENS, () => '');
  } catch (error) {
    if (error instanceof TokenError) return `Match exec "${argument}": ${error.message}`;
    throw error;
  }
  return { kind: 'exec', negated, argument };
}

/** What a Match sees: the settings so far, and the machine. */
export interface MatchState extends HostFacts {
  readonly tag: string;
  /** The second pass. */
  readonly final: boolean;
}

export interface MatchTools {
  readonly local: LocalFacts;
  readonly exec: (command: string) => boolean;
  /** This machine's addresses. */
  readonly localAddresses: () => readonly string[];
}

/** A command is run only where every condition before it holds. */
export function matches(criteria: readonly Criterion[], state: MatchState, tools: MatchTools): boolean {
  return criteria.every((criterion) => holds(criterion, state, tools) !== criterion.negated);
}

function holds(criterion: Criterion, state: MatchState, tools: MatchTools): boolean {
  switch (criterion.kind) {
    case 'all':
      return true;
    case 'final':
      return state.final;
    case 'host':
      return criterion.test(state.hostName);
    case 'originalhost':
      return criterion.test(state.name);
    case 'user':
      return criterion.test(state.user);
    case 'localuser':
      return criterion.test(tools.local.localUser);
    case 'tagged':
      return criterion.test(state.tag);
    case 'sessiontype':
      return criterion.test('exec');
    case 'localnetwork':
      return inNetworks(criterion.argument, tools.localAddresses());
    case 'exec': {
      const facts = { ...state, hostKeyAlias: state.hostKeyAlias ?? state.hostName };
      return tools.exec(expandTokens(criterion.argument, COMMON_TOKENS, tokenValues(tools.local, facts)));
    }
  }
}

/** Networks that match and networks that exclude; undefined when an item is none. */
function networks(list: string): { readonly wanted: BlockList; readonly refused: BlockList } | undefined {
  const found = { wanted: new BlockList(), refused: new BlockList() };
  for (const item of list.split(',')) {
    const [, negated, address, bits] = /^(!?)([^/]*)(?:\/(\d+))?$/.exec(item) ?? [];
    const version = isIP(address ?? '');
    const most = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : Number(bits);
    if (version === 0 || prefix > most) return undefined;
    (negated === '!' ? found.refused : found.wanted).addSubnet(address!, prefix, version === 4 ? 'ipv4' : 'ipv6');
  }
  return found;
}

function inNetworks(list: string, addresses: readonly string[]): boolean {
  const { wanted, refused } = networks(list)!;
  const within = (block: BlockList) =>
    addresses.some((address) => block.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6'));
  return within(wanted) && !within(refused);
}
