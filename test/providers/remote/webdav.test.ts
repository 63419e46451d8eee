import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { createWebDavAdapter, type WebDavOptions } from '../../../src/providers/webdav/driver.ts';
import { WEBDAV_PLACES } from '../../servers/accounts.ts';
import { startServer } from '../../servers/servers.ts';
import { blake3, deps, describeConformance } from '../conform.ts';
import { behindItsBack } from './behind-its-back.ts';

for (const [name, placeOf] of Object.entries(WEBDAV_PLACES)) {
  const server = await startServer(name);
  if (server === undefined) {
    it.skip(`${name} is not installed`, () => {});
    continue;
  }
  afterAll(() => server.stop());
  const place = await placeOf(server);
  const open = (more: Partial<WebDavOptions> = {}): BlobAdapter =>
    createWebDavAdapter({ id: 'w', ...place, ...more, ...deps });

  describeConformance(name, { open });

  describe(name, () => {
    const bytes = deps.random(3000);
    const address = addressOf(blake3.hash(bytes));
    /** rclone sees changes made behind its back only after its directory cache has expired. */
    const settled = () => new Promise((resolve) => setTimeout(resolve, name === 'rclone-dav' ? 1500 : 0));
    const root = name === 'apache-dav' ? join(server.dir, 'root', 'päck s') : join(server.dir, 'root');

    it('says when its collection is not there', async () => {
      const lost = open({ url: `${place.url.replace(/\/$/, '')}/nowhere/` });
      await expect(lost.store(address, [bytes])).rejects.toMatchObject({
        code: 'provider_missing',
        provider: 'w',
      });
      await expect(lost.probe()).rejects.toMatchObject({ code: 'provider_missing' });
      await expect(lost.list()[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: 'provider_missing',
      });
      await lost.close();
    });

    // rclone may finish an upload that was cancelled after it was removed; the sweep takes care of that.
    it.skipIf(name === 'rclone-dav')('leaves no temporary file behind', async () => {
      const adapter = open();
      await adapter.probe();
      await adapter.close();
      const left = (await readdir(join(root, 'tmp'))).filter((file) => /^[0-9a-f]{32}$/.test(file));
      expect(left).toEqual([]);
    });

    behindItsBack({ root, open, settled });

    if (place.credentials !== undefined && name !== 'nginx-dav') {
      it('refuses a wrong password', async () => {
        const wrong = open({ credentials: async () => ({ username: 'user', password: 'wrong' }) });
        await expect(wrong.fetch(address)).rejects.toMatchObject({ kind: 'PermissionDenied' });
        await wrong.close();
      });
    }

    if (place.ca !== undefined) {
      it('refuses a certificate of an authority that was not named', async () => {
        const blind = open({ ca: undefined });
        await expect(blind.probe()).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'tls_untrusted' });
        await blind.close();
      });
    }
  });
}
