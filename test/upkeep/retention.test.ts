import { expect, it } from 'vitest';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

/** A policy that keeps everything, and notes what it was asked. */
async function keepingAll(): Promise<{ context: VaultContext; asked: string[] }> {
  const { context } = await testVault({ providers: 4 });
  const asked: string[] = [];
  const retire: VaultContext['retention']['retire'] = async ({ manifest, why }) => {
    asked.push(`${manifest} ${why}`);
    return { deleted: 0, queued: 0 };
  };
  return { context: { ...context, retention: { replacedMs: 0, retire } }, asked };
}

/** The process dies once its change of the name is written. */
function dying(context: VaultContext): VaultContext {
  let dead = false;
  const engine = aroundWrites(context.engine, async (write, work) => {
    if (dead) throw new Error('the process is gone');
    const result = await work();
    dead = touches(write, 'names');
    if (dead) throw new Error('the process is gone');
    return result;
  });
  return { ...context, engine, owner: async () => 'dead' };
}

const put = (context: VaultContext, seed: number) => putObject(context, noise(5_000, seed), { name: 'x' });
const sweep = (context: VaultContext) => sweepJournal(context, (owner) => owner === 'dead');

it('the policy alone decides what becomes of a version that was replaced or removed', async () => {
  const { context, asked } = await keepingAll();
  const first = await put(context, 1);
  const second = await put(context, 2);
  await deleteObject(context, 'x');
  expect(asked).toEqual([`${first.manifest} replaced`, `${second.manifest} removed`]);
  for (const [seed, { manifest }] of [first, second].entries()) {
    const kept = await readAll(await getObject(context, manifest));
    expect(Buffer.compare(kept, noise(5_000, seed + 1))).toBe(0);
  }
});

it('the policy is asked by the sweep, of what a dead run had replaced or removed', async () => {
  const { context, asked } = await keepingAll();
  const first = await put(context, 1);
  await put(dying(context), 2).catch(() => {});
  expect(asked).toEqual([]);
  await sweep(context);
  expect(asked.splice(0)).toEqual([`${first.manifest} replaced`]);
  const third = await put(context, 3);
  asked.splice(0);
  await deleteObject(dying(context), 'x').catch(() => {});
  await sweep(context);
  expect(asked).toEqual([`${third.manifest} removed`]);
});
