import fc from 'fast-check';
import { expect, it } from 'vitest';
import { placeNow, shardsAt } from '../../helpers/moving.ts';
import { isWhole, move, tidy, world } from '../../helpers/moving-shards.ts';
import { noise } from '../../helpers/vault.ts';

/** What becomes of an object, at random. */
const fates = fc.array(
  fc.record({
    /** All packs there are deleted first, and what was in them is rebuilt, there or elsewhere. */
    lost: fc.option(fc.nat({ max: 9 }), { nil: undefined }),
    /** These go to the providers beside them. */
    moves: fc.array(fc.tuple(fc.nat({ max: 80 }), fc.nat({ max: 9 })), { maxLength: 20 }),
    passMs: fc.constantFrom(0, 1_000, 60_000),
  }),
  { minLength: 3, maxLength: 8, size: 'max' },
);

it('whatever is lost and moved, every shard is where a plain map says, and nothing else is', async () => {
  const idOf = (nth: number): string => `p${nth + 1}`;
  const follow = async (sequence: typeof fates extends fc.Arbitrary<infer T> ? T : never): Promise<void> => {
    const its = await world(noise(200_000));
    const [first] = await its.now();
    const expected = new Map<number, string>();
    for (const at of first!.view.record.places.keys()) expected.set(at, placeNow(first!, at).provider);
    for (const { lost: nth, moves, passMs } of sequence) {
      const [segment] = await its.now();
      const lost = nth === undefined ? [] : shardsAt(segment!, idOf(nth));
      const { adapter } = its.vault.providers[nth ?? 0]!;
      for (const at of lost) await adapter.delete(placeNow(segment!, at).address);
      const targets = new Map(lost.map((at) => [at, idOf(nth!)]));
      for (const [shard, provider] of moves) targets.set(shard % expected.size, idOf(provider));
      const moved = await move(its, () => ({ moves: targets, lost: new Set(lost) }));
      // Of a provider with too much of the object not all can be had again.
      const failed = new Set(moved.flatMap((one) => one.failed.map(({ at }) => at)));
      if (failed.size > 0) return;
      for (const [at, provider] of targets) expected.set(at, provider);
      await tidy(its, passMs);
      const [after] = await its.now();
      for (const [at, provider] of expected) expect(placeNow(after!, at).provider).toBe(provider);
    }
    await tidy(its);
    await tidy(its);
    await isWhole(its);
  };
  await fc.assert(fc.asyncProperty(fates, follow), { numRuns: process.env.SLOW === '1' ? 100 : 4 });
}, 120_000);
