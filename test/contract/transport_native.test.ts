import { ReachingTransport } from '../../src/fleet/reach/reaching_transport.ts';
import { Router } from '../../src/fleet/reach/router.ts';
import { classify } from '../../src/transport/native/classify.ts';
import { DnsResolver } from '../../src/transport/native/dns_resolver.ts';
import { NativeTransport } from '../../src/transport/native/native_transport.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { present } from '../kit/servers.ts';
import { transportSuite } from './transport_suite.ts';
import { sshdWorld, systemClock } from './transport_world.ts';

/** As a fleet has it: routes from options and ssh_config, of which there is none here. */
function open(options: { user: string; port: number; identity: string; knownHosts: string }): Transport {
  const opened = (async () => {
    const { setTimer } = systemClock;
    const none = { warn() {}, jump: undefined, lookup: async () => true };
    const router = await Router.open({ ...options, config: 'none', transport: 'native' }, { setTimer, ...none });
    const native = new NativeTransport({ resolver: new DnsResolver({ clock: systemClock }), clock: systemClock });
    return new ReachingTransport(router, native, () => {
      throw new Error('no host here needs the ssh program');
    });
  })();
  return {
    name: 'native',
    connect: async (target, watch, how) => (await opened).connect(target, watch, how),
    classify,
    close: async () => (await opened).close(),
  };
}

transportSuite(
  'native',
  { signals: true, network: true },
  () => sshdWorld(({ user }, { port, identity, knownHosts }) => open({ user, port, identity, knownHosts })),
  present('sshd'),
);
