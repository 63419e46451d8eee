import { equalBytes } from '../../core/bytes.ts';
import { rootOf, type TreeHash } from './tree.ts';

/** Proofs about trees (RFC 9162, section 2.1.3 and 2.1.4). Sizes and places are safe integers. */

const half = (n: number): number => Math.floor(n / 2);
const isOdd = (n: number): boolean => n % 2 === 1;

/** The largest power of two below `n`, which is 2 at least. */
function split(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}

/**
 * That the leaf at `index` is in the tree of these hashes of leaves: the hashes beside its way up, the lowest first.
 * @throws RangeError where there is no such leaf.
 */
export function proveInclusion(hash: TreeHash, leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!(index >= 0 && index < leaves.length)) throw new RangeError(`no leaf ${index} of ${leaves.length}`);
  const path: Uint8Array[] = [];
  let [from, to] = [0, leaves.length];
  while (to - from > 1) {
    const middle = from + split(to - from);
    const isLeft = index < middle;
    path.push(rootOf(hash, isLeft ? leaves.slice(middle, to) : leaves.slice(from, middle)));
    if (isLeft) to = middle;
    else from = middle;
  }
  return path.reverse();
}

export interface Inclusion {
  readonly index: number;
  /** Leaves of the tree. */
  readonly size: number;
  /** Hash of the leaf. */
  readonly leaf: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}

export function verifyInclusion(hash: TreeHash, { index, size, leaf, path, root }: Inclusion): boolean {
  if (!isPlace(index) || !isPlace(size) || index >= size) return false;
  if (!areHashes(hash, [leaf, root, ...path])) return false;
  let place = index;
  let last = size - 1;
  let node = leaf;
  for (const beside of path) {
    if (last === 0) return false;
    if (isOdd(place) || place === last) {
      node = hash.node(beside, node);
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      node = hash.node(node, beside);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && equalBytes(node, root);
}

/**
 * That the tree of the first `first` of these hashes of leaves is the beginning of the tree of all.
 * @throws RangeError unless `first` is from 1 to their number.
 */
export function proveConsistency(hash: TreeHash, leaves: readonly Uint8Array[], first: number): Uint8Array[] {
  if (!(first >= 1 && first <= leaves.length))
    throw new RangeError(`no tree of ${first} of ${leaves.length}`);
  const path: Uint8Array[] = [];
  let [from, to] = [0, leaves.length];
  while (first < to) {
    const middle = from + split(to - from);
    const isLeft = first <= middle;
    path.push(rootOf(hash, isLeft ? leaves.slice(middle, to) : leaves.slice(from, middle)));
    if (isLeft) to = middle;
    else from = middle;
  }
  // The old tree itself, where it is a complete subtree, is known to whoever checks.
  if (from > 0) path.push(rootOf(hash, leaves.slice(from, to)));
  return path.reverse();
}

export interface Consistency {
  /** Leaves of the earlier tree, and of the later. */
  readonly first: number;
  readonly second: number;
  readonly firstRoot: Uint8Array;
  readonly secondRoot: Uint8Array;
  readonly path: readonly Uint8Array[];
}

export function verifyConsistency(hash: TreeHash, proof: Consistency): boolean {
  const { first, second, firstRoot, secondRoot, path } = proof;
  if (!isPlace(first) || !isPlace(second) || first < 1 || first > second) return false;
  if (first === second) return path.length === 0 && equalBytes(firstRoot, secondRoot);
  if (!areHashes(hash, [firstRoot, secondRoot, ...path])) return false;
  const isComplete = split(2 * first) === first;
  const [start, ...rest] = isComplete ? [firstRoot, ...path] : path;
  if (start === undefined || (isComplete && path.length === 0)) return false;
  let place = first - 1;
  let last = second - 1;
  while (isOdd(place)) [place, last] = [half(place), half(last)];
  let early = start;
  let late = start;
  for (const beside of rest) {
    if (last === 0) return false;
    if (isOdd(place) || place === last) {
      early = hash.node(beside, early);
      late = hash.node(beside, late);
      while (!isOdd(place) && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      late = hash.node(late, beside);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && equalBytes(early, firstRoot) && equalBytes(late, secondRoot);
}

const isPlace = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

/** What is longer or shorter could stand for other parts of what is hashed. */
const areHashes = ({ bytes }: TreeHash, all: readonly Uint8Array[]): boolean =>
  all.every(({ length }) => length === bytes);
