/** The verbs that exist. Each is loaded when it is used. */
import type { Completed } from './settings/apply.ts';

/** Takes the words after the verb, and what of them was typed; resolves with the exit code. */
export type Verb = (argv: readonly string[], line?: Completed) => Promise<number>;

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
    name: 'ping',
    what: 'which addresses are up, by ICMP, TCP, SSH banner or login',
    load: async () => (await import('./ping.ts')).ping,
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
    name: 'diff',
    what: 'which hosts ended or answered differently in a second run',
    load: async () => (await import('./diff.ts')).diff,
  },
  {
    name: 'report',
    what: 'a recorded run as one page for a browser',
    load: async () => (await import('./report.ts')).report,
  },
  {
    name: 'doctor',
    what: 'what is wrong on this machine, and the line that mends it',
    async load() {
      const { doctor } = await import('./doctor.ts');
      return (argv) => doctor(argv, VERBS);
    },
  },
  {
    name: 'completion',
    what: 'a script that completes verbs, options, hosts, groups and runs',
    load: async () => (await import('./completion.ts')).completion,
  },
  {
    name: 'simulate',
    what: 'a fleet of simulated hosts on loopback, to rehearse on',
    load: async () => (await import('./simulate.ts')).simulate,
  },
];
