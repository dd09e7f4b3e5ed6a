/** What the doctor says, on terminals of any width. */
import { expect, it } from 'vitest';
import { type DiagnosisView, doctorText } from '../../src/output/doctor.ts';

const VIEW: DiagnosisView = {
  version: '1',
  findings: [
    { area: 'node', state: 'ok', what: 'Node 26, linux', fix: '' },
    {
      area: 'limits',
      state: 'problem',
      what: 'open files leave room for 20 connections at once, of which there could be more\u001b[2J',
      fix: 'ulimit -n 65536   (in the shell that starts it, and in limits.conf for the next login)',
    },
  ],
  settings: { verb: 'run', profile: null, files: [], options: [] },
};

it('is as wide as the terminal, but for what is to be copied', () => {
  expect(doctorText(VIEW, 50).split('\n')).toEqual([
    'myriad 1',
    'node    ok       Node 26, linux',
    'limits  problem  open files leave room for 20',
    '                 connections at once, of which',
    '                 there could be more^[[2J',
    '                 fix: ulimit -n 65536   (in the shell that starts it, and in limits.conf for the next login)',
    '',
  ]);
});

it('is not broken where it goes to a file', () => {
  expect(doctorText(VIEW).split('\n')[2]).toBe(
    'limits  problem  open files leave room for 20 connections at once, of which there could be more^[[2J',
  );
});
