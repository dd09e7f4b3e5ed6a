/** An openssh transport for a real server. */
import { tmpdir } from 'node:os';
import { OpensshTransport, type OpensshTransportOptions } from '../../../src/transport/openssh/openssh_transport.ts';
import { systemClock } from '../../contract/transport_world.ts';
import type { RealServer } from '../../kit/servers.ts';

export interface Way {
  readonly port: number;
  readonly identity: string;
  readonly knownHosts: string;
}

/** Arguments that leave nothing to this machine's own configuration. */
export function sshArgs(user: string, { port, identity, knownHosts }: Way): string[] {
  const options = ['IdentitiesOnly=yes', `UserKnownHostsFile=${knownHosts}`, 'GlobalKnownHostsFile=/dev/null'];
  return ['-F', 'none', '-l', user, '-p', String(port), '-i', identity, ...options.flatMap((option) => ['-o', option])];
}

export function opensshTo(
  server: Pick<RealServer, 'user' | 'port' | 'identity' | 'knownHosts'>,
  more: Partial<OpensshTransportOptions> & { readonly extra?: readonly string[] } = {},
): OpensshTransport {
  const { extra = [], ...options } = more;
  const args = () => [...extra, ...sshArgs(server.user, server)];
  return new OpensshTransport({ args, clock: systemClock, controlDir: tmpdir(), ...options });
}
