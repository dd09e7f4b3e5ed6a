/** Where `-w` finds its hosts: a host set, `^FILE`, or `-` for stdin. */
import { type FleetOptions, MyriadError, type SelectionOptions } from '../index.ts';
import { defined, type TargetFlags } from './connection_options.ts';

/** The selection as the library takes it. Throws `usage` where stdin is asked for twice. */
export function readHosts(
  flags: TargetFlags,
): Pick<FleetOptions, 'hosts' | 'hostFiles' | 'from' | 'journal' | 'exclude' | keyof SelectionOptions> {
  const hosts: string[] = [];
  const hostFiles = [...(flags.hostfile ?? [])];
  for (const text of [...(flags.hosts ?? []), ...(flags.pssh ?? [])]) {
    if (text === '-') hostFiles.push('/dev/stdin');
    else if (text.startsWith('^')) hostFiles.push(text.slice(1));
    else hosts.push(text);
  }
  if (hostFiles.filter((file) => file === '/dev/stdin').length > 1) {
    throw new MyriadError('usage', '-w -: stdin can be read only once');
  }
  return {
    ...(hosts.length > 0 ? { hosts } : {}),
    ...(hostFiles.length > 0 ? { hostFiles } : {}),
    ...(flags.from !== undefined ? { from: flags.from } : {}),
    ...(typeof flags.journal === 'string' ? { journal: flags.journal } : {}),
    ...(flags.exclude ? { exclude: flags.exclude } : {}),
    ...defined({
      groups: flags.group,
      excludeGroups: flags.excludeGroup,
      allowUnmatched: flags.allowUnmatched,
      allHosts: flags.allHosts,
      inventory: flags.inventory,
      where: flags.where,
      pick: flags.pick,
      seed: flags.seed,
      limit: flags.limit,
    }),
  };
}
