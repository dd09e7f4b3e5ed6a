"""Runs one command on many hosts with asyncssh.

usage: run_asyncssh.py HOSTFILE PORT USER IDENTITY KNOWN_HOSTS FANOUT COMMAND

Prints "HOST: ANSWER" per host. Key and known hosts are read once, the configuration and the agent not at all.
"""

import asyncio
import sys

import asyncssh


async def main(host_file, port, user, identity, known_hosts, fanout, command):
    with open(host_file, encoding='ascii') as file:
        hosts = iter(file.read().split())
    known = asyncssh.read_known_hosts(known_hosts)
    key = asyncssh.read_private_key(identity)
    failed = 0

    async def visit(host):
        async with asyncssh.connect(
            host, int(port), username=user, client_keys=[key], known_hosts=known, config=None, agent_path=None,
        ) as connection:
            result = await connection.run(command, check=True)
            return result.stdout.rstrip('\n')

    async def lane():
        nonlocal failed
        for host in hosts:
            try:
                print(f'{host}: {await visit(host)}')
            except (OSError, asyncssh.Error) as error:
                failed += 1
                print(f'{host}: {error}', file=sys.stderr)

    await asyncio.gather(*(lane() for _ in range(int(fanout))))
    return 1 if failed else 0


if __name__ == '__main__':
    if sys.argv[1:] == ['--version']:
        print('asyncssh', asyncssh.__version__, 'on Python', sys.version.split()[0])
    else:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
