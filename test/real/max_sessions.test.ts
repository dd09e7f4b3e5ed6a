/**
 * Sessions that a real sshd refuses (MaxSessions): they are asked for again, and no task fails for it.
 *
 * A connection carries one session at a time, and the one that ends a command beside it, so that MaxSessions 2 refuses nothing. It
 * refuses where a kept connection's session before still counts (MaxSessions 1), and where a server takes none at all (0).
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fleet } from '../../src/index.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';

const REFUSED = /no more sessions/g;

/** Passes each third connection to one server, the others to another. */
async function inFront(third: RealServer, others: RealServer): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((front) => {
    connections += 1;
    const back = connect({ host: '127.0.0.1', port: connections % 3 === 1 ? third.port : others.port });
    front.pipe(back).pipe(front);
    for (const socket of [front, back]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => {
        front.destroy();
        back.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe.skipIf(!present('sshd'))('sshd with few sessions', () => {
  it('MaxSessions 1, 500 tasks: on kept connections the session before still counts, and the second question is answered', async () => {
    await using server = await startSshd(['MaxSessions 1', 'MaxStartups 100']);
    const { port, user, identity, knownHosts } = server;
    await using hosts = fleet({ hosts: '127.0.0.1', port, user, identity, knownHosts, config: 'none', threads: 1 });
    for (let round = 0; round < 10; round++) {
      const results = await hosts.run('echo {i}', { repeat: 50, template: true }).all({ order: 'input' });
      expect(results.map(({ stdout }) => stdout.text())).toEqual(Array.from({ length: 50 }, (_, i) => `${i + 1}\n`));
    }
    expect(server.log().match(REFUSED)).not.toBeNull();
    expect(server.log().match(/Accepted publickey/g)).toHaveLength(50);
  }, 60_000);

  it('a third of the connections gets no session at all: these tasks are tried again', async () => {
    await using roomy = await startSshd(['MaxSessions 2', 'MaxStartups 100']);
    await using crowded = await startSshd(['MaxSessions 0', 'MaxStartups 100']);
    appendFileSync(join(crowded.dir, 'authorized_keys'), readFileSync(`${roomy.identity}.pub`));
    await using front = await inFront(crowded, roomy);
    const { port } = front;
    const knownHosts = join(roomy.dir, 'known_front');
    const lines = [roomy, crowded].map((server) => readFileSync(server.knownHosts, 'utf8'));
    writeFileSync(knownHosts, lines.join('').replaceAll(/:\d+ /g, `:${port} `));
    const { user, identity } = roomy;
    const more = { config: 'none', threads: 1, retries: 20, warm: 0 } as const;
    await using hosts = fleet({ hosts: '127.0.0.1', port, user, identity, knownHosts, ...more });
    const run = hosts.run('echo {i}', { repeat: 200, template: true });
    const results = await run.all({ order: 'input' });
    expect(results.map(({ stdout }) => stdout.text())).toEqual(Array.from({ length: 200 }, (_, i) => `${i + 1}\n`));
    const { outcomes, retries } = await run.summary();
    expect(outcomes.ok).toBe(200);
    expect(crowded.log().match(REFUSED)!.length).toBe(retries);
    expect(retries).toBeGreaterThan(30);
  }, 60_000);
});
