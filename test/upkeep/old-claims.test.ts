import { expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import type { Table } from '../../src/engine/engine.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { SETTLE_MS } from '../../src/records/claims.ts';
import { deleteOrQueue, queueDeletes } from '../../src/records/deletes.ts';
import { keepFork } from '../../src/records/forks.ts';
import { generationOf } from '../../src/records/generation.ts';
import { readName } from '../../src/records/names.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { scrubProviders } from '../../src/upkeep/gc.ts';
import { judgeOldClaims } from '../../src/upkeep/old-claims.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { remainsOf } from '../../src/upkeep/remains.ts';
import { alive, blobsAt, statesOf, store, trashOf, world } from '../helpers/deleting.ts';
import { aroundWrites } from '../helpers/engine.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { noise, readAll } from '../helpers/vault.ts';

it('what was queued before a recovery is judged anew: what a name needs stays, the rest goes', async () => {
  const { vault, context, asked } = await world();
  const content = noise(200_000, 5);
  await putObject(context, content, { name: 'x' });
  const needed = await allBlobs(vault);
  const strays = blobsAt('p1', 2);
  await store(context, strays);
  const places = needed.map((place) => {
    const [provider, address] = place.split('/') as [string, BlobAddress];
    return { provider, address, bytes: 0 };
  });
  await queueDeletes(context, [...places, ...strays]);
  await generationOf(context).adopt([]);
  await emptyTrash(context, alive);
  expect(asked).toEqual([]);
  // A dry run judges nothing.
  await scrubProviders(context, { dryRun: true });
  expect(await trashOf(context)).toHaveLength(places.length + 2);
  await scrubProviders(context);
  await emptyTrash(context, alive);
  expect([await trashOf(context), await allBlobs(vault)]).toEqual([[], needed]);
  expect(Buffer.compare(await readAll(await getObject(context, 'x')), content)).toBe(0);
});

it.each([
  ['the nodes of a version that this state remembers', false, false],
  ['the nodes of what has the name of a fork here', false, true],
  ['all of a version of which the root here is damaged', true, false],
  ['all of what has the name of a fork here, where its root is damaged', true, true],
])('what was queued before a recovery goes, though another home deleted %s', async (_, rootToo, isFork) => {
  const several = { chunkBytes: 64 * 1024, policy: { packTargetBytes: 4 * 1024 } };
  const { vault, context } = await world({}, several);
  const { manifest } = await putObject(context, noise(150_000, 5), { name: 'x' });
  const strays = blobsAt('p1', 2);
  await store(context, strays);
  await queueDeletes(context, strays);
  const other: VaultContext = { ...context, engine: createMemoryEngine() };
  await recoverVault(other);
  const { nodes, packs } = await remainsOf(context, manifest, { withoutLost: false });
  expect(nodes.flat().length).toBeGreaterThan(0);
  // Deleting has come to the nodes, and is still to come to a pack that did not answer.
  for (const { adapter } of vault.providers)
    for (const node of [...nodes.flat(), ...(rootToo ? [manifest] : [])]) await adapter.delete(node);
  if (rootToo) await context.engine.table('manifests').put(manifest, noise(100));
  await generationOf(context).adopt([]);
  await judgeOldClaims(context);
  expect(await trashOf(context), 'while a name stands for it').toHaveLength(2);
  if (isFork) await keepFork(context, (await readName(context, 'x'))!);
  await putObject(other, noise(3_000, 6), { name: 'x' });
  await recoverVault(context);
  await emptyTrash(context, alive);
  expect(await trashOf(context)).toEqual([]);
  expect(await allBlobs(vault)).toContain(`${packs[0]!.provider}/${packs[0]!.address}`);
});

it('what is needed after a recovery keeps its place claimed while a delete of before may be under way', async () => {
  const { vault, context, told, late, time } = await world();
  await putObject(context, noise(3_000, 5), { name: 'x' });
  const needed = await allBlobs(vault);
  const [provider, address] = needed[0]!.split('/') as [string, BlobAddress];
  told[provider] = 'lose';
  await deleteOrQueue(context, [{ provider, address, bytes: 0 }]);
  told[provider] = 'work';
  await generationOf(context).adopt([]);
  await scrubProviders(context);
  await emptyTrash(context, alive);
  expect([await statesOf(context), await allBlobs(vault)]).toEqual([['unsettled'], needed]);
  time.ms += SETTLE_MS;
  await emptyTrash(context, alive);
  expect([await trashOf(context), await allBlobs(vault)]).toEqual([[], needed]);
  expect(late).toHaveLength(1);
});

it('claims of before a recovery are judged together: the journal is not read for each of them', async () => {
  const { context } = await world();
  await queueDeletes(context, blobsAt('p1', 100));
  await generationOf(context).adopt([]);
  let looks = 0;
  const table = (name: string): Table => {
    if (name === 'journal') looks++;
    return context.engine.table(name);
  };
  await judgeOldClaims({
    ...context,
    engine: { ...aroundWrites(context.engine, (_, work) => work()), table },
  });
  expect(await trashOf(context)).toEqual([]);
  expect(looks).toBeLessThan(10);
});
