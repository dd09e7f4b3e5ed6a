/** ProxyJump: `[user@]host[:port]` or `ssh://[user@]host[:port]`, several with commas, visited from left to right. */
import { checkDomain, parsePort } from './values.ts';

/** One hop, with tokens not yet expanded. `user` and `port` undefined: as the configuration of the jump host says. */
export interface JumpHost {
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
}

type Service = (name: string) => number | undefined;

/** The hops in order; an empty list for `none`; undefined when the text is not a list of hosts. What follows a blank does not count. */
export function parseJumps(text: string, service: Service): readonly JumpHost[] | undefined {
  const list = text.replace(/#.*$/s, '').replace(/\s.*$/s, '');
  if (list.toLowerCase() === 'none') return [];
  const jumps = list.split(',').map((item) => parseJump(item, service));
  return jumps.some((jump) => jump === undefined) ? undefined : (jumps as JumpHost[]);
}

function parseJump(text: string, service: Service): JumpHost | undefined {
  if (text.startsWith('ssh://')) return parseUri(text.slice('ssh://'.length), service);
  const at = text.lastIndexOf('@');
  if (at === 0) return undefined;
  const place = parsePlace(text.slice(at + 1), service);
  return place && { user: at < 0 ? undefined : text.slice(0, at), ...place };
}

function parseUri(text: string, service: Service): JumpHost | undefined {
  const at = text.indexOf('@');
  const encoded = at < 0 ? undefined : text.slice(0, at).replace(/;.*/s, '');
  const place = parsePlace(text.slice(at + 1).replace(/\/$/, ''), service);
  if (encoded === '' || place === undefined || 'reason' in checkDomain(place.host)) return undefined;
  if (encoded === undefined) return { user: undefined, ...place };
  if (/%(?![0-9a-f]{2})/i.test(encoded)) return undefined;
  const bytes = encoded
    .replaceAll('+', ' ')
    .replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return { user: Buffer.from(bytes, 'latin1').toString(), ...place };
}

function parsePlace(text: string, service: Service): { host: string; port: number | undefined } | undefined {
  const found = /^(\[[^\]]*\]|[^:/[][^:/]*)(?::(.*))?$/s.exec(text);
  if (found === null) return undefined;
  const host = found[1]!.replace(/^\[(.*)\]$/s, '$1');
  if (host === '' || host.startsWith('-')) return undefined;
  if (found[2] === undefined || found[2] === '') return { host, port: undefined };
  const port = parsePort(found[2], service);
  return port === undefined || port === 0 ? undefined : { host, port };
}

/** As `ssh -G` writes one hop. */
export function formatJump(jump: JumpHost): string {
  const host = /:|^[\d.]*$/.test(jump.host) ? `[${jump.host}]` : jump.host;
  return `${jump.user === undefined ? '' : `${jump.user}@`}${host}${jump.port === undefined ? '' : `:${jump.port}`}`;
}
