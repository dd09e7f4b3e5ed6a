/** Words of a command line taken apart as commander does it, kept without secrets, and put together again. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { typed } from '../../src/cli/argv.ts';
import { buildRun, parseRun } from '../../src/cli/run_options.ts';

/** The words of a line as a shell would give them to the command. */
function shellWords(line: string): string[] {
  return execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}

const record = (line: string) => typed(buildRun(), 'run', shellWords(line)).recorded;

describe('recorded words', () => {
  it.each([
    ["-w 'web[1-9]' uptime", ['--hosts', 'web[1-9]', '--', 'uptime']],
    [
      '-bNwa -f8 --fanout=9 -- -x',
      ['--gather-same', '--no-label', '--hosts', 'a', '--fanout', '8', '--fanout', '9', '--', '-x'],
    ],
    ['-w a -o=-x --option=-y ls -w b', ['--hosts', 'a', '--option', '=-x', '--option=-y', '--', 'ls', '-w', 'b']],
    [
      '-wa --env A=b=c --env=D=e --env F ls',
      ['--hosts', 'a', '--env', 'A=[redacted]', '--env', 'D=[redacted]', '--env', 'F', '--', 'ls'],
    ],
    [
      "--password-command 'echo x' -w - ls -- --env G=h",
      ['--password-command', '[redacted]', '--hosts=-', '--', 'ls', '--', '--env', 'G=h'],
    ],
    ['-4K --no-journal -w a', ['--ipv4-only', '--ask-sudo-password', '--no-journal', '--hosts', 'a']],
  ])('%s', (line, words) => {
    expect(record(line)).toEqual(['myriad', 'run', ...words]);
  });

  it('come to the same flags as those that were typed', () => {
    const word = fc.constantFrom(
      '-b',
      '-N',
      '-w',
      'a',
      '-wb',
      '-f8',
      '--fanout',
      '3',
      '--',
      '-',
      '-4',
      '-Kk',
      '-S',
      '-o',
      'A=b',
      '--cwd=/x',
      '-t5',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 9 }), (argv) => {
        let parsed: ReturnType<typeof parseRun>;
        try {
          parsed = parseRun(argv);
        } catch {
          return;
        }
        const again = parseRun(typed(buildRun(), 'run', argv).recorded.slice(2));
        expect(again.flags).toEqual(parsed.flags);
        expect(again.words).toEqual(parsed.words);
      }),
      { numRuns: 2000, seed: 7 },
    );
  });
});

describe('a line to type again', () => {
  it('has other hosts, all other options, and no secret', () => {
    const words = shellWords(
      "-w 'a,b' -x b --expect 1 --yes --repeat 2 -l ann -b --env A=b -o 'SetEnv X=it'\\''s' -- echo '{i}' 'a  b'",
    );
    const line = typed(buildRun(), 'run', words).again('x-1:bad');
    expect(line).toBe(
      "myriad run --from x-1:bad --yes --repeat 2 --user ann --gather-same --env 'A=…' --option 'SetEnv X=it'\\''s' -- echo '{i}' 'a  b'",
    );
    const again = parseRun(shellWords(line).slice(2));
    expect(again.flags).toMatchObject({ from: ['x-1:bad'], user: 'ann', repeat: 2 });
    expect(again.words).toEqual(['echo', '{i}', 'a  b']);
  });

  it('is cut where nobody would type it, and where a word of it may be what is to be redacted', () => {
    const words = ['--redact', 'abc', '-w', 'a', 'echo abc'];
    expect(typed(buildRun(), 'run', words).again('last')).toBe('myriad run --from last … (the rest as before)');
    expect(typed(buildRun(), 'run', ['-w', 'a', 'x'.repeat(2000)]).again('last:bad')).toBe(
      'myriad run --from last:bad … (the rest as before)',
    );
  });
});
