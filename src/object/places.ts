import type { LinearCode } from '../coding/erasure/linear-code.ts';
import { HoldfastError } from '../core/errors.ts';
import type { PackRecord, SegmentRecord } from '../manifest/segment.ts';

/** A segment with the places of its shards worked out. Ask {@link locate} where one is. */
export interface SegmentView {
  readonly record: SegmentRecord;
  readonly code: LinearCode;
  readonly layout: PackLayout;
  /** Bytes of a shard, by chunk. */
  readonly shardLengths: readonly number[];
  /** Laid over the recorded places by `relocate`. */
  readonly moved?: MovedShards | undefined;
}

/** Where a shard is, or may be. */
export interface Place {
  /** The same object for all shards of a pack. */
  readonly pack: PackRecord;
  /** Of the shard's first byte in the pack. */
  readonly offset: number;
}

interface MovedShards {
  /** All places of each shard that was moved, the likeliest first. Key: `chunk × totalShards + shard`. */
  readonly places: ReadonlyMap<number, readonly Place[]>;
  /** See {@link packsOf}. */
  readonly packs: readonly PackRecord[];
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

/**
 * Where a shard is: the only way to ask. Element 0 of its places is where the vault says it is, and always there; what
 * follows are places where it may be too, each worth one read, for the shard's digest proves it. Undefined past the last.
 */
export function locate(view: SegmentView, chunk: number, shard: number): Place;
export function locate(view: SegmentView, chunk: number, shard: number, nth: number): Place | undefined;
export function locate(view: SegmentView, chunk: number, shard: number, nth = 0): Place | undefined {
  const at = chunk * view.code.totalShards + shard;
  const places = view.moved?.places.get(at);
  if (places !== undefined) return places[nth];
  return nth === 0 ? recordedPlace(view, at) : undefined;
}

/** Every place of a shard, the likeliest first. @param at `chunk × totalShards + shard`. */
export const allPlaces = (view: SegmentView, at: number): readonly Place[] =>
  view.moved?.places.get(at) ?? [recordedPlace(view, at)];

/** Where a shard was put. @param at `chunk × totalShards + shard`. */
export const recordedPlace = ({ record, layout }: SegmentView, at: number): Place => ({
  pack: record.packs[record.places[at]!]!,
  offset: layout.offsets[at]!,
});

/** The packs that the vault keeps for a segment: where its shards were put, or moved to since. */
export const packsOf = ({ record, moved }: SegmentView): readonly PackRecord[] =>
  moved?.packs ?? record.packs;

/** Whether the segment's node itself names a pack, whatever was moved since. */
export const namesPack = ({ record }: SegmentView, { provider, address }: PackRecord): boolean =>
  record.packs.some((pack) => pack.provider === provider && pack.address === address);

/** How many shards a segment has. */
export const shardCount = ({ record }: SegmentView): number => record.places.length;

/** Digest of a shard: 32 bytes. */
export const shardDigest = (view: SegmentView, chunk: number, shard: number): Uint8Array => {
  const at = 32 * (chunk * view.code.totalShards + shard);
  return view.record.shards.subarray(at, at + 32);
};

/** Digests of all shards of a chunk, back to back. */
export const chunkDigests = ({ record, code }: SegmentView, chunk: number): Uint8Array =>
  record.shards.subarray(32 * chunk * code.totalShards, 32 * (chunk + 1) * code.totalShards);

/**
 * Where shards stand in packs. The rule of the format: in a pack the data shards come first, then all others, each
 * part ordered by chunk and then by shard, without gaps. So a read of consecutive chunks is one range per provider.
 */
interface PackLayout {
  /** Offset in its pack of each shard: element `chunk × totalShards + shard`. */
  readonly offsets: Float64Array;
  /** Bytes of each pack. */
  readonly lengths: readonly number[];
}

/**
 * @param places pack index of each (chunk, shard).
 * @param shardLengths bytes of a shard, by chunk.
 */
function packLayout(
  places: Uint8Array,
  packs: number,
  shardLengths: readonly number[],
  dataShards: number,
  totalShards: number,
): PackLayout {
  const offsets = new Float64Array(places.length);
  const lengths: number[] = new Array(packs).fill(0);
  const lay = (from: number, to: number): void => {
    shardLengths.forEach((length, chunk) => {
      for (let shard = from; shard < to; shard++) {
        const at = chunk * totalShards + shard;
        const pack = places[at]!;
        offsets[at] = lengths[pack]!;
        lengths[pack]! += length;
      }
    });
  };
  lay(0, dataShards);
  lay(dataShards, totalShards);
  return { offsets, lengths };
}
