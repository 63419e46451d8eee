import { describe, expect, it } from 'vitest';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

/** Never answers; gives up only when told to. */
const hang = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }));

/** A provider whose named methods hang while `stuck.on`. */
function stalling(stuck: { on: boolean }, method: 'store' | 'fetchRange') {
  return (adapter: BlobAdapter, index: number): BlobAdapter => {
    if (index !== 2) return adapter;
    const store: BlobAdapter['store'] = (address, parts, options) =>
      stuck.on ? hang(options?.signal) : adapter.store(address, parts, options);
    const fetchRange: BlobAdapter['fetchRange'] = (address, offset, into, options) =>
      stuck.on ? hang(options?.signal) : adapter.fetchRange(address, offset, into, options);
    return { ...adapter, ...(method === 'store' ? { store } : { fetchRange }) };
  };
}

describe('a provider that stalls', () => {
  it('does not hold up a put: its shards go elsewhere, and the result says so', async () => {
    const { context } = await testVault({
      wrap: stalling({ on: true }, 'store'),
      policy: { stallMs: 1_500 },
    });
    const bytes = noise(3_000_000);
    const put = await putObject(context, bytes, { name: 'x' });
    expect(put.failedAttempts).toMatchObject([{ provider: 'p3', code: 'stalled' }]);
    expect(put.orphans).toBe(1);
    expect(put.certificate.providers).toBe(8);
    expect(put.certificate.tolerates).toBeGreaterThanOrEqual(2);
    expect(Buffer.compare(await readAll(await getObject(context, 'x')), bytes)).toBe(0);
  });

  it('is waited for when the promise cannot be kept without it', async () => {
    const stuck = { on: true };
    const { context } = await testVault({ wrap: stalling(stuck, 'store'), policy: { minTolerates: 3 } });
    const impatient = AbortSignal.timeout(2_500);
    const put = putObject(context, noise(300_000), { name: 'x', signal: impatient });
    await expect(put).rejects.toMatchObject({ kind: 'Aborted' });
    await expect(getObject(context, 'x')).rejects.toMatchObject({ kind: 'NotFound' });
  });

  it('is waited for while the object would survive fewer losses without it, up to the limit', async () => {
    const slow = { until: performance.now() + 2_500 };
    const wrap = (adapter: BlobAdapter, index: number): BlobAdapter => ({
      ...adapter,
      store: async (address, parts, options) => {
        const late = index === 2 ? slow.until - performance.now() : 0;
        if (late > 0) await new Promise((resolve) => setTimeout(resolve, late));
        return adapter.store(address, parts, options);
      },
    });
    const { context } = await testVault({ wrap });
    const put = await putObject(context, noise(3_000_000), { name: 'x' });
    expect(put.failedAttempts).toEqual([]);
    expect(put.certificate.tolerates).toBe(3);
  });

  it('is given up on at once when it does not even answer a probe, though the object then survives less', async () => {
    const { context: plain } = await testVault({
      wrap: stalling({ on: true }, 'store'),
      policy: { stallMs: 3_600_000 },
    });
    const asked: string[] = [];
    const respondsToProbe = async (id: string): Promise<boolean> => {
      asked.push(id);
      return false;
    };
    const context = { ...plain, directory: { ...plain.directory, respondsToProbe } };
    const put = await putObject(context, noise(3_000_000), { name: 'x' });
    expect(asked).toEqual(['p3']);
    expect(put.failedAttempts).toMatchObject([
      { provider: 'p3', code: 'stalled', error: expect.stringContaining('does not answer') },
    ]);
    expect(put.certificate.providers).toBe(8);
  });

  it('is asked again when nothing else decodes', async () => {
    const stuck = { on: false };
    const { context, gone } = await testVault({ wrap: stalling(stuck, 'fetchRange'), chunkBytes: 65_536 });
    const bytes = noise(6_000_000);
    await putObject(context, bytes, { name: 'x' });
    stuck.on = true;
    const pieces: Uint8Array[] = [];
    for await (const piece of await getObject(context, 'x')) {
      pieces.push(piece);
      // From now on its shards are needed: three others are gone.
      if (pieces.length === 1) {
        stuck.on = false;
        for (const id of ['p1', 'p5', 'p9']) gone.add(id);
      }
    }
    expect(Buffer.compare(Buffer.concat(pieces), bytes)).toBe(0);
  });

  it('does not hold up a get: other shards are fetched, and the provider is named', async () => {
    const stuck = { on: false };
    const { context } = await testVault({ wrap: stalling(stuck, 'fetchRange') });
    const bytes = noise(3_000_000);
    await putObject(context, bytes, { name: 'x' });
    stuck.on = true;
    const object = await getObject(context, 'x');
    expect(Buffer.compare(await readAll(object), bytes)).toBe(0);
    expect(new Set(object.damage.map(({ provider }) => provider))).toEqual(new Set(['p3']));
    expect(object.damage[0]?.detail).toContain('far behind the others');
  });

  it('leaves no memory behind', async () => {
    const stuck = { on: false };
    const { context } = await testVault({ wrap: stalling(stuck, 'fetchRange') });
    await putObject(context, noise(3_000_000), { name: 'x' });
    stuck.on = true;
    await readAll(await getObject(context, 'x'));
    expect(context.arena.tryAllocate(context.arena.capacity)).toBeDefined();
  });
});
