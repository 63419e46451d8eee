import { inflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { wasmZstd } from '../../src/coding/compress/zstd.ts';
import { parseAddress } from '../../src/core/address.ts';
import { portableBlake3 } from '../../src/core/b3/portable.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { decodeRoot } from '../../src/manifest/root.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { createRetention } from '../../src/upkeep/retention.ts';
import { noise, type TestVault, type TestVaultOptions, testVault } from '../helpers/vault.ts';
import { lz77Rle, rle } from '../reference/compression.ts';
import { type Blobs, type Codecs, readObject, readPointer } from '../reference/manifest.ts';

const ROOT_KEY = new Uint8Array(32).fill(0x5e);
const zstd = await wasmZstd();
const CODECS: Codecs = {
  1: (stored) => inflateRawSync(stored),
  2: (stored, length) => zstd.decompress(stored, length),
  3: rle,
  4: lz77Rle,
};

async function vaultOf(options: TestVaultOptions): Promise<{ vault: TestVault; context: VaultContext }> {
  const vault = await testVault(options);
  const context = { ...vault.context, keys: vaultKeysOf(deriveSubkeys(ROOT_KEY)) };
  return { vault, context: { ...context, retention: createRetention(context, 0) } };
}

/** Everything that lies at the providers, as whoever takes their disks would find it. */
async function takeDisks({
  providers,
}: TestVault): Promise<{ blobs: Blobs; slots: Map<string, Uint8Array>[] }> {
  const all = new Map<string, Uint8Array>();
  const slots: Map<string, Uint8Array>[] = [];
  for (const { adapter } of providers) {
    for await (const { address } of adapter.list()) all.set(address, await adapter.fetch(address));
    const own = new Map<string, Uint8Array>();
    for await (const slot of adapter.listSlots()) own.set(slot, (await adapter.readSlot(slot))!.bytes);
    slots.push(own);
  }
  return { blobs: (address) => all.get(address), slots };
}

describe('what the providers hold is what the format says', () => {
  test.each(['none', 'deflate', 'zstd', 'rle', 'lz77-rle'] as const)(
    'an independent reader gets every object back byte for byte: %s',
    async (compression) => {
      const { vault, context } = await vaultOf({
        chunkBytes: 65_536,
        policy: { compression, packTargetBytes: 65_536 },
      });
      const shapes = new Set<string>();
      for (const size of [0, 1, 4096, 4097, 65_536, 200_000, 1_000_003]) {
        const plain = noise(size, size + 1);
        plain.fill(7, size >> 3, size >> 1);
        plain.copyWithin(size >> 1, (size >> 1) + (size >> 2), size - (size >> 4));
        const put = await putObject(context, plain, { name: `größe ${size}`, contentType: 'text/x' });
        const { blobs, slots } = await takeDisks(vault);
        const root = decodeRoot(blobs(put.manifest)!);
        shapes.add(`${root.code.algorithm}, depth ${root.body.depth}`);
        const found = slots.flatMap((own) => [...own.keys()]).length;
        expect(found).toBeGreaterThanOrEqual(put.pointerCopies);
        const holder = slots.find((own) => own.has(context.keys.slotName(`größe ${size}`)))!;
        const pointer = readPointer(ROOT_KEY, `größe ${size}`, (slot) => holder.get(slot));
        expect(pointer).toMatchObject({ version: 1, manifest: put.manifest });
        expect(pointer.lineage).toMatch(/^[0-9a-f]{32}$/);
        const object = readObject(ROOT_KEY, put.manifest, blobs, CODECS);
        expect(object).toMatchObject({ name: `größe ${size}`, contentType: 'text/x', size });
        expect(Buffer.from(object.plain).equals(plain)).toBe(true);
      }
      expect([...shapes].sort()).toEqual(['lrc, depth 0', 'lrc, depth 1', 'replica, depth 0']);
    },
  );

  test('names move on by version, and a removal is a version too', async () => {
    const { vault, context } = await vaultOf({});
    await putObject(context, noise(10), { name: 'n' });
    const second = await putObject(context, noise(20), { name: 'n' });
    const slot = context.keys.slotName('n');
    const read = async (): Promise<ReturnType<typeof readPointer>> => {
      const { slots } = await takeDisks(vault);
      const holder = slots.find((own) => own.has(slot))!;
      return readPointer(ROOT_KEY, 'n', (name) => holder.get(name));
    };
    expect(await read()).toMatchObject({ version: 2, manifest: second.manifest });
    const before = (await read()).hash;
    await deleteObject(context, 'n');
    const removed = await read();
    expect(removed).toMatchObject({ version: 3, manifest: null });
    expect(removed.lineage.slice(32, 64)).toBe(before.slice(0, 32));
  });

  test('nothing readable lies at a provider: no plaintext, name, content type or key', async () => {
    const { vault, context } = await vaultOf({});
    const plain = Buffer.from('CANARY of plaintext '.repeat(400));
    const put = await putObject(context, plain, { name: 'canary.name', contentType: 'canary/type' });
    const secrets = ['CANARY', 'canary.name', 'canary/type'].map((text) => Buffer.from(text));
    secrets.push(Buffer.from(ROOT_KEY), Buffer.from(portableBlake3.hash(plain)));
    let seen = 0;
    for (const { adapter } of vault.providers) {
      for await (const { address } of adapter.list()) {
        const bytes = Buffer.from(await adapter.fetch(parseAddress(address)));
        for (const secret of secrets) expect(bytes.includes(secret)).toBe(false);
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(9);
    expect(put.size).toBe(plain.length);
  });
});
