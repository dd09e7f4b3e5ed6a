import { expect, test } from 'vitest';
import { JumpPlaces } from '../../../src/transport/native/jump_places.ts';

test('so many at once; the others in the order in which they came', async () => {
  const places = new JumpPlaces(2);
  expect([places.take(), places.take()]).toEqual(['taken', 'taken']);
  const order: number[] = [];
  const waiting = Array.from({ length: 5 }, (_, i) => (places.take() as Promise<void>).then(() => order.push(i)));
  places.release();
  await waiting[0];
  expect(order).toEqual([0]);
  for (let i = 1; i < 5; i++) places.release();
  await Promise.all(waiting);
  expect(order).toEqual([0, 1, 2, 3, 4]);
  places.release();
  places.release();
  expect([places.take(), places.take()]).toEqual(['taken', 'taken']);
  expect(places.take()).toBeInstanceOf(Promise);
});

test('who waits is bounded', () => {
  const places = new JumpPlaces(1);
  expect(places.take()).toBe('taken');
  for (let i = 0; i < 65_536; i++) expect(places.take()).toBeInstanceOf(Promise);
  expect(places.take()).toBeUndefined();
  places.release();
  expect(places.take()).toBeInstanceOf(Promise);
});
