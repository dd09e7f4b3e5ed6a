/**
 * Ends a remote command over a second channel of its connection.
 *
 * The `signal` request alone is not enough: OpenSSH before 9.8 refuses it for root, and a command without a terminal
 * survives its connection. The command itself is not wrapped: it must see nothing of us, and it costs no round trip.
 * Instead the script finds it: sshd runs every command of a connection as a child of one process, the parent of our
 * own shell. So whatever descends from our parent, without ourselves, is what this connection started.
 * One command a connection at a time: with several, the script would need to tell them apart. What an earlier one left behind
 * went to init when its shell ended, and descends from our parent no more.
 *
 * Under sudo, which the login user cannot signal, it runs by way of sudo, too: its arguments say then who our parent was before
 * sudo, and which process of ours became it.
 *
 * It is sent on the stdin of `sh -s`, because login shells differ in what they let through as an argument.
 */

/** What is run: `exec`, so that our parent is sshd and not a login shell; a restricted one refuses that, and is bash, which does it by itself. */
export const KILL_COMMAND = 'exec sh -s || sh -s';

/** The script's last words: `myriad: killed`, `myriad: left`, `myriad: none`. */
export type KillAnswer = 'killed' | 'left' | 'none' | undefined;

/** @param graceMs between TERM and KILL, rounded up to 100 ms. */
export function killScript(graceMs: number): Buffer {
  return Buffer.from(SCRIPT.replaceAll('@TICKS@', String(Math.ceil(graceMs / 100))), 'utf8');
}

export function killAnswer(output: string): KillAnswer {
  return /myriad: (killed|left|none)/.exec(output)?.[1] as KillAnswer;
}

/*
 * snapshot   one line a process: pid ppid pgid, zombies left out. /proc needs no program at all; ps serves the rest.
 * find       adds what descends from $top to $groups, or to $single where a process shares the server's own group.
 * alive      succeeds while anything found is still there; a process group outlives its leader and its place in the tree.
 */
const SCRIPT = `
LC_ALL=C; export LC_ALL
top=\${1:-$PPID}; me=\${2:-$$}; groups=' '; single=' '; nap=0.1
[ "$top" -gt 1 ] || { echo 'myriad: none'; exit 0; }
sleep 0.01 2>/dev/null || nap=1
snapshot() {
  if [ -r /proc/$$/stat ]; then
    for f in /proc/[0-9]*/stat; do
      read -r line <"$f" || continue
      rest=\${line##*) }
      p=\${f#/proc/}
      set -- $rest
      [ "$1" = Z ] || echo "\${p%/stat} $2 $3"
    done 2>/dev/null
  else
    { ps -A -o pid= -o ppid= -o pgid= -o stat= 2>/dev/null || ps -o pid,ppid,pgid,stat; } |
      while read -r p q r s; do case $s in Z*) ;; *) echo "$p $q $r" ;; esac; done
  fi
}
find() {
  tree=" $top "; more=yes; own=
  while [ "$more" ]; do
    more=
    while read -r p q r; do
      case $p in '' | *[!0-9]*) continue ;; esac
      [ "$p" = "$top" ] && own=$r
      [ "$p" = "$me" ] && continue
      case $tree in *" $p "*) continue ;; esac
      case $tree in *" $q "*) ;; *) continue ;; esac
      tree="$tree$p "; more=yes
    done <<END
$now
END
  done
  while read -r p q r; do
    [ "$p" = "$top" ] && continue
    case $tree in *" $p "*) ;; *) continue ;; esac
    if [ "$r" = "$own" ]; then
      case $single in *" $p "*) ;; *) single="$single$p " ;; esac
    else
      case $groups in *" $r "*) ;; *) groups="$groups$r " ;; esac
    fi
  done <<END
$now
END
}
alive() {
  while read -r p q r; do
    case $groups in *" $r "*) return 0 ;; esac
    case $single in *" $p "*) return 0 ;; esac
  done <<END
$now
END
  return 1
}
send() {
  for g in $groups; do kill -s "$1" -- "-$g"; done 2>/dev/null
  for p in $single; do kill -s "$1" "$p"; done 2>/dev/null
}
now=$(snapshot); find
[ "$groups$single" = '  ' ] && { echo 'myriad: none'; exit 0; }
send TERM
n=0
while :; do
  now=$(snapshot); find
  alive || { echo 'myriad: killed'; exit 0; }
  [ "$n" -ge @TICKS@ ] && break
  n=$((n + 1)); [ "$nap" = 1 ] && n=$((n + 9))
  sleep "$nap"
done
send KILL
n=0
while [ "$n" -lt 10 ]; do
  now=$(snapshot)
  alive || { echo 'myriad: killed'; exit 0; }
  n=$((n + 1)); [ "$nap" = 1 ] && n=$((n + 9))
  sleep "$nap"
done
echo 'myriad: left'
`;
