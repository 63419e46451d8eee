import fs from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { readAll } from '../helpers/vault.ts';
import { blake3, deps } from './deps.ts';

const [bytes, others] = [deps.random(5000), deps.random(6000)];
const address = addressOf(blake3.hash(bytes));

let root: string;
let adapter: BlobAdapter;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-broken-'));
  await initFsProvider(root, 'p1');
  adapter = createFsAdapter({ id: 'p1', root, ...deps });
  await adapter.store(address, [bytes]);
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** From now on sectors can be neither read nor written. */
async function breakDisk(): Promise<void> {
  const handle = await open('/', 'r');
  const prototype = Object.getPrototypeOf(handle) as Record<string, unknown>;
  await handle.close();
  const failure = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  const { readv } = fs;
  fs.readv = ((...args: unknown[]) =>
    queueMicrotask(() => (args.at(-1) as (error: Error) => void)(failure))) as typeof readv;
  syncBuiltinESMExports();
  onTestFinished(() => {
    fs.readv = readv;
    syncBuiltinESMExports();
  });
  for (const call of ['read', 'readv', 'write', 'writev']) {
    const real = prototype[call];
    prototype[call] = () => Promise.reject(failure);
    onTestFinished(() => {
      prototype[call] = real;
    });
  }
}

it('a blob whose sectors cannot be read is lost, which repair can mend; a failed write may be tried elsewhere', async () => {
  await breakDisk();
  const lost = { kind: 'Corrupt', provider: 'p1' };
  await expect(adapter.fetch(address)).rejects.toMatchObject(lost);
  await expect(adapter.fetchRange(address, 10, [new Uint8Array(100)])).rejects.toMatchObject(lost);
  await expect(readAll(adapter.fetchStream(address))).rejects.toMatchObject(lost);
  const store = adapter.store(addressOf(blake3.hash(others)), [others]);
  await expect(store).rejects.toMatchObject({ kind: 'Unavailable', provider: 'p1' });
});
