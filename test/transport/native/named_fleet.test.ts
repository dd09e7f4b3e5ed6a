/** A thousand hosts by name: a name server that loses one query in a hundred, and a simulated host behind each name. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ReachingTransport } from '../../../src/fleet/reach/reaching_transport.ts';
import { Router } from '../../../src/fleet/reach/router.ts';
import { DnsResolver } from '../../../src/transport/native/dns_resolver.ts';
import { NativeTransport } from '../../../src/transport/native/native_transport.ts';
import { Phases, Sink, systemClock } from '../../contract/transport_world.ts';
import { type SimulatedFleet, simulate } from '../../kit/fleet.ts';
import { ScriptedNameServer } from './scripted_name_server.ts';

const HOSTS = 1000;
const AT_ONCE = 100;
const nameOf = (index: number) => `host-${index}.fleet.example`;

/** The keys of the simulated hosts, known by the hosts' names: no other host passes for one. */
function knownByName({ simulator, dir }: SimulatedFleet): string {
  const file = join(dir, 'known_names');
  const lines = [...simulator.knownHosts()].join('').trimEnd().split('\n');
  const named = lines.map(
    (line, index) => `[${nameOf(index)}]:${simulator.port} ${line.slice(line.indexOf(' ') + 1)}\n`,
  );
  writeFileSync(file, named.join(''));
  return file;
}

test('all are reached, each under its own name', { timeout: 30_000 }, async () => {
  await using simulated = await simulate({ hosts: HOSTS });
  const { simulator, identity } = simulated;
  let state = 7;
  let lost = 0;
  const server = await ScriptedNameServer.open(({ name, type }) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    if ((state >>> 8) % 100 === 0) {
      lost += 1;
      return 'drop';
    }
    const index = Number(/\d+/.exec(name)![0]);
    return { records: type === 'A' ? [{ type, value: simulator.address(index) }] : [] };
  });
  const router = await Router.open(
    { hosts: [], config: 'none', user: 'root', port: simulator.port, identity, knownHosts: knownByName(simulated) },
    { setTimer: systemClock.setTimer, warn() {}, jump: undefined, lookup: async () => true },
  );
  const resolver = new DnsResolver({
    clock: systemClock,
    servers: [server.address],
    resolvConf: '/dev/null',
    hostsFile: '/dev/null',
    ipv6: () => true,
  });
  const native = new NativeTransport({ resolver, clock: systemClock });
  const transport = new ReachingTransport(router, native, () => {
    throw new Error('no host here needs the ssh program');
  });

  const said: string[] = [];
  const reached: string[] = [];
  let next = 0;
  const lane = async () => {
    while (next < HOSTS) {
      const index = next++;
      const target = { label: nameOf(index), name: nameOf(index), index, iteration: 1 };
      const connection = await transport.connect(target, new Phases(), { session: true });
      const sink = new Sink();
      await connection.exec('hostname', sink.options()).ended;
      said[index] = sink.text();
      reached[index] = connection.reached.address;
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  await transport.close();
  await server.close();

  expect(said).toEqual(Array.from({ length: HOSTS }, (_, index) => `sim-${index}\n`));
  expect(reached).toEqual(Array.from({ length: HOSTS }, (_, index) => simulator.address(index)));
  expect(lost).toBeGreaterThan(10);
});
