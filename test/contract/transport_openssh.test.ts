import { present } from '../kit/servers.ts';
import { opensshTo } from '../transport/openssh/support.ts';
import { transportSuite } from './transport_suite.ts';
import { sshdWorld } from './transport_world.ts';

transportSuite(
  'openssh',
  { signals: false, network: true },
  () => sshdWorld((server, way) => opensshTo({ user: server.user, ...way })),
  ['ssh', 'sshd'].every(present),
);
