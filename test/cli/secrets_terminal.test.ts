/** The questions on a terminal of their own: what is shown, what is not, and what becomes of the terminal. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { present } from '../kit/servers.ts';
import { environment, Running } from './command.ts';
import { CONTROL_C } from './terminal.ts';

const PROGRAM = join(import.meta.dirname, 'secrets_child.ts');

describe.runIf(present('script'))('questions on a terminal', () => {
  it('hide secrets, show the rest, are taken back where the host has gone, and end at ^C', async () => {
    const line = `stty rows 24 columns 80; '${process.execPath}' '${PROGRAM}'; stty -a`;
    const terminal = new Running('script', ['-qec', line, '/dev/null'], environment({ SHELL: '/bin/sh' }), 'pipe');
    const type = (text: string) => terminal.child.stdin!.write(text);
    await terminal.shows(/web1: Take your token\r\nweb1: PIN: /);
    type('1234\r');
    await terminal.shows(/web1: Code: /);
    type('5678\r');
    await terminal.shows(/answers 1234 5678/);
    await terminal.shows(/web2: Too late: [\s\S]*web2: Too late: [\s\S]*rejected web2 has gone away/);
    await terminal.shows(/Password of deploy: /);
    type('one\r');
    await terminal.shows(/password one[\s\S]*Password of ops: /);
    type(CONTROL_C);
    const { stdout } = await terminal.ended;
    expect(stdout).toMatch(/interrupted\r\nended interrupted/);
    expect(stdout.match(/rejected web2 has gone away/g)).toHaveLength(2);
    // Typed and shown once by the terminal, printed once by the program; the PIN only by the program.
    expect(stdout.match(/5678/g)).toHaveLength(2);
    expect(stdout.match(/1234/g)).toHaveLength(1);
    expect(stdout).toMatch(/^isig icanon .*\becho /m);
  });
});
