/** Opens a connection and waits: to be killed by a test. Arguments: control folder, then those of ssh. Prints `open`. */

import { OpensshTransport } from '../../../src/transport/openssh/openssh_transport.ts';
import { systemClock, TARGET } from '../../contract/transport_world.ts';

const [controlDir = '', ...args] = process.argv.slice(2);
const transport = new OpensshTransport({ args: () => args, clock: systemClock, controlDir });
await transport.connect(TARGET, { enter: () => undefined, stop: undefined });
console.log('open');
