/** What an agent held when it was asked, and the keys that user authentication makes of it: once per fleet, not once per host. */
import type { Agent } from './agent.ts';
import { constrainedKey, constrainedKeys } from './agent_constraints.ts';
import { type AgentIdentity, signatureAlgorithmsOf } from './agent_identity.ts';
import { agentKey } from './agent_key.ts';
import type { WaitOptions } from './agent_requests.ts';
import type { AuthKey } from './client_auth.ts';

export interface HeldKeys {
  /** In the agent's order, without those of types that cannot be used: for `orderKeys`. */
  readonly identities: readonly AgentIdentity[];
  /**
   * The key to try: on the pool, or, where it is for certain hosts only, on a connection of its own. `certificate`, from a file,
   * is presented in its place. Throws MyriadError `key` for one that does not fit.
   */
  key(identity: AgentIdentity, certificate?: Uint8Array): AuthKey;
}

export const NO_HELD_KEYS: HeldKeys = {
  identities: [],
  key: (identity) => {
    throw new RangeError(`no agent holds the key ${identity.fingerprint}`);
  },
};

/** Asks an agent what it holds. Rejects with AgentError, one sentence, within the agent's own deadlines. */
export async function heldKeys(agent: Agent, options: WaitOptions = {}): Promise<HeldKeys> {
  const listed = await agent.identities(options);
  const identities = listed.filter(({ keyType }) => signatureAlgorithmsOf(keyType).length > 0);
  const constrained = await constrainedKeys(agent, identities, options);
  return {
    identities,
    key: (identity, certificate) =>
      constrained.has(identity) ? constrainedKey(agent, identity, certificate) : agentKey(agent, identity, certificate),
  };
}
