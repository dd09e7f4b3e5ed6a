/** Which hosts a fleet has: the options, beside host sets and files. */

export interface SelectionOptions {
  /**
   * Inventories: paths, or `TYPE:PATH`, where types are hosts, ssh-config, clustershell, genders, ansible, json, command and cdist.
   * They give groups, variables, and how hosts are reached; programs are run, at most 30 s each, while `fleet()` waits. With one of
   * them `hosts` must be known there, or begin with `+`. @default for groups and wildcards: those of clush, else those of pdsh
   */
  readonly inventory?: string | readonly string[];
  /** Groups, with commas: `web`, `web,db`, `rack[1-3]`, `source:group`. */
  readonly groups?: string | readonly string[];
  /** Groups to leave out; one that matches nothing is an error. */
  readonly excludeGroups?: string | readonly string[];
  /**
   * What matches nothing is warned of, and passed over: a group, wildcard or host that is not known, an exclusion, a variable of
   * `where`. A selection without hosts stays an error. @default false
   */
  readonly allowUnmatched?: boolean;
  /** All hosts of the inventory. @default false */
  readonly allHosts?: boolean;
  /** Of the selected hosts those for which it holds: `os=debian & !role=db`, `cores>=8 | @fast`. @default all */
  readonly where?: string;
  /** So many of them at random: `10`, `5%`. @default all */
  readonly pick?: string | number;
  /** The same seed picks the same hosts. @default another each time */
  readonly seed?: string;
  /** The first ones of what is left: `10`, `5%`. @default all */
  readonly limit?: string | number;
}

export const SELECTION_OPTIONS: readonly (keyof SelectionOptions)[] = [
  'inventory',
  'groups',
  'excludeGroups',
  'allowUnmatched',
  'allHosts',
  'where',
  'pick',
  'seed',
  'limit',
];
