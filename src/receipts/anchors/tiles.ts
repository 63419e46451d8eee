import { concatBytes } from '../../core/bytes.ts';
import { rootOf, type TreeHash, TreeRoot } from '../merkle/tree.ts';

/** Tiles as c2sp.org/tlog-tiles has them. */

/** Hashes in a full tile, and entries in a full bundle. */
export const WIDTH = 256;

/** @param level of hashes, or the entries themselves. @param width undefined for a full one. */
export function tilePath(level: number | 'entries', index: number, width?: number): string {
  const digits = String(index);
  const parts = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g)!;
  const last = parts.pop();
  const folders = parts.map((part) => `x${part}/`).join('');
  return `tile/${level}/${folders}${last}${width === undefined ? '' : `.p/${width}`}`;
}

export interface Tile {
  readonly level: number;
  readonly index: number;
  /** Hashes in it. */
  readonly width: number;
  readonly bytes: Uint8Array;
}

export const pathOf = ({ level, index, width }: Omit<Tile, 'bytes'>): string =>
  tilePath(level, index, width === WIDTH ? undefined : width);

/** A log's tree with the tiles of its right edge. Full tiles are handed out and forgotten. */
export class TileTree {
  readonly #hash: TreeHash;
  readonly #root: TreeRoot;
  /** Of each level: the hashes of the tile that is not full. */
  readonly #edge: Uint8Array[][] = [];

  constructor(hash: TreeHash) {
    this.#hash = hash;
    this.#root = new TreeRoot(hash);
  }

  get size(): number {
    return this.#root.size;
  }

  root(): Uint8Array {
    return this.#root.root();
  }

  /** @param leaf hash of the next entry. @returns the tiles that it makes full, the lowest first. */
  append(leaf: Uint8Array): Tile[] {
    this.#root.append(leaf);
    const full: Tile[] = [];
    let node = leaf;
    for (let level = 0; ; level++) {
      this.#edge[level] ??= [];
      const edge = this.#edge[level]!;
      edge.push(node);
      if (edge.length < WIDTH) return full;
      const index = this.size / WIDTH ** (level + 1) - 1;
      full.push({ level, index, width: WIDTH, bytes: concatBytes(...edge) });
      node = rootOf(this.#hash, edge);
      this.#edge[level] = [];
    }
  }

  /** The tiles that are not full. */
  partial(): Tile[] {
    return this.#edge.flatMap((edge, level) =>
      edge.length === 0
        ? []
        : [
            {
              level,
              index: Math.floor(this.size / WIDTH ** (level + 1)),
              width: edge.length,
              bytes: concatBytes(...edge),
            },
          ],
    );
  }
}

/** Entries with their lengths, big-endian, before each. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    ...entries.flatMap((entry) => [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry]),
  );
}

/** @returns undefined where the bytes are no whole bundle. */
export function decodeBundle(bytes: Uint8Array): Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + ((bytes[at]! << 8) | (bytes[at + 1] ?? 0));
    if (at + 2 > bytes.length || end > bytes.length || entries.length === WIDTH) return undefined;
    entries.push(bytes.slice(at + 2, end));
    at = end;
  }
  return entries;
}

/** One entry of a bundle, or undefined where it has fewer. */
export function entryIn(bytes: Uint8Array, index: number): Uint8Array | undefined {
  let at = 0;
  for (let i = 0; at + 2 <= bytes.length; i++) {
    const end = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
    if (i === index) return end <= bytes.length ? bytes.slice(at + 2, end) : undefined;
    at = end;
  }
  return undefined;
}
