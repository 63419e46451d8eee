import { toHex } from '../../core/bytes.ts';
import type { ShardProgram } from './program.ts';
import { type XorTile, xorTiles } from './xor-program.ts';

/** Plain data, so that threads can be given it: what one has worked out the others need not. */
export type KnownTiles = readonly (readonly [key: string, tiles: readonly XorTile[]])[];

/** A program is some tens of kilobytes of pairs and rows. */
const MAX_KNOWN = 16;

/**
 * The sums that programs share, each worked out once. Finding them takes some twenty milliseconds for the default
 * encoder, which is more than encoding a hundred megabytes.
 */
export class TileMemory {
  readonly #known: Map<string, readonly XorTile[]>;

  constructor(known: KnownTiles = []) {
    this.#known = new Map(known);
  }

  of(program: ShardProgram): readonly XorTile[] {
    const key = keyOf(program);
    let tiles = this.#known.get(key);
    if (tiles === undefined) {
      tiles = xorTiles(program);
      if (this.#known.size < MAX_KNOWN) this.#known.set(key, tiles);
    }
    return tiles;
  }

  get known(): KnownTiles {
    return [...this.#known];
  }
}

const keyOf = ({ inputs, outputs, coefficients, dataShards }: ShardProgram): string =>
  [dataShards, inputs.join(), outputs.join(), ...coefficients.map(toHex)].join(' ');
