/**
 * The transport of a fleet: each host by our own client, or by the ssh program where its configuration wants what only that has.
 * The same run may have both.
 */
import type { Began, Outcome } from '../../contracts/outcome.ts';
import type { Target } from '../../contracts/task.ts';
import type { NativeTransport } from '../../transport/native/native_transport.ts';
import { OpensshError } from '../../transport/openssh/openssh_error.ts';
import type { OpensshTransport } from '../../transport/openssh/openssh_transport.ts';
import type { Connection, ConnectOptions, Transport, Watch } from '../../transport/transport.ts';
import { unlessStopped } from '../../transport/unless_stopped.ts';
import type { Reach, Router } from './router.ts';

export class ReachingTransport implements Transport {
  readonly name = 'native';
  readonly #router: Router;
  readonly #native: NativeTransport;
  readonly #openOpenssh: () => OpensshTransport;
  #openssh: OpensshTransport | undefined;

  constructor(router: Router, native: NativeTransport, openssh: () => OpensshTransport) {
    this.#router = router;
    this.#native = native;
    this.#openOpenssh = openssh;
  }

  connect(target: Target, watch: Watch, options: ConnectOptions): Promise<Connection> {
    const reach = this.#router.reach(target);
    if (!(reach instanceof Promise)) return this.#connectBy(reach, target, watch, options);
    return unlessStopped(watch, reach, () => watch.enter('dns')).then((found) =>
      this.#connectBy(found, target, watch, options),
    );
  }

  #connectBy(reach: Reach, target: Target, watch: Watch, options: ConnectOptions): Promise<Connection> {
    if (reach.by === 'native') return this.#native.connect(reach.route, watch, options);
    this.#openssh ??= this.#openOpenssh();
    return this.#openssh.connect(target, watch);
  }

  classify(error: unknown, began: Began): Outcome {
    if (error instanceof OpensshError && this.#openssh) return this.#openssh.classify(error, began);
    return this.#native.classify(error, began);
  }

  /** Resolves when all connections are down and all accepted host keys are written. */
  async close(): Promise<void> {
    await Promise.all([this.#native.close(), this.#openssh?.close()]);
    await this.#router.close();
  }
}
