/** The transport `scan`: shows the keys of hosts, and logs in to none but jump hosts. */
import { MyriadError } from '../contracts/errors.ts';
import type { Began, Outcome } from '../contracts/outcome.ts';
import type { Reached, Target } from '../contracts/task.ts';
import { knownHostsLine } from '../ssh/known_hosts_entry.ts';
import type { SshfpResolver } from '../ssh/sshfp.ts';
import type { NativeTransport } from '../transport/native/native_transport.ts';
import type { Connection, ConnectOptions, ShownKeys, Transport, Watch } from '../transport/transport.ts';
import { unlessStopped } from '../transport/unless_stopped.ts';
import type { Router } from './reach/router.ts';

/** Nothing is to be asked of a host that is known. */
class AlreadyKnown extends Error {}

export class ScanTransport implements Transport {
  readonly name = 'scan';
  readonly #router: Router;
  readonly #native: NativeTransport;
  readonly #sshfp: SshfpResolver | undefined;

  constructor(router: Router, native: NativeTransport, sshfp: SshfpResolver | undefined) {
    this.#router = router;
    this.#native = native;
    this.#sshfp = sshfp;
  }

  async connect(target: Target, watch: Watch, { job }: ConnectOptions): Promise<Connection> {
    const { route, store } = await unlessStopped(watch, this.#router.look(target), () => watch.enter('dns'));
    const { keyHost } = route;
    const all = (job as { readonly all?: boolean } | undefined)?.all === true;
    // Where that costs more than a key exchange the host is asked: the key that it shows is found at once.
    if (!all && store.known.has(keyHost.name, keyHost.port) === true) throw new AlreadyKnown();
    const options = { verifier: store.verifier, sshfp: this.#sshfp };
    const { shown, address, fingerprint, software } = await this.#native.scan(route, watch, options);
    // A name that cannot stand there, as an alias of commas, is this host's fault and not that of all that are learnt with it.
    for (const { blob } of shown.keys) knownHostsLine(keyHost.name, keyHost.port, Buffer.from(blob, 'base64'));
    const reached: Reached = { transport: 'native', address, port: route.port, fingerprint, software };
    return new Scanned(reached, { ...keyHost, ...shown });
  }

  classify(error: unknown, began: Began): Outcome {
    if (error instanceof AlreadyKnown) return { kind: 'skipped', began: 'no' };
    return this.#native.classify(error, began);
  }

  /** Router and native transport are closed by who made them. */
  async close(): Promise<void> {}
}

/** The connection is over already. */
class Scanned implements Connection {
  readonly reached: Reached;
  readonly shown: ShownKeys;

  constructor(reached: Reached, shown: ShownKeys) {
    this.reached = reached;
    this.shown = shown;
  }

  exec(): never {
    throw new MyriadError('internal', 'nothing runs on a connection that only showed its host key');
  }

  close(): void {}

  destroy(): void {}
}
