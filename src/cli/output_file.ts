/** A file that an option names to be written. */
import { type FileHandle, open } from 'node:fs/promises';
import { MyriadError } from '../index.ts';

export interface OutputFile extends AsyncDisposable {
  /** Resolves when it is written. Rejects with `file`. */
  write(text: string): Promise<void>;
}

/** Made or emptied now, so that a mistake in its name is known before anything connects. Rejects with `file`. */
export async function openFile(option: string, file: string): Promise<OutputFile> {
  const failed = (cause: unknown) =>
    new MyriadError('file', `${option}: "${file}" cannot be written: ${(cause as Error).message}`, { cause });
  let handle: FileHandle;
  try {
    handle = await open(file, 'w');
  } catch (cause) {
    throw failed(cause);
  }
  return {
    async write(text) {
      try {
        await handle.writeFile(text);
      } catch (cause) {
        throw failed(cause);
      }
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}
