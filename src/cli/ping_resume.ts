/** `myriad resume` of a sweep: the addresses that are not settled yet, and what is printed is of all of them. */
import { Command } from 'commander';
import { MyriadError, ping as openPing, type SweepReader } from '../index.ts';
import { defined } from './connection_options.ts';
import { type JournalFlags, journalOf, takeRun } from './journal.ts';
import { conductSweep } from './ping.ts';
import { buildPing, type PingFlags, parsePing } from './ping_options.ts';
import { parseWords } from './words.ts';

/** What may be another than it was; the rest belongs to the sweep. */
const CHANGEABLE: ReadonlySet<keyof PingFlags> = new Set<keyof PingFlags>([
  ...(['alive', 'down', 'output', 'quiet', 'progress'] as const),
  ...(['rate', 'fanout', 'timeout', 'interval', 'order', 'socket', 'deadline', 'journal'] as const),
]);

/** The recorded sweep that the words name; undefined where it is none. The caller closes it. */
export function namedSweep(argv: readonly string[]): SweepReader | undefined {
  const { run, rest } = takeRun(argv);
  if (run === undefined) return undefined;
  const command = new Command().option('--journal <dir>').allowUnknownOption().allowExcessArguments().helpOption(false);
  command.exitOverride().configureOutput({ writeErr: () => {} });
  try {
    command.parse([...rest], { from: 'user' });
    return journalOf(command.opts<JournalFlags>()).readSweep(run.split(':')[0]!);
  } catch {
    // Whoever takes all of the words says what is wrong with them, or with the journal.
    return undefined;
  }
}

/** Goes on with it; `words`: what was given beside its name. */
export async function resumeSweep(reader: SweepReader, words: readonly string[]): Promise<number> {
  const { id } = reader.info;
  const { argv } = reader.record;
  reader.close();
  const command = buildPing();
  if (!parseWords(command, words)) return 0;
  const flags = command.opts<PingFlags>();
  const given = givenOf(command);
  for (const name of Object.keys(given) as (keyof PingFlags)[]) {
    if (CHANGEABLE.has(name)) continue;
    const option = command.options.find((each) => each.attributeName() === name)?.long ?? name;
    throw new MyriadError('usage', `${option}: sweep ${id} goes on as it was begun, so it cannot be changed`);
  }
  if (given.alive && given.down) throw new MyriadError('usage', '--alive and --down: give one of them, or neither');
  const { deadline: _deadline, journal: _folder, ...before } = recorded(argv);
  if (given.alive || given.down) {
    delete (before as { alive?: boolean }).alive;
    delete (before as { down?: boolean }).down;
  }
  const { rate, fanout, timeout, interval, order, socket, journal } = given;
  const changed = { rate, fanout: typeof fanout === 'number' ? fanout : undefined, order, socket };
  const times = { timeoutMs: timeout, intervalMs: interval };
  await using hosts = await openPing(
    defined({ ...changed, ...times, resume: id, journal: typeof journal === 'string' ? journal : undefined }),
  );
  return await conductSweep(hosts, { ...flags, ...before, ...given });
}

/** Flags of the line that it was begun with; one of the library's has none. */
function recorded([program, verb, ...words]: readonly string[]): Partial<PingFlags> {
  if (program !== 'myriad' || verb !== 'ping') return {};
  return parsePing(words) ?? {};
}

/** Flags that were typed. */
function givenOf(command: Command): Partial<PingFlags> {
  const entries = Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli');
  return Object.fromEntries(entries) as Partial<PingFlags>;
}
