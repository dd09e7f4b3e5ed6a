/** Questions on the terminal: one at a time, each secret once, and nothing of a host that could write on it. */
import { describe, expect, it } from 'vitest';
import { type AskingHost, type Terminal, TerminalSecrets } from '../../src/cli/secrets.ts';
import { MyriadError } from '../../src/index.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const ABOUT = { name: '', instruction: '' };
const never = new AbortController().signal;
const host = (label: string): AskingHost => ({ label, user: 'deploy' });

/** A terminal on which the test types. */
class Typed implements Terminal {
  readonly lines: string[] = [];
  #answer: ((text: string | Error) => void) | undefined;

  readonly askSecret = (question: string, _refusal: string, signal?: AbortSignal) => this.#ask(`*${question}`, signal);
  readonly askLine = (question: string, _refusal: string, signal?: AbortSignal) => this.#ask(question, signal);

  say(line: string): void {
    this.lines.push(line);
  }

  #ask(question: string, signal: AbortSignal | undefined): Promise<string> {
    if (this.#answer) throw new Error('two questions at once');
    this.lines.push(question);
    return new Promise((resolve, reject) => {
      const settle = (text: string | Error) => {
        this.#answer = undefined;
        if (text instanceof Error) reject(text);
        else resolve(text);
      };
      this.#answer = settle;
      signal?.addEventListener('abort', () => settle(signal.reason as Error), { once: true });
    });
  }

  async type(text: string | Error): Promise<void> {
    await turn();
    this.#answer!(text);
    await turn();
  }
}

describe('secrets of the terminal', () => {
  it('a password is asked for once per user', async () => {
    const terminal = new Typed();
    const secrets = new TerminalSecrets({ terminal });
    const all = [secrets.password('deploy'), secrets.password('ops'), secrets.password('deploy')];
    await terminal.type('one');
    await terminal.type('two');
    expect(await Promise.all([...all, secrets.password('ops')])).toEqual(['one', 'two', 'one', 'two']);
    expect(terminal.lines).toEqual(['*Password of deploy: ', '*Password of ops: ']);
  });

  it('questions of hosts come one host after the other, with its name, its controls made visible', async () => {
    const terminal = new Typed();
    const rooms: string[] = [];
    const makeRoom = () => {
      rooms.push('made');
      return () => void rooms.push('given back');
    };
    const secrets = new TerminalSecrets({ terminal, makeRoom });
    const questions = [
      { text: 'PIN:\x1b[2J\r\nroot@other: ', echo: false },
      { text: 'Code: ', echo: true },
    ];
    const about = { name: '', instruction: 'Look at\u202e your token' };
    const answers = [
      secrets.answer(host('web1\x07'), questions, about, never),
      secrets.answer(host('web2'), [{ text: 'x'.repeat(1000), echo: true }], ABOUT, never),
    ];
    for (const text of ['1234', '99', 'y']) await terminal.type(text);
    expect(await Promise.all(answers)).toEqual([['1234', '99'], ['y']]);
    expect(terminal.lines).toEqual([
      'web1^G: Look at\\u202e your token',
      '*web1^G: PIN:^[[2J root@other: ',
      'web1^G: Code: ',
      `web2: ${'x'.repeat(200)}… `,
    ]);
    expect(rooms).toEqual(['made', 'given back', 'made', 'given back']);
  });

  it('a host that has gone away is not asked for, and its question on the screen is taken back', async () => {
    const terminal = new Typed();
    const secrets = new TerminalSecrets({ terminal });
    const [first, second] = [new AbortController(), new AbortController()];
    const question = [{ text: 'Code:', echo: true }];
    const asked = [first, second].map(({ signal }, i) => secrets.answer(host(`web${i}`), question, ABOUT, signal));
    const third = secrets.answer(host('web2'), question, ABOUT, never);
    const ended = Promise.allSettled(asked);
    await turn();
    second.abort(new Error('gone'));
    first.abort(new Error('gone'));
    expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await terminal.type('1');
    expect(await third).toEqual(['1']);
    expect(terminal.lines).toEqual(['web0: Code: ', 'web2: Code: ']);
  });

  it('after ^C nothing is asked any more, and the run hears of it once', async () => {
    const terminal = new Typed();
    let interrupts = 0;
    const onInterrupt = () => {
      interrupts++;
    };
    const secrets = new TerminalSecrets({ terminal, onInterrupt });
    const asked = [secrets.password('deploy'), secrets.answer(host('web1'), [], ABOUT, never), secrets.password('ops')];
    const ended = Promise.allSettled(asked);
    await terminal.type(new MyriadError('aborted', 'interrupted'));
    expect(await ended).toEqual(
      asked.map(() => ({ status: 'rejected', reason: expect.objectContaining({ code: 'aborted' }) })),
    );
    expect(interrupts).toBe(1);
    expect(terminal.lines).toHaveLength(1);
  });

  it('without a terminal says what to do instead', async () => {
    const secrets = new TerminalSecrets();
    const refusal = /^--ask-password \(-k\): there is no terminal to ask on; .*--password-file or --password-command$/;
    await expect(secrets.password('deploy')).rejects.toThrow(refusal);
    const answer = secrets.answer(host('web1'), [{ text: 'Code: ', echo: true }], ABOUT, never);
    await expect(answer).rejects.toThrow(/^web1 asks "Code:": there is no terminal/);
  });
});
