/** What a session may ask for before its command (RFC 4254 §6.2, §6.4; PROTOCOL of OpenSSH for the agent): all without a reply. */
import type { Channel } from './channel.ts';

/** A terminal for the command. */
export interface Pty {
  /** As in TERM. */
  readonly term: string;
  readonly columns: number;
  readonly rows: number;
  /** Terminal modes of RFC 4254 §8: opcode (1 to 159) and value. @default none */
  readonly modes?: readonly (readonly [opcode: number, value: number])[];
}

/** Sent in the same write as the command. A server that refuses one of them runs the command all the same. */
export interface SessionRequests {
  /** Names and values; sshd takes those that AcceptEnv allows. */
  readonly env?: readonly (readonly [name: string, value: string])[];
  readonly pty?: Pty;
  /** The server may open channels to our agent. @default false */
  readonly agentForward?: boolean;
}

const TTY_OP_END = 0;

export function sendSessionRequests(channel: Channel, { env, pty, agentForward }: SessionRequests): void {
  // sshd's order of use: the agent's socket and the terminal are part of the command's environment.
  if (agentForward) {
    channel.request('auth-agent-req@openssh.com', false);
    channel.sendRequest();
  }
  if (pty) sendPty(channel, pty);
  for (const [name, value] of env ?? []) {
    channel.request('env', false).text(name).text(value);
    channel.sendRequest();
  }
}

function sendPty(channel: Channel, { term, columns, rows, modes = [] }: Pty): void {
  const packet = channel.request('pty-req', false).text(term);
  // The size in pixels is not known.
  packet.uint32(columns).uint32(rows).uint32(0).uint32(0);
  packet.uint32(modes.length * 5 + 1);
  for (const [opcode, value] of modes) packet.byte(opcode).uint32(value);
  packet.byte(TTY_OP_END);
  channel.sendRequest();
}

/** The terminal has another size now (RFC 4254 §6.7). */
export function sendWindowChange(channel: Channel, columns: number, rows: number): void {
  channel.request('window-change', false).uint32(columns).uint32(rows).uint32(0).uint32(0);
  channel.sendRequest();
}
