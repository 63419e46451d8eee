import { expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import type { BlobAt } from '../../src/records/trash.ts';
import { deleteOrQueue, emptyTrash } from '../../src/records/trash.ts';
import { noise, testVault } from '../helpers/vault.ts';
import { blake3 } from '../providers/deps.ts';

const blobAt = (provider: string, i: number): BlobAt => ({
  provider,
  address: addressOf(blake3.hash(noise(10, i + 1))),
  bytes: 0,
});
const blobsAt = (provider: string, count: number): BlobAt[] =>
  Array.from({ length: count }, (_, i) => blobAt(provider, i));

/** A vault whose providers in `hanging` never answer a delete, whatever the signal says. */
async function world(hanging: Set<string>) {
  const asked: string[] = [];
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    delete: async (address, options) => {
      asked.push(adapter.adapterId);
      if (hanging.has(adapter.adapterId)) await new Promise(() => {});
      return adapter.delete(address, options);
    },
  });
  const { context } = await testVault({ wrap });
  return { context, asked };
}

async function trashOf({ engine }: VaultContext): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of engine.table('trash').entries()) keys.push(key);
  return keys;
}

it('deletes wait for nobody who stands still while others get on; what is left there is queued', async () => {
  const hanging = new Set(['p3']);
  const { context } = await world(hanging);
  const its = blobsAt('p3', 20);
  const blobs = [...its, ...blobsAt('p1', 20), ...blobsAt('p2', 20)];
  expect(await deleteOrQueue(context, blobs)).toBe(20);
  expect(await trashOf(context)).toEqual(its.map(({ address }) => `p3/${address}`).sort());
  hanging.clear();
  expect(await emptyTrash(context)).toBe(20);
  context.directory.heard('p3');
  expect(await emptyTrash(context)).toBe(0);
  expect(await trashOf(context)).toEqual([]);
});

it('deletes wait for everybody while nobody gets on, until they are told to stop', async () => {
  const { context } = await world(new Set(['p1', 'p2']));
  const blobs = [...blobsAt('p1', 2), ...blobsAt('p2', 2)];
  const started = performance.now();
  expect(await deleteOrQueue(context, blobs, { signal: AbortSignal.timeout(1_500) })).toBe(4);
  expect(performance.now() - started).toBeGreaterThan(1_400);
});

it('deletes do not ask who is known not to answer, and do not let the others’ queue wait behind its own', async () => {
  const { context: plain, asked } = await world(new Set(['p1']));
  const context = { ...plain, directory: { ...plain.directory, isResponsive: (id: string) => id !== 'p1' } };
  const { engine } = context;
  for (const { provider, address } of [...blobsAt('p1', 600), ...blobsAt('p2', 3)])
    await engine.table('trash').put(`${provider}/${address}`, new Uint8Array(8));
  await emptyTrash(context);
  expect(asked).toEqual(['p2', 'p2', 'p2']);
  const left = await trashOf(context);
  expect(left).toHaveLength(600);
  expect(left.every((key) => key.startsWith('p1/'))).toBe(true);
});

it('one look tells that nothing is queued, however many providers there are', async () => {
  const { context } = await world(new Set());
  const table = context.engine.table('trash');
  const entries = table.entries.bind(table);
  let looks = 0;
  table.entries = (options) => {
    looks++;
    return entries(options);
  };
  expect(await emptyTrash(context)).toBe(0);
  expect(looks).toBe(1);
});
