/** Jobs of one's own, for tests: each function is one case. */
import type { CustomTask } from '../../src/index.ts';

export const notAFunction = 7;

export function nothing(): void {}

export function value({ host, iteration, options }: CustomTask): object {
  return { ...host, iteration, options };
}

export const no = () => ({ ok: false, message: 'the pool is degraded' });

export async function fails(task: CustomTask): Promise<void> {
  try {
    task.fail('no room');
  } catch {
    // It stands all the same.
  }
}

export function throws(): never {
  throw new TypeError('x is not a function');
}

export const cycle = () => {
  const round: { self?: object } = {};
  round.self = round;
  return round;
};

export async function twice({ exec, write }: CustomTask): Promise<number> {
  const first = await exec('one', { stdin: 'in' });
  const second = await exec('two');
  await write(`${first.stdout.text()}${second.stdout.text()}`);
  return (first.status ?? 9) + (second.status ?? 9);
}

/** Whatever status comes is data. */
export async function status({ exec }: CustomTask): Promise<object> {
  const { status, signal, stderr } = await exec('x');
  return { status, signal, stderr: stderr.text() };
}

export async function expects({ exec }: CustomTask): Promise<void> {
  await exec('x', { okStatus: [0, 4] });
}

export async function wraps({ exec }: CustomTask): Promise<void> {
  await exec('x').catch((cause: unknown) => {
    throw new Error('the probe broke', { cause });
  });
}

export async function handles({ exec }: CustomTask): Promise<string> {
  return exec('reboot').then(
    () => 'there',
    () => 'gone',
  );
}

export async function atOnce({ exec }: CustomTask): Promise<void> {
  const first = exec('one');
  await exec('two').finally(() => first);
}

export async function forgets({ exec }: CustomTask): Promise<string> {
  exec('x').catch(() => {});
  return 'done';
}

/** Ends when its signal says so. */
export function waits({ signal, write }: CustomTask): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      write('too late').catch(() => {});
      resolve();
    });
  });
}

export const never = () => new Promise<never>(() => {});

export async function badCommand({ exec }: CustomTask): Promise<void> {
  await exec('');
}

export async function bounded({ exec }: CustomTask): Promise<object> {
  const { stdout, stderr } = await exec('x', { maxOutput: 1500 });
  return [stdout, stderr].map(({ bytes, total, truncated }) => [bytes.length, total, truncated]);
}

/** Of hosts `stray` one promise is lost; on the first of them the function never ends. Of silent ones a command is forgotten. */
export async function strays({ host, exec }: CustomTask): Promise<void> {
  const said = exec('x');
  if (host.name.startsWith('silent')) return;
  await said;
  if (!host.name.startsWith('stray')) return;
  void Promise.reject(new Error('nobody waits for it'));
  if (host.name === 'stray.1') await never();
}

export function mutates({ options }: CustomTask<{ list: number[] }>): void {
  options.list.push(1);
}

/** Tells whoever listens in this thread how many are at work. */
export async function gauge({ exec }: CustomTask): Promise<void> {
  gauge.tell(1);
  await exec('true');
  gauge.tell(-1);
}
gauge.tell = (_change: number): void => {};
