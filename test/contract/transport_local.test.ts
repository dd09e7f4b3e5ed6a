import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalTransport } from '../../src/transport/local/local_transport.ts';
import { transportSuite } from './transport_suite.ts';
import { systemClock, TARGET } from './transport_world.ts';

transportSuite('local', { signals: true, network: false }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-local-'));
  return {
    target: TARGET,
    dir,
    make: () => new LocalTransport({ clock: systemClock }),
    command: (line) => ['/bin/sh', '-c', line],
    async [Symbol.asyncDispose]() {
      rmSync(dir, { recursive: true, force: true });
    },
  };
});
