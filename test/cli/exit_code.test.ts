/** The exit code of whole runs, faults alone and mixed: 130, 1, 2, 6, 7, 4, 3, 5 where several apply, 0 only where all is ok. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { myriad, shell, totals } from './command.ts';
import { type Kind, type MixedFleet, mixedFleet } from './mixed_fleet.ts';

let fleet: MixedFleet;

beforeAll(async () => {
  fleet = await mixedFleet();
});
afterAll(() => fleet[Symbol.asyncDispose]());

interface Case {
  readonly hosts: readonly Kind[];
  readonly options?: readonly string[];
  /** @default echo hello */
  readonly command?: string;
  readonly code: number;
  readonly outcomes: Readonly<Record<string, unknown>>;
}

const SOON = ['-t', '3s'];
const CUT = ['-u', '500ms'];
/** Any number: while one host is slow to answer, others are connected in its place, so that it depends on the machine. */
const SOME: unknown = expect.any(Number);

const CASES: Readonly<Record<string, Case>> = {
  'all ok': { hosts: ['good', 'good', 'good'], code: 0, outcomes: { ok: 3 } },
  'cut off by -u': { hosts: ['good', 'good'], options: CUT, command: 'sleep 100', code: 3, outcomes: { timeout: 2 } },
  'cut off by --idle': {
    hosts: ['good'],
    options: ['--idle', '500ms'],
    command: 'echo a; sleep 100',
    code: 3,
    outcomes: { timeout: 1 },
  },
  'refused port': { hosts: ['refuse', 'good'], code: 4, outcomes: { ok: 1, unreachable: 1 } },
  silent: { hosts: ['silent', 'good'], options: SOON, code: 4, outcomes: { ok: 1, timeout: 1 } },
  'reset before login': { hosts: ['reset'], options: ['--retries', '0'], code: 4, outcomes: { unreachable: 1 } },
  'changed host key': { hosts: ['wrong-key', 'good'], code: 4, outcomes: { ok: 1, 'host-key': 1 } },
  'no key is taken': { hosts: ['auth-refused'], code: 4, outcomes: { 'auth-failed': 1 } },
  'no session': { hosts: ['no-sessions'], code: 4, outcomes: { refused: 1 } },
  'no command': { hosts: ['exec-refused'], code: 4, outcomes: { refused: 1 } },
  'broken protocol before the command': { hosts: ['garbage'], code: 4, outcomes: { protocol: 1 } },
  'exit status 1': { hosts: ['good', 'exit-1'], code: 5, outcomes: { ok: 1, failed: 1 } },
  'a status of its own': { hosts: ['good'], command: 'exit 9', code: 5, outcomes: { failed: 1 } },
  'killed by a signal': { hosts: ['killed'], code: 5, outcomes: { signalled: 1 } },
  'no status': { hosts: ['no-status'], code: 5, outcomes: { 'no-status': 1 } },
  'the run stopped before some': {
    hosts: ['good'],
    options: ['--deadline', '3s', '-f', '1', '--repeat', '50'],
    command: 'sleep 100',
    code: 6,
    outcomes: { timeout: SOME, 'not-run': SOME },
  },
  'the run stopped, but all had begun': {
    hosts: ['good', 'good'],
    options: ['--deadline', '3s'],
    command: 'sleep 100',
    code: 3,
    outcomes: { timeout: 2 },
  },
  lost: { hosts: ['lost', 'good'], code: 7, outcomes: { ok: 1, lost: 1 } },

  '6 before 7': {
    hosts: ['lost', 'good'],
    options: ['--deadline', '3s', '-f', '1', '--repeat', '25'],
    command: 'sleep 100',
    code: 6,
    outcomes: { timeout: SOME, lost: SOME, 'not-run': SOME },
  },
  '7 before 4': {
    hosts: ['auth-refused', 'lost', 'exit-1'],
    code: 7,
    outcomes: { failed: 1, 'auth-failed': 1, lost: 1 },
  },
  '4 before 3': {
    hosts: ['refuse', 'good'],
    options: CUT,
    command: 'sleep 100',
    code: 4,
    outcomes: { timeout: 1, unreachable: 1 },
  },
  // The first repetition ends at once with status 1, the second one sleeps.
  '3 before 5': {
    hosts: ['exit-1'],
    options: ['-u', '2s', '--repeat', '2'],
    command: 'sleep {rank}00',
    code: 3,
    outcomes: { failed: 1, timeout: 1 },
  },
  '4 before 5': {
    hosts: ['killed', 'no-status', 'wrong-key'],
    code: 4,
    outcomes: { signalled: 1, 'no-status': 1, 'host-key': 1 },
  },

  '--ok-status takes another status': {
    hosts: ['good', 'exit-1'],
    options: ['--ok-status', '0,1'],
    code: 0,
    outcomes: { ok: 2 },
  },
  '--ok-status leaves 0 out': { hosts: ['good'], options: ['--ok-status', '1,none'], code: 5, outcomes: { failed: 1 } },
  '--ok-status none takes a missing one': {
    hosts: ['good', 'no-status'],
    options: ['--ok-status', '0,none'],
    code: 0,
    outcomes: { ok: 2 },
  },
  '--ok-status none takes no signal': {
    hosts: ['killed'],
    options: ['--ok-status', '0,none'],
    code: 5,
    outcomes: { signalled: 1 },
  },

  '-S of 0': { hosts: ['good'], options: ['-S'], code: 0, outcomes: { ok: 1 } },
  '-S of 9': { hosts: ['good', 'exit-1'], options: ['-S'], command: 'exit 9', code: 9, outcomes: { failed: 2 } },
  '-S of 255': { hosts: ['good'], options: ['-S'], command: 'exit 255', code: 255, outcomes: { failed: 1 } },
  '-S of a status that is ok': {
    hosts: ['good'],
    options: ['-S', '--ok-status', '0,3'],
    command: 'exit 3',
    code: 3,
    outcomes: { ok: 1 },
  },
  '-S where a host was not reached': {
    hosts: ['refuse', 'good'],
    options: ['-S'],
    code: 255,
    outcomes: { ok: 1, unreachable: 1 },
  },
  '-S hides no lost result behind 0': {
    hosts: ['lost', 'good'],
    options: ['-S'],
    code: 7,
    outcomes: { ok: 1, lost: 1 },
  },
};

describe.concurrent('exit codes', () => {
  it.each(Object.entries(CASES))('%s', async (_, { hosts, options = [], command = 'echo hello', code, outcomes }) => {
    const ended = await myriad([...fleet.pick(...hosts), ...fleet.reach, ...options, '--', command]);
    expect({ code: ended.code, outcomes: totals(ended.stderr) }).toEqual({ code, outcomes });
  });

  it.each<[string, string, readonly string[], number, Record<string, number>]>([
    ['ok', 'true,127.0.0.1', ['sh', '-c', ':'], 0, { ok: 2 }],
    [
      'a fault on this side before all else',
      'true,false,no-such-program',
      ['{name}'],
      1,
      { ok: 1, failed: 1, error: 1 },
    ],
    ['a signal', 'a', ['sh', '-c', 'kill -9 $$'], 5, { signalled: 1 }],
    ['a status by place', 'a,b', ['sh', '-c', 'exit 4{rank}'], 5, { failed: 2 }],
  ])('--local: %s', async (_, hosts, words, code, outcomes) => {
    const ended = await myriad(['run', '--local', '-w', hosts, '--', ...words]);
    expect({ code: ended.code, outcomes: totals(ended.stderr) }).toEqual({ code, outcomes });
  });

  it('--deadline that is not reached changes nothing, however far away it is', async () => {
    const ended = await myriad([
      ...fleet.pick('good'),
      ...fleet.reach,
      '--deadline',
      '60d',
      '-u',
      '60d',
      '--',
      'sleep 0.1',
    ]);
    expect({ code: ended.code, outcomes: totals(ended.stderr) }).toEqual({ code: 0, outcomes: { ok: 1 } });
  });

  it('output that does not fit on the disk is no success', async () => {
    const { code, stderr } = await shell("$MYRIAD run --local -w 'a[1-3]' -- echo hello >/dev/full").ended;
    expect(totals(stderr)).toEqual({ ok: 3 });
    expect(stderr).toMatch(/myriad: stdout is closed \(.*ENOSPC.*\); the run goes on\n/);
    expect(code).toBe(1);
  });
});
