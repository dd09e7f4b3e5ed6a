/**
 * Our SSH client and nothing above it: the same as bench/floor_client.ts, with what of it a run uses. It shows what of a host's price is
 * the client's and what the engine's, the accounting's and the output's.
 *
 * usage: node bench/floor_ssh.ts HOSTFILE KNOWN_HOSTS IDENTITY PORT USER FANOUT COMMAND ANSWER
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { EARLY } from '../src/cli/optimize_early.ts';
import { DEFAULT_PREFERENCES, Offer } from '../src/ssh/algorithms.ts';
import { Arena } from '../src/ssh/arena.ts';
import { type ClientObserver, SshClient } from '../src/ssh/client.ts';
import { parsePrivateKey } from '../src/ssh/private_key.ts';
import { ClientSocket, ClosingRoom, type SocketUser } from '../src/ssh/socket.ts';

const [hostFile, knownFile, identity, port, user, fanout, command, answer] = process.argv.slice(2) as [
  ...[string, string, string, string],
  ...[string, string, string, string],
];

for (const flag of EARLY) setFlagsFromString(flag);

const known = new Map<string, string>();
for (const line of readFileSync(knownFile, 'latin1').split('\n')) {
  const [name, , blob] = line.split(' ');
  if (blob !== undefined) known.set(name!.replace(/^\[(.*)\]:\d+$/, '$1'), blob);
}
const arena = new Arena();
const room = new ClosingRoom();
const offer = new Offer('client', { ...DEFAULT_PREFERENCES, hostKey: ['ssh-ed25519'] });
const credentials = { user, keys: [parsePrivateKey(readFileSync(identity, 'utf8'), { source: identity })] };
const setTimer = (delayMs: number, callback: () => void) => {
  const timer = setTimeout(callback, delayMs);
  return { cancel: () => clearTimeout(timer) };
};

async function one(host: string): Promise<void> {
  let said = '';
  const observer: ClientObserver = {
    identified: () => undefined,
    hostKey: (key) => {
      if (known.get(host) !== key.blob.toString('base64')) throw new Error(`${host}: another host key`);
      return undefined;
    },
    secured() {},
  };
  const dial = (of: SocketUser) => new ClientSocket({ address: host, port: Number(port) }, arena, room, of);
  const options = { dial, credentials, offer, arena, session: true, setTimer, keepaliveMs: 0 };
  const client = await new SshClient(options, observer).ready;
  const session = client.session();
  const data = (_extended: number, chunk: Buffer) => {
    said += chunk.toString();
    return true;
  };
  session.exec(command, { data, begin: () => undefined, started() {}, lingerMs: 2000 });
  await session.ended;
  if (said !== answer) throw new Error(`${host}: it said ${JSON.stringify(said)}`);
  client.close();
}

const hosts = readFileSync(hostFile, 'latin1').trimEnd().split('\n').values();
await Promise.all(
  Array.from({ length: Number(fanout) }, async () => {
    for (const host of hosts) await one(host);
  }),
);
room.clear();
