/**
 * GF(2^8) with the polynomial x^8 + x^6 + x^5 + x^4 + 1 (0x171), in which 2 generates every element but zero.
 * It is the field of the addon's (16, 4) code, so that its parity and ours are the same bytes.
 */

const POLYNOMIAL = 0x171;
const EXP = new Uint8Array(510);
const LOG = new Uint8Array(256);

for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = value;
  EXP[power + 255] = value;
  LOG[value] = power;
  value <<= 1;
  if (value & 0x100) value ^= POLYNOMIAL;
}

export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : EXP[LOG[a]! + LOG[b]!]!;
}

/** @param b not zero. */
export function divide(a: number, b: number): number {
  return a === 0 ? 0 : EXP[LOG[a]! + 255 - LOG[b]!]!;
}

/** `target ^= factor * source`, element by element. */
export function addScaled(target: Uint8Array, source: Uint8Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! ^= multiply(source[i]!, factor);
}

/**
 * Multiplication by `element` as eight rows of eight bits: bit `a` of row `b` says whether bit `b` of the product
 * takes bit `a` of the operand.
 */
export function bitRows(element: number): number[] {
  const rows = new Array<number>(8).fill(0);
  for (let a = 0; a < 8; a++) {
    const column = multiply(element, 1 << a);
    for (let b = 0; b < 8; b++) rows[b]! |= ((column >> b) & 1) << a;
  }
  return rows;
}

/** How many ones {@link bitRows} has: what the element costs in XORs. */
export function bitWeight(element: number): number {
  let ones = 0;
  // Counted by columns: all 256 are counted when the program starts.
  for (let a = 0; a < 8; a++) {
    for (let bits = multiply(element, 1 << a); bits !== 0; bits &= bits - 1) ones++;
  }
  return ones;
}
