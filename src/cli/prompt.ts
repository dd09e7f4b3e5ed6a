/** Questions on the terminal, asked on /dev/tty's side: stdin where it is a terminal, answers never echoed for secrets. */
import { createInterface } from 'node:readline';
import { MyriadError } from '../index.ts';

/** Reads one line without showing it. Throws `usage` where there is no terminal to ask on. */
export async function askSecret(question: string, instead: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) throw new MyriadError('usage', `${question.replace(/: $/, '')}: no terminal to ask on; ${instead}`);
  stderr.write(question);
  stdin.setRawMode(true);
  try {
    return await readSecret();
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

function readSecret(): Promise<string> {
  const { stdin } = process;
  let secret = '';
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      for (const character of chunk.toString('utf8')) {
        if (character === '\r' || character === '\n' || character === '\x04') {
          stdin.off('data', onData);
          resolve(secret);
          return;
        }
        if (character === '\x03') {
          stdin.off('data', onData);
          reject(new MyriadError('aborted', 'interrupted'));
          return;
        }
        secret = character === '\x7f' || character === '\b' ? secret.slice(0, -1) : secret + character;
      }
    };
    stdin.on('data', onData);
  });
}

/** Asks for yes or no. */
export async function confirm(question: string): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await new Promise<string>((resolve) => {
      reader.once('close', () => resolve(''));
      reader.question(`${question} [y/N] `, resolve);
    });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
