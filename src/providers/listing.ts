import { HoldfastError } from '../core/errors.ts';

/** Listings in ascending order: what comes next is known from the last name alone, and a provider that lies is seen. */

/** Names held at once; a longer source is read again for the next ones. */
const BATCH = 16_384;
/** Names looked at in one reading, ours or not: more than any folder has. */
const MAX_READ = 50_000_000;

/**
 * What is behind `after` in a source that gives it in any order, each name once.
 * @param read starts the source from its beginning. @param batch items to hold at once.
 */
export async function* inOrder<T>(
  read: () => AsyncIterable<T>,
  nameOf: (item: T) => string,
  after: string,
  batch: number = BATCH,
): AsyncGenerator<T, void, undefined> {
  for (let last = after; ; ) {
    const items = await smallest(read(), nameOf, last, batch);
    yield* items;
    if (items.length < batch) return;
    last = nameOf(items.at(-1)!);
  }
}

async function smallest<T>(
  source: AsyncIterable<T>,
  nameOf: (item: T) => string,
  after: string,
  count: number,
): Promise<T[]> {
  let best: T[] = [];
  let bound: string | undefined;
  let seen = 0;
  for await (const item of source) {
    if (++seen > MAX_READ) throw tooMany(MAX_READ);
    const name = nameOf(item);
    if (name <= after || (bound !== undefined && name >= bound)) continue;
    best.push(item);
    if (best.length < 2 * count) continue;
    best = firstOf(best, nameOf, count);
    if (best.length === count) bound = nameOf(best.at(-1)!);
  }
  return firstOf(best, nameOf, count);
}

function firstOf<T>(items: readonly T[], nameOf: (item: T) => string, count: number): T[] {
  const byName = new Map(items.map((item) => [nameOf(item), item]));
  const names = [...byName.keys()].sort().slice(0, count);
  return names.map((name) => byName.get(name)!);
}

const HEAD = /^[0-9a-f]{2}$/;

/** Whether a folder may be one of the 256 that blobs are kept in, each named by two digits that their addresses begin with. */
export const isHead = (name: string): boolean => HEAD.test(name);

/**
 * Blobs of folders of which each holds the addresses that begin with its name, in order.
 * @param prefixHex what they begin with; only folders that can hold such are opened. @param inside lists one, in any order.
 */
export async function* byHead<T>(
  heads: Iterable<string>,
  prefixHex: string,
  after: string,
  inside: (head: string) => AsyncIterable<T>,
  addressOf: (item: T) => string,
): AsyncGenerator<T, void, undefined> {
  for (const head of [...new Set(heads)].sort()) {
    if (!head.startsWith(prefixHex.slice(0, 2)) || head < after.slice(3, 5)) continue;
    yield* inOrder(() => inside(head), addressOf, after);
  }
}

/** Items as they come, whose names must ascend from `after` on, up to `max` of them. */
export async function* ascending<T>(
  source: AsyncIterable<T>,
  nameOf: (item: T) => string,
  after: string,
  max: number,
): AsyncGenerator<T, void, undefined> {
  let last = after;
  let count = 0;
  for await (const item of source) {
    const name = nameOf(item);
    if (name <= last) throw disordered();
    if (++count > max) throw tooMany(max);
    last = name;
    yield item;
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
