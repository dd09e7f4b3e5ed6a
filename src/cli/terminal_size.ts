/** The terminal that `--tty` gives to commands: as large as the one here, while they run. */
import type { Run, RunOptions } from '../index.ts';

/** Where there is no terminal, and for one that does not know its size. */
const COLUMNS = 80;
const ROWS = 24;

function size(): { readonly columns: number; readonly rows: number } {
  const here = [process.stdout, process.stderr].find((stream) => stream.isTTY);
  return { columns: here?.columns || COLUMNS, rows: here?.rows || ROWS };
}

/** TERM as it is here, unless it is none. */
export function ttyOption(tty: boolean | undefined): RunOptions['tty'] {
  if (!tty) return undefined;
  const { TERM = '' } = process.env;
  return { term: /^[\x21-\x7e]{1,64}$/.test(TERM) ? TERM : 'dumb', ...size() };
}

/** Tells the run of a new size until what it returns is called. */
export function followSize(run: Run): () => void {
  const changed = (): void => {
    // Node asks the terminal anew when it hears of the signal, on the next turn.
    setImmediate(() => {
      const { columns, rows } = size();
      run.resize(columns, rows);
    });
  };
  process.on('SIGWINCH', changed);
  return () => void process.off('SIGWINCH', changed);
}
