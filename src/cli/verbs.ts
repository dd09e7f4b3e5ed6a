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
    name: 'hosts',
    what: 'which hosts a selection means, folded, counted, explained',
    load: async () => (await import('./hosts.ts')).hosts,
  },
  {
    name: 'trust',
    what: 'look at keys of unknown hosts, and add them to known_hosts',
    load: async () => (await import('./trust.ts')).trust,
  },
  {
    name: 'resume',
    what: 'go on with a run that was stopped, or has crashed',
    load: async () => (await import('./resume.ts')).resume,
  },
  {
    name: 'runs',
    what: 'the runs that are recorded; runs prune forgets old ones',
    load: async () => (await import('./runs.ts')).runs,
  },
  {
    name: 'show',
    what: 'a recorded run once more: outputs, failures, summary',
    load: async () => (await import('./show.ts')).show,
  },
  {
    name: 'simulate',
    what: 'a fleet of simulated hosts on loopback, to rehearse on',
    load: async () => (await import('./simulate.ts')).simulate,
  },
];
