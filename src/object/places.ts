import { createLinearCode } from '../coding/erasure/code.ts';
import type { LinearCode } from '../coding/erasure/linear-code.ts';
import type { BlobAddress } from '../core/address.ts';
import { HoldfastError } from '../core/errors.ts';
import { decodeIndexNode, type PublicLink } from '../manifest/links.ts';
import type { RootRecord } from '../manifest/root.ts';
import { decodeSegmentNode, type SegmentRecord } from '../manifest/segment.ts';
import type { ObjectContext } from './context.ts';
import type { DamageLog } from './damage.ts';
import { fetchNode } from './fetch-node.ts';
import { type PackLayout, packLayout } from './pack-layout.ts';

/** A segment with the places of its shards worked out. */
export interface SegmentView {
  readonly record: SegmentRecord;
  readonly code: LinearCode;
  readonly layout: PackLayout;
  /** By chunk. */
  readonly shardLengths: readonly number[];
}

/** @throws HoldfastError `Corrupt` when lengths contradict each other. */
export function viewSegment(record: SegmentRecord, code: LinearCode): SegmentView {
  const shardLengths = record.chunkLens.map((length) => {
    const shard = length / code.dataShards;
    if (!Number.isInteger(shard) || shard === 0 || shard % 512 !== 0) {
      throw new HoldfastError('Corrupt', 'a chunk length is no multiple of its shards', {
        code: 'malformed_manifest',
      });
    }
    return shard;
  });
  const layout = packLayout(
    record.places,
    record.packs.length,
    shardLengths,
    code.dataShards,
    code.totalShards,
  );
  if (record.packs.some((pack, i) => pack.length !== layout.lengths[i])) {
    throw new HoldfastError('Corrupt', 'pack lengths contradict the places', { code: 'malformed_manifest' });
  }
  return { record, code, layout, shardLengths };
}

/** Digest of a shard: 32 bytes. */
export const shardDigest = ({ record, code }: SegmentView, chunk: number, shard: number): Uint8Array => {
  const at = 32 * (chunk * code.totalShards + shard);
  return record.shards.subarray(at, at + 32);
};

export interface PublicSegment {
  readonly view: SegmentView;
  /** Undefined when it stands inside the root. */
  readonly node: BlobAddress | undefined;
}

/** Every segment of an object in order, by its public parts alone: enough to verify, repair and delete. */
export async function* publicSegments(
  context: ObjectContext,
  root: RootRecord,
  damage: DamageLog,
  signal?: AbortSignal,
): AsyncGenerator<PublicSegment> {
  const code = createLinearCode(root.code);
  if (!('links' in root.body)) {
    yield { view: viewSegment(root.body.segment, code), node: undefined };
    return;
  }
  for await (const { address, depth } of publicNodes(context, root, damage, signal)) {
    if (depth > 0) continue;
    const bytes = await fetchNode(context, address, damage, signal);
    yield {
      view: viewSegment(decodeSegmentNode(bytes, root.objectId, code.totalShards), code),
      node: address,
    };
  }
}

/** Addresses of all nodes below the root; `depth` 0 are segments. */
export async function* publicNodes(
  context: ObjectContext,
  root: RootRecord,
  damage: DamageLog,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly address: BlobAddress; readonly depth: number }> {
  if (!('links' in root.body)) return;
  const below = async function* (
    links: readonly PublicLink[],
    depth: number,
  ): AsyncGenerator<{ readonly address: BlobAddress; readonly depth: number }> {
    for (const { cid } of links) {
      yield { address: cid.address, depth };
      if (depth === 0) continue;
      const node = decodeIndexNode(await fetchNode(context, cid.address, damage, signal), root.objectId);
      yield* below(node.links, depth - 1);
    }
  };
  yield* below(root.body.links, root.body.depth - 1);
}
