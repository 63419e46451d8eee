import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

/** Takes no blob, as a full disk. */
const full = (adapter: BlobAdapter): BlobAdapter =>
  new Proxy(adapter, {
    get(target, key) {
      if (key === 'store') {
        return async () => {
          throw new HoldfastError('QuotaExceeded', 'full');
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

test.each([1, 2, 3])(
  'every shard stands where the manifest says after %i providers failed at once',
  async (failing) => {
    const { context } = await testVault({
      chunkBytes: 65_536,
      policy: { minTolerates: 0 },
      wrap: (adapter, i) => (i < failing ? full(adapter) : adapter),
    });
    const bytes = noise(600_000);
    const put = await putObject(context, bytes, { name: 'x' });
    expect(new Set(put.failedAttempts.map(({ provider }) => provider)).size).toBe(failing);
    const object = await getObject(context, 'x');
    expect(Buffer.compare(await readAll(object), bytes)).toBe(0);
    expect(object.damage).toEqual([]);
    expect(await verifyObject(context, 'x')).toMatchObject({ intact: true, shards: 270 });
  },
);
