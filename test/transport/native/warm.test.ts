/** The native transport with connections that are kept: what tasks may still do to one that they gave back, and to one that they wait for. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_PREFERENCES } from '../../../src/ssh/algorithms.ts';
import { createHostKeyVerifier } from '../../../src/ssh/host_key_policy.ts';
import { KnownHosts } from '../../../src/ssh/known_hosts.ts';
import { NativeTransport } from '../../../src/transport/native/native_transport.ts';
import type { Route } from '../../../src/transport/native/route.ts';
import type { Connection, ConnectPhase, RemoteProcess, Watch } from '../../../src/transport/transport.ts';
import { type SessionHost, sessionHost } from '../../kit/session_host.ts';

const clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer), unref: () => void timer.unref() };
  },
};

const resolver = { resolve: () => ['127.0.0.1'], close() {} };

let host: SessionHost;
let transport: NativeTransport;
let route: Route;

beforeEach(async () => {
  host = await sessionHost();
  transport = new NativeTransport({ resolver, clock, warm: { most: 10 } });
  const hostKeys = createHostKeyVerifier({ policy: 'off', known: KnownHosts.parse([]), file: undefined });
  route = {
    label: 'a',
    name: '127.0.0.1',
    port: host.port,
    credentials: { user: 'root', keys: [], password: 'secret' },
    keyHost: { name: '127.0.0.1', port: host.port },
    profile: { hostKeys, preferences: DEFAULT_PREFERENCES, family: 'any' },
    via: [],
  };
});

afterEach(async () => {
  await transport.close();
  await host[Symbol.asyncDispose]();
});

class Phases implements Watch {
  readonly entered: ConnectPhase[] = [];
  stop: ((reason: Error) => void) | undefined = undefined;
  gate: Promise<void> | undefined;

  enter(phase: ConnectPhase): Promise<void> | undefined {
    this.entered.push(phase);
    return phase === 'open' ? this.gate : undefined;
  }
}

function exec(connection: Connection, command: string): RemoteProcess {
  const sink = { write: () => true };
  const process = connection.exec(command, { sink, begin: () => undefined, started() {}, lingerMs: 100 });
  if (command !== 'hang') process.end();
  return process;
}

async function use(): Promise<{ connection: Connection; process: RemoteProcess }> {
  const connection = await transport.connect(route, new Phases(), { session: true });
  const process = exec(connection, 'first');
  await process.ended;
  connection.close();
  return { connection, process };
}

describe('a connection that was given back', () => {
  it('hears nothing more of its task: what the next one runs is not ended, and not dropped', async () => {
    const { connection, process } = await use();
    const watch = new Phases();
    const next = await transport.connect(route, watch, { session: true });
    expect(watch.entered).toEqual(['open']);
    const running = exec(next, 'hang');
    expect(await process.terminate(0)).toBe('unknown');
    connection.close();
    connection.destroy(new Error('too late'));
    expect(() => exec(connection, 'late')).toThrow('the connection was given back');
    // The host has answered since then, so that whatever was said before has come.
    const beside = exec(next, 'beside');
    await beside.ended;
    expect(host.ran).toEqual(['first', 'hang', 'beside']);
    expect(host.logins).toBe(1);
    next.close();
    await expect(running.ended).rejects.toThrow();
  });

  it('is not kept where something is still open on it', async () => {
    const { process } = await use();
    expect(process.began).toBe('yes');
    const next = await transport.connect(route, new Phases(), { session: true });
    exec(next, 'hang').ended.catch(() => {});
    next.close();
    const other = await transport.connect(route, new Phases(), { session: true });
    expect(host.logins).toBe(2);
    other.close();
  });

  it('is left alone by who wants a login', async () => {
    await use();
    const connection = await transport.connect(route, new Phases(), { session: false });
    expect(host.logins).toBe(2);
    connection.close();
  });
});

describe('a task that waits for its place', () => {
  it('and is stopped there gives up the connection, and makes no other one', async () => {
    await use();
    const watch = new Phases();
    watch.gate = new Promise(() => {});
    const connecting = transport.connect(route, watch, { session: true });
    watch.stop!(new Error('enough'));
    await expect(connecting).rejects.toThrow('enough');
    expect(watch.entered).toEqual(['open']);
    expect(host.logins).toBe(1);
  });

  it('and gets it goes on', async () => {
    await use();
    const watch = new Phases();
    const gate = Promise.withResolvers<void>();
    watch.gate = gate.promise;
    const connecting = transport.connect(route, watch, { session: true });
    gate.resolve();
    const connection = await connecting;
    await exec(connection, 'second').ended;
    expect([host.ran, host.logins]).toEqual([['first', 'second'], 1]);
    connection.close();
  });
});
