import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { createS3Adapter, type S3Options } from '../../../src/providers/s3/driver.ts';
import { S3_KEYS, type S3Server, s3Place } from '../../servers/accounts.ts';
import { startServer } from '../../servers/servers.ts';
import { blake3, deps, describeConformance } from '../conform.ts';

const MIB = 1024 * 1024;

for (const name of Object.keys(S3_KEYS) as S3Server[]) {
  const server = await startServer(name);
  if (server === undefined) {
    it.skip(`${name} is not installed`, () => {});
    continue;
  }
  afterAll(() => server.stop());
  const place = await s3Place(name, server, 'holdfast-test');
  const open = (more: Partial<S3Options> = {}): BlobAdapter =>
    createS3Adapter({
      id: 's',
      ...place,
      prefix: 'päck s/%41#?&+~/',
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
      const wrong = open({ credentials: async () => ({ ...S3_KEYS[name], secretAccessKey: 'wrong' }) });
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

    it.skipIf(name !== 'ceph-rgw')(
      'speaks TLS with a server whose authority was named, and no other',
      async () => {
        const endpoint = `https://127.0.0.1:${server.port + 3}`;
        const ca = await readFile(join(server.dir, 'cert.pem'), 'utf8');
        const trusting = open({ endpoint, ca });
        await trusting.store(address, [bytes]);
        expect(await trusting.fetch(address)).toEqual(bytes);
        await trusting.delete(address);
        await trusting.close();
        const wary = open({ endpoint });
        await expect(wary.probe()).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'tls_untrusted' });
        await wary.close();
      },
    );

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
