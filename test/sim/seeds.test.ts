import { beforeAll, describe, expect, it } from 'vitest';
import { runSeed, warmUp } from './run.ts';

/** The nightly run takes many more. */
const FROM = 1;
const SEEDS = process.env.SLOW === '1' ? 100_000 : 50;

describe('the simulation', () => {
  beforeAll(async () => {
    await warmUp();
  });

  it(`keeps every promise in ${SEEDS} runs, under faults that fire`, async () => {
    let faults = 0;
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      const { violations, compared, seen } = await runSeed(seed);
      expect({ seed, violations }).toEqual({ seed, violations: [] });
      expect(compared, `compared in seed ${seed}`).toBeGreaterThan(0);
      for (const [what, times] of seen) if (what.startsWith('fault ')) faults += times;
    }
    expect(faults).toBeGreaterThan(SEEDS);
  });

  it('gives the same trace for the same seed', async () => {
    const first = await runSeed(4);
    expect((await runSeed(4)).hash).toBe(first.hash);
    expect((await runSeed(5)).hash).not.toBe(first.hash);
  });
});
