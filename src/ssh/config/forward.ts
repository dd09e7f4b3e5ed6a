/** LocalForward, RemoteForward and DynamicForward: checked and written as `ssh -G` does; jobs do not use them. */
import { parsePort } from './values.ts';

type Service = (name: string) => number | undefined;
type Direction = 'local' | 'remote' | 'dynamic';

interface Field {
  readonly text: string;
  readonly isPath: boolean;
}

/** The forwarding in the spelling of `ssh -G`, and whether it is a SOCKS one; undefined when it is none. */
export function parseForward(
  args: readonly string[],
  direction: Direction,
  service: Service,
): { readonly text: string; readonly socks: boolean } | undefined {
  const socks = direction === 'dynamic' || (direction === 'remote' && args.length === 1);
  const fields = splitFields(args.join(':'));
  if (fields === undefined) return undefined;
  const listen = takePlace(
    fields,
    fields.length > 1 && !fields[0]!.isPath && (socks || isHostAndPort(fields)),
    service,
  );
  if (listen === undefined || (direction !== 'remote' && listen.port === 0)) return undefined;
  if (socks) {
    if (fields.length > 0) return undefined;
    return { text: direction === 'remote' ? `${listen.text} [socks]:0` : listen.text, socks };
  }
  const connect = takePlace(fields, fields.length > 1, service);
  if (connect === undefined || connect.port === 0 || fields.length > 0) return undefined;
  return { text: `${listen.text} ${connect.text}`, socks };
}

/** Whether the first two fields of a forwarding are the listening side: host:port:host:port or host:port:path. */
function isHostAndPort(fields: readonly Field[]): boolean {
  return fields.length === 4 || (fields.length === 3 && fields[2]!.isPath);
}

function takePlace(
  fields: Field[],
  withHost: boolean,
  service: Service,
): { readonly text: string; readonly port: number | undefined } | undefined {
  const first = fields.shift();
  if (first === undefined) return undefined;
  if (first.isPath) return { text: first.text, port: undefined };
  const second = withHost ? fields.shift() : undefined;
  const port = parsePort((second ?? first).text, service);
  if (port === undefined) return undefined;
  return { text: second === undefined ? String(port) : `[${first.text}]:${port}`, port };
}

/** One to four fields between colons; brackets keep colons, a backslash keeps the next character. */
function splitFields(text: string): Field[] | undefined {
  const fields: Field[] = [];
  const field = /\[([^\]]*)\](?::|$)|((?:\\.|[^:\\])*)(?::|$)/sy;
  const trimmed = text.trimStart();
  while (field.lastIndex < trimmed.length) {
    const found = fields.length < 4 ? field.exec(trimmed) : null;
    if (found === null) return undefined;
    const value = found[1] ?? found[2]!.replace(/\\(.)/gs, '$1');
    fields.push({ text: value, isPath: value.includes('/') });
  }
  return fields.length > 0 ? fields : undefined;
}
