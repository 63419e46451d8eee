import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { Cid } from '../../src/manifest/cid.ts';
import type { Link } from '../../src/manifest/links.ts';
import type { OpenRoot } from '../../src/manifest/root.ts';
import {
  type ManifestTree,
  type PlainRange,
  type Visit,
  walkManifest,
} from '../../src/object/manifest-tree.ts';
import { chunkStartOf, type NodeMemory, type OpenNode } from '../../src/object/readable-segments.ts';

const RUNS = process.env.SLOW === '1' ? 5000 : 300;

/** A node and all below it; a segment is the lengths of its chunks. */
interface Branch {
  readonly address: BlobAddress | undefined;
  readonly lost: boolean;
  readonly below: readonly Branch[] | readonly number[];
}

/** A tree as its nodes stand, and a walk over it that writes down what it fetched. */
interface Case {
  readonly depth: number;
  readonly root: Branch;
}

const trees: fc.Arbitrary<Case> = fc.nat({ max: 3 }).chain((depth) =>
  branches(depth).map((root) => {
    let count = 0;
    const numbered = (one: Branch): Branch => {
      const address =
        count === 0 ? undefined : addressOf(new Uint8Array(32).fill(count, 0, 31).fill(count >> 8, 31));
      count++;
      const below = one.below.map((each) => (typeof each === 'number' ? each : numbered(each)));
      return { ...one, address, below: below as Branch['below'] };
    };
    return { depth, root: numbered(root) };
  }),
);

function branches(depth: number): fc.Arbitrary<Branch> {
  const below: fc.Arbitrary<readonly Branch[] | readonly number[]> =
    depth === 0
      ? fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 4 })
      : fc.array(branches(depth - 1), { minLength: 1, maxLength: 4 });
  return fc.record({
    address: fc.constant(undefined),
    lost: fc.nat({ max: 9 }).map((n) => n === 0),
    below,
  });
}

const bytesOf = ({ below }: Branch): number =>
  below.reduce<number>((sum, each) => sum + (typeof each === 'number' ? each : bytesOf(each)), 0);

const linksOf = ({ below }: Branch): Link[] =>
  (below as readonly Branch[]).map((each) => ({
    cid: new Cid(each.address!),
    chunks: 1,
    plainBytes: bytesOf(each),
  }));

function treeOf({ depth, root }: Case, fetched: BlobAddress[]): ManifestTree<Link, Branch> {
  const find = (from: Branch, address: BlobAddress): Branch | undefined => {
    if (from.address === address) return from;
    if (typeof from.below[0] === 'number') return undefined;
    return (from.below as readonly Branch[]).map((each) => find(each, address)).find((found) => found);
  };
  const fetch = async (address: BlobAddress): Promise<Branch | undefined> => {
    fetched.push(address);
    const found = find(root, address)!;
    return found.lost ? undefined : found;
  };
  return {
    depth,
    links: depth === 0 ? [] : linksOf(root),
    segment: async (address) => (address === undefined ? root : fetch(address)),
    async index(address) {
      const node = await fetch(address);
      return node && linksOf(node);
    },
  };
}

/** The slow and obvious way: every node of the tree in order, and then those left out that must not be visited. */
function reference({ depth, root }: Case, range: PlainRange | undefined, segments: boolean) {
  const all: { node: Branch; depth: number; start: number; above: Branch[] }[] = [];
  const list = (node: Branch, at: number, start: number, above: Branch[]): void => {
    all.push({ node, depth: at, start, above });
    let from = start;
    if (at === 0) return;
    for (const each of node.below as readonly Branch[]) {
      list(each, at - 1, from, [...above, node]);
      from += bytesOf(each);
    }
  };
  list(root, depth, 0, []);
  const startOf = new Map(all.map(({ node, start }) => [node, start]));
  const isOver = (node: Branch): boolean =>
    range === undefined ||
    (startOf.get(node)! < range.end && startOf.get(node)! + bytesOf(node) > range.start);
  const visits: Omit<Visit<Branch>, 'segment'>[] = [];
  const fetched: BlobAddress[] = [];
  for (const { node, depth: at, start, above } of all) {
    const { address } = node;
    if (address === undefined) {
      if (at === 0 && segments) visits.push({ address, depth: 0, plainStart: 0, plainBytes: 0 });
      continue;
    }
    const reached = above.every((one) => one === root || (!one.lost && isOver(one)));
    if (!reached || !isOver(node)) continue;
    const visit = { address, depth: at, plainStart: start, plainBytes: bytesOf(node) };
    visits.push(visit);
    if (at > 0 || segments) fetched.push(address);
    if (at === 0 && segments && !node.lost) visits.push(visit);
  }
  return { visits, fetched };
}

const ranges = fc.option(
  fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 120 })).map(([a, b]) => ({ start: a, end: a + b })),
  { nil: undefined },
);

describe('a walk over a manifest', () => {
  test('comes by the nodes that are wanted, in order, and fetches no other', async () => {
    await fc.assert(
      fc.asyncProperty(trees, ranges, fc.boolean(), async (one, range, segments) => {
        const fetched: BlobAddress[] = [];
        const visits: Omit<Visit<Branch>, 'segment'>[] = [];
        let unread = 0;
        for await (const { segment, ...visit } of walkManifest(treeOf(one, fetched), { range, segments })) {
          visits.push(visit);
          if (segment === undefined) unread++;
          else expect(segment.address).toBe(visit.address);
        }
        const expected = reference(one, range, segments);
        expect({ visits, fetched }).toEqual(expected);
        expect(unread).toBe(new Set(visits.flatMap(({ address }) => address ?? [])).size);
      }),
      { numRuns: RUNS },
    );
  });

  test('reads a node only when it is asked to go on from it', async () => {
    const leaf = (n: number): Branch => ({
      address: addressOf(new Uint8Array(32).fill(n)),
      lost: false,
      below: [5],
    });
    const fetched: BlobAddress[] = [];
    const root = { address: undefined, lost: false, below: [leaf(1), leaf(2)] };
    for await (const visit of walkManifest(treeOf({ depth: 1, root }, fetched)))
      if (visit.segment !== undefined) break;
    expect(fetched).toEqual([leaf(1).address]);
  });
});

test('the chunk of a byte is found in the nodes in memory, as adding up all lengths finds it', () => {
  const anywhere = fc.nat({ max: 200 });
  fc.assert(
    fc.property(trees, anywhere, ({ depth, root }, at) => {
      const nodes = new Map<BlobAddress | 'root', OpenNode>();
      const lengths: { start: number; length: number; known: boolean }[] = [];
      let start = 0;
      const remember = (node: Branch, level: number, known: boolean): void => {
        const kept = known && !node.lost;
        const key = node.address ?? 'root';
        if (level > 0) {
          if (!node.lost) nodes.set(key, linksOf(node));
          for (const each of node.below as readonly Branch[])
            remember(each, level - 1, node.address === undefined || kept);
          return;
        }
        const plainLens = node.below as readonly number[];
        if (!node.lost) nodes.set(key, { secrets: { plainLens } } as unknown as OpenNode);
        for (const length of plainLens) {
          lengths.push({ start, length, known: kept });
          start += length;
        }
      };
      remember(root, depth, true);
      const opened = {
        record: { body: depth === 0 ? { depth } : { depth, links: [] } },
        links: depth === 0 ? [] : linksOf(root),
      } as unknown as OpenRoot;
      const memory: NodeMemory = { get: (key) => nodes.get(key), set() {} };
      const chunk = lengths.find((one) => at >= one.start && at < one.start + one.length);
      expect(chunkStartOf(opened, memory, at)).toBe(chunk?.known ? chunk.start : undefined);
    }),
    { numRuns: RUNS },
  );
});
