import type { Blake3 } from '../../core/b3/blake3.ts';
import { concatBytes } from '../../core/bytes.ts';

/** Merkle trees of the shape of RFC 6962, section 2.1, over any hash. */
export interface TreeHash {
  /** Length of a hash. */
  readonly bytes: number;
  leaf(data: Uint8Array): Uint8Array;
  node(left: Uint8Array, right: Uint8Array): Uint8Array;
  /** Of a tree without leaves. */
  empty(): Uint8Array;
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The shape's own hashes of leaves and nodes, over a hash function. */
export const treeHash = (bytes: number, hash: (data: Uint8Array) => Uint8Array): TreeHash => ({
  bytes,
  leaf: (data) => hash(concatBytes(LEAF, data)),
  node: (left, right) => hash(concatBytes(NODE, left, right)),
  empty: () => hash(new Uint8Array(0)),
});

export const blake3Tree = ({ hash }: Pick<Blake3, 'hash'>): TreeHash => treeHash(32, hash);

/** A tree that grows to the right, in memory that grows with the logarithm of its size. */
export class TreeRoot {
  readonly #hash: TreeHash;
  /** Roots of the complete subtrees, the largest first: one for each bit of the size that is set. */
  readonly #complete: Uint8Array[] = [];
  #size = 0;

  constructor(hash: TreeHash) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#size;
  }

  /** @param leaf hash of the next leaf, or of the next subtree where all are complete and of one size but the last. */
  append(leaf: Uint8Array): void {
    let node = leaf;
    for (let left = this.#size; left % 2 === 1; left = (left - 1) / 2) {
      node = this.#hash.node(this.#complete.pop()!, node);
    }
    this.#complete.push(node);
    this.#size++;
  }

  root(): Uint8Array {
    const from = this.#complete.length - 1;
    if (from < 0) return this.#hash.empty();
    let root = this.#complete[from]!;
    for (let i = from - 1; i >= 0; i--) root = this.#hash.node(this.#complete[i]!, root);
    return root;
  }
}

/** Root of the tree of these hashes of leaves. */
export function rootOf(hash: TreeHash, leaves: readonly Uint8Array[]): Uint8Array {
  const tree = new TreeRoot(hash);
  for (const leaf of leaves) tree.append(leaf);
  return tree.root();
}
