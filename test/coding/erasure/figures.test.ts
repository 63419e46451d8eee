import { expect, test } from 'vitest';
import { createLinearCode, DEFAULT_LRC } from '../../../src/coding/erasure/index.ts';
import { encodeProgram, rebuildProgram } from '../../../src/coding/erasure/kernel.ts';
import { TileMemory } from '../../../src/coding/erasure/xor-program.ts';
import { range } from './helpers.ts';

/** The figures of docs/decisions/003-erasure-engine.md that need no clock. */
const code = createLinearCode(DEFAULT_LRC);
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

test('the encoder of the default code shrinks from 1,492 XORs to 785', () => {
  const tiles = new TileMemory().of(encodeProgram(code));
  // Each shared sum costs one; a row of n terms n − 1.
  const after = sum(tiles.map(({ shared, rows }) => shared.length + sum(rows.map((row) => row.length - 1))));
  const before = sum(
    tiles.map(({ shared, rows }) => {
      const sizes: number[][] = [];
      const termsOf = (term: number, inputs: number): number[] =>
        term < inputs ? [term] : sizes[term - inputs]!;
      const inputs = 16 * 8;
      for (const [a, b] of shared) sizes.push([...termsOf(a, inputs), ...termsOf(b, inputs)]);
      return sum(rows.map((row) => row.flatMap((term) => termsOf(term, inputs)).length - 1));
    }),
  );
  expect([before, after]).toEqual([1492, 785]);
});

test('1,797 of the 1,820 ways to lose four data shards are rebuilt by sums alone', () => {
  let plain = 0;
  let ways = 0;
  for (let mask = 0; mask < 2 ** 16; mask++) {
    const missing = range(16).filter((shard) => (mask >> shard) & 1);
    if (missing.length !== 4) continue;
    ways++;
    const left = range(27).filter((shard) => !missing.includes(shard));
    const { reads } = code.repairPlan(missing, left);
    if (new TileMemory().of(rebuildProgram(code, missing, reads)).every(({ lanes }) => lanes === 1)) plain++;
  }
  expect([plain, ways]).toEqual([1797, 1820]);
});
