/**
 * The ways to the hosts of a fleet: what its runs, its looks at host keys and its logins stand on, opened when first needed and
 * closed once.
 */
import { tmpdir } from 'node:os';
import type { Host } from '../contracts/task.ts';
import { LocalTransport } from '../transport/local/local_transport.ts';
import { DnsResolver } from '../transport/native/dns_resolver.ts';
import { NativeTransport } from '../transport/native/native_transport.ts';
import { SystemResolver } from '../transport/native/system_resolver.ts';
import type { WarmOptions } from '../transport/native/warm_pool.ts';
import { OpensshTransport } from '../transport/openssh/openssh_transport.ts';
import type { Transport, TransportName } from '../transport/transport.ts';
import type { FleetOptions } from './options.ts';
import { type AnswerSource, Passwords, passwordSource } from './passwords.ts';
import { opensshArgs } from './reach/openssh_args.ts';
import type { WantedKeys } from './reach/own_keys.ts';
import { ReachingTransport } from './reach/reaching_transport.ts';
import { Router } from './reach/router.ts';
import { parseJump } from './selection.ts';
import type { SentSecrets } from './sent_secrets.ts';
import { systemClock } from './system_clock.ts';
import { ScanTransport } from './trust_transport.ts';

export interface WaysOptions {
  readonly fleet: FleetOptions;
  /** One of the hosts: a mistake in what all of them share is found by it. */
  readonly first: () => Host;
  /** Keys that hosts have of their own. */
  readonly wanted: () => WantedKeys;
  readonly sent: SentSecrets;
  readonly answers: () => AnswerSource | undefined;
  readonly warm: WarmOptions;
  warn(text: string): void;
  /** A password may not be tried any more. */
  spent(reason: string): void;
}

/** What all ways stand on. */
interface Opened {
  readonly router: Router;
  readonly own: NativeTransport;
}

export class Ways {
  /** Those that are open, for the executor on this thread. */
  readonly transports = new Map<TransportName, Transport>();
  readonly #options: WaysOptions;
  #keys: WantedKeys | undefined;
  #warm: WarmOptions;
  #passwords: Passwords | undefined;
  #dns: DnsResolver | undefined;
  #own: NativeTransport | undefined;
  #native: Promise<void> | undefined;
  #opened: Promise<Opened> | undefined;

  /** Throws `usage` for jump hosts that cannot be read. */
  constructor(options: WaysOptions) {
    this.#options = options;
    this.#warm = options.warm;
    parseJump(options.fleet.jump);
  }

  /** Of logins; undefined: there are none, or nothing was opened yet. */
  get passwords(): Passwords | undefined {
    return this.#passwords;
  }

  /** Keys that hosts have of their own; none where `identity` counts before them. */
  get keys(): WantedKeys {
    this.#keys ??= this.#options.fleet.identity === undefined ? this.#options.wanted() : new Map();
    return this.#keys;
  }

  /** `learns`: a known_hosts file that was named may be missing. */
  async router(learns = false): Promise<Router> {
    return (await this.#open(learns)).router;
  }

  /** For logins. Rejects for ssh_config, keys and known_hosts that cannot be used. */
  native(): Promise<void> {
    this.#native ??= this.#openNative();
    return this.#native;
  }

  /** To look at host keys. */
  async scan(): Promise<void> {
    const { router, own } = await this.#open(true);
    const sshfp = (name: string) => this.#dns!.sshfp(name);
    if (!this.transports.has('scan')) this.transports.set('scan', new ScanTransport(router, own, sshfp));
  }

  /** For programs here. */
  local(): void {
    if (!this.transports.has('local')) this.transports.set('local', new LocalTransport({ clock: systemClock }));
  }

  /** Connections that wait for the next run. */
  get kept(): number {
    return this.#own?.kept ?? 0;
  }

  /** So many connections are kept from now on. */
  keep(warm: WarmOptions): void {
    this.#warm = warm;
    this.#own?.keep(warm);
  }

  /** Lets go of the passwords; what still runs goes on without them. */
  forget(): void {
    this.#passwords?.clear();
  }

  async close(): Promise<void> {
    this.#dns?.close();
    await Promise.all([...this.transports.values()].map((transport) => transport.close()));
    // The transport of runs closes what it stands on; without it nobody has.
    const opened = this.transports.has('native') ? undefined : await this.#opened?.catch(() => undefined);
    await opened?.own.close();
    await opened?.router.close();
  }

  #open(learns: boolean): Promise<Opened> {
    this.#opened ??= this.#openRouter(learns);
    return this.#opened;
  }

  async #openRouter(learns: boolean): Promise<Opened> {
    const { fleet, sent, answers, warn } = this.#options;
    const source = sent.passwords(passwordSource(fleet, systemClock));
    if (source !== undefined) {
      const onSpent = (reason: string) => this.#options.spent(reason);
      this.#passwords = new Passwords({ source, clock: systemClock, onSpent });
    }
    const dns = new DnsResolver({ clock: systemClock });
    this.#dns = dns;
    const answer = answers();
    const router = await Router.open(answer ? { ...fleet, answer } : fleet, {
      learns,
      setTimer: systemClock.setTimer,
      warn,
      jump: parseJump(fleet.jump),
      lookup: (name, family) => dns.canonical(name, family === 'any' ? 'any' : family === 'inet' ? 4 : 6),
      sshfp: (name) => dns.sshfp(name),
      passwords: this.#passwords,
    });
    const resolver = fleet.resolver === 'system' ? new SystemResolver() : dns;
    const own = new NativeTransport({ resolver, clock: systemClock, random: Math.random, warm: this.#warm });
    this.#own = own;
    return { router, own };
  }

  async #openNative(): Promise<void> {
    const { fleet, first } = this.#options;
    const { router, own } = await this.#open(false);
    await router.loadKeys(this.keys);
    await router.check(first());
    const openssh = () =>
      new OpensshTransport({
        args: (target) => opensshArgs(fleet, target),
        clock: systemClock,
        controlDir: tmpdir(),
      });
    this.transports.set('native', new ReachingTransport(router, own, openssh));
  }
}
