/** `--audit`: a line before a run and one after it, to syslog or at the end of a file. */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Command } from 'commander';
import { type Fleet, foldHosts, MyriadError, type Run, type Summary, whoRuns } from '../index.ts';
import { type AuditedRun, auditEnd, auditStart } from '../output/audit.ts';
import { escapeText } from '../output/escape.ts';

export interface AuditFlags {
  readonly audit?: string;
}

/** How long the program `logger` may take, in milliseconds. */
const LOGGER_MS = 10_000;

export function addAudit(command: Command): Command {
  return command.option('--audit <where>', 'a line at start and end, to syslog or a file', (where) => {
    if (where.trim() !== '') return where;
    throw new MyriadError('usage', `--audit: expected syslog or a file, got "${where}"`);
  });
}

/** Writes the line of the end, and gives the exit code: where it could not, that is said, and 0 becomes 1. */
type EndAudit = (summary: Summary, exit: number, say: (text: string) => void) => Promise<number>;

/** Resolves when the line of the start is written. Rejects with `file`. */
export async function startAudit(where: string | undefined, run: Run, hosts: Fleet): Promise<EndAudit | undefined> {
  if (where === undefined) return undefined;
  const { loginUser: user, uid, terminal } = whoRuns();
  const audited: AuditedRun = {
    run: run.id,
    title: run.title,
    user,
    uid,
    terminal,
    planned: run.planned,
    hosts: hosts.count,
    label: (index) => run.label(index),
    fold: foldHosts,
  };
  await write(where, auditStart(audited));
  return async (summary, exit, say) => {
    try {
      await write(where, auditEnd(audited, summary, exit));
      return exit;
    } catch (error) {
      say(`myriad: ${escapeText((error as Error).message)}\n`);
      return exit || 1;
    }
  };
}

async function write(where: string, line: string): Promise<void> {
  try {
    if (where === 'syslog') await toSyslog(line);
    else await append(where, line);
  } catch (cause) {
    throw new MyriadError('file', `--audit: "${where}" cannot be written: ${(cause as Error).message}`, { cause });
  }
}

/** The line goes over stdin: argument lists are there for everybody to see. */
function toSyslog(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = ['-t', `myriad[${process.pid}]`, '-p', 'auth.notice'];
    const logger = spawn('logger', args, { stdio: ['pipe', 'ignore', 'pipe'], timeout: LOGGER_MS });
    let said = '';
    logger.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, 1_000);
    });
    logger.stdin.on('error', () => {});
    logger.once('error', reject);
    logger.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`logger ended with ${code ?? 'a signal'}${said === '' ? '' : `: ${said.trim()}`}`));
    });
    logger.stdin.end(`${line}\n`);
  });
}

/** In one write, so that lines of several runs do not mix; nothing waits for the other end of a pipe. */
async function append(file: string, line: string): Promise<void> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  const bytes = Buffer.from(`${new Date().toISOString()} myriad[${process.pid}]: ${line}\n`);
  await using handle: FileHandle = await open(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o600);
  if (!(await handle.stat()).isFile()) throw new Error('it is no file');
  const { bytesWritten } = await handle.write(bytes);
  if (bytesWritten !== bytes.length) throw new Error(`${bytesWritten} of ${bytes.length} bytes were written`);
}
