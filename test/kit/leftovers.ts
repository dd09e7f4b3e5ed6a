/**
 * What a test must not leave behind, whatever ends it: a failure, its time-out, or the death of the process that runs it,
 * by SIGKILL too. A shell of its own session reads what there is; when its stdin ends, which no end of ours can prevent,
 * it removes what was not taken back: processes with all that they started, accounts, files.
 */
import { type ChildProcess, spawn } from 'node:child_process';

export type LeftoverKind = 'process' | 'account' | 'path';

/** Lines are `+ KIND VALUE` and `- KIND VALUE`; the last to come is the first to go. Values hold no blank. */
const KEEPER = `
all=
tree() {
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do tree "$child"; done
  echo "$1"
}
while read -r sign kind value; do
  rest=
  for each in $all; do [ "$each" = "$kind:$value" ] || rest="$rest $each"; done
  all=$rest
  [ "$sign" = - ] || all="$kind:$value $all"
done
for each in $all; do
  value=\${each#*:}
  case $each in
    process:*) kill -KILL $(tree "$value") ;;
    account:*) userdel -f "$value" ;;
    path:*) rm -rf "$value" ;;
  esac
done
`;

let keeper: ChildProcess | undefined;

function tell(line: string): void {
  if (keeper === undefined) {
    keeper = spawn('/bin/sh', ['-c', KEEPER], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // It must neither keep this process nor bring it down.
    keeper.unref();
    (keeper.stdin as unknown as { unref(): void }).unref();
    keeper.stdin!.on('error', () => {});
    keeper.on('error', () => {});
  }
  keeper.stdin!.write(`${line}\n`);
}

/** Says that it is there; the function that comes back says that it no longer is. */
export function leftover(kind: LeftoverKind, value: string | number): () => void {
  tell(`+ ${kind} ${value}`);
  return () => tell(`- ${kind} ${value}`);
}
