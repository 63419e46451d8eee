import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { noise, readAll } from '../helpers/vault.ts';
import { type Watched, watchedVault } from './watched.ts';

const FAR = 8;

/** Nine providers 18 ms away; what the last one answers its probes, and how many bytes move, is seen here. */
async function nine(farMs: number): Promise<Watched & { stored: number[]; read: number[] }> {
  const stored = new Array<number>(9).fill(0);
  const read = new Array<number>(9).fill(0);
  const wrap = (adapter: BlobAdapter, index: number): BlobAdapter => ({
    ...adapter,
    probe: async () => ({ rttMs: index === FAR ? farMs : 18 }),
    store: async (address, parts, options) => {
      stored[index]! += parts.reduce((sum, part) => sum + part.length, 0);
      return adapter.store(address, parts, options);
    },
    fetchRange: async (address, offset, into, options) => {
      const views = Array.isArray(into) ? into : [into];
      read[index]! += views.reduce((sum: number, view: Uint8Array) => sum + view.length, 0);
      return adapter.fetchRange(address, offset, into, options);
    },
  });
  const vault = await watchedVault({ wrap });
  // From the fourth on, that the bytes move in no time says nothing of the way.
  for (let i = 0; i < 4; i++) await vault.catalog.probeAll();
  return { ...vault, stored, read };
}

describe('a provider 429 ms away beside eight at 18 ms', () => {
  it('gets the bytes that the certificate needs and no more, leads no chunk and is not read', async () => {
    const { context, catalog, stored, read } = await nine(429);
    const object = noise(6_000_000);
    const leads = new Set<string>();
    const preferredChunk = (id: string): number => {
      leads.add(id);
      return 256 * 1024;
    };
    const watched = { ...context, directory: { ...context.directory, preferredChunk } };
    const { certificate } = await putObject(watched, object, { name: 'x' });
    expect(certificate).toMatchObject({ tolerates: 3, providers: 9 });
    expect(stored[FAR]!).toBeLessThan(0.5 * Math.min(...stored.slice(0, FAR)));
    expect(stored[FAR]!).toBeGreaterThan(0);
    expect([...leads]).not.toContain('p9');
    expect(leads.size).toBe(8);
    expect(Buffer.compare(await readAll(await getObject(context, 'x')), object)).toBe(0);
    expect(read[FAR]).toBe(0);
    expect(catalog.snapshot()[FAR]!.state).toBe('ok');
  });

  it('is like the others when it is as near', async () => {
    const { context, stored } = await nine(18);
    await putObject(context, noise(6_000_000), { name: 'x' });
    expect(stored[FAR]!).toBeGreaterThan(0.7 * Math.min(...stored.slice(0, FAR)));
  });
});

describe('a provider that lost a race', () => {
  it('is slow and has not failed: it takes shards, fewer of them, and is read last', async () => {
    const { context, catalog, stored, read } = await nine(18);
    const lost = new HoldfastError('Timeout', 'far behind', { code: 'lost_race' });
    const before = catalog.preferredChunk('p9');
    for (let i = 0; i < 3; i++)
      context.directory.report('p9', { operation: 'store', bytes: 100_000, elapsedMs: 9_000, error: lost });
    const state = catalog.snapshot()[FAR]!;
    expect(state).toMatchObject({
      state: 'ok',
      totalFailures: 0,
      totalSlow: 3,
      totalLies: 0,
      successRate: 1,
    });
    expect(state.why).toContain('slow (races lost lately: 3)');
    expect(catalog.preferredChunk('p9')).toBe(before);
    const object = noise(6_000_000);
    const { certificate } = await putObject(context, object, { name: 'x' });
    expect(certificate.tolerates).toBe(3);
    expect(stored[FAR]!).toBeGreaterThan(0);
    expect(stored[FAR]!).toBeLessThan(0.5 * Math.min(...stored.slice(0, FAR)));
    await readAll(await getObject(context, 'x'));
    expect(read[FAR]).toBe(0);
  });
});
