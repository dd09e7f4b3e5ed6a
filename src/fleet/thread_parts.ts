/** What a thread of a fleet is made of: its own way to hosts. What cannot cross, it asks of the main thread. */
import { tmpdir } from 'node:os';
import type { Clock } from '../contracts/limits.ts';
import type { Host } from '../contracts/task.ts';
import { Secrets } from '../engine/secrets.ts';
import type { ThreadLink } from '../engine/threads/link.ts';
import { remoteSecret } from '../engine/threads/remote_secret.ts';
import type { ThreadParts } from '../engine/threads/thread_parts.ts';
import { DnsResolver } from '../transport/native/dns_resolver.ts';
import { NativeTransport } from '../transport/native/native_transport.ts';
import { SystemResolver } from '../transport/native/system_resolver.ts';
import type { WarmOptions } from '../transport/native/warm_pool.ts';
import { OpensshTransport } from '../transport/openssh/openssh_transport.ts';
import { jobKinds } from './kinds.ts';
import type { FleetOptions } from './options.ts';
import type { AnswerSource } from './passwords.ts';
import { type LoadedConfig, loadConfig, resolveHost } from './reach/config.ts';
import type { SharedHostKeys } from './reach/host_keys.ts';
import { opensshArgs } from './reach/openssh_args.ts';
import type { WantedKeys } from './reach/own_keys.ts';
import { ReachingTransport } from './reach/reaching_transport.ts';
import { Router } from './reach/router.ts';
import { parseJump } from './selection.ts';

/** Plain data: the options of a fleet without hosts, functions and secrets. */
export interface FleetThreadData {
  readonly options: FleetOptions;
  /** What the main thread has, to be asked for. */
  readonly passphrase: boolean;
  readonly passwords: boolean;
  readonly answer: boolean;
  /** Keys that hosts have of their own. */
  readonly keys: WantedKeys;
  /** This thread's part. */
  readonly warm: WarmOptions | undefined;
}

const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer), unref: () => void timer.unref() };
  },
};

/** Called in the thread, by its name. */
export async function makeFleetThread(data: unknown, link: ThreadLink): Promise<ThreadParts> {
  const { options, passphrase, passwords, answer, keys, warm } = data as FleetThreadData;
  const secrets = new Secrets();
  const dns = new DnsResolver({ clock: systemClock });
  const asking: FleetOptions = {
    ...options,
    ...(passphrase && { passphrase: async (file) => (await link.ask('passphrase', file)) as string }),
    ...(answer && { answer: askedAnswers(link, secrets) }),
  };
  const router = await Router.open(asking, {
    setTimer: systemClock.setTimer,
    warn: (text) => link.tell('warn', text),
    jump: parseJump(options.jump),
    lookup: (name, family) => dns.canonical(name, family === 'any' ? 'any' : family === 'inet' ? 4 : 6),
    sshfp: (name) => dns.sshfp(name),
    passwords: passwords
      ? { secretFor: (host) => remoteSecret(link, 'password', host, (value) => secrets.add(value)) }
      : undefined,
    // One writer of known_hosts: the main thread.
    learn: async (question) => void (await link.ask('learn', question)),
    shared: (await link.ask('hostKeys', undefined)) as SharedHostKeys,
  });
  await router.loadKeys(keys);
  const resolver = options.resolver === 'system' ? new SystemResolver() : dns;
  const own = new NativeTransport({ resolver, clock: systemClock, random: Math.random, warm });
  const openssh = () =>
    new OpensshTransport({ args: (target) => opensshArgs(options, target), clock: systemClock, controlDir: tmpdir() });
  const transport = new ReachingTransport(router, own, openssh);
  return {
    kinds: jobKinds(),
    transports: new Map([['native', transport]]),
    clock: systemClock,
    random: Math.random,
    lent: { values: { destination: destinations(options) } },
    secrets,
    close: async () => {
      dns.close();
      await transport.close();
      secrets.clear();
    },
  };
}

function askedAnswers(link: ThreadLink, secrets: Secrets): AnswerSource {
  return async (host, prompts, about, signal) => {
    const answers = (await link.ask('answer', { host, prompts, about }, signal)) as readonly string[] | undefined;
    answers?.forEach((answer, at) => {
      if (prompts[at]?.echo === false) secrets.add(answer);
    });
    return answers;
  };
}

function destinations(options: FleetOptions): (host: Host) => { readonly user: string; readonly port: number } {
  let loaded: LoadedConfig | undefined;
  return (host) => {
    loaded ??= loadConfig(options);
    return resolveHost(loaded, options, host);
  };
}
