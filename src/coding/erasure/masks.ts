import { divide, multiply } from './gf256.ts';

/**
 * Rank tests on bit masks, for codes of at most 32 shards: bit `i` set means shard `i` is there. The placement
 * solver asks millions of times, so nothing is allocated and most answers need no field arithmetic.
 */
export interface MaskTester {
  decodable(mask: number): boolean;
}

/** @param parity the rows of the shards after the data shards. */
export function maskTester(dataShards: number, parity: readonly Uint8Array[]): MaskTester {
  const dataMask = dataShards === 32 ? -1 : (1 << dataShards) - 1;
  const supports = parity.map((row) =>
    row.reduce((mask, element, c) => (element ? mask | (1 << c) : mask), 0),
  );
  const scratch = Array.from({ length: parity.length }, () => new Uint8Array(32));

  /** Rows that involve one lost shard give it back, until none does. What stays lost is `peeled.lost`. */
  const decodable = (mask: number): boolean => {
    let lost = dataMask & ~mask;
    let rows = parity.length === 0 ? 0 : mask >>> dataShards;
    let before = 0;
    while (lost !== 0 && lost !== before) {
      before = lost;
      for (let left = rows; left !== 0; left &= left - 1) {
        const row = 31 - Math.clz32(left & -left);
        const open = supports[row]! & lost;
        if (open !== 0 && (open & (open - 1)) !== 0) continue;
        rows &= ~(1 << row);
        lost &= ~open;
      }
    }
    return lost === 0 || (ones(lost) <= ones(rows) && solvable(lost, rows));
  };

  const solvable = (lost: number, rows: number): boolean => {
    let height = 0;
    for (let left = rows; left !== 0; left &= left - 1) {
      const row = parity[31 - Math.clz32(left & -left)]!;
      const into = scratch[height++]!;
      let at = 0;
      for (let open = lost; open !== 0; open &= open - 1) into[at++] = row[31 - Math.clz32(open & -open)]!;
    }
    return fullColumnRank(scratch, height, ones(lost));
  };
  return { decodable };
}

/** Gaussian elimination in place on the first `height` rows and `width` columns. */
function fullColumnRank(rows: Uint8Array[], height: number, width: number): boolean {
  for (let column = 0; column < width; column++) {
    let pivot = column;
    while (pivot < height && rows[pivot]![column] === 0) pivot++;
    if (pivot === height) return false;
    const top = rows[pivot]!;
    rows[pivot] = rows[column]!;
    rows[column] = top;
    for (let r = pivot + 1; r < height; r++) {
      const row = rows[r]!;
      if (row[column] === 0) continue;
      const factor = divide(row[column]!, top[column]!);
      for (let c = column + 1; c < width; c++) row[c]! ^= multiply(top[c]!, factor);
    }
  }
  return true;
}

export function ones(mask: number): number {
  let bits = mask - ((mask >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
