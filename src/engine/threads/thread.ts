/** A thread: its own event loop, transports and inline executor, that do what the main thread sends. */
import { InlineExecutor } from '../inline_executor.ts';
import { Calls, type ThreadLink } from './link.ts';
import { type FromThread, plainError, type ToThread } from './protocol.ts';
import { type Port, type ThreadPace, type ThreadParts, USUAL_PACE } from './thread_parts.ts';
import { ThreadRun } from './thread_run.ts';

/** Serves the main thread at the other end of `port`, until it says `close`. */
export async function serveThread(
  port: Port,
  name: string,
  make: (link: ThreadLink) => ThreadParts | Promise<ThreadParts>,
  pace: ThreadPace = USUAL_PACE,
): Promise<void> {
  const post = (message: FromThread, transfer?: readonly ArrayBuffer[]): void => port.postMessage(message, transfer);
  const calls = new Calls(post);
  let server: ThreadServer | undefined;
  port.on('message', (message) => {
    if (message.type === 'answer') calls.answered(message);
    else if (message.type === 'tell') calls.told(message);
    else server?.take(message);
  });
  const parts = await make(calls);
  server = new ThreadServer(port, post, calls, name, parts, pace);
  post({ type: 'ready' });
}

class ThreadServer {
  readonly #port: Port;
  readonly #post: (message: FromThread, transfer?: readonly ArrayBuffer[]) => void;
  readonly #calls: Calls;
  readonly #parts: ThreadParts;
  readonly #executor: InlineExecutor;
  readonly #pace: ThreadPace;
  readonly #runs = new Map<number, ThreadRun>();

  constructor(
    port: Port,
    post: (message: FromThread, transfer?: readonly ArrayBuffer[]) => void,
    calls: Calls,
    name: string,
    parts: ThreadParts,
    pace: ThreadPace,
  ) {
    this.#port = port;
    this.#post = post;
    this.#calls = calls;
    this.#parts = parts;
    this.#pace = pace;
    const { kinds, transports, clock, random } = parts;
    this.#executor = new InlineExecutor({ kinds, transports, clock, random, name });
  }

  take(message: Exclude<ToThread, { type: 'answer' | 'tell' }>): void {
    if (message.type === 'close') void this.#close();
    else if (message.type === 'open') void this.#open(message);
    else this.#runs.get(message.run)?.take(message);
  }

  async #open({ call, run: id, request }: Extract<ToThread, { type: 'open' }>): Promise<void> {
    const run = new ThreadRun({
      id,
      request,
      post: this.#post,
      link: this.#calls,
      parts: this.#parts,
      pace: this.#pace,
      onOver: () => this.#runs.delete(id),
    });
    this.#runs.set(id, run);
    try {
      await run.start(this.#executor);
      this.#post({ type: 'answer', call });
    } catch (error) {
      this.#runs.delete(id);
      this.#post({ type: 'answer', call, error: plainError(error) });
    }
  }

  async #close(): Promise<void> {
    try {
      await this.#executor.close();
      await this.#parts.close();
    } finally {
      this.#post({ type: 'closed' });
      this.#port.close();
    }
  }
}
