import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { standings } from '../../src/core/standing.ts';
import { certify } from '../../src/placement/certificate.ts';
import { rotate, solvePlacement } from '../../src/placement/solve.ts';
import { providersOf } from './reference.ts';

const LRC = createLinearCode(DEFAULT_LRC);
const failureDomain = 'provider' as const;
const NEAR = 1 / 18;
const FAR = 1 / 429;
const scored = (scores: readonly number[]) =>
  providersOf(scores.length).map((provider, i) => ({ ...provider, score: scores[i]! }));
/** The last `far` of them are far away. */
const mixed = (count: number, far: number): number[] =>
  Array.from({ length: count }, (_, i) => (i >= count - far ? FAR : NEAR));

/** Shards of each over many turns, and what all of them survive. */
function spread(scores: readonly number[], code = LRC) {
  const providers = scored(scores);
  const placement = solvePlacement({ code, providers, failureDomain });
  const placements = Array.from({ length: 8 * scores.length }, (_, turn) => rotate(placement, turn));
  const shards = new Array<number>(scores.length).fill(0);
  for (const place of placements.flatMap((places) => [...places])) shards[place]!++;
  return { shards, ...certify({ code, providers, failureDomain, placements }) };
}
const tolerates = (count: number): number =>
  solvePlacement({ code: LRC, providers: providersOf(count), failureDomain }).certificate.tolerates;

describe('providers far behind', () => {
  it.each([
    [5, 1],
    [7, 1],
    [8, 2],
    [10, 1],
  ])('of %i get nothing when %i are not needed to survive as much', (count, far) => {
    const { shards, tolerates: left } = spread(mixed(count, far));
    expect(left).toBe(tolerates(count));
    expect(shards.slice(count - far)).toEqual(new Array(far).fill(0));
  });

  it('get as few as survival asks for: a third of an even share, one of nine', () => {
    const { shards, tolerates: left } = spread(mixed(9, 1));
    expect(left).toBe(3);
    expect(shards[8]!).toBeGreaterThan(0);
    expect(shards[8]!).toBeLessThan(0.4 * Math.min(...shards.slice(0, 8)));
  });

  it('get as much as others where survival asks for that', () => {
    const { shards } = spread(mixed(3, 1));
    expect(new Set(shards).size).toBe(1);
  });

  it('hold their part where no loss can be survived: nobody is left with all of it', () => {
    expect(Math.min(...spread(mixed(2, 1)).shards)).toBeGreaterThan(0);
  });

  it('get no copies of a small object while others take them', () => {
    const { shards } = spread(mixed(9, 2), createLinearCode({ algorithm: 'replica', copies: 4 }));
    expect(shards.slice(7)).toEqual([0, 0]);
    expect(Math.min(...shards.slice(0, 7))).toBeGreaterThan(0);
  });

  it('change nothing when all are alike, wherever they are', () => {
    expect(spread(mixed(9, 9)).shards).toEqual(spread(mixed(9, 0)).shards);
  });

  it('never cost a loss that could be survived, nor what a quota says', () => {
    const score = fc.constantFrom(NEAR, NEAR, NEAR, FAR, NEAR / 6, 0);
    fc.assert(
      fc.property(fc.array(score, { minLength: 1, maxLength: 8 }), (scores) => {
        expect(spread(scores).tolerates).toBeGreaterThanOrEqual(tolerates(scores.length));
      }),
      { numRuns: 25 },
    );
    const providers = scored(mixed(9, 1)).map((provider, i) => ({
      ...provider,
      maxShards: i === 0 ? 2 : 27,
    }));
    const places = rotate(solvePlacement({ code: LRC, providers, failureDomain }), 0);
    expect(places.filter((place) => place === 0).length).toBeLessThanOrEqual(2);
  });
});

describe('standings', () => {
  it('tell the distance to the best in steps of four', () => {
    const scores = [18, 429, 79, 81, 319, 321, 100_000].map((rttMs) => 1 / rttMs);
    expect(standings(scores)).toEqual([0, 2, 0, 1, 1, 2, 3]);
  });

  it('take no notice of what lies under 20 ms, nor of who was never measured', () => {
    expect(standings([1 / 0.2, 1 / 19, 1])).toEqual([0, 0, 0]);
  });

  it('put who fails all probes last, unless all do', () => {
    expect(standings([1 / 18, 0])).toEqual([0, 3]);
    expect(standings([0, 0])).toEqual([0, 0]);
    expect(standings([])).toEqual([]);
  });
});
