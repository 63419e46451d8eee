import { expect, it } from 'vitest';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { createVerifiedReader } from '../../src/verified/reader.ts';
import { noise } from '../helpers/vault.ts';
import { addressFor, blake3, deps } from './harness.ts';

it('a backend whose blob does not end is given up on as soon as it is longer than it said', async () => {
  const bytes = noise(200_000);
  const address = addressFor(bytes);
  const inner = createMemoryAdapter({ id: 'endless', ...deps });
  await inner.store(address, [bytes]);
  let sent = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield bytes;
    for (; sent < 100; sent++) yield new Uint8Array(64 * 1024);
    throw new Error('it was read to no end');
  }
  const failures: string[] = [];
  const reader = createVerifiedReader({
    adapter: { ...inner, fetchStream: () => endless() },
    blake3,
    metrics: { ...silentMetrics.services, integrityFail: (reason) => void failures.push(reason) },
    hot: { maxBytes: 0, maxBlobBytes: 0 },
    proofBytes: 1024 * 1024,
  });
  await expect(reader.open(address)).rejects.toMatchObject({ kind: 'HashMismatch' });
  expect(sent).toBeLessThan(3);
  expect(failures).toEqual(['length']);
});
