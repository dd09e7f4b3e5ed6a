/** A run whose command has places for variables of an inventory: gone on with, it wants the inventory again, and only for those. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type FleetOptions, fleet } from '../../src/index.ts';
import { simulate } from '../kit/fleet.ts';

it('its hosts are those of the journal, their variables those of the inventory now', async () => {
  await using simulated = await simulate({ hosts: 6 });
  const { dir, options } = simulated;
  const { hosts: _hosts, ...reach } = options;
  const inventory = join(dir, 'hosts.json');
  const write = (words: readonly string[]) =>
    writeFileSync(
      inventory,
      JSON.stringify(words.map((word, place) => ({ host: `h${place}`, address: `127.1.0.${place}`, word }))),
    );
  write(['a', 'b', 'c', 'd', 'e', 'f']);
  const journal = join(dir, 'journal');
  const first: FleetOptions = { ...reach, journal, inventory, allHosts: true, fanout: 1, threads: 1 };
  let id = '';
  {
    await using all = fleet(first);
    const run = all.run('echo {word}', { template: true, onStop: 'leave' });
    id = run.id;
    for await (const _result of run) run.stop('one is enough');
  }

  const without = fleet({ resume: id, journal });
  expect(() => without.resume()).toThrow(
    `run ${id} cannot be resumed as it is: the journal holds no secrets: give the variables of its hosts (an inventory, -i) again`,
  );
  await without.close();
  expect(() => fleet({ resume: id, journal, groups: 'web' })).toThrow('groups: a run is resumed on its own hosts');

  // Another host more is none of this run, and what is new counts for those that are left.
  write(['A', 'B', 'C', 'D', 'E', 'F', 'G']);
  await using left = fleet({ resume: id, journal, inventory });
  expect(left.count).toBe(6);
  const results = await left.resume().all();
  const answers = Object.fromEntries(results.map(({ host, stdout }) => [host.label, stdout.text().trim()]));
  expect(results.length).toBeGreaterThan(0);
  for (const [label, word] of Object.entries(answers)) expect(word).toBe('ABCDEF'[Number(label.slice(1))]);
});

it('a host that the inventory no longer knows is named before anything connects', async () => {
  const commands: string[] = [];
  await using simulated = await simulate({ hosts: 3, onCommand: (address) => void commands.push(address) });
  const { dir, options } = simulated;
  const { hosts: _hosts, ...reach } = options;
  const inventory = join(dir, 'hosts.json');
  const write = (numbers: readonly number[]) =>
    writeFileSync(
      inventory,
      JSON.stringify(numbers.map((n) => ({ host: `h${n}`, address: `127.1.0.${n}`, word: `w${n}` }))),
    );
  write([0, 1, 2]);
  const journal = join(dir, 'journal');
  let id = '';
  {
    await using all = fleet({ ...reach, journal, inventory, allHosts: true, fanout: 1, threads: 1 });
    const run = all.run('echo {word}', { template: true, onStop: 'leave' });
    id = run.id;
    for await (const _result of run) run.stop('one is enough');
  }
  const before = commands.length;
  write([0, 1]);
  await using left = fleet({ resume: id, journal, inventory });
  await expect(left.resume().check()).rejects.toThrow('1 of 3 hosts have no variable "{word}": h2');
  expect(commands).toHaveLength(before);
});
