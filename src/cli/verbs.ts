/** The verbs that exist. Each is loaded when it is used. */

/** Takes the words after the verb; resolves with the exit code. */
export type Verb = (argv: readonly string[]) => Promise<number>;

export const VERBS: readonly { readonly name: string; readonly what: string; load(): Promise<Verb> }[] = [
  {
    name: 'run',
    what: 'run a command on every host (the default verb)',
    load: async () => (await import('./run.ts')).run,
  },
  {
    name: 'script',
    what: 'run a script of this machine on every host',
    load: async () => (await import('./script.ts')).script,
  },
  {
    name: 'check',
    what: 'which hosts a run would begin on, and what to do about the others',
    load: async () => (await import('./check.ts')).check,
  },
  {
    name: 'trust',
    what: 'look at keys of unknown hosts, and add them to known_hosts',
    load: async () => (await import('./trust.ts')).trust,
  },
  {
    name: 'simulate',
    what: 'a fleet of simulated hosts on loopback, to rehearse on',
    load: async () => (await import('./simulate.ts')).simulate,
  },
];
