import { afterAll, describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../../src/core/address.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { createIpfsAdapter, type IpfsOptions } from '../../../src/providers/ipfs/driver.ts';
import { addressOfCid, cidOf } from '../../../src/providers/ipfs/rpc.ts';
import { blake3, deps, describeConformance } from '../conform.ts';
import { startKuboDouble } from './kubo-double.ts';

const kubo = await startKuboDouble();
afterAll(() => kubo.close());
const open = (more: Partial<IpfsOptions> = {}): BlobAdapter =>
  createIpfsAdapter({ id: 'i', api: kubo.url, credentials: async () => ({}), ...more, ...deps });

describeConformance('IPFS over a double of its RPC', {
  open: () => open({ maxBlobBytes: 16 * 1024 * 1024 }),
  largeBytes: 3 * 1024 * 1024,
  plant: kubo.plant,
});

describe('a CID', () => {
  it('is that of a raw block under BLAKE3, and leads back to the address', () => {
    for (let i = 0; i < 200; i++) {
      const address = addressOf(deps.random(32));
      const cid = cidOf(address);
      expect(cid).toMatch(/^bafkr4i[a-z2-7]{52}$/);
      expect(addressOfCid(cid)).toBe(address);
    }
  });

  it('of another kind, or spelled twice, is none of ours', () => {
    const cid = cidOf(`b3:${'0'.repeat(64)}` as BlobAddress);
    expect(addressOfCid('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')).toBeUndefined();
    expect(addressOfCid(`${cid.slice(0, -1)}b`)).toBeUndefined();
    expect(addressOfCid('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG')).toBeUndefined();
  });
});

describe('IPFS', () => {
  const bytes = deps.random(3000);
  const address = addressOf(blake3.hash(bytes));

  it('is read through a gateway, without being written to', async () => {
    const writer = open();
    await writer.store(address, [bytes]);
    const reader = open({ api: undefined, gateway: kubo.url });
    expect(await reader.fetch(address)).toEqual(bytes);
    const into = new Uint8Array(10);
    await reader.fetchRange(address, 100, [into]);
    expect(into).toEqual(bytes.slice(100, 110));
    expect((await reader.stat(address)).size).toBe(3000);
    await reader.probe();
    await expect(reader.delete(address)).rejects.toMatchObject({
      kind: 'PermissionDenied',
      code: 'unsupported',
    });
    const other = deps.random(10);
    await expect(reader.store(addressOf(blake3.hash(other)), [other])).rejects.toMatchObject({
      code: 'unsupported',
    });
    await writer.delete(address);
    await expect(reader.fetch(address)).rejects.toMatchObject({ kind: 'NotFound' });
    await Promise.all([reader.close(), writer.close()]);
  });

  it('takes no block that nodes could not exchange, unless told to', async () => {
    const large = new Uint8Array(1024 * 1024 + 1);
    const adapter = open();
    await expect(adapter.store(addressOf(blake3.hash(large)), [large])).rejects.toMatchObject({
      code: 'blob_too_large',
    });
    await adapter.close();
  });

  it('needs an api or a gateway', () => {
    expect(() => open({ api: undefined })).toThrow(/neither/);
  });
});
