import { readFileSync } from 'node:fs';
import { createHostKeyVerifier } from '../../src/ssh/host_key_policy.ts';
import { KnownHosts } from '../../src/ssh/known_hosts.ts';
import { parsePrivateKey } from '../../src/ssh/private_key.ts';
import { NativeTransport } from '../../src/transport/native/native_transport.ts';
import { present } from '../kit/servers.ts';
import { transportSuite } from './transport_suite.ts';
import { sshdWorld, systemClock } from './transport_world.ts';

transportSuite(
  'native',
  { signals: true, network: true },
  () =>
    sshdWorld(({ user }, { port, identity, knownHosts }) => {
      const known = KnownHosts.parse([{ file: knownHosts, text: readFileSync(knownHosts) }]);
      return new NativeTransport({
        user,
        port,
        keys: [parsePrivateKey(readFileSync(identity), { source: identity })],
        hostKeys: createHostKeyVerifier({ policy: 'strict', known, file: knownHosts }),
        clock: systemClock,
        random: Math.random,
        jump: [],
      });
    }),
  present('sshd'),
);
