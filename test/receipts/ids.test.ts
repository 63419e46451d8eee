import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdSet } from '../../src/receipts/log/ids.ts';

/** Few different bytes, so that ids meet in the same slots. */
const idOf = (n: number): Uint8Array => {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, n % 7 === 0 ? 0 : (n % 5) << 8);
  new DataView(id.buffer).setUint32(4, n);
  return id;
};

test.each([8, 16] as const)('a set of ids by %i bytes has what was added and not taken back', (bytes) => {
  const step = fc.record({ add: fc.boolean(), id: fc.nat({ max: 3_000 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 500, maxLength: 6_000, size: 'max' }), (steps) => {
      const ids = new IdSet(bytes);
      const slow = new Set<number>();
      for (const { add, id } of steps) {
        if (add) expect(ids.add(idOf(id))).toBe(slow.size !== slow.add(id).size);
        else if (slow.delete(id)) ids.delete(idOf(id));
      }
      expect(ids.size).toBe(slow.size);
      for (let id = 0; id <= 3_000; id++) expect(ids.has(idOf(id))).toBe(slow.has(id));
    }),
    { numRuns: 15 },
  );
});

test('ids that differ behind the bytes that count are one', () => {
  const ids = new IdSet(8);
  expect([
    ids.add(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ids.add(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 0)),
  ]).toEqual([true, false]);
});

test('a set that took in another has all of both, and takes more', () => {
  const [ids, other] = [new IdSet(8), new IdSet(8)];
  for (let n = 0; n < 3_000; n++) (n % 2 === 0 ? ids : other).add(idOf(n));
  ids.adopt(other.tables);
  for (let n = 3_000; n < 20_000; n++) expect(ids.add(idOf(n))).toBe(true);
  for (let n = 0; n < 20_000; n++) expect(ids.add(idOf(n))).toBe(false);
  expect([ids.size, ids.has(idOf(20_000))]).toEqual([20_000, false]);
});
