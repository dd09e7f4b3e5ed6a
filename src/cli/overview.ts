/** What `myriad --help` prints. */
import { VERBS } from './verbs.ts';

export function overview(): string {
  const width = Math.max(...VERBS.map((verb) => verb.name.length));
  const verbs = VERBS.map((verb) => `  ${verb.name.padEnd(width)}  ${verb.what}\n`).join('');
  return `myriad: one job on thousands of machines over SSH, every one accounted for

Usage: myriad [run] -w HOSTS [options] [--] COMMAND...
       myriad VERB [options]

Verbs:
${verbs}
Examples:
  myriad -w 'web[1-100]' uptime
  myriad -w 'web[1-100],db[1-3]' -x web7 -b -- 'uname -r'
  myriad run --local -w '10.0.0.[1-254]' -- ping -c 1 -W 1 {host}

With any verb: --settings FILE|none, --profile NAME, --no-OPTION (see
docs/settings.md: what is given always can be written down once).
"myriad VERB --help" shows a verb's options.
`;
}
