import { expect, it } from 'vitest';
import { World } from './world.ts';

const ticks = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

it('time stands still until work that the machine takes time for is done, and one is done after the other', async () => {
  const world = new World();
  const done: string[] = [];
  const work = (name: string, count: number) =>
    world.standStill(async () => {
      await ticks(count);
      done.push(`${name} at ${world.nowMs}`);
    });
  world.schedule(1, () => {
    void work('long', 9);
    void work('short', 1);
  });
  world.schedule(2, () => done.push('next'));
  await world.run(() => done.length === 3, 10, 10);
  expect(done).toEqual(['long at 1', 'short at 1', 'next']);
});

it('goes on when work fails', async () => {
  const world = new World();
  await expect(world.standStill(() => Promise.reject(new Error('x')))).rejects.toThrow('x');
  let isDone = false;
  world.schedule(1, () => {
    isDone = true;
  });
  expect(await world.run(() => isDone, 10, 10)).toBe(true);
});
