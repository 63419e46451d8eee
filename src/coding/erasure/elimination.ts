import { addScaled, divide } from './gf256.ts';

/** Rank over GF(2^8) of `rows`, looked at only in `columns`. */
export function rankOf(rows: readonly Uint8Array[], columns: readonly number[]): number {
  return reduce(rows.map((row) => Uint8Array.from(columns, (column) => row[column]!)));
}

/**
 * The coefficients that make each target from the sources, or undefined if one is outside their span.
 * @returns one row per target, one coefficient per source.
 */
export function express(
  targets: readonly Uint8Array[],
  sources: readonly Uint8Array[],
): Uint8Array[] | undefined {
  const width = sources[0]?.length ?? 0;
  // Each source carries an identity tail, so that whatever is added up, the tail says from what.
  const basis = new Basis(width);
  sources.forEach((source, i) => {
    const row = new Uint8Array(width + sources.length);
    row.set(source);
    row[width + i] = 1;
    basis.add(row);
  });
  const out: Uint8Array[] = [];
  for (const target of targets) {
    const row = new Uint8Array(width + sources.length);
    row.set(target);
    if (basis.residue(row) >= 0) return undefined;
    out.push(row.subarray(width));
  }
  return out;
}

/** Rows in echelon form, grown one at a time; only the first `width` elements of a row count for independence. */
export class Basis {
  readonly #width: number;
  readonly #byPivot: (Uint8Array | undefined)[];
  #rank = 0;

  constructor(width: number) {
    this.#width = width;
    this.#byPivot = new Array<Uint8Array | undefined>(width);
  }

  get rank(): number {
    return this.#rank;
  }

  /** Takes `row` over. @returns false when it adds nothing. */
  add(row: Uint8Array): boolean {
    const pivot = this.residue(row);
    if (pivot < 0) return false;
    const scale = divide(1, row[pivot]!);
    const unit = new Uint8Array(row.length);
    addScaled(unit, row, scale);
    this.#byPivot[pivot] = unit;
    this.#rank++;
    return true;
  }

  /** Reduces `row` in place. @returns where its first element stands that nothing here can cancel, or −1. */
  residue(row: Uint8Array): number {
    let pivot = -1;
    for (let column = 0; column < this.#width; column++) {
      const factor = row[column]!;
      if (factor === 0) continue;
      const known = this.#byPivot[column];
      if (known === undefined) {
        if (pivot < 0) pivot = column;
      } else {
        addScaled(row, known, factor);
      }
    }
    return pivot;
  }
}

function reduce(rows: Uint8Array[]): number {
  const basis = new Basis(rows[0]?.length ?? 0);
  for (const row of rows) basis.add(row);
  return basis.rank;
}
