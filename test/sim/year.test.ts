import { describe, expect, it } from 'vitest';
import { runYear } from './year.ts';
import { expectedLosses } from './year-plan.ts';

/** In few days, in which as much happens. `npm run sim -- --year` takes whole years. */
const SHORT = { objects: 12, days: 36 };

describe('a year', { timeout: 240_000 }, () => {
  it('takes objects that nobody repairs, and none of those that are repaired', async () => {
    const without = await runYear(4, { ...SHORT, repaired: false });
    const kept = await runYear(4, { ...SHORT, repaired: true });
    expect([without.problems, kept.problems]).toEqual([[], []]);
    expect([without.deaths, without.objects]).toEqual([kept.deaths, kept.objects]);
    expect(without.lost).toBeGreaterThan(0);
    expect(kept).toMatchObject({ lost: 0 });
    expect(kept.repairs).toBeGreaterThan(0);
    expect(kept.expected).toBeLessThan(1);
  });
});

describe('the losses that theory expects', () => {
  const promise = { objects: 100, shards: 6, tolerates: 2 };
  const days = (death: number, rot: number) => ({ death: death / 365, rot: rot / 365 });

  it('are fewer the faster what is lost is rebuilt, and the more the certificate allows', () => {
    const slow = expectedLosses(promise, days(20, 60));
    const quick = expectedLosses(promise, days(1.5, 16));
    expect(expectedLosses(promise)).toBeGreaterThan(slow);
    expect(slow).toBeGreaterThan(2 * quick);
    expect(expectedLosses({ ...promise, tolerates: 3 }, days(1.5, 16))).toBeLessThan(quick / 10);
  });

  it('are all, where nothing may be lost', () => {
    const all = expectedLosses({ objects: 100, shards: 10, tolerates: -1 });
    expect(all).toBeCloseTo(100, 6);
  });
});
