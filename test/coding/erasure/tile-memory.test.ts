import { expect, test } from 'vitest';
import { createLinearCode, DEFAULT_LRC } from '../../../src/coding/erasure/index.ts';
import { encodeProgram, rebuildProgram } from '../../../src/coding/erasure/kernel.ts';
import { TileMemory } from '../../../src/coding/erasure/xor-program.ts';

const code = createLinearCode(DEFAULT_LRC);
const encoding = encodeProgram(code);
const repair = (missing: number): ReturnType<typeof rebuildProgram> => {
  const others = Array.from({ length: code.totalShards }, (_, i) => i).filter((i) => i !== missing);
  return rebuildProgram(code, [missing], code.repairPlan([missing], others).reads);
};

test('what one thread has worked out another takes as it is, and it is the same', () => {
  const first = new TileMemory();
  const tiles = first.of(encoding);
  expect(tiles).toEqual(new TileMemory().of(encoding));
  expect(first.of(encoding)).toBe(tiles);
  const known = structuredClone(first.known);
  expect(new TileMemory(known).of(encoding)).toBe(known[0]![1]);
});

test('programs are told apart, and only so many are kept', () => {
  const memory = new TileMemory();
  for (let missing = 0; missing < code.totalShards; missing++) {
    expect(memory.of(repair(missing))).toEqual(new TileMemory().of(repair(missing)));
  }
  expect(memory.known.length).toBe(16);
});
