/** Jobs of one's own on a simulated fleet: functions as they are, and by module. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CustomTask, fleet, outcomeLabel, outcomeMessage } from '../../src/index.ts';
import { simulate, sumOf } from '../kit/fleet.ts';

const MODULE = join(import.meta.dirname, '../jobs/own_functions.ts');

describe('a function as it is', () => {
  it('runs its commands on each host, one login for all of them', async () => {
    await using simulated = await simulate({ hosts: 20 });
    await using hosts = fleet(simulated.options);
    const seen = new Set<string>();
    const run = hosts.each(async function twoCommands({ host, exec, write, iteration }) {
      seen.add(`${host.user}@${host.name}:${host.port} ${host.index} ${iteration}`);
      const name = await exec('hostname', { okStatus: [0] });
      const echoed = await exec('cat', { stdin: `of ${host.index}\n` });
      await write(name.stdout.text());
      await write(echoed.stdout.bytes);
    });
    expect(run.title).toBe('function twoCommands');
    const results = await run.all();
    expect(results.map(({ outcome, stdout }) => [outcomeLabel(outcome), stdout.text()])).toEqual(
      Array.from({ length: 20 }, (_, i) => ['ok', `sim-${i}\nof ${i}\n`]),
    );
    expect(seen.size).toBe(20);
    expect([...seen][0]).toMatch(/^root@127\.1\.0\.\d+:\d+ \d+ 1$/);
    expect(simulated.simulator.stats).toMatchObject({ logins: 20, commands: 40 });
  });

  it('each ends as it says, and the sum is what was planned', async () => {
    await using simulated = await simulate({ hosts: 4 });
    await using hosts = fleet(simulated.options);
    const run = hosts.each<{ bad: number }>(
      async ({ host, options, exec, fail }) => {
        if (host.index === options.bad) fail(`host ${host.index} is bad`);
        if (host.index === 2) throw new RangeError('mine');
        if (host.index === 3) await exec('exit 7', { okStatus: [0] });
      },
      { jobOptions: { bad: 1 } },
    );
    const results = await run.all();
    expect(results.map(({ outcome }) => outcomeLabel(outcome))).toEqual([
      'ok',
      'failed(job)',
      'error(job)',
      'failed(7)',
    ]);
    expect(outcomeMessage(results[1]!.outcome)).toBe('host 1 is bad');
    expect(outcomeMessage(results[2]!.outcome)).toMatch(/^RangeError: mine \(each\.test\.ts:\d+\)$/);
    expect(sumOf(await run.summary())).toBe(4);
  });

  it('is stopped by the signal of its run, and hears of it', async () => {
    await using simulated = await simulate({ hosts: 3 });
    await using hosts = fleet(simulated.options);
    const stop = new AbortController();
    let [started, heard] = [0, 0];
    const run = hosts.each(
      async ({ signal, exec }) => {
        signal.addEventListener('abort', () => heard++);
        if (++started === 3) stop.abort();
        await exec('sleep 600');
      },
      { signal: stop.signal },
    );
    const results = await run.all();
    expect(results.map(({ outcome }) => outcome.kind)).toEqual(Array(3).fill('cancelled'));
    expect(heard).toBe(3);
  });

  it('hears that nobody waits for it any more, where its command is left running', async () => {
    let stop = () => {};
    const onCommand = (_: string, line: string) => void (line === 'sleep 600' && stop());
    await using simulated = await simulate({ hosts: 1, onCommand });
    await using hosts = fleet(simulated.options);
    const heard = Promise.withResolvers<void>();
    const run = hosts.each(async ({ signal, exec }) => {
      signal.addEventListener('abort', () => heard.resolve());
      await exec('sleep 600');
    });
    stop = () => run.cancel('leave');
    expect((await run.all())[0]!.outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'left-running' });
    await heard.promise;
  });

  it('a password that is sent is taken out of what it says, too', async () => {
    await using simulated = await simulate({ hosts: 1, accepts: ({ method }) => method === 'password' });
    const { identity: _, ...options } = simulated.options;
    await using hosts = fleet({ ...options, password: 'hunter22' });
    const [said] = await hosts.each(({ write }) => write('hunter22\n')).all();
    const [failed] = await hosts.each(({ fail }) => fail('no hunter22 here')).all();
    expect([said!.stdout.text(), outcomeMessage(failed!.outcome)]).toEqual(['[redacted]\n', 'no [redacted] here']);
  });

  it('stays on the main thread: refused by its name with threads, taken with auto', async () => {
    await using simulated = await simulate({ hosts: 1 });
    await using two = fleet({ ...simulated.options, threads: 2 });
    await expect(two.each(() => {}).summary()).rejects.toMatchObject({
      code: 'usage',
      message:
        'threads 2: a function (as "./module.js#export" it would go there) stays on the main thread; leave it out, or take threads 1',
    });
    await using auto = fleet(simulated.options);
    expect((await auto.each(() => {}).all())[0]!.executor).toBe('main');
  });

  it('a journal keeps that it ran, and says why it cannot go on', async () => {
    await using simulated = await simulate({ hosts: 2 });
    const journal = join(simulated.dir, 'journal');
    await using hosts = fleet({ ...simulated.options, journal });
    const run = hosts.each(() => ({ ok: false, message: 'not yet' }));
    await run.summary();
    expect(() => fleet({ journal, resume: run.id })).toThrow(
      /^run .* cannot be resumed: its job was a function of a program, which no journal holds; run that program on the/,
    );
    await using again = fleet({ ...simulated.options, hosts: [], journal, from: `${run.id}:bad` });
    expect(again.count).toBe(2);
  });

  it('one that keeps the loop for itself is named in the warnings, and so is a listener', async () => {
    await using simulated = await simulate({ hosts: 1 });
    await using hosts = fleet(simulated.options);
    // Computing, not waiting: what the machine takes away does not count.
    const busy = () => {
      const { user } = process.threadCpuUsage();
      while (process.threadCpuUsage().user - user < 130_000);
    };
    const listener = ({ type }: { type: string }) => void (type === 'task:start' && busy());
    await hosts
      .each(function hog() {
        busy();
      })
      .summary();
    await hosts.run('true', { listener }).summary();
    const told = [...hosts.warnings].map((text) => text.replace(/\d+ ms/, 'N ms'));
    expect(told).toContain('the job "function hog" kept the main thread for N ms: all hosts waited');
    expect(told).toContain('a listener "listener" kept the main thread for N ms: all hosts waited');
  });
});

describe('a function of a module', () => {
  it.each([1, 2])('goes where hosts are talked to: %i threads', async (threads) => {
    await using simulated = await simulate({ hosts: 40 });
    await using hosts = fleet({ ...simulated.options, threads, fanout: 64 });
    const results = await hosts.each(`${MODULE}#value`, { jobOptions: { a: 1 }, repeat: 2 }).all();
    const values = results.map(({ stdout }) => JSON.parse(stdout.text()) as Record<string, unknown>);
    expect(values.map(({ index }) => index)).toEqual(Array.from({ length: 80 }, (_, i) => i));
    expect(values[50]).toMatchObject({ user: 'root', port: simulated.simulator.port, iteration: 2, options: { a: 1 } });
    const executors = new Set(results.map(({ executor }) => executor));
    expect([...executors].sort()).toEqual(threads === 1 ? ['main'] : ['thread-1', 'thread-2']);
  });

  it('goes on from the journal, options of any look', async () => {
    await using simulated = await simulate({ hosts: 3 });
    const journal = join(simulated.dir, 'journal');
    const options = { ...simulated.options, journal };
    let id = '';
    {
      await using hosts = fleet(options);
      const stop = new AbortController();
      const run = hosts.each(`${MODULE}#value`, { jobOptions: { base64: 'AAAA' }, signal: stop.signal });
      ({ id } = run);
      const starting = run.batches()[Symbol.asyncIterator]();
      const first = starting.next();
      stop.abort();
      for (let step = await first.catch(() => ({ done: true })); !step.done; step = await starting.next());
    }
    const { hosts: _, ...rest } = options;
    await using resumed = fleet({ ...rest, resume: id });
    const results = await resumed.resume().all();
    for (const { stdout } of results) expect(JSON.parse(stdout.text())).toMatchObject({ options: { base64: 'AAAA' } });
    expect(results.length).toBeGreaterThan(0);
  });

  it.each([
    ['/nowhere/probe.js#check', {}, /^job module "\/nowhere\/probe\.js" cannot be loaded: Cannot find module/],
    [`${MODULE}#valeu`, {}, /has no export "valeu"/],
    [`${MODULE}#`, {}, /expected a module and its export, as "\.\/probe\.js#check"/],
    [MODULE, {}, /has no export "default"/],
    [`${MODULE}#value`, { sudo: {} }, /^sudo: a job of your own gets none$/],
    [`${MODULE}#value`, { stdin: Buffer.alloc(1), env: { A: '1' } }, /^stdin, env: a job of your own gets none$/],
    [`${MODULE}#value`, { jobOptions: 1n }, /option "options" must be JSON: Do not know how to serialize a BigInt/],
    [7, {}, /^each: expected a function, or a module and its export/],
  ])('%s %o is refused before anything connects', async (work, options, message) => {
    await using simulated = await simulate({ hosts: 1 });
    await using hosts = fleet(simulated.options);
    const run = (async () => hosts.each(work as string, options).check())();
    await expect(run).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
    expect(simulated.simulator.stats.connections).toBe(0);
  });
});

describe('types', () => {
  it('options of the caller reach his function', () => {
    const least = ({ options }: CustomTask<{ least: number }>): boolean => options.least > 1;
    const hosts = fleet({ hosts: 'web1' });
    hosts.each(least, { jobOptions: { least: 2 } });
    // @ts-expect-error: another type than the function takes
    hosts.each(least, { jobOptions: { least: '2' } });
  });
});
