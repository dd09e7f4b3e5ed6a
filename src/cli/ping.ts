/** `myriad ping`: which of any number of addresses are up. */
import { MyriadError, openJournal, ping as openPing, type Ping, pruneDaily } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { formatCount, formatDuration, formatRate } from '../output/format.ts';
import { PingOutput, pingEnd, pingNext, pingShares, pingSummary } from '../output/ping.ts';
import { Writer } from '../output/writer.ts';
import { typed } from './argv.ts';
import { blame } from './blame.ts';
import { columns } from './follow.ts';
import { checkExpected } from './guard.ts';
import { Interrupts } from './interrupt.ts';
import { resumeWords } from './journal.ts';
import { login } from './ping_login.ts';
import { buildPing, levelOf, type PingFlags, parsePing, pingOptions } from './ping_options.ts';
import { pollSweep, refusePingPolls } from './ping_poll.ts';
import { confirm } from './prompt.ts';

/** Above so many addresses somebody has to say that they are meant. */
const ASK_ABOVE = 1_000_000;
const PROGRESS_MS = 500;
/** A sweep that takes longer is recorded: whoever stops it need not begin anew. */
const RECORD_ABOVE_MS = 10_000;

export async function ping(argv: readonly string[]): Promise<number> {
  const flags = parsePing(argv);
  if (!flags) return 0;
  try {
    const level = levelOf(flags);
    refusePingPolls(flags, level);
    if (flags.every !== undefined && level !== 'auth' && level !== 'exec') return await pollSweep(flags, level, argv);
    return await (level === 'auth' || level === 'exec' ? login(flags) : sweep(flags, level, argv));
  } catch (error) {
    throw blame(error, flags);
  }
}

async function sweep(flags: PingFlags, level: 'icmp' | 'tcp' | 'banner', argv: readonly string[]): Promise<number> {
  const { recorded } = typed(buildPing(), 'ping', argv);
  await using hosts = await openPing(pingOptions(flags, level, recorded));
  await guard(hosts, flags);
  // A folder that was named is for a short one, too.
  if (flags.journal === undefined && hosts.expectedMs > RECORD_ABOVE_MS) hosts.record();
  return await conductSweep(hosts, flags);
}

/** From its first packet to its summary, with ^C in hand; resolves with the exit code. */
export async function conductSweep(hosts: Ping, flags: PingFlags): Promise<number> {
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  const output = new PingOutput({
    form: flags.output,
    only: flags.alive ? 'up' : flags.down ? 'down' : 'all',
    each: (flags.count ?? 1) > 1,
    hosts,
    sink: stdout,
  });
  const deadline = flags.deadline ? setTimeout(() => hosts.stop(), flags.deadline) : undefined;
  const line = new ProgressLine(hosts, stderr, flags.progress);
  let interrupted = false;
  const stop = () => {
    interrupted = true;
    hosts.stop();
  };
  const interrupts = new Interrupts(
    { pause: stop, unpause() {}, stop, status: () => progressText(hosts) },
    () => line.say('stopping: what was sent has its time to be answered; ^C once more leaves at once\n'),
    'taken',
  );
  try {
    output.begin();
    for await (const chunk of hosts.chunks()) {
      warn(hosts, stderr, line);
      await output.chunk(chunk);
      if (stdout.closed) hosts.stop();
    }
    output.end();
    const summary = hosts.summary();
    line.end();
    warn(hosts, stderr, line);
    if (flags.output === 'ndjson') stdout.write(pingEnd(summary));
    else if (!flags.quiet) stderr.write(pingSummary(summary));
    if (summary.run !== undefined) stderr.write(pingNext(summary, resumeWords(summary.run, flags.journal)));
    if (interrupted) return 130;
    const { down, unasked } = pingShares(summary.states);
    if (unasked > 0) return 2;
    return down > 0 && !flags.alive && !flags.down ? 1 : 0;
  } finally {
    clearTimeout(deadline);
    interrupts.release();
    line.end();
    await stdout.end();
    await stderr.end();
    forgetOld(hosts, flags);
  }
}

/** Forgets old runs, once a day, where this one was added to them. */
function forgetOld({ run }: Ping, { journal }: PingFlags): void {
  if (run === undefined || typeof journal === 'string') return;
  try {
    pruneDaily(openJournal());
  } catch {
    // The next day will do.
  }
}

/** Throws `guard` where nobody has said that so many are meant. */
async function guard({ count, rate }: Ping, { expect, yes }: PingFlags): Promise<void> {
  checkExpected(count, expect);
  if (count <= ASK_ABOVE || expect || yes) return;
  const time = Number.isFinite(rate) ? `, ${formatDuration((count * 1000) / rate)} at ${formatRate(rate)}` : '';
  const what = `${formatCount(count)} addresses${time}`;
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true)
    throw new MyriadError(
      'guard',
      `${what}, and no terminal to ask on: add --expect ${count} or --yes; nothing was sent`,
    );
  if (!(await confirm(`Ping ${what}?`))) throw new MyriadError('guard', 'not confirmed; nothing was sent');
}

const told = new WeakMap<Ping, number>();

/** What came up since the last time. */
function warn(hosts: Ping, stderr: Writer, line: ProgressLine): void {
  const before = told.get(hosts) ?? 0;
  const fresh = hosts.warnings.slice(before);
  told.set(hosts, before + fresh.length);
  if (fresh.length === 0) return;
  line.clear();
  for (const warning of fresh) stderr.write(`myriad: ${escapeText(warning)}\n`);
}

function progressText(hosts: Ping): string {
  const { sent, up, done } = hosts.counts;
  const seconds = hosts.elapsedMs / 1000;
  return `${formatCount(done)} of ${formatCount(hosts.count)} done, ${formatCount(up)} up, ${formatCount(sent)} sent, ${formatRate(sent / Math.max(0.1, seconds))}`;
}

/** One line on stderr that is written over, where a person looks at it. */
class ProgressLine {
  readonly #sink: Writer;
  readonly #hosts: Ping;
  readonly #timer: NodeJS.Timeout | undefined;
  #drawn = false;

  constructor(hosts: Ping, sink: Writer, mode: 'auto' | 'always' | 'never') {
    this.#hosts = hosts;
    this.#sink = sink;
    if (mode === 'always' || (mode === 'auto' && process.stderr.isTTY === true && !process.env.CI))
      this.#timer = setInterval(() => this.#draw(), PROGRESS_MS);
  }

  #draw(): void {
    this.#sink.write(`\r\x1b[K${progressText(this.#hosts).slice(0, columns() - 1)}`);
    this.#drawn = true;
  }

  clear(): void {
    if (this.#drawn) this.#sink.write('\r\x1b[K');
    this.#drawn = false;
  }

  say(text: string): void {
    this.clear();
    this.#sink.write(text);
    this.#sink.flush();
  }

  end(): void {
    clearInterval(this.#timer);
    this.clear();
  }
}
