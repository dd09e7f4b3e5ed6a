/** Which option a mistake is in: what is below the command line knows values, not what they were given as. */
import { HostSetError, MyriadError } from '../index.ts';
import type { ConnectionFlags, TargetFlags } from './connection_options.ts';

type BlamedFlags = TargetFlags & Pick<ConnectionFlags, 'knownHosts'>;

/** The error with the option that it is about in front; one that names it already, or names none, stays as it is. */
export function blame(error: unknown, flags: BlamedFlags): unknown {
  if (!(error instanceof MyriadError)) return error;
  const option = optionOf(error, flags);
  if (option === undefined || error.message.startsWith('-')) return error;
  return new MyriadError(error.code, `${option}: ${error.message}`, { cause: error });
}

function optionOf(error: MyriadError, flags: BlamedFlags): string | undefined {
  switch (error.code) {
    case 'host-set':
      return error instanceof HostSetError ? setOption(error.text, flags) : fileOption(error.message, flags);
    case 'file':
      return fileOption(error.message, flags);
    case 'unmatched':
      if (error.message.startsWith('exclusion "@')) return '--exclude-group (-X)';
      if (error.message.startsWith('exclusion')) return '--exclude (-x)';
      if (error.message.startsWith('group')) return '--group (-g)';
      return /^(?:where|hosts file|all hosts|from)/.test(error.message) ? undefined : '--hosts (-w)';
    case 'key':
    case 'passphrase':
      return '--identity';
    case 'known-hosts':
      return flags.knownHosts === undefined ? undefined : '--known-hosts';
    default:
      return undefined;
  }
}

function setOption(text: string, flags: BlamedFlags): string {
  if (flags.hosts?.some((set) => set === text || set === `+${text}`)) return '--hosts (-w)';
  const named = (groups: readonly string[] = []) =>
    text.startsWith('@') && groups.some((group) => text.startsWith(`@${group.split(',')[0]}`));
  if (named(flags.group)) return '--group (-g)';
  if (named(flags.excludeGroup)) return '--exclude-group (-X)';
  return flags.pssh?.includes(text) ? '--pssh (-H)' : '--exclude (-x)';
}

/** Of the hosts file that a message quotes. */
function fileOption(message: string, flags: BlamedFlags): string | undefined {
  if (flags.hostfile?.some((file) => message.includes(file))) return '--hostfile';
  return [...(flags.hosts ?? []), ...(flags.pssh ?? [])].some((text) => /^[-^]/.test(text))
    ? '--hosts (-w)'
    : undefined;
}
