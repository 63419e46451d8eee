import { addressOf } from '../../core/address.ts';
import { equalBytes } from '../../core/bytes.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import type { ObjectContext } from '../../object/context.ts';
import { problemOf } from '../../object/damage.ts';
import { locate, type SegmentView, shardDigest } from '../../object/places.ts';
import type { Lane } from './lanes.ts';

/** A pack, and the shards that ought to be there and nowhere else. */
export interface PackInUse {
  readonly pack: PackRecord;
  /** In the order in which they stand in it. */
  readonly shards: readonly ShardInPack[];
}

interface ShardInPack {
  /** `chunk × totalShards + shard`. */
  readonly at: number;
  readonly offset: number;
  readonly length: number;
}

/** What a pack was found to be. */
export type PackVerdict =
  | { readonly problem: undefined }
  /** `shards` undefined: all of it. */
  | {
      readonly problem: 'missing' | 'corrupt';
      readonly shards?: readonly number[] | undefined;
      readonly error: HoldfastError;
    };

/** The packs that shards ought to be in: what was moved elsewhere does not count where it was. */
export function packsInUse(view: SegmentView): PackInUse[] {
  const { code, shardLengths } = view;
  const packs = new Map<PackRecord, ShardInPack[]>();
  for (let chunk = 0; chunk < shardLengths.length; chunk++) {
    for (let shard = 0; shard < code.totalShards; shard++) {
      const { pack, offset } = locate(view, chunk, shard);
      const at = chunk * code.totalShards + shard;
      entryOf(packs, pack, () => []).push({ at, offset, length: shardLengths[chunk]! });
    }
  }
  for (const shards of packs.values()) shards.sort((a, b) => a.offset - b.offset);
  return [...packs].map(([pack, shards]) => ({ pack, shards }));
}

/**
 * Reads a pack whole, for its address is its hash; where that is wrong, shard by shard. Keeps no more of it than a piece, or a
 * shard.
 * @throws HoldfastError when the provider gave no answer, which says nothing of the pack.
 */
export async function checkPack(
  context: Pick<ObjectContext, 'blake3'>,
  view: SegmentView,
  { pack, shards }: PackInUse,
  lane: Lane,
): Promise<PackVerdict> {
  const error = await attempt(() => readWhole(context, pack, lane));
  if (error === undefined) return { problem: undefined };
  if (problemOf(error) === 'missing') return { problem: 'missing', error };
  const rotten: number[] = [];
  for (const shard of shards) {
    const wrong = await attempt(async () => void (await readShard(context, view, pack, shard, lane)));
    if (wrong === undefined) continue;
    if (problemOf(wrong) === 'missing') return { problem: 'missing', error: wrong };
    rotten.push(shard.at);
  }
  if (rotten.length === 0) return { problem: undefined };
  if (rotten.length === shards.length) return { problem: 'corrupt', error };
  return { problem: 'corrupt', error, shards: rotten.sort((a, b) => a - b) };
}

/**
 * Reads a pack whole and compares every shard in it, for one of which only somebody says what it holds.
 * @returns false where it holds something else. @throws HoldfastError when the provider gave no answer.
 */
export async function provesShards(
  context: Pick<ObjectContext, 'blake3'>,
  view: SegmentView,
  { pack, shards }: PackInUse,
  lane: Lane,
): Promise<boolean> {
  const hasher = context.blake3.createHasher();
  const read = async (): Promise<void> => {
    for (const shard of shards) hasher.update(await readShard(context, view, pack, shard, lane));
  };
  if ((await attempt(read)) !== undefined) return false;
  return addressOf(hasher.digest()) === pack.address;
}

/** @returns what the provider's answer says of the blob. @throws what is no answer. */
async function attempt(read: () => Promise<void>): Promise<HoldfastError | undefined> {
  try {
    await read();
    return undefined;
  } catch (thrown) {
    const error = asHoldfastError(thrown);
    if (problemOf(error) === 'unavailable') throw error;
    return error;
  }
}

async function readWhole(
  { blake3 }: Pick<ObjectContext, 'blake3'>,
  { address, length }: PackRecord,
  { provider, signal, progressed }: Lane,
): Promise<void> {
  const hasher = blake3.createHasher();
  let size = 0;
  for await (const piece of provider.adapter.fetchStream(address, { signal })) {
    size += piece.length;
    if (size > length) break;
    hasher.update(piece);
    progressed();
  }
  if (size !== length || addressOf(hasher.digest()) !== address)
    throw new HoldfastError('HashMismatch', 'the pack has other bytes than its address says');
}

async function readShard(
  { blake3 }: Pick<ObjectContext, 'blake3'>,
  view: SegmentView,
  { address }: PackRecord,
  { at, offset, length }: ShardInPack,
  { provider, signal, progressed }: Lane,
): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  await provider.adapter.fetchRange(address, offset, [into], { signal });
  progressed();
  const { totalShards } = view.code;
  const digest = shardDigest(view, Math.floor(at / totalShards), at % totalShards);
  if (!equalBytes(blake3.hash(into), digest))
    throw new HoldfastError('HashMismatch', 'the shard has other bytes than the manifest says');
  return into;
}
