/** The resolver in front of scripted name servers, for its tests: what they open is closed after each of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { DnsResolver } from '../../../src/transport/native/dns_resolver.ts';
import { ResolveError } from '../../../src/transport/native/resolver.ts';
import type { TimerSource } from '../../../src/util/timer_wheel.ts';
import { ManualClock } from '../../util/manual_clock.ts';
import { type Script, ScriptedNameServer, zone } from './scripted_name_server.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'resolver-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const opened: { close(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

export const realClock: TimerSource = {
  now: () => performance.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export async function serve(script: Script): Promise<ScriptedNameServer> {
  const server = await ScriptedNameServer.open(script);
  opened.push(server);
  return server;
}

interface Setting {
  readonly clock?: TimerSource;
  readonly conf?: string;
  readonly hosts?: string;
  /** @default true */
  readonly ipv6?: boolean;
}

let files = 0;
function file(text: string): string {
  const path = join(folder, `${files++}`);
  writeFileSync(path, text);
  return path;
}

export function resolverOf(servers: readonly ScriptedNameServer[], setting: Setting = {}): DnsResolver {
  const resolver = new DnsResolver({
    clock: setting.clock ?? new ManualClock(),
    servers: servers.map(({ address }) => address),
    resolvConf: file(setting.conf ?? ''),
    hostsFile: file(setting.hosts ?? ''),
    ipv6: () => setting.ipv6 ?? true,
  });
  opened.push(resolver);
  return resolver;
}

/** The error that a promise of the resolver rejects with. */
export async function faultOf(promise: readonly string[] | Promise<readonly string[]>): Promise<ResolveError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ResolveError) return error;
    throw error;
  }
  throw new Error('it resolved');
}

export const both = zone({
  'web1.example': [
    { type: 'A', value: '192.0.2.1' },
    { type: 'A', value: '192.0.2.2' },
    { type: 'AAAA', value: '2001:db8::1' },
  ],
  'old.example': [{ type: 'A', value: '192.0.2.3' }],
  'empty.example': [],
});
export const bothOf = ['2001:db8::1', '192.0.2.1', '192.0.2.2'];
