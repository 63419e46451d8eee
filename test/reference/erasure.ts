/**
 * The erasure code of the format document, written a second time in the slowest obvious way: shift-and-add
 * multiplication, inverses by trial, bits one at a time. It shares nothing with the product.
 */

export const multiply = (a: number, b: number): number => {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product <<= 1;
    if (product & 0x100) product ^= 0x171;
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
};

const PRODUCTS = Array.from({ length: 256 }, (_, a) =>
  Uint8Array.from({ length: 256 }, (_, b) => multiply(a, b)),
);
const inverse = (a: number): number => PRODUCTS[a]!.indexOf(1);
const INVERSES = Uint8Array.from({ length: 256 }, (_, a) => (a === 0 ? 0 : inverse(a)));

export const GROUPS = [
  [0, 1, 2, 3],
  [4, 5, 6],
  [7, 8, 9],
  [10, 11, 12],
  [13, 14, 15],
];

const sum = (members: readonly number[]): number[] =>
  Array.from({ length: 16 }, (_, i) => (members.includes(i) ? 1 : 0));

/** Rows 1 to 3 of the (16, 4) Cauchy matrix, each divided by the element that leaves the fewest ones in its bits. */
export function globals(): number[][] {
  const cauchy = (r: number, c: number): number => inverse((212 + r) ^ (22 + c));
  return [1, 2, 3].map((r) => {
    const row = Array.from({ length: 16 }, (_, c) => multiply(cauchy(r, c), inverse(cauchy(0, c))));
    let best = row;
    for (const divisor of row) {
      const candidate = row.map((element) => multiply(element, inverse(divisor)));
      if (bitCount(candidate) < bitCount(best)) best = candidate;
    }
    return best;
  });
}

const bitCount = (row: readonly number[]): number =>
  row.reduce((total, element) => {
    for (let a = 0; a < 8; a++)
      total += multiply(element, 1 << a)
        .toString(2)
        .replaceAll('0', '').length;
    return total;
  }, 0);

/** The eleven parity rows of the default code over the sixteen data shards. */
export const parityRows = (overlay: readonly (readonly number[])[]): number[][] => [
  ...GROUPS.map(sum),
  ...globals(),
  ...overlay.map(sum),
];

/**
 * Visits every way to lose up to `deepest` shards. Shards lost can be had again exactly when their columns of the
 * parity-check matrix (parity rows beside the identity) are independent, so one walk over all sets that extends an
 * echelon form column by column decides every pattern.
 */
export function lossPatterns(
  parity: readonly (readonly number[])[],
  deepest: number,
  visit: (mask: number, lost: number, decodable: boolean) => void,
): void {
  const height = parity.length;
  const total = 16 + height;
  const columns = Array.from({ length: total }, (_, shard) =>
    Uint8Array.from(parity, (row, r) => (shard < 16 ? row[shard]! : shard - 16 === r ? 1 : 0)),
  );
  const basis: { column: Uint8Array; pivot: number }[] = [];
  const walk = (next: number, mask: number, lost: number, independent: boolean): void => {
    visit(mask, lost, independent);
    if (lost === deepest) return;
    for (let shard = next; shard < total; shard++) {
      const reduced = independent && extend(basis, columns[shard]!);
      walk(shard + 1, mask | (1 << shard), lost + 1, reduced);
      if (reduced) basis.pop();
    }
  };
  walk(0, 0, 0, true);
}

/** Pushes `column` less what the basis explains, if anything is left. */
function extend(basis: { column: Uint8Array; pivot: number }[], column: Uint8Array): boolean {
  const rest = column.slice();
  for (const { column: known, pivot } of basis) {
    const factor = rest[pivot]!;
    if (factor === 0) continue;
    const products = PRODUCTS[factor]!;
    for (let i = 0; i < rest.length; i++) rest[i]! ^= products[known[i]!]!;
  }
  const pivot = rest.findIndex((element) => element !== 0);
  if (pivot < 0) return false;
  const scale = PRODUCTS[INVERSES[rest[pivot]!]!]!;
  basis.push({ column: rest.map((element) => scale[element]!), pivot });
  return true;
}

/** Rank over GF(2) of the rows' bit matrices. */
export function bitRank(rows: readonly (readonly number[])[]): number {
  const basis: bigint[] = [];
  for (const row of rows) {
    for (let b = 0; b < 8; b++) {
      let bits = 0n;
      for (const [c, element] of row.entries()) {
        for (let a = 0; a < 8; a++) {
          if ((multiply(element, 1 << a) >> b) & 1) bits |= 1n << BigInt(8 * c + a);
        }
      }
      for (const known of basis) if ((bits ^ known) < bits) bits ^= known;
      if (bits !== 0n) basis.push(bits);
    }
  }
  return basis.length;
}

/** One shard from the data shards, bit by bit of the matrix, byte by byte of the packet. */
export function encodeRow(
  row: readonly number[],
  data: readonly Uint8Array[],
  packetDataShards: number,
): Uint8Array {
  const length = data[0]!.length;
  let packet = length / 8;
  while (packet > 64 && packet % 2 === 0 && (1 + 8 * packetDataShards) * packet > 2 ** 20) packet /= 2;
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at++) {
    const block = Math.floor(at / (8 * packet)) * 8 * packet;
    const b = Math.floor((at - block) / packet);
    const within = at % packet;
    for (const [c, element] of row.entries()) {
      for (let a = 0; a < 8; a++) {
        if ((multiply(element, 1 << a) >> b) & 1) out[at]! ^= data[c]![block + a * packet + within]!;
      }
    }
  }
  return out;
}
