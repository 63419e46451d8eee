import { expect, it } from 'vitest';
import { wasmZstd } from '../../../src/coding/compress/zstd.ts';
import { noise } from '../../helpers/vault.ts';

it('those who ask for the WebAssembly zstd, one after the other and at once, do not disturb each other', async () => {
  const plain = noise(300_000);
  const first = await wasmZstd();
  const frame = first.compress(plain, 1);
  for (let i = 0; i < 8; i++) await wasmZstd();
  const many = await Promise.all(Array.from({ length: 4 }, () => wasmZstd()));
  for (const zstd of [first, ...many]) {
    expect(Buffer.compare(zstd.decompress(frame, plain.length), plain)).toBe(0);
    expect(Buffer.compare(zstd.compress(plain, 1), frame)).toBe(0);
  }
});

it('two copies of the program in one process do not disturb each other either', async () => {
  const plain = noise(300_000);
  const first = await wasmZstd();
  const frame = first.compress(plain, 1);
  const copy = '../../../src/coding/compress/zstd.ts?copy';
  const other = (await import(copy)) as { wasmZstd: typeof wasmZstd };
  expect(other.wasmZstd).not.toBe(wasmZstd);
  const second = other.wasmZstd();
  for (let i = 0; i < 100; i++) {
    expect(Buffer.compare(first.compress(plain, 1), frame)).toBe(0);
    expect(Buffer.compare(first.decompress(frame, plain.length), plain)).toBe(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(Buffer.compare((await second).compress(plain, 1), frame)).toBe(0);
});
