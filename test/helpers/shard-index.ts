import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { decodeRoot } from '../../src/manifest/root.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { fetchNode } from '../../src/object/fetch-node.ts';
import { publicTree, walkManifest } from '../../src/object/manifest-tree.ts';
import { locate, packsOf, viewSegment } from '../../src/object/places.ts';
import { relocate } from '../../src/object/relocations.ts';
import type { RecordsContext } from '../../src/records/context.ts';
import { loadRoot, storedManifests } from '../../src/records/manifests.ts';
import { type IndexedSegment, placementClasses, segmentsIn } from '../../src/records/shard-index.ts';
import { indexShards } from '../../src/upkeep/shard-index/index-shards.ts';

/** What the index says of all segments, in an order of its own; maps as text. */
export async function indexed(context: RecordsContext): Promise<string[]> {
  const found: string[] = [];
  for await (const { id, level, maps } of placementClasses(context)) {
    for await (const one of segmentsIn(context, id)) {
      const { segment, manifest, chunks, bytes, packs } = one;
      found.push(textOf({ segment, manifest, level, chunks, bytes, packs, maps }));
    }
  }
  return found.sort();
}

/** The same, as the roots, the nodes and the relocations say it. */
export async function inObjects(context: RecordsContext): Promise<string[]> {
  const found: string[] = [];
  const damage = new DamageLog();
  for await (const { manifest } of storedManifests(context, {})) {
    const root = decodeRoot(await loadRoot(context, manifest, damage));
    const code = createLinearCode(root.code);
    const relocationsOf = await context.relocations.open({ fresh: true });
    const tree = publicTree(root, (address) => fetchNode(context, address, damage));
    for await (const { address, segment: record } of walkManifest(tree)) {
      if (record === undefined) continue;
      const segment = address ?? manifest;
      const view = relocate(viewSegment(record, code), (await relocationsOf?.(segment)) ?? []);
      const maps = record.chunkLens.map((_, chunk) =>
        Array.from({ length: code.totalShards }, (__, shard) => locate(view, chunk, shard).pack.provider),
      );
      const bytes = record.chunkLens.reduce((a, b) => a + b, 0);
      const { level } = root.certificate.domains;
      const chunks = record.chunkLens.length;
      found.push(textOf({ segment, manifest, level, chunks, bytes, packs: packsOf(view), maps }));
    }
  }
  return found.sort();
}

interface Said extends Omit<IndexedSegment, 'level'> {
  readonly level: string;
  readonly maps: readonly (readonly string[])[];
}

function textOf({ segment, manifest, level, chunks, bytes, packs, maps }: Said): string {
  const its = packs.map(({ provider, address, length }) => [provider, address, length]);
  const distinct = [...new Set(maps.map((map) => map.join()))].sort();
  return JSON.stringify({ segment, manifest, level, chunks, bytes, packs: its, maps: distinct });
}

/** Runs until nothing is left to be done; the number of runs. */
export async function indexAll(context: RecordsContext, most = 20): Promise<number> {
  for (let run = 1; run <= most; run++) {
    const { whole, failures } = await indexShards(context, { compare: 'records' });
    if (failures.length > 0) throw failures[0]!.error;
    if (whole) return run;
  }
  throw new Error(`not done after ${most} runs`);
}

/** Forgets the whole index, as an earlier version leaves it. */
export async function dropIndex({ engine }: RecordsContext): Promise<void> {
  for (const name of ['shard_classes', 'shard_index', 'shard_due']) {
    const table = engine.table(name);
    for await (const [key] of table.entries({ onDamaged: () => {} })) await table.delete(key);
  }
  await engine.table('upkeep').delete('shards');
}
