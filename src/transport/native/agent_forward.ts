/** ForwardAgent: channels that a host opens to the user's agent, each joined to a connection of its own to the agent's socket. */
import { connect } from 'node:net';
import type { ChannelStream } from '../../ssh/forward.ts';
import type { SocketUser } from '../../ssh/socket.ts';

/** Channels of one host at once: a host that opens more is trying something. */
const MOST_CHANNELS = 16;

/** Takes a host's channels to the agent at `socketPath`; one too many is refused. */
export function agentChannels(socketPath: string): (stream: ChannelStream) => SocketUser | undefined {
  let open = 0;
  return (stream) => {
    if (open >= MOST_CHANNELS) return undefined;
    open += 1;
    return join(socketPath, stream, () => {
      open -= 1;
    });
  };
}

function join(socketPath: string, stream: ChannelStream, closed: () => void): SocketUser {
  const socket = connect(socketPath);
  socket.on('data', (bytes: Buffer) => {
    stream.write(bytes);
    // The channel holds what its window does not take yet: no more until it has left.
    if (stream.waiting > 0) socket.pause();
  });
  socket.on('error', () => stream.destroy());
  socket.once('close', () => {
    closed();
    stream.end();
  });
  return {
    connected() {},
    received: (chunk) => {
      // The piece is valid during the call only.
      if (socket.write(Buffer.from(chunk))) return;
      stream.pause();
      socket.once('drain', () => stream.resume());
    },
    drained: () => void socket.resume(),
    ended: () => void socket.end(),
  };
}
