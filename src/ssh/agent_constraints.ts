/**
 * Destination-constrained keys (ssh-add -h): the agent signs with them only for certain hosts and users, and only on a connection
 * that proves which session it is for (session-bind@openssh.com).
 *
 * A list does not say which keys are constrained, and a refusal does not say why it came, so that trying again might ask a person
 * twice. But a connection that is bound to a host nobody has heard of lists exactly the keys that are not constrained.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { Agent } from './agent.ts';
import { AgentError } from './agent_errors.ts';
import type { AgentIdentity } from './agent_identity.ts';
import { type AgentUserKey, agentKey } from './agent_key.ts';
import type { WaitOptions } from './agent_requests.ts';
import type { SessionBind } from './agent_wire.ts';
import type { SessionProof, SignContext } from './client_auth_sign.ts';
import { Writer } from './wire.ts';

/**
 * Which of the keys that the agent listed are for certain hosts only; none where it knows no such thing. Costs one connection and
 * no question to anybody. Rejects with AgentError where the agent cannot be used.
 */
export async function constrainedKeys(
  agent: Agent,
  identities: readonly AgentIdentity[],
  options: WaitOptions = {},
): Promise<ReadonlySet<AgentIdentity>> {
  if (identities.length === 0) return new Set();
  try {
    using elsewhere = await agent.openBound(nowhere(), options);
    const open = new Set((await elsewhere.identities(options)).map(({ blob }) => blob.toString('latin1')));
    return new Set(identities.filter(({ blob }) => !open.has(blob.toString('latin1'))));
  } catch (error) {
    // An agent that knows no binding may also hang up on what it does not know; it has listed its keys before.
    const knowsNone = error instanceof AgentError && (error.reason === 'refused' || error.reason === 'closed');
    if (knowsNone) return new Set();
    throw error;
  }
}

/** A session with a host that was made up on the spot. */
function nowhere(): SessionBind {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  const sessionId = randomBytes(32);
  return {
    hostKey: new Writer(64).text('ssh-ed25519').string(Buffer.from(x!, 'base64url')).view(),
    sessionId,
    signature: new Writer(128)
      .text('ssh-ed25519')
      .string(sign(null, sessionId, privateKey))
      .view(),
    forwarding: false,
  };
}

/** What user authentication takes. */
export interface ConstrainedUserKey extends Omit<AgentUserKey, 'sign'> {
  sign(data: Uint8Array, algorithm: string, context: SignContext): Promise<Buffer>;
}

/** A key that signs on a connection of its own, bound to the session it signs for. Throws as `agentKey` does. */
export function constrainedKey(agent: Agent, identity: AgentIdentity, certificate?: Uint8Array): ConstrainedUserKey {
  return {
    ...agentKey(agent, identity, certificate),
    async sign(data, algorithm, context) {
      using bound = await agent.openBound(bindOf(agent, context.session), context);
      return await agentKey(bound, identity, certificate).sign(data, algorithm, context);
    },
  };
}

function bindOf(agent: Agent, session: SessionProof | undefined): SessionBind {
  if (session === undefined || session.signature.length === 0) {
    const what = `the SSH agent at ${JSON.stringify(agent.socketPath)}`;
    throw new AgentError('refused', `${what} signs with this key for certain hosts only, and this host is not proven`);
  }
  // The session's buffers are the connection's own.
  const { hostKey, sessionId, signature } = session;
  return { hostKey, sessionId, signature, forwarding: false };
}
