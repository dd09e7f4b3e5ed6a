/** The settings that are the same for every host of the same blocks, typed. One object serves all these hosts. */
import { listOrDefault, located } from './host_parts.ts';
import type { Merged } from './merged.ts';
import { settingError } from './problems.ts';
import { REKEY_INTERVAL } from './setting.ts';
import { expandTilde, type LocalFacts } from './tokens.ts';

/** Durations end in Ms. An algorithm list is as it was written, with its + - ^; undefined: the defaults. See `applySpec`. */
export interface HostSettings {
  readonly addressFamily: 'any' | 'inet' | 'inet6';
  readonly bindAddress: string | undefined;
  readonly bindInterface: string | undefined;
  /** Never ask anybody. */
  readonly batchMode: boolean;
  readonly canonicalize: CanonicalSettings;
  readonly compression: boolean;
  /** For the connection and the handshake; undefined: not set. */
  readonly connectTimeoutMs: number | undefined;
  readonly connectionAttempts: number;
  readonly serverAliveIntervalMs: number;
  readonly serverAliveCountMax: number;
  readonly tcpKeepAlive: boolean;

  readonly ciphers: string | undefined;
  readonly macs: string | undefined;
  readonly kexAlgorithms: string | undefined;
  readonly hostKeyAlgorithms: string | undefined;
  readonly pubkeyAcceptedAlgorithms: string | undefined;
  readonly caSignatureAlgorithms: string | undefined;
  /** Bits. */
  readonly requiredRsaSize: number;
  /** undefined: the defaults. */
  readonly rekeyLimit: { readonly bytes: number | undefined; readonly intervalMs: number | undefined };

  readonly strictHostKeyChecking: 'yes' | 'ask' | 'accept-new' | 'no';
  readonly globalKnownHostsFiles: readonly string[];
  readonly verifyHostKeyDns: 'yes' | 'no' | 'ask';
  readonly hashKnownHosts: boolean;

  readonly identitiesOnly: boolean;
  readonly pubkeyAuthentication: boolean;
  readonly passwordAuthentication: boolean;
  readonly kbdInteractiveAuthentication: boolean;
  /** In order; undefined: the default order. */
  readonly preferredAuthentications: readonly string[] | undefined;
  readonly numberOfPasswordPrompts: number;

  readonly requestTty: 'yes' | 'no' | 'force' | 'auto';
  /** Names of variables to send, with wildcards. */
  readonly sendEnv: readonly string[];
  readonly setEnv: ReadonlyMap<string, string>;
  /** The hosts are not to be connected to, for this reason. */
  readonly refuseConnection: string | undefined;
  /** What is set for these hosts and only the ssh program can do, each with its reason; empty: nothing. */
  readonly needsOpenssh: readonly string[];
}

export interface CanonicalSettings {
  readonly hostname: 'no' | 'yes' | 'always';
  readonly domains: readonly string[];
  readonly maxDots: number;
  readonly fallbackLocal: boolean;
  /** Pattern lists: a name that matches `from` may be replaced by a canonical name that matches `to`. */
  readonly permittedCnames: readonly { readonly from: string; readonly to: string }[];
}

/** Throws SshConfigError for no ConnectionAttempts, and for a GlobalKnownHostsFile of a user who does not exist. */
export function readSettings(merged: Merged, local: LocalFacts): HostSettings {
  const bytes = Number(merged.value('rekeylimit') ?? 0);
  const interval = Number(merged.value(REKEY_INTERVAL) ?? 0);
  const timeout = merged.value('connecttimeout');
  const attempts = merged.origin('connectionattempts');
  if (attempts?.values[0] === '0') throw settingError(attempts, 'connectionattempts "0" is less than 1');
  const count = (keyword: string) => Number(merged.valueOrDefault(keyword));
  const isOn = (keyword: string) => ['yes', 'true'].includes(merged.valueOrDefault(keyword));
  const word = <T extends string>(keyword: string) => merged.valueOrDefault(keyword) as T;
  const state = <T extends string>(keyword: string) => {
    const value = merged.valueOrDefault(keyword);
    return (value === 'true' ? 'yes' : value === 'false' ? 'no' : value) as T;
  };
  return Object.freeze({
    addressFamily: word<HostSettings['addressFamily']>('addressfamily'),
    bindAddress: merged.value('bindaddress'),
    bindInterface: merged.value('bindinterface'),
    batchMode: isOn('batchmode'),
    canonicalize: canonicalSettings(merged),
    compression: isOn('compression'),
    connectTimeoutMs: timeout === undefined ? undefined : Number(timeout) * 1000,
    connectionAttempts: count('connectionattempts'),
    serverAliveIntervalMs: count('serveraliveinterval') * 1000,
    serverAliveCountMax: count('serveralivecountmax'),
    tcpKeepAlive: isOn('tcpkeepalive'),
    ciphers: merged.value('ciphers'),
    macs: merged.value('macs'),
    kexAlgorithms: merged.value('kexalgorithms'),
    hostKeyAlgorithms: merged.value('hostkeyalgorithms'),
    pubkeyAcceptedAlgorithms: merged.value('pubkeyacceptedalgorithms'),
    caSignatureAlgorithms: merged.value('casignaturealgorithms'),
    requiredRsaSize: count('requiredrsasize'),
    rekeyLimit: { bytes: bytes || undefined, intervalMs: interval * 1000 || undefined },
    strictHostKeyChecking: state<HostSettings['strictHostKeyChecking']>('stricthostkeychecking'),
    globalKnownHostsFiles: Object.freeze(globalFiles(merged, local)),
    verifyHostKeyDns: state<HostSettings['verifyHostKeyDns']>('verifyhostkeydns'),
    hashKnownHosts: isOn('hashknownhosts'),
    identitiesOnly: isOn('identitiesonly'),
    pubkeyAuthentication: merged.valueOrDefault('pubkeyauthentication') !== 'false',
    passwordAuthentication: isOn('passwordauthentication'),
    kbdInteractiveAuthentication: isOn('kbdinteractiveauthentication'),
    preferredAuthentications: merged.value('preferredauthentications')?.split(','),
    numberOfPasswordPrompts: count('numberofpasswordprompts'),
    requestTty: state<HostSettings['requestTty']>('requesttty'),
    sendEnv: Object.freeze([...merged.list('sendenv')]),
    setEnv: new Map(merged.list('setenv').map(splitPair)),
    refuseConnection: merged.value('refuseconnection'),
    needsOpenssh: Object.freeze(needsOpenssh(merged)),
  });
}

/** These take a tilde, and no tokens. */
function globalFiles(merged: Merged, local: LocalFacts): string[] {
  const files = listOrDefault(merged, 'globalknownhostsfile').filter((file) => file.toLowerCase() !== 'none');
  return located(merged, 'globalknownhostsfile', () => files.map((file) => expandTilde(file, local)));
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return [pair.slice(0, at), pair.slice(at + 1)];
}

function canonicalSettings(merged: Merged): CanonicalSettings {
  const hostname = merged.valueOrDefault('canonicalizehostname');
  const rules = merged.list('canonicalizepermittedcnames').filter((rule) => rule !== 'none');
  return Object.freeze({
    hostname: hostname === 'true' ? 'yes' : hostname === 'false' ? 'no' : 'always',
    domains: merged.list('canonicaldomains').filter((name) => name !== 'none'),
    maxDots: Number(merged.valueOrDefault('canonicalizemaxdots')),
    fallbackLocal: merged.valueOrDefault('canonicalizefallbacklocal') === 'yes',
    permittedCnames: rules.map((rule) => {
      const at = rule.indexOf(':');
      return { from: rule.slice(0, at), to: rule.slice(at + 1) };
    }),
  });
}

/** Keywords that the native transport has no part for, the values that switch them on, and what they are. */
const NEEDS: readonly (readonly [keyword: string, isOn: (value: string) => boolean, what: string])[] = [
  ['gssapiauthentication', (value) => value === 'yes', 'Kerberos'],
  ['gssapikeyexchange', (value) => value === 'yes', 'Kerberos'],
  ['hostbasedauthentication', (value) => value === 'yes', 'authentication by the host key of this machine'],
  ['pkcs11provider', (value) => value.toLowerCase() !== 'none', 'keys on a smart card'],
  ['proxyusefdpass', (value) => value === 'yes', 'a descriptor passed by ProxyCommand'],
  ['revokedhostkeys', (value) => value.toLowerCase() !== 'none', 'a list of revoked host keys'],
  ['securitykeyprovider', (value) => !/^(none|internal)$/i.test(value), 'a library for FIDO keys'],
];
const METHODS_OF_OPENSSH: ReadonlySet<string> = new Set(['gssapi-keyex', 'gssapi-with-mic', 'hostbased']);

/**
 * GSSAPI counts only where the user asked for it: the system files of Debian, RHEL and Fedora switch it on for every host, and are
 * meant for those who have a ticket.
 */
function needsOpenssh(merged: Merged): string[] {
  const needs = NEEDS.flatMap(([keyword, isOn, what]) => {
    const setting = merged.origin(keyword);
    const value = setting?.values[0];
    if (setting === undefined || value === undefined || !isOn(value)) return [];
    return keyword.startsWith('gssapi') && !setting.byUser ? [] : [`${keyword} ${value}: ${what}`];
  });
  const methods = merged.value('preferredauthentications');
  if (methods?.split(',').every((method) => METHODS_OF_OPENSSH.has(method))) {
    needs.push(`preferredauthentications ${methods}: no other method is allowed`);
  }
  return needs;
}
