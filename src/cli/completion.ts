/** `myriad completion SHELL`: the script that has a shell complete words of ours. */
import { Command } from 'commander';
import { MyriadError } from '../index.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

const HELP = `
Examples:
  myriad completion bash > ~/.local/share/bash-completion/completions/myriad
  myriad completion zsh > ~/.zfunc/_myriad     with ~/.zfunc in your fpath
  myriad completion fish > ~/.config/fish/completions/myriad.fish

Verbs, options and their values, hosts of known_hosts and ssh_config, groups and
hosts of inventories, recorded runs.
`;

/** The script asks with whole words, quotes taken off; of what comes back bash wants what stands behind its own word breaks. */
const BASH = `# bash completion for myriad
_myriad() {
  local line="\${COMP_LINE:0:COMP_POINT}" current candidate
  local -a words
  read -ra words <<< "$line"
  current="\${line##*[[:space:]]}"
  [[ $line == *[[:space:]] ]] && words+=("")
  words=("\${words[@]//[\\'\\"]/}")
  COMPREPLY=()
  local cut="\${current%"\${current##*[:=]}"}"
  [[ $current == *@* ]] && cut="\${current%"\${current##*[:=@]}"}"
  while IFS=$'\\t' read -r candidate _; do
    if [[ $candidate == :files ]]; then
      compopt -o default 2> /dev/null
      COMPREPLY=()
      return
    fi
    COMPREPLY+=("\${candidate#"\${cut//[\\'\\"]/}"}")
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2> /dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[,=] ]] && compopt -o nospace 2> /dev/null
}
complete -F _myriad myriad
`;

const ZSH = `#compdef myriad
_myriad() {
  local -a lines values shown
  local line
  lines=("\${(@f)$("\${words[1]}" __complete -- "\${(@Q)words[2,CURRENT]}" 2> /dev/null)}")
  if [[ \${lines[1]} == :files ]]; then
    _files
    return
  fi
  for line in "\${lines[@]}"; do
    [[ -n $line ]] || continue
    values+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  -- }")
  done
  compadd -l -d shown -a values
}
if [[ \${funcstack[1]} == _myriad ]]; then
  _myriad "$@"
else
  compdef _myriad myriad
fi
`;

const FISH = `# fish completion for myriad
function __myriad_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] (string unescape -- $current; or echo -- $current) 2> /dev/null)
    if test "$lines[1]" = ':files'
        __fish_complete_path $current
    else
        string join \\n -- $lines
    end
end
complete -c myriad -f -a '(__myriad_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export async function completion(argv: readonly string[]): Promise<number> {
  const command = new Command('myriad completion')
    .usage('bash|zsh|fish')
    .description('Print a script that completes words in a shell.')
    .argument('[shell]')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false);
  if (!parseWords(command, argv)) return 0;
  const [shell = ''] = command.args;
  const script = SCRIPTS[shell];
  if (script === undefined) {
    throw new MyriadError(
      'usage',
      `expected bash, zsh or fish, got "${shell}"; "myriad completion --help" says where it goes`,
    );
  }
  process.stdout.write(script);
  return 0;
}
