import { describe, expect, it } from 'vitest';
import type { VaultContext } from '../../src/pipeline/context.ts';
import type { CpuStage, EncodeJob } from '../../src/pipeline/cpu/jobs.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { noise, testVault } from '../helpers/vault.ts';

/** A vault that changes a byte of the arena before or after it encodes a chunk, and hashes shards as they then are. */
function faulty(context: VaultContext, change: (memory: Uint8Array, job: EncodeJob) => void): VaultContext {
  const memory = new Uint8Array(context.arena.memory.buffer);
  const cpu: CpuStage = {
    ...context.cpu,
    encode: (job) => {
      change(memory, job);
      return context.cpu.encode(job);
    },
  };
  return { ...context, cpu, policy: { ...context.policy, verifyWrites: 'off' } };
}

describe('deep verification', () => {
  it('reads all of an object that is right', async () => {
    const { context } = await testVault({ chunkBytes: 65_536 });
    await putObject(context, noise(200_000), { name: 'x' });
    expect(await verifyObject(context, 'x', { deep: true })).toMatchObject({
      intact: true,
      deep: { plainBytes: 200_000, chunksWithWrongParity: 0, problem: undefined },
    });
    expect((await verifyObject(context, 'x')).deep).toBeUndefined();
  });

  it('finds bytes that were put wrong, where every shard is as its manifest says', async () => {
    const { context } = await testVault({ chunkBytes: 65_536 });
    const flip = (memory: Uint8Array, job: EncodeJob): void => {
      if (job.index === 1) memory[job.frame + 7]! ^= 4;
    };
    await putObject(faulty(context, flip), noise(200_000), { name: 'x' });
    expect(await verifyObject(context, 'x')).toMatchObject({ intact: true });
    expect(await verifyObject(context, 'x', { deep: true })).toMatchObject({
      intact: false,
      readable: false,
      damageTotal: 0,
      deep: { problem: { code: 'wrong_plain_hash' } },
    });
  });
});
