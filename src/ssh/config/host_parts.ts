/** The settings whose values may differ by host, because they have tokens: checked once, expanded per host. */
import { type JumpHost, parseJumps } from './jump.ts';
import { DEFAULT_IDENTITIES, KEYWORDS } from './keywords.ts';
import type { Merged } from './merged.ts';
import { settingError } from './problems.ts';
import { FORWARDED_AGENT, PROXY, type ReadContext } from './setting.ts';
import {
  expandTokens,
  KNOWN_HOSTS_COMMAND_TOKENS,
  type LocalFacts,
  PathTemplates,
  PROXY_TOKENS,
  TokenError,
} from './tokens.ts';

/** `environment`: the socket that SSH_AUTH_SOCK names · `at`: the one that another variable names · `path`: with tokens. */
export type AgentPart =
  | { readonly kind: 'environment' | 'none' }
  | { readonly kind: 'at'; readonly socket: string | undefined }
  | { readonly kind: 'path'; readonly path: PathTemplates };

/** All but the paths are not expanded. */
export interface HostParts {
  readonly hostName: string | undefined;
  readonly identityFiles: PathTemplates;
  readonly identityFilesAreDefaults: boolean;
  readonly certificateFiles: PathTemplates;
  readonly userKnownHostsFiles: PathTemplates;
  readonly revokedHostKeys: PathTemplates;
  readonly identityAgent: AgentPart;
  readonly forwardedAgent: AgentPart;
  readonly proxyCommand: string | undefined;
  readonly proxyJump: readonly JumpHost[] | undefined;
  readonly knownHostsCommand: string | undefined;
}

/** Throws SshConfigError, with the line, for tokens and variables that cannot be expanded. */
export function readHostParts(merged: Merged, local: LocalFacts, service: ReadContext['service']): HostParts {
  const identities = merged.list('identityfile');
  const [kind, proxy = 'none'] = merged.list(PROXY);
  const jumps = kind === 'jump' ? parseJumps(proxy, service) : undefined;
  const proxyTexts = jumps === undefined ? [proxy] : jumps.flatMap((jump) => [jump.user ?? '', jump.host]);
  for (const text of proxyTexts) checkTokens(merged, PROXY, text, PROXY_TOKENS);
  const hostName = merged.value('hostname');
  if (hostName !== undefined) checkTokens(merged, 'hostname', hostName, 'h');
  const [knownHostsCommand] = merged.lines('knownhostscommand');
  if (knownHostsCommand !== undefined) {
    checkTokens(merged, 'knownhostscommand', knownHostsCommand, KNOWN_HOSTS_COMMAND_TOKENS, local);
  }
  const files = (slot: string, texts: readonly string[]) => templates(merged, slot, texts, local);
  return {
    hostName,
    identityFiles: files('identityfile', identities.length > 0 ? identities : DEFAULT_IDENTITIES),
    identityFilesAreDefaults: identities.length === 0,
    certificateFiles: files('certificatefile', merged.list('certificatefile')),
    userKnownHostsFiles: files('userknownhostsfile', listOrDefault(merged, 'userknownhostsfile')),
    revokedHostKeys: files('revokedhostkeys', merged.list('revokedhostkeys')),
    identityAgent: agentPart(merged, 'identityagent', local),
    forwardedAgent: agentPart(merged, FORWARDED_AGENT, local),
    proxyCommand: kind === 'command' && proxy.toLowerCase() !== 'none' ? proxy : undefined,
    proxyJump: jumps !== undefined && jumps.length > 0 ? jumps : undefined,
    knownHostsCommand,
  };
}

/** The files of a keyword that takes several, or its defaults. */
export function listOrDefault(merged: Merged, keyword: string): readonly string[] {
  const files = merged.list(keyword);
  return files.length > 0 ? files : (KEYWORDS.get(keyword)?.fallback ?? '').split(' ');
}

function agentPart(merged: Merged, slot: string, local: LocalFacts): AgentPart {
  const value = merged.value(slot);
  if (value === undefined || value === 'SSH_AUTH_SOCK') return { kind: 'environment' };
  if (value === 'none') return { kind: 'none' };
  if (value.startsWith('$') && value[1] !== '{') return { kind: 'at', socket: local.env[value.slice(1)] };
  return { kind: 'path', path: templates(merged, slot, [value], local) };
}

/** Files named `none` are no files. */
function templates(merged: Merged, slot: string, texts: readonly string[], local: LocalFacts): PathTemplates {
  return located(
    merged,
    slot,
    () =>
      new PathTemplates(
        texts.filter((text) => text.toLowerCase() !== 'none'),
        local,
      ),
  );
}

function checkTokens(merged: Merged, slot: string, text: string, allowed: string, local?: LocalFacts): void {
  located(merged, slot, () => expandTokens(text, allowed, () => '', local?.env));
}

/** Runs `work`; what it cannot expand is told with the line that set it. */
export function located<T>(merged: Merged, slot: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const origin = merged.origin(slot);
    if (!(error instanceof TokenError) || origin === undefined) throw error;
    throw settingError(origin, `${slot}: ${error.message}`);
  }
}
