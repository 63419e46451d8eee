import { expect, it } from 'vitest';
import { putObject } from '../../../src/pipeline/put/put.ts';
import { dueSegments, timeToLoss } from '../../../src/upkeep/repair/due.ts';
import { noise, testVault } from '../../helpers/vault.ts';

it('the expected time to loss is shorter for fewer losses left, higher rates and more that may be lost', () => {
  // One of one, at one loss a year: a year. The second of two: half a year for the first, then a year.
  expect(timeToLoss([1], 0)).toBe(1);
  expect(timeToLoss([1, 1], 1)).toBe(1.5);
  expect(timeToLoss([1, 1, 1], 0)).toBeCloseTo(1 / 3);
  expect(timeToLoss([1, 1, 1], -1)).toBe(0);
  expect(timeToLoss([1, 1, 4], 1)).toBeLessThan(timeToLoss([1, 1, 1], 1));
  expect(timeToLoss([1, 1, 1], 1)).toBeLessThan(timeToLoss([1, 1, 1], 2));
  expect(timeToLoss([], 3)).toBe(Number.POSITIVE_INFINITY);
});

it('of what survives as many losses, that comes first which hangs on providers that may be lost soon', async () => {
  const { context, gone } = await testVault({ providers: 10 });
  const without = async (id: string, seed: number): Promise<string> => {
    gone.add(id);
    const { manifest } = await putObject(context, noise(100_000, seed));
    gone.delete(id);
    return manifest;
  };
  const [notAt1, notAt10] = [await without('p1', 1), await without('p10', 2)];
  const order = async (failing: string): Promise<string[]> => {
    const found: string[] = [];
    const rateOf = (id: string): number => (id === failing ? 0.5 : 0.01);
    for await (const { manifest } of dueSegments(context, new Set(['p5']), { rateOf })) found.push(manifest);
    return found;
  };
  expect(await order('p1')).toEqual([notAt10, notAt1]);
  expect(await order('p10')).toEqual([notAt1, notAt10]);
});

it('what survives fewer losses comes first, whatever else it hangs on', async () => {
  const { context, gone } = await testVault({ providers: 10 });
  const whole = (await putObject(context, noise(100_000, 1))).manifest;
  for (const id of ['p1', 'p2', 'p3', 'p4']) gone.add(id);
  const weak = (await putObject(context, noise(100_000, 2))).manifest;
  gone.clear();
  const rateOf = (id: string): number => (['p1', 'p2', 'p3', 'p4'].includes(id) ? 1 : 0.001);
  const found: string[] = [];
  for await (const { manifest } of dueSegments(context, new Set(['p5']), { rateOf })) found.push(manifest);
  expect(found).toEqual([weak, whole]);
});
