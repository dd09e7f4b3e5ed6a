/** The command on a terminal, by util-linux's `script`: stdin, stdout and stderr are one pseudo-terminal. */
import { environment, MAIN, Running, type Setting } from './command.ts';

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export interface TerminalSetting extends Setting {
  /** 0: a terminal that does not know its size. @default 80 */
  readonly columns?: number;
  /** A line of the shell that follows. */
  readonly after?: string;
  /** Where stdout goes instead of the terminal. */
  readonly stdout?: string;
}

/** Starts `myriad` on a terminal of its own. What is typed goes to `type`; `stdout` of the result is the screen. */
export class Terminal extends Running {
  constructor(args: readonly string[], setting: TerminalSetting = {}) {
    const words = [process.execPath, MAIN, ...args].map(quote).join(' ');
    const stdout = setting.stdout === undefined ? '' : ` >${quote(setting.stdout)}`;
    const run =
      setting.after === undefined ? `exec ${words}${stdout}` : `trap : INT; ${words}${stdout}; ${setting.after}`;
    const line = `stty rows 24 columns ${setting.columns ?? 80}; ${run}`;
    super('script', ['-qec', line, '/dev/null'], environment({ SHELL: '/bin/sh', ...setting.env }), 'pipe');
  }

  type(text: string): void {
    this.child.stdin!.write(text);
  }
}

export const CONTROL_C = '\x03';
