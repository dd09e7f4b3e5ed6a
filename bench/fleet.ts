/** The fleet under measurement: bench/fleet-go in a process of its own, on a core of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { buildGo } from './go.ts';
import { FLEET_CORE } from './measure.ts';
import { cidrOf, FIRST_HOST } from './site.ts';

/** Counted by the fleet since it was last asked. */
export interface FleetStats {
  readonly connections: number;
  readonly strangers: number;
  readonly failures: number;
  readonly handshakes: number;
  readonly auths: number;
  readonly execs: number;
  readonly distinctCookies: number;
  readonly distinctEphemerals: number;
  /** "kex, host key, cipher" by number of clients. */
  readonly algorithms: Readonly<Record<string, number>>;
  readonly clientVersions: Readonly<Record<string, number>>;
  /** User + system time of the fleet itself: how near it was to being the limit. */
  readonly cpuMs: number;
}

export interface FleetOptions {
  /** How many there are; the first is FIRST_HOST. */
  readonly hosts: number;
  /** The round trip: whatever the fleet sends leaves so much later. @default 0 */
  readonly latencyMs?: number;
  /** Public key that may log in. */
  readonly authorized: string;
  /** Where a known_hosts line per host is written. */
  readonly knownHosts: string;
}

/** Distinct host keys of the fleet. */
export const HOST_KEYS = 1000;

export class Fleet implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, port: number) {
    this.#child = child;
    this.#lines = lines;
    this.port = port;
  }

  /** Builds and starts the fleet; resolves when it listens and known_hosts is written. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const binary = await buildGo('fleet-go');
    const { hosts, latencyMs = 0 } = options;
    const flags = ['-keys', `${HOST_KEYS}`, '-base', FIRST_HOST, '-hosts', cidrOf(hosts), '-count', `${hosts}`];
    flags.push('-latency', `${latencyMs}ms`);
    flags.push('-authorized', options.authorized, '-known-hosts', options.knownHosts);
    const child = spawn('taskset', ['-c', `${FLEET_CORE}`, binary, ...flags], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, GOMAXPROCS: '1' },
    });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new Error('bench: the fleet ended before it listened; its message is above');
    const { port } = JSON.parse(first.value) as { port: number };
    return new Fleet(child, lines, port);
  }

  /** What happened since the last call. */
  async stats(): Promise<FleetStats> {
    this.#child.stdin!.write('stats\n');
    const line = await this.#lines.next();
    if (line.done) throw new Error('bench: the fleet died');
    return JSON.parse(line.value) as FleetStats;
  }

  /** The end of stdin ends the fleet; should the harness be killed, the kernel closes that pipe for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2000);
    await gone;
    clearTimeout(timer);
  }
}
