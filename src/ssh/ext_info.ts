/** EXT_INFO (RFC 8308): what a side can do beyond what was negotiated. Of it, `server-sig-algs` is used. */
import { protocolError } from './errors.ts';
import type { Reader, Writer } from './wire.ts';

const MOST_EXTENSIONS = 64;

/** The signature algorithms that the server takes; undefined where it does not say. */
export function readServerSigAlgs(reader: Reader): string | undefined {
  const count = reader.uint32();
  if (count > MOST_EXTENSIONS) {
    throw protocolError(`expected at most ${MOST_EXTENSIONS} extensions, got ${count}`);
  }
  let algorithms: string | undefined;
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    const value = reader.string();
    if (name === 'server-sig-algs') algorithms = value.toString('latin1');
  }
  return algorithms;
}

export function writeServerSigAlgs(packet: Writer, algorithms: readonly string[]): void {
  packet.uint32(1).text('server-sig-algs').text(algorithms.join(','));
}
