// Runs one command on many hosts with the npm package ssh2.
//
// usage: node run_ssh2.mjs HOSTFILE PORT USER IDENTITY KNOWN_HOSTS FANOUT COMMAND
//
// Prints "HOST: ANSWER" per host. Key and known hosts are read once, into a parsed key and a map: ssh2 brings no
// known_hosts of its own. The key is named in an authHandler, which spares ssh2 its `none` probe.
import { existsSync, readFileSync } from 'node:fs';
import ssh2 from 'ssh2';
import ssh2Package from 'ssh2/package.json' with { type: 'json' };

const { Client, utils } = ssh2;

/** "[host]:port" to key blob. */
function readKnownHosts(path) {
  const known = new Map();
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [name, , key] = line.split(' ');
    if (key !== undefined) known.set(name, Buffer.from(key, 'base64'));
  }
  return known;
}

/** Runs the command on one host and resolves with its output. */
function visit(options, command) {
  return new Promise((resolve, reject) => {
    const client = new Client();
    let output = '';
    client.on('error', reject);
    client.on('close', () => reject(new Error('closed')));
    client.on('ready', () => {
      client.exec(command, (error, stream) => {
        if (error) return reject(error);
        stream.on('data', (data) => {
          output += data;
        });
        stream.on('close', (status) => {
          client.end();
          if (status === 0) resolve(output.trimEnd());
          else reject(new Error(`status ${status}`));
        });
      });
    });
    client.connect(options);
    // ssh2 leaves Nagle's algorithm on, which makes it wait for acknowledgements half of the time.
    client.setNoDelay(true);
  });
}

async function main([hostFile, port, username, identity, knownHosts, fanout, command]) {
  const hosts = readFileSync(hostFile, 'latin1').split('\n').filter(Boolean).values();
  const known = readKnownHosts(knownHosts);
  const key = utils.parseKey(readFileSync(identity));
  if (key instanceof Error) throw key;
  const authHandler = [{ type: 'publickey', username, key }];

  async function lane() {
    for (const host of hosts) {
      const expected = known.get(`[${host}]:${port}`);
      const hostVerifier = (presented) => expected?.equals(presented) ?? false;
      try {
        const answer = await visit({ host, port: Number(port), username, authHandler, hostVerifier }, command);
        process.stdout.write(`${host}: ${answer}\n`);
      } catch (error) {
        process.exitCode = 1;
        process.stderr.write(`${host}: ${error.message}\n`);
      }
    }
  }
  await Promise.all(Array.from({ length: Number(fanout) }, lane));
}

if (process.argv[2] === '--version') {
  // Its ciphers have a native half, which an install without scripts leaves out.
  const native = existsSync(new URL('./protocol/crypto/build/Release/sshcrypto.node', import.meta.resolve('ssh2')));
  const how = native ? 'with' : 'without';
  process.stdout.write(`ssh2 ${ssh2Package.version}, ${how} its native ciphers, on Node ${process.version}\n`);
} else {
  await main(process.argv.slice(2));
}
