/**
 * The files of a configuration as one flat program: blocks in the order in which OpenSSH reads their lines. A block counts for a host when
 * the block around it counts (an Include inside a Host block brings blocks with that block around them) and its own condition
 * holds. So the files are read once, whatever the number of hosts.
 */
import { MyriadError } from '../../contracts/errors.ts';
import { type ConfigFileSystem, isTrusted } from './files.ts';
import { ALIASES, DEPRECATED, KEYWORDS, UNSUPPORTED } from './keywords.ts';
import { splitArguments, splitLine } from './lexer.ts';
import { type Criterion, parseMatch } from './match.ts';
import { matchPatternList, patternTest } from './pattern.ts';
import { PatternIndex } from './pattern_index.ts';
import { type ConfigProblem, SshConfigError } from './problems.ts';
import { type ReadContext, readSetting, type Setting } from './setting.ts';
import { expandTilde, type LocalFacts, TokenError } from './tokens.ts';

/** `always`: when the block around it counts. */
export type Condition =
  | { readonly kind: 'always' }
  | { readonly kind: 'hosts'; readonly negated: readonly ((name: string) => boolean)[] }
  | { readonly kind: 'match'; readonly criteria: readonly Criterion[] };

export interface Block {
  /** Index of the block around it, which is always smaller; -1: none. */
  readonly around: number;
  readonly condition: Condition;
  readonly settings: Setting[];
}

/** An unknown word that an IgnoreUnknown before it may cover, for the hosts for which that counts. */
export interface UnknownWord extends ConfigProblem {
  readonly keyword: string;
  /** How many settings were read before it. */
  readonly position: number;
}

export interface Program {
  readonly blocks: readonly Block[];
  /** Host blocks by their positive patterns. */
  readonly index: PatternIndex;
  /** The blocks that are no Host blocks, ascending. */
  readonly others: readonly number[];
  /** A Match asks for a second pass. */
  readonly wantsFinal: boolean;
  readonly unknown: readonly UnknownWord[];
  /** The position of each setting of IgnoreUnknown. */
  readonly positions: ReadonlyMap<Setting, number>;
  /** Lines that were taken but do nothing. */
  readonly warnings: readonly ConfigProblem[];
}

const MAX_DEPTH = 16;
const MAX_FILES = 10_000;
const ALWAYS: Condition = { kind: 'always' };

export interface ProgramOptions {
  readonly fs: ConfigFileSystem;
  readonly context: ReadContext;
  readonly local: LocalFacts;
  /** IgnoreUnknown from the command line. */
  readonly ignoreUnknown: string | undefined;
}

/** One file being read. */
interface OpenFile {
  readonly path: string;
  readonly byUser: boolean;
  readonly depth: number;
  readonly around: number;
}

export class ProgramBuilder implements Program {
  readonly blocks: Block[] = [];
  readonly index = new PatternIndex();
  readonly others: number[] = [];
  readonly unknown: UnknownWord[] = [];
  readonly positions = new Map<Setting, number>();
  readonly warnings: ConfigProblem[] = [];
  wantsFinal = false;
  readonly #options: ProgramOptions;
  #position = 0;
  #files = 0;

  constructor(options: ProgramOptions) {
    this.#options = options;
  }

  /**
   * Reads one of the two files, and what it includes. Throws SshConfigError with all bad lines of the first file that has some, and
   * MyriadError `file` for a file that is missing (with `mustExist`), unreadable, or writable by others.
   */
  addFile(path: string, options: { byUser: boolean; mustExist: boolean; checkMode: boolean }): void {
    const found = this.#read(path, { byUser: options.byUser, depth: 0, around: -1 }, options.checkMode);
    if (!found && options.mustExist) throw new MyriadError('file', `ssh_config "${path}" does not exist`);
  }

  #read(path: string, place: { byUser: boolean; depth: number; around: number }, checkMode: boolean): boolean {
    if (place.depth > MAX_DEPTH) {
      throw new MyriadError('file', `ssh_config "${path}": Include goes deeper than ${MAX_DEPTH} files`);
    }
    if (++this.#files > MAX_FILES)
      throw new MyriadError('file', `ssh_config: more than ${MAX_FILES} files are included`);
    const text = this.#options.fs.readFile(path);
    if (text === undefined) return false;
    const mode = checkMode ? this.#options.fs.mode(path) : undefined;
    if (mode !== undefined && !isTrusted(mode, this.#options.local.uid)) {
      const advice = 'it must belong to you or root and be writable by its owner only';
      throw new MyriadError('file', `ssh_config "${path}" has a bad owner or bad permissions: ${advice}`);
    }
    const file: OpenFile = { path, ...place };
    this.#addBlock(file.around, ALWAYS);
    const problems: ConfigProblem[] = [];
    for (const [index, content] of text.split('\n').entries()) {
      const reason = this.#addLine(file, content, index + 1);
      if (reason !== undefined) problems.push({ file: path, line: index + 1, reason });
    }
    if (problems.length > 0) throw new SshConfigError(problems);
    return true;
  }

  #addBlock(around: number, condition: Condition): number {
    const block = this.blocks.push({ around, condition, settings: [] }) - 1;
    if (condition.kind !== 'hosts') this.others.push(block);
    return block;
  }

  /** The reason why the line cannot be used; undefined when it can. */
  #addLine(file: OpenFile, text: string, line: number): string | undefined {
    const split = splitLine(text);
    if (split === undefined) return undefined;
    const { keyword, rest } = split;
    if (rest === '') return `"${keyword}" has no argument`;
    const args = splitArguments(rest);
    if (args === undefined) return `a quote is not closed in "${shorten(text.trim())}"`;
    if (keyword === 'host') return this.#addHost(file, args);
    if (keyword === 'match') return this.#addMatch(file, rest);
    if (keyword === 'include') return this.#include(file, args);
    if (DEPRECATED.has(keyword)) return undefined;
    if (UNSUPPORTED.has(keyword)) {
      this.warnings.push({ file: file.path, line, reason: `"${keyword}" is not supported` });
      return undefined;
    }
    const known = KEYWORDS.get(ALIASES.get(keyword) ?? keyword);
    if (known === undefined) return this.#addUnknown(file, keyword, line);
    const values = readSetting(known, args, rest, this.#options.context);
    if (typeof values === 'string') return values;
    for (const [slot, words] of values) {
      const setting: Setting = { slot, values: words, file: file.path, line, byUser: file.byUser };
      this.blocks.at(-1)!.settings.push(setting);
      if (slot === 'ignoreunknown') this.positions.set(setting, this.#position);
      this.#position++;
    }
    return undefined;
  }

  #addHost(file: OpenFile, args: readonly string[]): string | undefined {
    if (args.includes('')) return 'Host has an empty pattern';
    const negated = args.filter((pattern) => pattern.startsWith('!')).map((pattern) => patternTest(pattern.slice(1)));
    const block = this.#addBlock(file.around, { kind: 'hosts', negated });
    for (const pattern of args) if (!pattern.startsWith('!')) this.index.add(pattern, block);
    return undefined;
  }

  #addMatch(file: OpenFile, rest: string): string | undefined {
    const match = parseMatch(rest);
    if (typeof match === 'string') return match;
    this.wantsFinal ||= match.wantsFinal;
    this.#addBlock(file.around, { kind: 'match', criteria: match.criteria });
    return undefined;
  }

  #include(file: OpenFile, args: readonly string[]): string | undefined {
    const block = this.blocks.length - 1;
    for (const arg of args) {
      if (arg === '') return 'Include has an empty argument';
      if (arg.startsWith('~') && !file.byUser) return `Include "${arg}": a system file cannot include from a home`;
      for (const path of this.#included(arg, file.byUser)) {
        this.#read(path, { byUser: file.byUser, depth: file.depth + 1, around: block }, true);
      }
    }
    // What follows the Include belongs to the block that holds it.
    this.#addBlock(block, ALWAYS);
    return undefined;
  }

  #included(path: string, byUser: boolean): readonly string[] {
    try {
      return this.#options.fs.glob(this.#anchor(path, byUser));
    } catch (error) {
      // The home of a user who does not exist: nothing is found there.
      if (error instanceof TokenError) return [];
      throw error;
    }
  }

  #anchor(path: string, byUser: boolean): string {
    const { local } = this.#options;
    if (path.startsWith('/')) return path;
    if (path.startsWith('~')) return expandTilde(path, local);
    return `${byUser ? `${local.home}/.ssh` : '/etc/ssh'}/${path}`;
  }

  #addUnknown(file: OpenFile, keyword: string, line: number): string | undefined {
    const reason = `unknown option "${shorten(keyword)}"; correct it, or name it in IgnoreUnknown`;
    const { ignoreUnknown } = this.#options;
    if (ignoreUnknown !== undefined) return covers(ignoreUnknown, keyword) ? undefined : reason;
    if (![...this.positions.keys()].some((setting) => covers(setting.values[0]!, keyword))) return reason;
    this.unknown.push({ file: file.path, line, reason, keyword, position: this.#position });
    return undefined;
  }
}

function covers(list: string, keyword: string): boolean {
  return matchPatternList(keyword, list.toLowerCase());
}

/** The unknown words of the first file with some that `ignoreUnknown`, the setting that counts for a host, does not cover. */
export function uncovered(program: Program, ignoreUnknown: Setting | undefined): readonly UnknownWord[] {
  const words = program.unknown.filter((word) => {
    if (ignoreUnknown === undefined) return true;
    const position = program.positions.get(ignoreUnknown) ?? -1;
    return position >= word.position || !covers(ignoreUnknown.values[0]!, word.keyword);
  });
  return words.filter((word) => word.file === words[0]?.file);
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}
