import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { MAX_PACKS } from '../../manifest/limits.ts';
import type { Provider } from '../../providers/provider.ts';
import type { Draft } from './pack-draft.ts';

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
