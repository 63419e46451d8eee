import { expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { createHedge } from '../../src/core/hedge.ts';
import { createStoredBlobs } from '../../src/gateway/stored-blobs.ts';
import { rendezvousOrder } from '../../src/object/rendezvous.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

it('a blob is opened at the next provider when the first ones hang, whatever they do when told to stop', async () => {
  const hung = new Set<string>();
  const never = (): Promise<never> => new Promise(() => {});
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    stat: (...args) => (hung.has(adapter.adapterId) ? never() : adapter.stat(...args)),
    fetch: (...args) => (hung.has(adapter.adapterId) ? never() : adapter.fetch(...args)),
    async *fetchStream(...args) {
      if (hung.has(adapter.adapterId)) await never();
      yield* adapter.fetchStream(...args);
    },
  });
  const { context, providers } = await testVault({ providers: 4, wrap });
  const { blake3 } = context;
  const bytes = noise(10_000);
  const address = addressOf(blake3.hash(bytes));
  for (const { adapter } of providers) await adapter.store(address, [bytes]);
  const order = rendezvousOrder(
    blake3,
    address,
    providers.map(({ id }) => id),
  );
  for (const id of order.slice(0, 2)) hung.add(id);
  const clock = new FakeClock();
  const open = createStoredBlobs({
    providers: () => providers,
    blake3,
    reads: createHedge(clock, { floorMs: 200, factor: 3, quorum: 0, aloneMs: 500 }),
    metrics: silentMetrics.services,
  });
  const opening = open(address, new AbortController().signal);
  await clock.advance(1_100);
  const blob = await opening;
  expect(blob.size).toBe(bytes.length);
  const all = await readAll(blob.read({ start: 0, end: bytes.length }, undefined));
  expect(Buffer.compare(all, bytes)).toBe(0);
});
