/** Questions on the terminal: asked on stderr, answered on stdin; answers that are secrets are never echoed. */
import { createInterface, type Interface } from 'node:readline';
import { StringDecoder } from 'node:string_decoder';
import { MyriadError } from '../index.ts';

/**
 * Reads one line without showing it. Throws `usage` with `refusal` where there is no terminal to ask on; rejects with the
 * signal's reason where nobody waits for the answer any more.
 */
export async function askSecret(question: string, refusal: string, signal?: AbortSignal): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || stdin.readableEnded) throw new MyriadError('usage', refusal);
  signal?.throwIfAborted();
  // First no echo, then the question: nobody may answer in between.
  stdin.setRawMode(true);
  stderr.write(question);
  try {
    return await readSecret(signal);
  } finally {
    stdin.setRawMode(false);
    stderr.write('\n');
  }
}

function readSecret(signal: AbortSignal | undefined): Promise<string> {
  const { stdin } = process;
  const decoder = new StringDecoder('utf8');
  let secret = '';
  return new Promise((resolve, reject) => {
    const finish = (rest: string, settle: () => void) => {
      stdin.off('data', onData).off('end', onEnd).pause();
      signal?.removeEventListener('abort', onAbort);
      // Typed or pasted ahead: it answers the next question. Were it not paused, it would flow to nobody.
      if (rest !== '') stdin.unshift(Buffer.from(rest));
      settle();
    };
    const interrupted = () => reject(new MyriadError('aborted', 'interrupted'));
    const onEnd = () => finish('', interrupted);
    const onAbort = () => finish('', () => reject(signal?.reason));
    const onData = (chunk: Buffer) => {
      const text = [...decoder.write(chunk)];
      for (const [at, character] of text.entries()) {
        const rest = () => text.slice(at + 1).join('');
        if (character === '\r' || character === '\n' || character === '\x04')
          return finish(rest(), () => resolve(secret));
        if (character === '\x03') return finish('', interrupted);
        secret = character === '\x7f' || character === '\b' ? withoutLast(secret) : secret + character;
      }
    };
    // An earlier question has left it paused: it flows again only when it is told to.
    stdin.on('data', onData).on('end', onEnd).resume();
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function withoutLast(text: string): string {
  return [...text].slice(0, -1).join('');
}

/** Reads one line that is shown. Throws as `askSecret` does. */
export async function askLine(question: string, refusal: string, signal?: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY || process.stdin.readableEnded) throw new MyriadError('usage', refusal);
  signal?.throwIfAborted();
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<string>((resolve, reject) => {
      const interrupted = () => reject(new MyriadError('aborted', 'interrupted'));
      reader.once('SIGINT', interrupted).once('close', interrupted);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true, signal: closing(reader) });
      reader.question(question, resolve);
    });
  } catch (error) {
    process.stderr.write('\n');
    throw error;
  } finally {
    reader.close();
  }
}

/** Aborted when the reader is closed: listeners of the question end with it. */
function closing(reader: Interface): AbortSignal {
  const closed = new AbortController();
  reader.once('close', () => closed.abort());
  return closed.signal;
}

/** Asks for yes or no. Throws `aborted` at ^C. */
export async function confirm(question: string): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      const unanswered = (settle: () => void) => {
        process.stderr.write('\n');
        settle();
      };
      reader.once('SIGINT', () => unanswered(() => reject(new MyriadError('aborted', 'interrupted'))));
      reader.once('close', () => unanswered(() => resolve('')));
      reader.question(`${question} [y/N] `, (text) => {
        reader.removeAllListeners('close');
        resolve(text);
      });
    });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
