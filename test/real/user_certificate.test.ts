/** A user's certificate beside the key: the library finds and shows it; a server that trusts only the CA lets it in. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fleet, outcomeLabel } from '../../src/index.ts';
import { keygen, present, startSshd } from '../kit/servers.ts';

describe.skipIf(!present('sshd'))('user certificates', () => {
  it.each([
    ['valid', '+1h', 'ok'],
    ['expired', '20200101:20200102', 'auth-failed'],
  ])('%s', async (_name, validity, label) => {
    // The files are made before the server starts, in the folder of another one that is of no further use.
    await using files = await startSshd();
    const authority = keygen(files.dir, 'ca');
    const identity = keygen(files.dir, 'alice');
    execFileSync('ssh-keygen', [
      '-q',
      '-s',
      authority,
      '-I',
      'alice',
      '-n',
      files.user,
      '-V',
      validity,
      `${identity}.pub`,
    ]);
    await using server = await startSshd([
      `TrustedUserCAKeys ${authority}.pub`,
      `AuthorizedKeysFile ${join(files.dir, 'none')}`,
    ]);
    const { port, user, knownHosts } = server;
    await using hosts = fleet({ hosts: '127.0.0.1', port, user, identity, knownHosts });
    const [result] = await hosts.run('true').all();
    expect(outcomeLabel(result!.outcome)).toBe(label);
  });
});
