import type { BlobAdapter, BlobEntry, ListOptions } from '../adapter.ts';
import { checkListing } from '../guard.ts';

/**
 * What any of them has, each address once, as the one tells that wrote it last. All must answer: what only the silent one
 * has would be missing.
 */
export async function* mergeListings(
  backends: readonly BlobAdapter[],
  options: ListOptions = {},
): AsyncGenerator<BlobEntry, void, undefined> {
  checkListing(options);
  const { limit, ...each } = options;
  const sources = backends.map((backend) => backend.list(each)[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(sources.map((source) => source.next()));
    for (let left = limit ?? Number.POSITIVE_INFINITY; left > 0; left--) {
      const entries = heads.flatMap(({ done, value }) => (done ? [] : [value]));
      const least = entries.reduce<BlobEntry | undefined>(youngerOfLeast, undefined);
      if (least === undefined) return;
      yield least;
      for (const [i, { value }] of heads.entries())
        if (value?.address === least.address) heads[i] = await sources[i]!.next();
    }
  } finally {
    await Promise.allSettled(sources.map((source) => source.return?.()));
  }
}

function youngerOfLeast(best: BlobEntry | undefined, entry: BlobEntry): BlobEntry {
  if (best === undefined || entry.address < best.address) return entry;
  if (entry.address > best.address) return best;
  return (entry.modifiedUnixMs ?? 0) > (best.modifiedUnixMs ?? 0) ? entry : best;
}
