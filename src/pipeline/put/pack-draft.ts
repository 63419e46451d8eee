import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { shardStride } from '../../coding/erasure/shape.ts';
import { addressOf, type BlobAddress } from '../../core/address.ts';
import { MAX_PACKS } from '../../manifest/limits.ts';
import type { Provider } from '../../providers/provider.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { ShardMap, TransferContext } from '../context.ts';
import type { BuiltChunk } from './segment-builder.ts';

/** A pack to be: which shards, as `chunk × totalShards + shard`, at which of the placed providers. */
export interface Draft {
  readonly provider: number;
  readonly shards: readonly number[];
}

/** One draft for every provider that the maps give some of the shards. */
export function draftPacks(
  maps: readonly ShardMap[],
  shardList: readonly number[],
  totalShards: number,
): Draft[] {
  const byProvider = new Map<number, number[]>();
  // By chunk and then by shard, as packs hold them; shards that lost their home come in any order.
  for (const at of [...shardList].sort((a, b) => a - b)) {
    const provider = maps[Math.floor(at / totalShards)]![at % totalShards]!;
    const held = byProvider.get(provider);
    if (held === undefined) byProvider.set(provider, [at]);
    else held.push(at);
  }
  return [...byProvider].map(([provider, shards]) => ({ provider, shards }));
}

/** The bytes of a draft, where they stand. */
export interface AddressedPack {
  readonly address: BlobAddress;
  readonly parts: readonly Uint8Array[];
  readonly length: number;
}

/** Puts a draft's shards in pack order, data shards first, and hashes them. */
export async function addressDraft(
  context: Pick<TransferContext, 'clock' | 'cpu' | 'metrics' | 'policy'>,
  code: LinearCode,
  chunks: readonly BuiltChunk[],
  draft: Draft,
): Promise<AddressedPack> {
  const isData = (at: number): boolean => at % code.totalShards < code.dataShards;
  const order = [...draft.shards.filter(isData), ...draft.shards.filter((at) => !isData(at))];
  const ranges: number[] = [];
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const at of order) {
    const { slab, encoded } = chunks[Math.floor(at / code.totalShards)]!;
    const offset = (at % code.totalShards) * shardStride(encoded.shardLength);
    ranges.push(slab.offset + offset, encoded.shardLength);
    parts.push(slab.bytes.subarray(offset, offset + encoded.shardLength));
    length += encoded.shardLength;
  }
  const twice = context.policy.verifyWrites === 'full';
  const [digest] = await timed(context, 'pack-hash', () => context.cpu.hash({ ranges: [ranges], twice }));
  return { address: addressOf(digest!), parts, length };
}

/** Providers that take less at once are of no use for shards: a put's metadata alone is longer. */
export const MIN_PACK_BYTES: number = 16 * 1024;
/** Of the packs that a segment may have, so many are left for shards that lose their home. */
const SPARE_PACKS = 1 / 2;

export const takesAtMost = ({ adapter }: Provider): number => adapter.capabilities.maxBlobBytes;

const MIN_CHUNK_BYTES = 16 * 1024;

/** The preferred length of a chunk, or less: a shard goes to one provider whole, so the one that takes least bounds them all. */
export function chunkLength(preferred: number, code: LinearCode, usable: readonly Provider[]): number {
  const longest = longestShard(usable);
  let length = preferred;
  while (length > MIN_CHUNK_BYTES && code.shardLength(length) > longest) length = Math.ceil(length / 2);
  return length;
}

/** Longest shard that all of them take, also those that have not said yet what they take. */
const longestShard = (providers: readonly Provider[]): number =>
  Math.min(
    ...providers.map(
      ({ adapter: { capabilities } }) => capabilities.sureBlobBytes ?? capabilities.maxBlobBytes,
    ),
  );

/** Bytes of a segment whose packs stay few enough, also where a provider takes only short ones. */
export const longestSegment = (providers: readonly Provider[]): number =>
  Math.min(...providers.map(takesAtMost)) * Math.floor(MAX_PACKS * SPARE_PACKS);

/** Drafts that hold no more than their provider takes at once, as few as may be; one shard stays one. */
export function fitDraft(draft: Draft, lengthOf: (at: number) => number, maxBytes: number): Draft[] {
  const fitting: number[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const at of draft.shards) {
    const length = lengthOf(at);
    if (held + length > maxBytes) {
      fitting.push([]);
      held = 0;
    }
    fitting.at(-1)!.push(at);
    held += length;
  }
  return fitting.map((shards) => ({ provider: draft.provider, shards }));
}
