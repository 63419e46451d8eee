import { describe, expect, it } from 'vitest';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

const MIB = 1024 * 1024;
const SIZES = [0, 1, 15, 16, 17, 1023, 1024, 4096, 4097, MIB - 1, MIB, MIB + 1, 5 * MIB + 3, 20 * MIB];

describe('put, then get', () => {
  for (const compression of ['none', 'deflate', 'zstd', 'rle', 'lz77-rle'] as const) {
    it(`gives back the same bytes at every size with ${compression}`, async () => {
      const { context } = await testVault({ policy: { compression } });
      for (const size of SIZES) {
        const bytes = noise(size, size + 1);
        bytes.fill(7, 0, size >> 1);
        const put = await putObject(context, bytes, { name: `o${size}` });
        expect(put.size).toBe(size);
        expect(put.certificate.tolerates).toBe(3);
        const object = await getObject(context, `o${size}`);
        expect(object.size).toBe(size);
        expect(Buffer.compare(await readAll(object), bytes)).toBe(0);
      }
    });
  }

  it('gives every range, at the edges of chunks too', async () => {
    const { context } = await testVault({ chunkBytes: 65_536 });
    const bytes = noise(400_000);
    await putObject(context, bytes, { name: 'x' });
    for (const start of [0, 1, 65_535, 65_536, 65_537, 131_072, 262_143, 399_999]) {
      for (const length of [0, 1, 2, 65_535, 65_536, 65_537, 200_000, 400_000]) {
        const object = await getObject(context, 'x', { start, length });
        expect(Buffer.compare(await readAll(object), bytes.subarray(start, start + length))).toBe(0);
      }
    }
  });

  it('keeps every content type that it takes, and refuses the others before it stores anything', async () => {
    const { context } = await testVault();
    const longest = `text/${'x'.repeat(251)}`;
    await putObject(context, noise(10_000), { name: 'typed', contentType: longest });
    expect((await getObject(context, 'typed')).contentType).toBe(longest);
    for (const contentType of [`${longest}x`, 'text/plain\r\nx: y']) {
      const put = putObject(context, noise(10_000), { name: 'typed', contentType });
      await expect(put).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'bad_content_type' });
    }
    expect((await getObject(context, 'typed')).contentType).toBe(longest);
  });

  it('refuses what is no bytes, as a whole or in pieces', async () => {
    const { context } = await testVault();
    const pieces = (async function* () {
      yield noise(10);
      yield 'text';
    })();
    for (const input of ['text', undefined, null, 5, {}, ['text'], pieces]) {
      const put = putObject(context, input as never, { name: 'x' });
      await expect(put).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'bad_source' });
    }
    await expect(getObject(context, 'x')).rejects.toMatchObject({ code: 'name_not_found' });
  });
});
