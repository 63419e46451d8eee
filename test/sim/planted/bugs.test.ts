import { describe, expect, it } from 'vitest';
import { PLANTED } from './bugs.ts';
import { misfits } from './plant.ts';

describe('the bugs that are planted for the simulation', () => {
  it('still fit the source', async () => {
    const wrong = await Promise.all(PLANTED.map((bug) => misfits(process.cwd(), bug)));
    expect(wrong.flat()).toEqual([]);
  });

  it('have names of their own', () => {
    expect(new Set(PLANTED.map(({ id }) => id)).size).toBe(PLANTED.length);
  });
});
