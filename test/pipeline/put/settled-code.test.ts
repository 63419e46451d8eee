import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import { getObject } from '../../../src/pipeline/get/get.ts';
import { putObject } from '../../../src/pipeline/put/put.ts';
import { peekSource, toSource } from '../../../src/pipeline/source.ts';
import { noise, readAll, testVault } from '../../helpers/vault.ts';

/** In pieces that end nowhere near a limit. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 777) yield bytes.subarray(at, at + 777);
}

describe('an object of unknown length', () => {
  it.each([0, 1, 4095, 4096])('of %i bytes is kept as copies', async (length) => {
    const { context } = await testVault({ chunkBytes: 65_536 });
    const bytes = noise(length);
    const put = await putObject(context, inPieces(bytes), { name: 'x' });
    expect(put.certificate.code).toMatch(/replica/);
    expect(Buffer.compare(await readAll(await getObject(context, 'x')), bytes)).toBe(0);
  });

  it.each([4097, 65_536, 65_537])('of %i bytes is coded', async (length) => {
    const { context } = await testVault({ chunkBytes: 65_536 });
    const bytes = noise(length);
    const put = await putObject(context, inPieces(bytes), { name: 'x' });
    expect(put.certificate.code).toMatch(/lrc/);
    expect(Buffer.compare(await readAll(await getObject(context, 'x')), bytes)).toBe(0);
  });

  it('that does not fit one chunk is coded, however short', async () => {
    const { context } = await testVault({ chunkBytes: 16_384, policy: { replicaBelowBytes: 100_000 } });
    const put = await putObject(context, inPieces(noise(20_000)), { name: 'x' });
    expect(put.certificate.code).toMatch(/lrc/);
  });
});

describe('a source that was looked at', () => {
  it.each([true, false])('gives all its bytes from the first (never blocks: %s)', async (neverBlocks) => {
    const bytes = noise(10_000);
    const inner = await toSource(neverBlocks ? bytes : inPieces(bytes));
    const { length, source } = await peekSource(inner, 1_000);
    expect([length, source.neverBlocks]).toEqual([1_000, neverBlocks]);
    const parts: Uint8Array[] = [];
    for (const ask of [1, 998, 3, 5_000, 10_000]) {
      const into = new Uint8Array(ask);
      parts.push(into.subarray(0, await source.read(into)));
    }
    expect(parts.map((part) => part.length)).toEqual([1, 998, 3, 5_000, 3_998]);
    expect(Buffer.compare(Buffer.concat(parts), bytes)).toBe(0);
  });

  it('is not asked again once its end was seen', async () => {
    let asked = 0;
    const inner = await toSource(
      (async function* () {
        asked++;
        yield noise(10);
      })(),
    );
    const counting = {
      ...inner,
      read(into: Uint8Array) {
        asked++;
        return inner.read(into);
      },
    };
    const { length, source } = await peekSource(counting, 20);
    expect([length, asked]).toEqual([10, 2]);
    expect(await source.read(new Uint8Array(20))).toBe(10);
    expect(await source.read(new Uint8Array(20))).toBe(0);
    expect(asked).toBe(2);
  });
});

describe('a put whose providers fail', () => {
  it('ends with their error while its source is still waited for', async () => {
    const { context } = await testVault({
      chunkBytes: 65_536,
      policy: { packTargetBytes: 16_384 },
      wrap: (adapter) => ({
        ...adapter,
        store: async () => {
          throw new HoldfastError('QuotaExceeded', 'full');
        },
      }),
    });
    const source = (async function* () {
      yield noise(1_000_000);
      await new Promise(() => {});
    })();
    await expect(putObject(context, source, { name: 'x' })).rejects.toMatchObject({
      kind: 'Unavailable',
      code: 'not_enough_providers',
    });
    // All memory has come back.
    expect(context.arena.tryAllocate(context.arena.capacity)).toBeDefined();
  });
});
