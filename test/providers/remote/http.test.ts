import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../../src/core/address.ts';
import { createAuthenticator, hashToken } from '../../../src/http/auth.ts';
import { silentLog } from '../../../src/http/log.ts';
import { gunzip, selectZstdInflater } from '../../../src/node/inflate.ts';
import { createNode } from '../../../src/node/node.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { createFsAdapter } from '../../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../../src/providers/fs/layout.ts';
import { createHttpAdapter, type NodeOptions } from '../../../src/providers/http/driver.ts';
import { silentMetrics } from '../../../src/telemetry/index.ts';
import { blake3, deps, describeConformance } from '../conform.ts';

const root = await mkdtemp(join(tmpdir(), 'holdfast-http-'));
await initFsProvider(root, 'behind');
const behind = createFsAdapter({ id: 'behind', root, ...deps });
const scopes = new Set(['read', 'write', 'delete'] as const);
const table = {
  tokens: [{ name: 'test', sha256: hashToken('a-token-for-tests'), scopes }],
  anonymous: new Set([]),
};
const node = createNode({
  adapter: behind,
  ...deps,
  auth: createAuthenticator(() => table),
  metrics: silentMetrics.services,
  exposition: { contentType: 'text/plain', renderMetrics: async () => '' },
  inflaters: { gzip: gunzip, zstd: await selectZstdInflater({ native: true, wasm: true }) },
  log: silentLog,
  version: '0',
});
const { port } = (await node.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 })) as { port: number };
afterAll(async () => {
  await node.close();
  await behind.close();
  await rm(root, { recursive: true });
});

const open = (more: Partial<NodeOptions> = {}): BlobAdapter =>
  createHttpAdapter({
    id: 'h',
    url: `http://127.0.0.1:${port}`,
    credentials: async () => ({ token: 'a-token-for-tests' }),
    pageNames: 16,
    ...more,
    ...deps,
  });

const plant = async (at: BlobAddress, bytes: Uint8Array): Promise<void> => {
  await behind.store(at, [bytes], { replace: true });
};
describeConformance('a storage node', { open, plant });

describe('a storage node as a provider', () => {
  const bytes = deps.random(3000);
  const address = addressOf(blake3.hash(bytes));
  const path = join(root, 'blobs', address.slice(3, 5), address.slice(5));

  it('refuses a wrong token', async () => {
    const stranger = open({ credentials: async () => ({ token: 'another-token-here' }) });
    await expect(stranger.store(address, [bytes])).rejects.toMatchObject({
      kind: 'PermissionDenied',
      provider: 'h',
    });
    await stranger.close();
  });

  it('reports bytes that rotted as corrupt, and takes them anew', async () => {
    const adapter = open();
    await adapter.store(address, [bytes]);
    await writeFile(
      path,
      bytes.map((byte) => byte ^ 1),
    );
    await expect(adapter.fetch(address)).rejects.toMatchObject({ kind: 'Corrupt' });
    await adapter.store(address, [bytes]);
    expect(await adapter.fetch(address)).toEqual(bytes);
    await truncate(path, 10);
    await adapter.store(address, [bytes]);
    expect(await adapter.fetch(address)).toEqual(bytes);
    await adapter.close();
  });

  it('says when nobody listens', async () => {
    const gone = open({ url: 'http://127.0.0.1:1' });
    await expect(gone.exists(address)).rejects.toMatchObject({ kind: 'Unavailable', status: 'temporary' });
    await gone.close();
  });
});

it('a slot that is to be forgotten leaves no file at the node', async () => {
  const adapter = open();
  const slots = () => readdir(join(root, 'slots'), { recursive: true });
  const before = await slots();
  const [kept, gone] = ['ab'.repeat(16), 'cd'.repeat(16)];
  for (const name of [kept, gone]) {
    const first = await adapter.writeSlot(name, Uint8Array.of(1), undefined);
    await adapter.writeSlot(name, Uint8Array.of(2), first);
  }
  await adapter.deleteSlot(kept);
  await adapter.deleteSlot(gone, { forget: true });
  await adapter.deleteSlot(gone, { forget: true });
  expect(await adapter.readSlot(gone)).toBeUndefined();
  const left = (await slots()).filter((path) => !before.includes(path));
  expect(left.filter((path) => path.startsWith(gone))).toEqual([]);
  // Else its old versions could come back.
  expect(left.filter((path) => path.startsWith(kept)).length).toBeGreaterThan(1);
  await adapter.close();
});
