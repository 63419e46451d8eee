import type { Blake3 } from '../../core/b3/blake3.ts';

/** Merkle trees of the shape of RFC 6962, section 2.1, over any hash. */
export interface TreeHash {
  /** Length of a hash. */
  readonly bytes: number;
  leaf(data: Uint8Array): Uint8Array;
  node(left: Uint8Array, right: Uint8Array): Uint8Array;
  /** Of a tree without leaves. */
  empty(): Uint8Array;
}

const LEAF = 0;
const NODE = 1;

/** The shape's own hashes of leaves and nodes, over a hash function. @param bytes of a hash. */
export function treeHash(bytes: number, hash: (data: Uint8Array) => Uint8Array): TreeHash {
  // Millions are hashed: each is laid here, which nothing interrupts.
  let desk = new Uint8Array(4_096);
  /** Of it, by their lengths. */
  let views: Uint8Array[] = [];
  const over = (kind: number, first: Uint8Array, second?: Uint8Array): Uint8Array => {
    const length = 1 + first.length + (second?.length ?? 0);
    if (length > desk.length) [desk, views] = [new Uint8Array(2 * length), []];
    desk[0] = kind;
    desk.set(first, 1);
    if (second !== undefined) desk.set(second, 1 + first.length);
    views[length] ??= desk.subarray(0, length);
    return hash(views[length]);
  };
  return {
    bytes,
    leaf: (data) => over(LEAF, data),
    node: (left, right) => over(NODE, left, right),
    empty: () => hash(new Uint8Array(0)),
  };
}

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
