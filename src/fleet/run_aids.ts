/** What a run lends to its tasks: stdin, variables, a terminal; and what of it can be known to be wrong before anything connects. */
import { tmpdir } from 'node:os';
import { MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import { foldHosts } from '../hostset/fold.ts';
import type { HostRefusal, JobKind, Lent } from '../jobs/job.ts';
import type { OwnJob } from '../jobs/own_face.ts';
import { checkVariables, type HostValues, nearest, ownVariable, unknownName } from '../jobs/template.ts';
import { TerminalSize } from '../jobs/terminal.ts';
import { type OpenStdin, openStdin, type StdinStream } from './stdin.ts';

/** What commands are given beyond their words. */
export interface AidOptions {
  /** Places `{NAME}` of all hosts; with one of them the command is a template. */
  readonly variables?: Readonly<Record<string, string>>;
  /**
   * Sent to every host's stdin: bytes, a file, or a stream, which is kept in a file without a name under the folder for temporary
   * files while the run lasts. @default stdin is empty
   */
  readonly stdin?: Uint8Array | StdinStream;
  /** A terminal for every command: stderr comes on stdout, lines end in CR LF. @default none */
  readonly tty?: TtyOptions | undefined;
}

export interface TtyOptions {
  /** As in TERM. @default 'dumb' */
  readonly term?: string;
  /** @default 80 */
  readonly columns?: number;
  /** @default 24 */
  readonly rows?: number;
}

export const AID_OPTIONS: readonly (keyof AidOptions)[] = ['variables', 'stdin', 'tty'];

/** Hosts looked at in one turn of the loop. */
const HOSTS_PER_TURN = 5_000;
/** Names of hosts without a variable, and of variables, that a message is made of. */
const MOST_NAMED = 1_000;

export class RunAids {
  readonly terminal: TerminalSize | undefined;
  readonly #options: AidOptions;
  readonly #values: HostValues;
  readonly #own: OwnJob | undefined;
  #stdin: OpenStdin | undefined;
  #closed = false;

  /** Throws `usage` for values that cannot be taken. */
  constructor(options: AidOptions, values: HostValues, own?: OwnJob) {
    this.#own = own;
    this.#options = options;
    this.#values = values;
    const { variables, stdin, tty } = options;
    if (variables !== undefined) checkVariables(variables);
    if (stdin !== undefined) checkStdin(stdin);
    this.terminal = tty && new TerminalSize(checkTty(tty));
  }

  /** Of the options, what is plain data and belongs into a job's own. */
  get spec(): { readonly variables: unknown; readonly hostVariables: unknown; readonly stdin: Uint8Array | undefined } {
    const { variables, stdin } = this.#options;
    return {
      variables,
      hostVariables: this.#values.variables === undefined ? undefined : true,
      stdin: stdin instanceof Uint8Array ? stdin : undefined,
    };
  }

  /** Throws for a variable that a host has not, for values that the job refuses, and for stdin that cannot be read. */
  async check(names: ReadonlySet<string>, hosts: Iterable<Host>, refusal?: HostRefusal): Promise<void> {
    const fixed = Object.keys(this.#options.variables ?? {});
    if (names.size > 0 || refusal) await checkHosts({ names, refusal }, hosts, this.#values, fixed);
    const { stdin } = this.#options;
    if (stdin === undefined || stdin instanceof Uint8Array || this.#stdin !== undefined) return;
    this.#stdin = await openStdin(stdin, tmpdir());
    if (this.#closed) await this.#stdin.close();
  }

  get lent(): Lent {
    return { stdin: this.#stdin, values: this.#values, terminal: this.terminal, own: this.#own };
  }

  /** Throws `usage` for what no terminal is. */
  resize(columns: number, rows: number): void {
    checkSize(columns, rows);
    this.terminal?.resize(columns, rows);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#stdin?.close();
  }
}

/** Throws what can be known of a run before anything connects. */
export async function checkRun(kind: JobKind, options: unknown, aids: RunAids, hosts: Iterable<Host>): Promise<void> {
  await aids.check(kind.hostNames?.(options) ?? new Set(), hosts, kind.refusal?.(options));
  await kind.check?.(options);
}

function checkStdin(stdin: unknown): void {
  if (stdin instanceof Uint8Array) return;
  if (typeof stdin === 'object' && stdin !== null) {
    if (Symbol.asyncIterator in stdin) return;
    if ('file' in stdin && typeof stdin.file === 'string' && stdin.file !== '') return;
  }
  throw new MyriadError('usage', 'stdin: expected bytes (a Uint8Array), { file } or an async iterable of bytes');
}

function checkTty({ term = 'dumb', columns = 80, rows = 24 }: TtyOptions): {
  term: string;
  columns: number;
  rows: number;
} {
  if (!/^[\x21-\x7e]{1,64}$/.test(term)) {
    throw new MyriadError(
      'usage',
      `tty.term: expected the name of a terminal, such as xterm, got ${JSON.stringify(term)}`,
    );
  }
  checkSize(columns, rows);
  return { term, columns, rows };
}

function checkSize(columns: number, rows: number): void {
  for (const [name, value] of Object.entries({ columns, rows })) {
    if (Number.isInteger(value) && value >= 1 && value <= 65_535) continue;
    throw new MyriadError('usage', `tty.${name}: expected a whole number from 1 to 65535, got ${value}`);
  }
}

/** What is missing of one variable. */
interface Missing {
  count: number;
  readonly labels: string[];
}

/** What a job wants of every host. */
interface Wants {
  readonly names: ReadonlySet<string>;
  readonly refusal: HostRefusal | undefined;
}

async function checkHosts(
  { names, refusal }: Wants,
  hosts: Iterable<Host>,
  values: HostValues,
  fixed: readonly string[],
): Promise<void> {
  const missing = new Map<string, Missing>();
  const refused = new Map<string, Missing>();
  const seen = new Set<string>();
  let count = 0;
  for (const host of hosts) {
    const variables = values.variables?.(host);
    for (const name of names) {
      const value = ownVariable(variables, name);
      if (value === undefined) note(missing, name, host.label);
      else checkVariables({ [name]: value }, `of ${host.label}`);
    }
    const found = missing.size === 0 ? refusal?.(host, values) : undefined;
    if (found !== undefined) note(refused, `{${found.name}} that cannot be quoted: ${found.why}`, host.label);
    if (missing.size > 0) {
      for (const name of Object.keys(variables ?? {})) if (seen.size < MOST_NAMED) seen.add(name);
    }
    if (++count % HOSTS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  refuseMissing(missing, count, [...fixed, ...seen], (name) => seen.has(name));
  for (const [what, { count: many, labels }] of refused) {
    throw new MyriadError('usage', `command: ${many} of ${count} hosts have a ${what}: ${folded(many, labels)}`);
  }
}

/** Names of hosts, folded. */
function folded(count: number, labels: readonly string[]): string {
  return `${foldHosts(labels)}${count > labels.length ? ` and ${count - labels.length} more` : ''}`;
}

function refuseMissing(
  missing: ReadonlyMap<string, Missing>,
  count: number,
  known: readonly string[],
  isKnown: (name: string) => boolean,
): void {
  for (const [name, { count: without, labels }] of missing) {
    if (without === count && !isKnown(name)) {
      throw new MyriadError('usage', unknownName(name, 'command', known));
    }
    const near = nearest(
      name,
      known.filter((other) => other !== name),
    );
    const meant = near === undefined ? '' : `; did you mean "{${near}}"?`;
    throw new MyriadError(
      'usage',
      `command: ${without} of ${count} hosts have no variable "{${name}}": ${folded(without, labels)}${meant}`,
    );
  }
}

function note(missing: Map<string, Missing>, name: string, label: string): void {
  let found = missing.get(name);
  if (found === undefined) {
    found = { count: 0, labels: [] };
    missing.set(name, found);
  }
  found.count += 1;
  if (found.labels.length < MOST_NAMED) found.labels.push(label);
}
