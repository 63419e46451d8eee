import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { type CodeParams, DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createHttpAdapter } from '../../src/providers/http/driver.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';
import { blake3, deps } from '../providers/deps.ts';
import { serveNode } from './node.ts';

/** Packs fit what a provider takes at once, whether that is known or has to be found out. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** As in the README: nobody gave it a token or a limit. */
async function plainNode(id: string) {
  const adapter = createMemoryAdapter({ id, ...deps });
  const longest = { bytes: 0 };
  const seen = async <T extends { readonly existed: boolean }>(
    stored: Promise<T>,
    of: BlobAddress,
  ): Promise<T> => {
    const result = await stored;
    longest.bytes = Math.max(longest.bytes, (await adapter.stat(of)).size);
    return result;
  };
  const watched: BlobAdapter = {
    ...adapter,
    store: (address, parts, options) => seen(adapter.store(address, parts, options), address),
    storeStream: (address, source, options) => seen(adapter.storeStream(address, source, options), address!),
  };
  const node = await serveNode(watched, undefined, {});
  onTestFinished(() => node.close());
  return { port: node.port, longest };
}

const CODES: Readonly<Record<string, { readonly code: CodeParams; readonly chunkBytes: number }>> = {
  'the shipped code': { code: DEFAULT_LRC, chunkBytes: MIB },
  'two data shards and long chunks': {
    code: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 },
    chunkBytes: 4 * MIB,
  },
};
for (const [what, { code, chunkBytes }] of Object.entries(CODES)) {
  it(`nodes without tokens take packs, by ${what}`, async () => {
    const nodes = await Promise.all(['p1', 'p2', 'p3'].map(plainNode));
    const { context } = await testVault({
      providers: 3,
      chunkBytes,
      policy: { code: createLinearCode(code), packTargetBytes: 8 * MIB },
      wrap: ({ adapterId: id }, i) => {
        const url = `http://127.0.0.1:${nodes[i]!.port}`;
        const adapter = createHttpAdapter({ id, url, credentials: async () => ({}), ...deps });
        onTestFinished(() => adapter.close());
        return adapter;
      },
    });
    const bytes = noise(12 * MIB + 5);
    const { manifest, failedAttempts, certificate } = await putObject(context, bytes);
    expect(failedAttempts).toEqual([]);
    expect(certificate).toMatchObject({ providers: 3, tolerates: 1 });
    expect(Buffer.compare(await readAll(await getObject(context, manifest)), bytes)).toBe(0);
    for (const { longest } of nodes) {
      expect(longest.bytes).toBeGreaterThan(256 * KIB);
      expect(longest.bytes).toBeLessThanOrEqual(MIB);
    }
  });
}

it('a provider that states a cap gets packs up to it, others whole ones', async () => {
  const stored = new Map<string, number[]>();
  const { context } = await testVault({
    policy: { packTargetBytes: MIB },
    wrap: (adapter, i) => ({
      ...adapter,
      capabilities: { ...adapter.capabilities, ...(i === 0 ? { maxBlobBytes: 100 * KIB } : {}) },
      store(address, parts, options) {
        const size = parts.reduce((sum, part) => sum + part.length, 0);
        stored.set(adapter.adapterId, [...(stored.get(adapter.adapterId) ?? []), size]);
        return adapter.store(address, parts, options);
      },
    }),
  });
  const bytes = noise(4 * MIB);
  const { manifest, failedAttempts } = await putObject(context, bytes);
  expect(failedAttempts).toEqual([]);
  expect(Math.max(...stored.get('p1')!)).toBeLessThanOrEqual(100 * KIB);
  expect(Math.max(...stored.get('p2')!)).toBeGreaterThan(500 * KIB);
  expect(Buffer.compare(await readAll(await getObject(context, manifest)), bytes)).toBe(0);
});

it('a provider that takes next to nothing is left out, and it is said why', async () => {
  const { context } = await testVault({
    wrap: (adapter, i) => ({
      ...adapter,
      capabilities: { ...adapter.capabilities, ...(i === 0 ? { maxBlobBytes: 100 } : {}) },
    }),
  });
  const { leftOut, certificate } = await putObject(context, noise(MIB));
  expect(leftOut).toEqual([{ id: 'p1', why: 'it takes no more than 100 bytes at once' }]);
  expect(certificate.providers).toBe(8);
});

it('a shard that fits nowhere is refused with what to do about it', async () => {
  let refusing = false;
  const { context } = await testVault({
    policy: { code: createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 }) },
    wrap: (adapter) => ({
      ...adapter,
      capabilities: {
        ...adapter.capabilities,
        get maxBlobBytes() {
          return refusing ? 32 * KIB : MIB;
        },
      },
      async store(address, parts, options) {
        refusing = true;
        const { HoldfastError } = await import('../../src/core/errors.ts');
        if (parts.length > 0)
          throw new HoldfastError('RangeNotSatisfiable', 'no', { code: 'blob_too_large' });
        return adapter.store(address, parts, options);
      },
    }),
  });
  await expect(putObject(context, noise(MIB))).rejects.toMatchObject({
    code: 'not_enough_providers',
    hint: expect.stringMatching(/limits for a request/),
  });
});

it('a limit that a server does not tell is found by halves, and one that it tells at once', async () => {
  for (const [told, attempts] of [
    [undefined, 5],
    ['300000', 2],
  ] as const) {
    let asked = 0;
    const server = createServer((request, response) => {
      asked++;
      const size = Number(request.headers['content-length']);
      request.resume();
      if (size <= 300_000) return void response.writeHead(201).end();
      response.writeHead(413, told === undefined ? {} : { 'holdfast-max-body': told }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const credentials = async () => ({});
    const adapter = createHttpAdapter({ id: 'h', url: `http://127.0.0.1:${port}`, credentials, ...deps });
    onTestFinished(() => adapter.close());
    for (;;) {
      const bytes = noise(Math.min(4_000_000, adapter.capabilities.maxBlobBytes));
      const sent = adapter.store(addressOf(blake3.hash(bytes)), [bytes]);
      const error = await sent.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error === undefined) break;
      expect(error).toMatchObject({ kind: 'RangeNotSatisfiable', code: 'blob_too_large' });
    }
    expect(asked).toBe(attempts);
    expect(adapter.capabilities.maxBlobBytes).toBe(told === undefined ? 250_000 : 300_000);
  }
});
