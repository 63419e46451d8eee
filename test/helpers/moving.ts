import { createLinearCode } from '../../src/coding/erasure/code.ts';
import type { BlobAddress } from '../../src/core/address.ts';
import type { RelocatedPack } from '../../src/manifest/relocation.ts';
import type { RootRecord } from '../../src/manifest/root.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { fetchNode } from '../../src/object/fetch-node.ts';
import { publicTree, walkManifest } from '../../src/object/manifest-tree.ts';
import { locate, type SegmentView, viewSegment } from '../../src/object/places.ts';
import { relocate } from '../../src/object/relocations.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { openManifest } from '../../src/records/manifests.ts';
import type { Intent, PackToStore } from '../../src/records/moves.ts';

export interface StoredSegment {
  readonly manifest: BlobAddress;
  readonly segment: BlobAddress;
  readonly record: RootRecord;
  /** Its shards where they are now. */
  readonly view: SegmentView;
}

/** The segments of an object as they are now. */
export async function segmentsNow(context: VaultContext, manifest: BlobAddress): Promise<StoredSegment[]> {
  const damage = new DamageLog();
  const { record } = await openManifest(context, manifest, damage);
  const tree = publicTree(record, (address) => fetchNode(context, address, damage));
  const relocationsOf = await context.relocations.open({ fresh: true });
  const found: StoredSegment[] = [];
  for await (const { address, segment } of walkManifest(tree)) {
    if (segment === undefined) continue;
    const key = address ?? manifest;
    const base = viewSegment(segment, createLinearCode(record.code));
    const view = relocate(base, (await relocationsOf?.(key)) ?? []);
    found.push({ manifest, segment: key, record, view });
  }
  return found;
}

/** The pack that a provider ought to have, and the shards that ought to be in it. */
export function packAt({ view }: StoredSegment, provider: string): RelocatedPack {
  const { totalShards } = view.code;
  const places = [...view.record.places.keys()].map((at) =>
    locate(view, Math.floor(at / totalShards), at % totalShards),
  );
  const pack = places.find((place) => place.pack.provider === provider)!.pack;
  return { ...pack, shards: [...places.keys()].filter((at) => places[at]!.pack === pack) };
}

/** Copies a pack to where it is intended to be. */
export async function copyOver(context: VaultContext, from: string, { pack }: Intent): Promise<void> {
  const bytes = await context.directory.get(from)!.adapter.fetch(pack.address);
  await context.directory.get(pack.provider)!.adapter.store(pack.address, [bytes]);
}

export const toStore = ({ address, length }: RelocatedPack, provider: string): PackToStore => ({
  provider,
  address,
  length,
});

/** Of `moves`, `manifest_usage` or `trash`. */
interface Row {
  readonly state: string;
  readonly bytes: unknown;
}

/** Rows of a table, by key. */
export async function rowsOf({ engine }: VaultContext, table: string): Promise<Record<string, Row>> {
  const rows: Record<string, Row> = {};
  for await (const [key, value] of engine.table(table).entries()) {
    rows[key] = JSON.parse(new TextDecoder().decode(value)) as Row;
  }
  return rows;
}

export async function keysIn({ engine }: VaultContext, table: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of engine.table(table).entries()) keys.push(key);
  return keys;
}
