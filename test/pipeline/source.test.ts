import { expect, it } from 'vitest';
import { toSource } from '../../src/pipeline/source.ts';
import { noise } from '../helpers/vault.ts';

it('bytes in memory are read as asked, at once, to a short piece at the end', async () => {
  const bytes = noise(250, 1);
  const source = await toSource(bytes);
  expect(source).toMatchObject({ neverBlocks: true, size: 250 });
  const pieces: Uint8Array[] = [];
  for (const expected of [100, 100, 50, 0]) {
    const into = new Uint8Array(100);
    expect(await source.read(into)).toBe(expected);
    pieces.push(into.subarray(0, expected));
  }
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
});

it('bytes in memory are not read once the put is aborted', async () => {
  const source = await toSource(noise(10, 1));
  await expect(source.read(new Uint8Array(10), AbortSignal.abort())).rejects.toMatchObject({
    kind: 'Aborted',
  });
});
