/** An ssh_config as people have it, against real servers: hosts by alias, through a bastion, with keys and names of their own. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, outcomeLabel, type TaskResult } from '../../src/index.ts';
import { keygen, present, type RealServer, startSshd } from '../kit/servers.ts';
import { startAgent, temporaryFolder } from './agent_kit.ts';

/** Runs `command` on `hosts`, with an ssh_config of these lines and nothing else. */
async function run(server: RealServer, config: string, hosts: string, options: FleetOptions = {}, command = 'true') {
  const file = join(server.dir, 'ssh_config');
  writeFileSync(file, config, { mode: 0o600 });
  await using all = fleet({ hosts, config: file, agent: false, ...options });
  const results = await all.run(command).all({ order: 'input' });
  return { results, warnings: [...all.warnings] };
}

const labels = (results: readonly TaskResult[]) => results.map(({ outcome }) => outcomeLabel(outcome));
const texts = (results: readonly TaskResult[]) => results.map(({ stdout }) => stdout.text());

/** For a host behind this alias: where it is, as whom, and what vouches for it. */
function block(alias: string, server: RealServer, ...more: string[]): string {
  const lines = [
    `HostName 127.0.0.1`,
    `Port ${server.port}`,
    `User ${server.user}`,
    `IdentityFile ${server.identity}`,
    `UserKnownHostsFile ${server.knownHosts}`,
    ...more,
  ];
  return `Host ${alias}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

describe.skipIf(!present('sshd'))('ssh_config', () => {
  it('says where an alias is, as whom and with which key', async () => {
    await using server = await startSshd();
    const { results } = await run(server, block('web*', server), 'web[1-3]', {}, 'echo here');
    expect(labels(results)).toEqual(['ok', 'ok', 'ok']);
    expect(results[0]!.reached).toMatchObject({ transport: 'native', address: '127.0.0.1', port: server.port });
    expect(results[0]!.host.label).toBe('web1');
  });

  it('leads through a bastion with a key and known_hosts of its own, three deep', async () => {
    await using outer = await startSshd();
    await using middle = await startSshd();
    await using inner = await startSshd();
    await using server = await startSshd();
    const config = [
      block('outer', outer),
      block('middle', middle, 'ProxyJump outer'),
      block('inner', inner),
      block('web*', server, 'ProxyJump middle,inner'),
    ].join('');
    const { results } = await run(server, config, 'web[1-2]', {}, 'echo $SSH_CONNECTION');
    expect(labels(results)).toEqual(['ok', 'ok']);
    for (const jump of [outer, middle, inner]) expect(jump.log()).not.toMatch(/error/i);
    const { results: dead } = await run(server, config.replace(`Port ${outer.port}`, 'Port 1'), 'web[1-2]');
    expect(labels(dead)).toEqual(['unreachable(jump)', 'unreachable(jump)']);
    expect(dead[0]!.outcome).toMatchObject({ message: expect.stringContaining('jump host outer: ') });
  });

  it('knows hosts by HostKeyAlias and by a KnownHostsCommand, and refuses the others', async () => {
    await using server = await startSshd();
    const [, type, blob] = readFileSync(server.knownHosts, 'utf8').trim().split(' ');
    const known = join(server.dir, 'by_alias');
    writeFileSync(known, `cluster ${type} ${blob}\n`);
    const command = join(server.dir, 'known.sh');
    writeFileSync(command, `#!/bin/sh\n[ "$1" = told ] && echo "$2 ${type} ${blob}"\nexit 0\n`, { mode: 0o755 });
    const none = 'UserKnownHostsFile none';
    const config = [
      block('aliased', server, 'HostKeyAlias cluster').replace(server.knownHosts, known),
      block('told other', server, `KnownHostsCommand ${command} %n %H`).replace(/UserKnownHostsFile .*/, none),
    ].join('');
    const { results } = await run(server, `GlobalKnownHostsFile none\n${config}`, 'aliased,told,other');
    expect(labels(results)).toEqual(['ok', 'ok', 'host-key(unknown)']);
  });

  it('asks of host keys what CASignatureAlgorithms and RequiredRSASize ask', async () => {
    await using home = await startSshd();
    const [authority, key] = [keygen(home.dir, 'ca'), keygen(home.dir, 'host_rsa', '-t', 'rsa', '-b', '2048')];
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'a', '-h', '-n', 'a,b,c,d', '-V', '+1h', `${key}.pub`]);
    await using server = await startSshd([`HostKey ${key}`, `HostCertificate ${key}-cert.pub`]);
    const known = join(home.dir, 'authority');
    writeFileSync(known, `@cert-authority * ${readFileSync(`${authority}.pub`, 'utf8')}`);
    const certified = (alias: string, ...more: string[]) =>
      block(alias, server, `HostKeyAlias ${alias}`, 'HostKeyAlgorithms rsa-sha2-512-cert-v01@openssh.com', ...more);
    const config = [
      certified('a'),
      certified('b', 'CASignatureAlgorithms -ssh-ed25519'),
      certified('c', 'RequiredRSASize 2049'),
      certified('d', 'RequiredRSASize 2048', 'CASignatureAlgorithms ssh-ed25519'),
    ].join('');
    const { results } = await run(home, config.replaceAll(server.knownHosts, known), 'a,b,c,d');
    expect(labels(results)).toEqual(['ok', 'host-key(certificate)', 'refused(algorithm)', 'ok']);
  });

  it('shows a CertificateFile', async () => {
    await using server = await startSshd();
    const [authority, key] = [keygen(server.dir, 'ca'), keygen(server.dir, 'certified')];
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'a test', '-n', server.user, '-V', '+1h', `${key}.pub`]);
    const certificate = join(server.dir, 'elsewhere.pub');
    copyFileSync(`${key}-cert.pub`, certificate);
    rmSync(`${key}-cert.pub`);
    await using other = await startSshd([`TrustedUserCAKeys ${authority}.pub`, 'AuthorizedKeysFile none']);
    const config = block('web1', other, `CertificateFile ${certificate}`).replace(other.identity, key);
    expect(labels((await run(server, config, 'web1')).results)).toEqual(['ok']);
    const without = block('web1', other).replace(other.identity, key);
    expect(labels((await run(server, without, 'web1')).results)).toEqual(['auth-failed']);
  });

  it('gives one host a deadline of its own', async () => {
    await using server = await startSshd();
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const slow = block('slow', server, 'ConnectTimeout 1').replace(`Port ${server.port}`, `Port ${port}`);
    const { results } = await run(server, `${slow}${block('web1', server)}`, 'slow,web1', { retries: 0 });
    silent.close();
    expect(labels(results)).toEqual(['timeout(connect)', 'ok']);
    expect(results[0]!.durationMs).toBeLessThan(9000);
  });

  it('sends the environment, forwards the agent and asks for a terminal, each where it says so', async () => {
    await using server = await startSshd(['AcceptEnv MYRIAD_*']);
    await using agent = await startAgent(temporaryFolder());
    await agent.add(server.identity);
    const config = [
      block('sent', server, 'SendEnv MYRIAD_TEST_*', 'SetEnv MYRIAD_SET="a b"'),
      block('forwarded', server, 'ForwardAgent yes'),
      block('terminal', server, 'RequestTTY force'),
      block('plain', server),
    ].join('');
    process.env.MYRIAD_TEST_SENT = 'from here';
    try {
      const command =
        // biome-ignore lint/suspicious/noTemplateCurlyInString: of the shell
        'echo "$MYRIAD_TEST_SENT|$MYRIAD_SET|${SSH_AUTH_SOCK:+agent}|$(tty | cut -c1-8)"; ssh-add -l 2>&1 | wc -l';
      const options = { agent: agent.socketPath };
      const { results } = await run(server, config, 'sent,forwarded,terminal,plain', options, command);
      expect(labels(results)).toEqual(['ok', 'ok', 'ok', 'ok']);
      const [sent, forwarded, terminal, plain] = texts(results).map((text) => text.replaceAll('\r', '').split('\n')[0]);
      expect(sent).toBe('from here|a b||not a tt');
      expect(forwarded).toBe('||agent|not a tt');
      expect(terminal).toBe('|||/dev/pts');
      expect(plain).toBe('|||not a tt');
    } finally {
      delete process.env.MYRIAD_TEST_SENT;
    }
  });

  it('tells what a ProxyCommand said that gave no way', async () => {
    await using server = await startSshd();
    const config = block('web1', server, 'ProxyCommand sh -c "echo no way there >&2; exit 3"');
    const { results } = await run(server, config, 'web1', { retries: 0 });
    expect(labels(results)).toEqual(['unreachable(proxy)']);
    expect(results[0]!.outcome).toMatchObject({ message: expect.stringMatching(/status 3.*no way there/) });
  });

  it('goes by the ssh program where it wants Kerberos, in the same run', async () => {
    await using server = await startSshd();
    const config = `${block('krb1', server, 'GSSAPIAuthentication yes')}${block('web1', server)}`;
    const { results } = await run(server, config, 'krb1,web1', {}, 'echo here');
    expect(labels(results)).toEqual(['ok', 'ok']);
    expect(texts(results)).toEqual(['here\n', 'here\n']);
    expect(results.map(({ reached }) => reached?.transport)).toEqual(['openssh', 'native']);
  });
});
