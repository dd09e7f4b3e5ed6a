/** What the ssh program is told of a host: the fleet's own options; the rest it reads in its configuration itself. */
import type { Target } from '../../contracts/task.ts';
import type { FleetOptions } from '../options.ts';
import { expandHome } from './named_keys.ts';

export function opensshArgs(options: FleetOptions, target: Target): string[] {
  const { user = options.user, port = options.port, identity: own = [] } = target;
  const { config, configOptions = [], identity = own, jump, knownHosts, hostKeys, family, agent, deadlines } = options;
  const args = config === undefined ? [] : ['-F', config];
  if (user !== undefined) args.push('-l', user);
  if (port !== undefined) args.push('-p', `${port}`);
  const set = (keyword: string, value: string) => args.push('-o', `${keyword}=${value}`);
  if (family !== undefined) set('AddressFamily', FAMILIES[family]);
  for (const file of typeof identity === 'string' ? [identity] : identity) args.push('-i', expandHome(file));
  if (identity.length > 0) set('IdentitiesOnly', 'yes');
  if (agent !== undefined) set('IdentityAgent', agent === false ? 'none' : agent);
  if (jump !== undefined) set('ProxyJump', jump);
  if (hostKeys !== undefined) set('StrictHostKeyChecking', CHECKING[hostKeys]);
  if (knownHosts !== undefined) {
    const files = (typeof knownHosts === 'string' ? [knownHosts] : knownHosts).map((file) => `"${expandHome(file)}"`);
    set('UserKnownHostsFile', files.join(' '));
    set('GlobalKnownHostsFile', 'none');
  }
  const connectMs = deadlines?.connectMs;
  if (connectMs !== undefined) set('ConnectTimeout', `${Math.max(1, Math.ceil(connectMs / 1000))}`);
  for (const option of configOptions) args.push('-o', option);
  return args;
}

const FAMILIES = { any: 'any', 4: 'inet', 6: 'inet6' } as const;
const CHECKING = { strict: 'yes', 'accept-new': 'accept-new', off: 'no' } as const;
