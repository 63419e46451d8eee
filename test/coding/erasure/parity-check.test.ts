import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCoder } from '../../../src/coding/erasure/coder.ts';
import {
  type CodeParams,
  createLinearCode,
  DEFAULT_LRC,
  shardStride,
} from '../../../src/coding/erasure/index.ts';
import { portableKernel } from '../../../src/coding/erasure/kernel-portable.ts';
import { wasmKernel } from '../../../src/coding/erasure/kernel-wasm.ts';
import { parityHolds } from '../../../src/coding/erasure/parity-check.ts';
import { createMemory } from '../../../src/core/wasm.ts';
import { noise } from '../../helpers/vault.ts';

const CODES: readonly CodeParams[] = [
  DEFAULT_LRC,
  { algorithm: 'reed-solomon', dataShards: 5, parityShards: 4 },
  { algorithm: 'xor', dataShards: 3, parityShards: 2 },
  { algorithm: 'replica', copies: 3 },
];
/** Packets of one block, of a length that is no power of two, and halved ones. */
const LENGTHS = [512, 1536, 65_536];

for (const params of CODES) {
  const code = createLinearCode(params);
  for (const length of LENGTHS) {
    test(`any one changed bit of ${code.name} at ${length} bytes a shard is found, and nothing else`, async () => {
      const memory = createMemory(code.totalShards * shardStride(length));
      const bytes = new Uint8Array(memory.buffer);
      const offsets = Array.from({ length: code.totalShards }, (_, shard) => shard * shardStride(length));
      const kernel = length < 65_536 ? portableKernel(memory) : wasmKernel(memory);
      for (let shard = 0; shard < code.dataShards; shard++) {
        bytes.set(noise(length, shard + 1), offsets[shard]!);
      }
      await createCoder(code, kernel).encode(offsets, length);
      const holds = (seed: number): boolean => parityHolds(code, memory.buffer, offsets, length, seed);
      fc.assert(
        fc.property(
          fc.integer(),
          fc.nat({ max: code.totalShards - 1 }),
          fc.nat({ max: length - 1 }),
          fc.nat({ max: 7 }),
          (seed, shard, at, bit) => {
            expect(holds(seed)).toBe(true);
            bytes[offsets[shard]! + at]! ^= 1 << bit;
            const found = !holds(seed);
            bytes[offsets[shard]! + at]! ^= 1 << bit;
            expect(found).toBe(true);
          },
        ),
        { numRuns: process.env.SLOW ? 300 : 12 },
      );
    });
  }
}
