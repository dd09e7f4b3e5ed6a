/** KnownHostsCommand: more lines for a host from a program, and how they count together with those of the files. */
import { SshError } from './errors.ts';
import { type HostKeyAnswer, type KnownAuthority, KnownHosts } from './known_hosts.ts';

/** The host key in question; undefined while it is only asked which key types are known (%I is ORDER, %f %K %t are NONE). */
export type QuestionedKey = { readonly keyType: string; readonly blob: Buffer } | undefined;

export interface KnownHostsCommandOptions {
  /** The program and its arguments for a host, tokens expanded. */
  args(host: { readonly name: string; readonly port: number }, key: QuestionedKey): readonly string[];
  /** Runs it; resolves with what it printed, rejects where it failed. */
  run(args: readonly string[]): Promise<string>;
}

/** Characters a program may print for one host. */
const MAX_OUTPUT = 1024 * 1024;
/** Characters of output that are remembered, all hosts together, and how many outputs. */
const MAX_REMEMBERED = 16 * 1024 * 1024;
const MAX_OUTPUTS = 10_000;

interface Output {
  readonly known: KnownHosts;
  readonly length: number;
}

export class KnownHostsCommand {
  readonly #options: KnownHostsCommandOptions;
  /** By arguments: a program that is not told the host, or the key, runs once. */
  readonly #outputs = new Map<string, Output>();
  /** Under way. As many as there are hosts that wait for them. */
  readonly #running = new Map<string, Promise<KnownHosts>>();
  #remembered = 0;

  constructor(options: KnownHostsCommandOptions) {
    this.#options = options;
  }

  /** The lines for a host, if they are here. */
  linesNow(host: { readonly name: string; readonly port: number }, key: QuestionedKey): KnownHosts | undefined {
    return this.#outputs.get(JSON.stringify(this.#options.args(host, key)))?.known;
  }

  /** The lines for a host. Rejects with SshError `local` where the program failed or printed more than 1 MiB. */
  lines(host: { readonly name: string; readonly port: number }, key: QuestionedKey): KnownHosts | Promise<KnownHosts> {
    const args = this.#options.args(host, key);
    const id = JSON.stringify(args);
    const here = this.#outputs.get(id);
    if (here !== undefined) return here.known;
    const running = this.#running.get(id) ?? this.#run(args, id).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return running;
  }

  async #run(args: readonly string[], id: string): Promise<KnownHosts> {
    const program = args[0] ?? '';
    const output = await this.#print(args, program);
    if (output.length > MAX_OUTPUT) {
      throw new SshError('local', `the KnownHostsCommand "${program}" printed more than 1 MiB for one host`);
    }
    const known = KnownHosts.parse([{ file: program, text: Buffer.from(output) }]);
    this.#remember(id, { known, length: output.length + id.length });
    return known;
  }

  async #print(args: readonly string[], program: string): Promise<string> {
    try {
      return await this.#options.run(args);
    } catch (cause) {
      // Its lines may have been @revoked ones: without them no key can be said to be good.
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SshError('local', `the KnownHostsCommand "${program}" failed: ${why}`, {}, { cause });
    }
  }

  #remember(id: string, output: Output): void {
    this.#outputs.set(id, output);
    this.#remembered += output.length;
    for (const [oldest, { length }] of this.#outputs) {
      if (this.#remembered <= MAX_REMEMBERED && this.#outputs.size <= MAX_OUTPUTS) break;
      this.#outputs.delete(oldest);
      this.#remembered -= length;
    }
  }
}

/**
 * One answer out of two sources, as if their lines stood in one file: a revoked key is revoked; a line with this key makes it known; other
 * keys make it changed, and then lines for the bare name do not count.
 */
export function mergeAnswers(first: HostKeyAnswer, second: HostKeyAnswer): HostKeyAnswer {
  if (first.kind === 'changed' && second.kind === 'changed') {
    return { ...first, knownTypes: [...new Set([...first.knownTypes, ...second.knownTypes])] };
  }
  return weight(second) > weight(first) ? second : first;
}

function weight(answer: HostKeyAnswer): number {
  if (answer.kind === 'revoked') return 4;
  if (answer.kind === 'known') return answer.bare ? 1 : 3;
  return answer.kind === 'changed' ? 2 : 0;
}

/** The authorities of two sources: those of the name with its port, else those of the bare name. */
export function mergeAuthorities(
  first: readonly KnownAuthority[],
  second: readonly KnownAuthority[],
): readonly KnownAuthority[] {
  const all = [...first, ...second];
  const own = all.filter(({ bare }) => !bare);
  return own.length > 0 ? own : all;
}
