import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { createSftpAdapter, type SftpOptions } from '../../../src/providers/sftp/driver.ts';
import { SFTP_PLACES } from '../../servers/accounts.ts';
import { startServer } from '../../servers/servers.ts';
import { blake3, deps, describeConformance } from '../conform.ts';
import { behindItsBack } from './behind-its-back.ts';

for (const [name, placeOf] of Object.entries(SFTP_PLACES)) {
  const server = await startServer(name);
  if (server === undefined) {
    it.skip(`${name} is not installed`, () => {});
    continue;
  }
  afterAll(() => server.stop());
  const place = await placeOf(server);
  const open = (more: Partial<SftpOptions> = {}): BlobAdapter =>
    createSftpAdapter({ id: 'f', ...place, ...more, ...deps });

  describeConformance(name, { open });

  describe(name, () => {
    const bytes = deps.random(3000);
    const address = addressOf(blake3.hash(bytes));
    /** rclone sees changes made behind its back only after its directory cache has expired. */
    const settled = () => new Promise((resolve) => setTimeout(resolve, name === 'rclone-sftp' ? 1500 : 0));

    it('leaves no temporary file behind', async () => {
      const adapter = open();
      await adapter.probe();
      await adapter.close();
      expect(await readdir(join(server.dir, 'root', 'tmp'))).toEqual([]);
    });

    it.skipIf(name !== 'openssh-sftp')('replaces a blob where a rename does not', async () => {
      const private_key = await readFile(join(server.dir, 'plain'), 'utf8');
      const adapter = open({ credentials: async () => ({ private_key }) });
      const kept = async (): Promise<boolean> => Buffer.from(await adapter.fetch(address)).equals(bytes);
      await adapter.store(address, [bytes.map((byte) => byte ^ 1)]);
      expect(await adapter.store(address, [bytes], { replace: true })).toEqual({ existed: true });
      expect(await kept()).toBe(true);
      // What is cut short is not taken for the whole.
      await adapter.store(address, [bytes.subarray(0, 10)], { replace: true });
      expect(await adapter.store(address, [bytes])).toEqual({ existed: false });
      expect(await kept()).toBe(true);
      expect(await readdir(join(server.dir, 'root', 'tmp'))).toEqual([]);
      await adapter.delete(address);
      await adapter.close();
    });

    it('talks to no server with another host key', async () => {
      const wary = open({ hostKeys: [`SHA256:${'A'.repeat(43)}`] });
      await expect(wary.probe()).rejects.toMatchObject({
        kind: 'ConfigInvalid',
        code: 'host_key_mismatch',
        provider: 'f',
      });
      await wary.close();
    });

    it('says when user, key or password are wrong', async () => {
      const wrong = open({ credentials: async () => ({ password: 'wrong' }) });
      await expect(wrong.fetch(address)).rejects.toMatchObject({ kind: 'PermissionDenied' });
      await wrong.close();
    });

    it.skipIf(place.slots)('keeps no slots where the server only says that it made a link', async () => {
      const adapter = open({ slots: true });
      const refused = { kind: 'PermissionDenied', code: 'unsupported', provider: 'f' };
      const name = 'ab'.repeat(16);
      for (let i = 0; i < 2; i++)
        await expect(adapter.writeSlot(name, bytes, undefined)).rejects.toMatchObject(refused);
      await adapter.close();
    });

    it('says when its folder is not there', async () => {
      const lost = open({ root: join(place.root, 'nowhere') });
      const missing = { code: 'provider_missing', provider: 'f' };
      await expect(lost.store(address, [bytes])).rejects.toMatchObject(missing);
      await expect(lost.fetch(address)).rejects.toMatchObject(missing);
      await expect(lost.delete(address)).rejects.toMatchObject(missing);
      await expect(lost.list()[Symbol.asyncIterator]().next()).rejects.toMatchObject(missing);
      await expect(lost.probe()).rejects.toMatchObject(missing);
      await lost.close();
    });

    behindItsBack({ root: join(server.dir, 'root'), open, settled });

    it('says when nobody listens', async () => {
      const gone = open({ port: 1 });
      await expect(gone.exists(address)).rejects.toMatchObject({ kind: 'Unavailable', status: 'temporary' });
      await gone.close();
    });
  });
}
