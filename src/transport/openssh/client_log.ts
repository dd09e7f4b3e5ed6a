/** What a client wrote into its log: what became of the request to run the command. */
import { readFile, rm } from 'node:fs/promises';
import { lastWords } from './classify.ts';

/** A client writes a few lines; a log that was made longer by the user's LogVerbose is read up to here. */
const LOG_LIMIT = 256 * 1024;

export interface ClientFacts {
  /** The master's number of the channel: it is open, and the command was asked for. */
  readonly channel: number | undefined;
  /** The status that came. */
  readonly status: number | undefined;
  /** The server gave no session, in its words. */
  readonly refused: string | undefined;
  /** The master did not answer. */
  readonly noMaster: boolean;
  /** What else it said last. */
  readonly words: string | undefined;
}

export function readClientFacts(log: string): ClientFacts {
  const lines = log
    .slice(0, LOG_LIMIT)
    .split('\n')
    .map((line) => line.replace(/[^\x20-\x7e]+/g, ' ').trimEnd());
  const first = (pattern: RegExp): string | undefined => {
    for (const line of lines) {
      const match = pattern.exec(line);
      if (match !== null) return match[1] ?? match[0];
    }
    return undefined;
  };
  return {
    channel: asNumber(first(/master session id: (\d+)/)),
    status: asNumber(first(/Received exit status from master (\d+)/)),
    refused: first(/session request failed: (.*)$/) ?? first(/Master refused session request: (.*)$/),
    noMaster: first(/Control socket .*(does not exist|connect|refused)/) !== undefined,
    words: lastWords(lines.filter((line) => line !== '' && !line.startsWith('debug'))),
  };
}

function asNumber(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

export class ClientLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** What it says so far; a log that is not there says nothing. */
  async read(): Promise<ClientFacts> {
    return readClientFacts(await readFile(this.path, 'latin1').catch(() => ''));
  }

  remove(): void {
    rm(this.path, { force: true }).catch(() => {});
  }
}
