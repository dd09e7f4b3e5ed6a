/** The ssh program against hosts that misbehave: what it says must become the outcome that the native transport gives. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcomeLabel } from '../../../src/contracts/outcome.ts';
import { InlineExecutor } from '../../../src/engine/inline_executor.ts';
import type { FaultName } from '../../../src/simulator/faults.ts';
import type { OpensshTransport } from '../../../src/transport/openssh/openssh_transport.ts';
import { systemClock } from '../../contract/transport_world.ts';
import { KINDS, NO_HOOKS, planOf, Reader, requestOf, spec } from '../../engine/support.ts';
import { simulate } from '../../kit/fleet.ts';
import { keygen, present } from '../../kit/servers.ts';
import { opensshTo } from './support.ts';

/** Runs one command by the engine; deadlines cut off what hangs. */
async function outcomeOf(transport: OpensshTransport, name: string, connectMs = 3_000): Promise<string> {
  const executor = new InlineExecutor({
    kinds: KINDS,
    transports: () => transport,
    clock: systemClock,
    random: Math.random,
  });
  const limits = { retries: 0, deadlines: { connectMs, handshakeMs: 3_000 } };
  const request = requestOf(planOf([name]), { job: spec('command', { command: 'echo hi' }), limits });
  const [result] = await new Reader(await executor.run(request, NO_HOOKS)).done;
  await executor.close();
  await transport.close();
  return outcomeLabel(result!.outcome);
}

const possible = ['ssh', 'ssh-keygen'].every(present);

describe.skipIf(!possible)('simulated hosts', () => {
  let folder = '';
  let identity = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'faults-'));
    identity = keygen(folder, 'user');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    ['silent', 'timeout(connect)'],
    ['silent-identification', 'timeout(handshake)'],
    ['reset', 'unreachable(reset)'],
    ['wrong-key', 'host-key(changed)'],
    ['auth-refused', 'auth-failed'],
    ['no-sessions', 'refused(session)'],
    ['exec-refused', 'refused(exec)'],
    ['exit-1', 'failed(1)'],
    // Told apart from no status by the native transport only.
    ['killed', 'no-status'],
    ['no-status', 'no-status'],
    // By FIN or by RST, as it happens.
    ['lost', /^lost\((peer-closed|reset)\)$/],
    ['garbage', 'protocol'],
    ['slow', 'ok'],
    ['huge', 'ok'],
  ] as const satisfies readonly (readonly [FaultName, string | RegExp])[])('%s: %s', async (fault, label) => {
    await using fleet = await simulate({ hosts: 1, faults: { [fault]: 1 } });
    const { port } = fleet.simulator;
    const transport = opensshTo({ user: 'root', port, identity, knownHosts: fleet.knownHosts });
    expect(await outcomeOf(transport, fleet.simulator.address(0))).toEqual(
      typeof label === 'string' ? label : expect.stringMatching(label),
    );
  });

  /** A server that does this to each connection. */
  async function outcomeAt(serve: (socket: Socket) => void): Promise<string> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { username } = userInfo();
    const transport = opensshTo({ user: username, port, identity, knownHosts: '/dev/null' });
    const label = await outcomeOf(transport, '127.0.0.1', 1_000);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    return label;
  }

  test.each<[string, string, (socket: Socket) => void]>([
    ['hangs up at once', 'unreachable(throttled)', (socket) => socket.end()],
    ['resets at once', 'unreachable(throttled)', (socket) => socket.resetAndDestroy()],
    ['says MaxStartups', 'unreachable(throttled)', (socket) => socket.end('Exceeded MaxStartups\r\n')],
    ['speaks the old protocol', 'protocol', (socket) => socket.write('SSH-1.5-old\r\n')],
    ['hangs up after its identification', 'unreachable(reset)', (socket) => socket.end('SSH-2.0-x\r\n')],
  ])('a server that %s', async (_what, label, serve) => {
    expect(await outcomeAt(serve)).toBe(label);
  });
});
