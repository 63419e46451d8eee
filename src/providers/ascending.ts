import { HoldfastError } from '../core/errors.ts';

/** Listings in ascending order: what comes next is known from the last name alone, and a provider that lies is seen. */

/** Names held at once; a longer source is read again for the next ones. */
const BATCH = 16_384;
/** Names looked at in one reading, ours or not: more than any folder has. */
const MAX_READ = 50_000_000;

/**
 * The names behind `after` of a source that gives them in any order, each once.
 * @param read starts the source from its beginning. @param batch names to hold at once.
 */
export async function* inOrder(
  read: () => AsyncIterable<string>,
  after: string,
  batch: number = BATCH,
): AsyncGenerator<string, void, undefined> {
  for (let last = after; ; ) {
    const names = await smallest(read(), last, batch);
    yield* names;
    if (names.length < batch) return;
    last = names.at(-1)!;
  }
}

async function smallest(source: AsyncIterable<string>, after: string, count: number): Promise<string[]> {
  let best: string[] = [];
  let bound: string | undefined;
  let seen = 0;
  for await (const name of source) {
    if (++seen > MAX_READ) throw tooMany(MAX_READ);
    if (name <= after || (bound !== undefined && name >= bound)) continue;
    best.push(name);
    if (best.length < 2 * count) continue;
    best = firstOf(best, count);
    if (best.length === count) bound = best.at(-1);
  }
  return firstOf(best, count);
}

const firstOf = (names: readonly string[], count: number): string[] =>
  [...new Set(names)].sort().slice(0, count);

/** Names as they come, which must ascend from `after` on, up to `max` of them. */
export async function* ascending<T extends string>(
  source: AsyncIterable<T>,
  after: string,
  max: number,
): AsyncGenerator<T, void, undefined> {
  let last = after;
  let count = 0;
  for await (const name of source) {
    if (name <= last) throw disordered();
    if (++count > max) throw tooMany(max);
    last = name;
    yield name;
  }
}

const disordered = (): HoldfastError =>
  new HoldfastError('Corrupt', 'the listing does not ascend: names come twice, or in another order', {
    code: 'listing_disordered',
    hint: 'This provider does not keep to its protocol; see its logs.',
  });

const tooMany = (max: number): HoldfastError =>
  new HoldfastError('Corrupt', `the listing has more than ${max} names`, {
    code: 'listing_too_long',
    hint: 'This provider shows more than it can have been given; see its logs.',
  });
