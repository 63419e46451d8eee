import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { arenaIsFree, faultyVault } from '../helpers/faulty.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

const MIB = 1024 * 1024;

describe('many operations share little memory', () => {
  const crowded = { chunkBytes: 65_536, policy: { packTargetBytes: 65_536 }, arenaBytes: MIB };

  it('puts: all finish', { timeout: 60_000 }, async () => {
    const { context } = await faultyVault(crowded);
    await Promise.all(
      Array.from({ length: 24 }, (_, i) => putObject(context, noise(400_000, i + 1), { name: `x${i}` })),
    );
    expect(arenaIsFree(context)).toBe(true);
  });

  it('gets with providers gone: all finish', { timeout: 60_000 }, async () => {
    const { context, gone } = await faultyVault(crowded);
    const bytes = noise(600_000, 1);
    await putObject(context, bytes, { name: 'x' });
    for (const id of ['p2', 'p5', 'p8']) gone.add(id);
    const all = await Promise.all(
      Array.from({ length: 32 }, async () => readAll(await getObject(context, 'x'))),
    );
    for (const got of all) expect(Buffer.compare(got, bytes)).toBe(0);
    expect(arenaIsFree(context)).toBe(true);
  });

  it('a get from the one provider that is left, and slower than others say that they have nothing', async () => {
    const delaysMs = [700, 120, 120];
    let isStored = false;
    const wrap = (inner: BlobAdapter, i: number): BlobAdapter => {
      const adapter = Object.create(inner) as BlobAdapter;
      adapter.fetchRange = async (...range) => {
        if (isStored) await new Promise((resolve) => setTimeout(resolve, delaysMs[i]));
        if (isStored && i > 0) throw new HoldfastError('NotFound', 'the blob is not at this provider');
        return inner.fetchRange(...range);
      };
      return adapter;
    };
    const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 1, parityShards: 2 });
    const { context } = await testVault({
      ...crowded,
      policy: { ...crowded.policy, code, replicaBelowBytes: 0 },
      providers: 3,
      wrap,
    });
    const bytes = noise(300_000, 1);
    await putObject(context, bytes, { name: 'x' });
    isStored = true;
    const all = await Promise.all(
      Array.from({ length: 4 }, async () => readAll(await getObject(context, 'x'))),
    );
    for (const got of all) expect(Buffer.compare(got, bytes)).toBe(0);
    expect(arenaIsFree(context)).toBe(true);
  });

  it('copies, each reading while it writes: all finish', { timeout: 60_000 }, async () => {
    const { context } = await faultyVault(crowded);
    await putObject(context, noise(600_000, 1), { name: 'x' });
    await Promise.all(
      Array.from({ length: 12 }, async (_, i) =>
        putObject(context, await getObject(context, 'x'), { name: `y${i}` }),
      ),
    );
    expect(Buffer.compare(await readAll(await getObject(context, 'y7')), noise(600_000, 1))).toBe(0);
    expect(arenaIsFree(context)).toBe(true);
  });

  it('a reader that pauses for good does not stop others', { timeout: 60_000 }, async () => {
    const { context } = await faultyVault(crowded);
    await putObject(context, noise(600_000, 1), { name: 'x' });
    const paused = [];
    for (let i = 0; i < 12; i++) {
      const iterator = (await getObject(context, 'x'))[Symbol.asyncIterator]();
      await Promise.race([iterator.next(), new Promise((resolve) => setTimeout(resolve, 300))]);
      paused.push(iterator);
    }
    expect(Buffer.compare(await readAll(await getObject(context, 'x')), noise(600_000, 1))).toBe(0);
    for (const iterator of paused) void iterator.return?.(undefined);
  });
});
