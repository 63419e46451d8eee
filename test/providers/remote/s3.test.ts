import { afterAll, describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { createS3Adapter, type S3Options } from '../../../src/providers/s3/index.ts';
import { startServer } from '../../servers/servers.ts';
import { blake3, deps, describeConformance } from '../conform.ts';
import { makeBucket } from './bucket.ts';

const kinds = {
  'ceph-rgw': { accessKeyId: 'access', secretAccessKey: 'secret', slots: true },
  'swift-s3': { accessKeyId: 'test:tester', secretAccessKey: 'testing', slots: false },
} as const;
const MIB = 1024 * 1024;

for (const [name, { slots, ...keys }] of Object.entries(kinds)) {
  const server = await startServer(name);
  if (server === undefined) {
    it.skip(`${name} is not installed`, () => {});
    continue;
  }
  afterAll(() => server.stop());
  const place = {
    endpoint: `http://127.0.0.1:${server.port}`,
    region: 'us-east-1',
    bucket: 'holdfast-test',
    credentials: async () => keys,
  };
  await makeBucket(place);
  const open = (more: Partial<S3Options> = {}): BlobAdapter =>
    createS3Adapter({
      id: 's',
      ...place,
      prefix: 'päck s/%41#?&+~/',
      slots,
      pageKeys: 16,
      partBytes: 5 * MIB,
      ...more,
      ...deps,
    });

  describeConformance(name, { open });

  describe(`${name}`, () => {
    const bytes = deps.random(3000);
    const address = addressOf(blake3.hash(bytes));

    it('refuses a wrong secret, and says who', async () => {
      const wrong = open({ credentials: async () => ({ ...keys, secretAccessKey: 'wrong' }) });
      await expect(wrong.fetch(address)).rejects.toMatchObject({ kind: 'PermissionDenied', provider: 's' });
      await expect(wrong.store(address, [bytes])).rejects.toMatchObject({ kind: 'PermissionDenied' });
      await wrong.close();
    });

    it('tells a bucket that is not there from a blob that is not there', async () => {
      const lost = open({ bucket: 'holdfast-nowhere' });
      await expect(lost.fetch(address)).rejects.toMatchObject({ kind: 'ConfigInvalid' });
      await expect(lost.store(address, [bytes])).rejects.toMatchObject({ kind: 'ConfigInvalid' });
      await lost.close();
    });

    it('leaves no unfinished upload behind', async () => {
      const adapter = open();
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(12 * MIB);
        throw new Error('the source broke');
      }
      await expect(adapter.storeStream(address, broken())).rejects.toThrow('the source broke');
      await expect(adapter.storeStream(undefined, broken())).rejects.toThrow('the source broke');
      expect(await adapter.exists(address)).toBe(false);
      await adapter.close();
    });
  });
}
