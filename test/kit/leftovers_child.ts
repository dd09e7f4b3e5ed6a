/** Starts an sshd and stays, until it is killed: see leftovers.test.ts. */
import { startSshd } from './servers.ts';

const { port, dir } = await startSshd();
process.stdout.write(`${JSON.stringify({ port, dir })}\n`);
setInterval(() => {}, 60_000);
