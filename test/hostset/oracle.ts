/** ClusterShell (Debian package clustershell), asked in one process for many host sets: it takes 0.2 s to start. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PYTHON = '/usr/bin/python3';

/** Where the package is not installed: why the test does not run. */
export const missing = !existsSync('/usr/lib/python3/dist-packages/ClusterShell/NodeSet.py');
if (missing) console.warn('skipped: the Debian package clustershell is not installed');

export interface Answer {
  readonly hosts: readonly string[];
  readonly folded: string;
  readonly count: number;
}

const PROGRAM = `
import json, sys
from ClusterShell.NodeSet import NodeSet
from ClusterShell.NodeUtils import GroupResolverConfig
config = sys.argv[1] if len(sys.argv) > 1 else None
resolver = GroupResolverConfig([config]) if config else None
for line in sys.stdin:
    text = json.loads(line)
    try:
        found = NodeSet(text, resolver=resolver)
        print(json.dumps({'hosts': sorted(found), 'folded': str(found), 'count': len(found)}))
    except Exception as error:
        print(json.dumps(str(error)))
`;

/** What each text means, or why it is refused. `config`: a groups.conf; without it there are no groups. */
export function ask(texts: readonly string[], config?: string): readonly (Answer | string)[] {
  const input = texts.map((text) => `${JSON.stringify(text)}\n`).join('');
  const args = ['-c', PROGRAM, ...(config === undefined ? [] : [config])];
  const output = execFileSync(PYTHON, args, { encoding: 'utf8', input, maxBuffer: 1 << 28 });
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}
