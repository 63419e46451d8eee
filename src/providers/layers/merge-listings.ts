import type { BlobAddress } from '../../core/address.ts';
import type { BlobAdapter, ListOptions } from '../adapter.ts';
import { checkListing } from '../guard.ts';

/** What any of them has, each address once. All must answer: what only the silent one has would be missing. */
export async function* mergeListings(
  backends: readonly BlobAdapter[],
  options: ListOptions = {},
): AsyncGenerator<BlobAddress, void, undefined> {
  checkListing(options);
  const { limit, ...each } = options;
  const sources = backends.map((backend) => backend.list(each)[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(sources.map((source) => source.next()));
    for (let left = limit ?? Number.POSITIVE_INFINITY; left > 0; left--) {
      const least = heads.reduce<BlobAddress | undefined>(
        (low, { done, value }) => (done || (low !== undefined && low <= value) ? low : value),
        undefined,
      );
      if (least === undefined) return;
      yield least;
      for (const [i, { value }] of heads.entries()) if (value === least) heads[i] = await sources[i]!.next();
    }
  } finally {
    await Promise.allSettled(sources.map((source) => source.return?.()));
  }
}
