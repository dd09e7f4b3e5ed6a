/** The jobs that only look: what they take, and that they ask nothing of a host. */
import { describe, expect, it } from 'vitest';
import { checkKind } from '../../src/jobs/check.ts';
import { hostKeysKind } from '../../src/jobs/host_keys.ts';
import type { TaskContext } from '../../src/jobs/job.ts';
import type { ShownKeys } from '../../src/transport/transport.ts';

const SHOWN: ShownKeys = { name: 'a', port: 22, trusted: 'no', keys: [{ type: 't', blob: 'b' }], sshfp: 'none' };

/** A task whose connection says what is done with it. */
function task(shown?: ShownKeys): { context: TaskContext; done: string[] } {
  const done: string[] = [];
  const connection = { shown, exec: () => done.push('exec') };
  const context = {
    connection,
    begin: async () => void done.push('begin'),
    sink: { write: (stream: string, chunk: Uint8Array) => done.push(`${stream} ${Buffer.from(chunk)}`) > 0 },
  };
  return { context: context as unknown as TaskContext, done };
}

describe('check', () => {
  it('takes no options, and wants no session', () => {
    expect(checkKind.validate({})).toEqual({});
    expect(() => checkKind.validate({ command: 'x' })).toThrow(/job "check": there is no option "command"/);
    expect(() => checkKind.validate(7)).toThrow(/options must be an object, not 7/);
    expect(checkKind).toMatchObject({ transport: 'native', session: false });
    expect(checkKind.title({})).toBe('check');
  });

  it('asks nothing of an open connection', async () => {
    const { context, done } = task();
    expect(await checkKind.perform(undefined, context)).toEqual({ kind: 'ok', began: 'yes', status: null });
    expect(done).toEqual([]);
  });
});

describe('host-keys', () => {
  it('takes whether known hosts are asked, too', () => {
    expect(hostKeysKind.validate({})).toEqual({ all: false });
    expect(hostKeysKind.validate({ all: true })).toEqual({ all: true });
    expect(() => hostKeysKind.validate({ all: 'yes' })).toThrow(/option "all" must be true or false, not "yes"/);
    expect(() => hostKeysKind.validate({ every: true })).toThrow(/there is no option "every"; there are: all/);
    expect(hostKeysKind).toMatchObject({ transport: 'scan', session: false });
  });

  it('gives what was shown, as a line of JSON, once it may begin', async () => {
    const { context, done } = task(SHOWN);
    expect(await hostKeysKind.perform(undefined, context)).toEqual({ kind: 'ok', began: 'yes', status: null });
    expect(done).toEqual(['begin', `stdout ${JSON.stringify(SHOWN)}\n`]);
  });

  it('needs a transport that shows keys', async () => {
    await expect(hostKeysKind.perform(undefined, task().context)).rejects.toMatchObject({ code: 'internal' });
  });
});
