import { expect, test } from 'vitest';
import { compareCoders } from '../../src/cli/compare-coders.ts';
import { noneCodec } from '../../src/coding/compress/codec.ts';
import { workingKernels } from '../../src/coding/erasure/index.ts';

test('every stack is timed on every kernel, with shards really lost', { timeout: 60_000 }, async () => {
  const kernels = [];
  for await (const make of workingKernels({ native: false, wasm: true })) kernels.push(make);
  let clock = 0;
  const figures = await compareCoders({
    bytes: 300_000,
    dataShards: 16,
    parityShards: 1,
    iterations: 4,
    codec: noneCodec,
    kernels,
    now: () => (clock += 8),
  });
  expect(figures.map(({ code, codec, kernel }) => `${code} ${codec} ${kernel}`)).toEqual(
    ['lrc(16+5+3+3w) none', 'reed-solomon(16+1) none', 'xor(16+1) rle'].flatMap((stack) => [
      `${stack} wasm`,
      `${stack} portable`,
    ]),
  );
  for (const row of figures) {
    expect(row.lostShards).toBe(1);
    expect([row.encodeMs, row.decodeMs]).toEqual([2, 2]);
    expect(row.encodeMiBps).toBeCloseTo(300_000 / 1024 ** 2 / 0.002);
  }
  expect(figures[0]!.storedRatio).toBeGreaterThan(1.68);
});
