import { expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import { createHedge } from '../../../src/core/hedge.ts';
import { NODE_READS } from '../../../src/core/straggler-policies.ts';
import { putObject } from '../../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { emptyTrash } from '../../../src/records/trash.ts';
import { aroundWrites } from '../../helpers/engine.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { noise, testVault } from '../../helpers/vault.ts';

/** A vault in which the first provider that is sent a manifest node ignores its signal and writes it when told to. */
async function lateVault() {
  const clock = new FakeClock();
  const late = { at: '', isCancelled: false, land: (): void => {} };
  const vault = await testVault({
    chunkBytes: 65_536,
    wrap: (adapter) => ({
      ...adapter,
      async store(address, parts, options) {
        const isNode = parts.length === 1 && parts[0]!.length < 10_000;
        if (isNode && late.at === '') {
          late.at = adapter.adapterId;
          options?.signal?.addEventListener('abort', () => {
            late.isCancelled = true;
          });
          await new Promise<void>((resolve) => {
            late.land = resolve;
          });
        }
        return adapter.store(address, parts);
      },
    }),
  });
  const context = { ...vault.context, clock, nodeReads: createHedge(clock, NODE_READS) };
  const blobsThere = (): Promise<string[]> => blobsAt(context.directory.get(late.at)!.adapter);
  /** Lets time pass in small steps until it is so. */
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await clock.advance(20);
  };
  return { context, clock, late, blobsThere, until };
}

const blobsAt = async (adapter: BlobAdapter): Promise<string[]> => {
  const blobs: string[] = [];
  for await (const { address } of adapter.list()) blobs.push(address);
  return blobs;
};

it('a copy of a manifest that lands within a second of being cancelled is deleted with the rest', async () => {
  const { context, clock, late, blobsThere, until } = await lateVault();
  const stop = new AbortController();
  let outcome: unknown;
  void putObject(context, noise(100_000), { name: 'x', signal: stop.signal }).catch((error: unknown) => {
    outcome = error;
  });
  await until(() => late.at !== '');
  stop.abort();
  await clock.advance(900);
  expect([late.isCancelled, outcome]).toEqual([true, undefined]);
  late.land();
  await until(() => outcome !== undefined);
  expect(outcome).toMatchObject({ kind: 'Aborted' });
  expect(await blobsThere()).toEqual([]);
});

it('one that lands long after is deleted with the next look at what is queued', async () => {
  const { context, clock, late, blobsThere, until } = await lateVault();
  let isOver = false;
  const putting = putObject(context, noise(100_000), { name: 'x' }).finally(() => {
    isOver = true;
  });
  await until(() => isOver);
  expect((await putting).orphans).toBe(1);
  const before = await blobsThere();
  // Emptied too early, the queue has it again once the copy has landed.
  await emptyTrash(context, async () => false);
  late.land();
  await clock.advance(0);
  expect(await blobsThere()).toHaveLength(before.length + 1);
  await emptyTrash(context, async () => false);
  expect(await blobsThere()).toEqual(before);
});

it('a state that takes no intents any more is what fails a put, not the providers', async () => {
  const full = new HoldfastError('QuotaExceeded', 'no space left', { code: 'engine_full' });
  const { context } = await testVault({ providers: 4 });
  let intents = 0;
  const engine = aroundWrites(context.engine, async ({ ops }, work) => {
    const isIntent = ops.some(({ table, key, value }) => table === 'journal' && key.includes('/') && value);
    if (isIntent && ++intents > 1) throw full;
    return work();
  });
  await expect(putObject({ ...context, engine }, noise(3_000), { name: 'x' })).rejects.toBe(full);
});
