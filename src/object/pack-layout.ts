/**
 * Where shards stand in packs. The rule of the format: in a pack the data shards come first, then all others, each
 * part ordered by chunk and then by shard, without gaps. So a read of consecutive chunks is one range per provider.
 */
export interface PackLayout {
  /** Offset in its pack of each shard: element `chunk × totalShards + shard`. */
  readonly offsets: Float64Array;
  /** Bytes of each pack. */
  readonly lengths: readonly number[];
  /** Of each pack, the shards it holds, in order: `chunk × totalShards + shard`. */
  readonly contents: readonly (readonly number[])[];
}

/**
 * @param places pack index of each (chunk, shard).
 * @param shardLengths bytes of a shard, by chunk.
 */
export function packLayout(
  places: Uint8Array,
  packs: number,
  shardLengths: readonly number[],
  dataShards: number,
  totalShards: number,
): PackLayout {
  const offsets = new Float64Array(places.length);
  const lengths: number[] = new Array(packs).fill(0);
  const contents: number[][] = Array.from({ length: packs }, () => []);
  const lay = (from: number, to: number): void => {
    shardLengths.forEach((length, chunk) => {
      for (let shard = from; shard < to; shard++) {
        const at = chunk * totalShards + shard;
        const pack = places[at]!;
        offsets[at] = lengths[pack]!;
        lengths[pack]! += length;
        contents[pack]!.push(at);
      }
    });
  };
  lay(0, dataShards);
  lay(dataShards, totalShards);
  return { offsets, lengths, contents };
}
