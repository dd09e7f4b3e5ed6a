/** FILE LABEL COUNT: appends COUNT lines for the hosts LABEL0, LABEL1, … with one writer call each. */
import { knownHostsLine } from '../../src/ssh/known_hosts_entry.ts';
import { KnownHostsWriter } from '../../src/ssh/known_hosts_writer.ts';

const [file, label, count] = process.argv.slice(2) as [string, string, string];
const type = Buffer.from('ssh-ed25519');
const writer = new KnownHostsWriter(file);
for (let i = 0; i < Number(count); i++) {
  const key = Buffer.alloc(32);
  key.writeUInt32BE(i);
  const blob = Buffer.concat([Buffer.of(0, 0, 0, type.length), type, Buffer.of(0, 0, 0, 32), key]);
  await writer.append(knownHostsLine(`${label}${i}`, 22, blob));
}
process.disconnect?.();
