import { describe, expect, test } from 'vitest';
import { createLinearCode, DEFAULT_LRC, type LrcParams } from '../../../src/coding/erasure/index.ts';
import { bitRank, lossPatterns, parityRows } from '../../reference/erasure.ts';
import { binomial, draws, range } from './helpers.ts';

const DEEP = Boolean(process.env.SLOW);
const ALL = 2 ** 27 - 1;

/** The pinned overlay. Every object written holds it: these sets never change. */
const OVERLAY = [
  [0, 1, 2, 4, 6, 8, 9, 11, 12, 13, 14],
  [0, 1, 3, 4, 6, 7, 8, 10, 11, 13, 15],
  [0, 2, 3, 5, 6, 7, 9, 11, 14, 15],
];

const noOverlay: LrcParams = { ...DEFAULT_LRC, fountainKind: 'none', fountainShards: 0 };
const pair: LrcParams = { ...DEFAULT_LRC, fountainKind: 'pair' };

describe('what can be decoded', () => {
  test('the same parameters are the same code, so that what is searched for once is not searched for again', () => {
    expect(createLinearCode({ ...DEFAULT_LRC })).toBe(createLinearCode(DEFAULT_LRC));
    expect(createLinearCode({ ...DEFAULT_LRC, globalParity: 2 })).not.toBe(createLinearCode(DEFAULT_LRC));
  });

  test('the generator is the reference matrix with the pinned overlay', () => {
    const rows = createLinearCode(DEFAULT_LRC).generator.map((row) => [...row]);
    expect(rows.slice(16)).toEqual(parityRows(OVERLAY));
  });

  test(`every loss of up to ${DEEP ? 11 : 8} of 27 shards decodes exactly when the matrix has the rank`, {
    timeout: 600_000,
  }, () => {
    const counts = compare(DEFAULT_LRC, OVERLAY, DEEP ? 11 : 8);
    expect(counts.disagreements).toBe(0);
    print('wide', counts.decoded, 27);
    expect(counts.decoded.slice(0, 6)).toEqual([1, 27, 351, 2925, 17_550, 80_730]);
    expect(counts.decoded[6]).toBe(296_003);
    expect(counts.decoded[7]).toBe(887_740);
    expect(counts.decoded[8]).toBe(2_213_556);
  });

  test('of nine lost of 27, 97.840 % of all patterns decode', { timeout: 60_000 }, () => {
    const code = createLinearCode(DEFAULT_LRC);
    let decoded = 0;
    for (const mask of masksOf(9)) if (code.decodableMask(ALL & ~mask)) decoded++;
    console.log(`wide: 9 lost: ${decoded} / ${binomial(27, 9)}`);
    expect(decoded).toBe(4_585_611);
  });

  test('without the overlay all four-loss and all but 160 five-loss patterns decode', () => {
    const { decoded, disagreements } = compare(noOverlay, [], 6);
    print('none', decoded, 24);
    expect(disagreements).toBe(0);
    expect(decoded.slice(4, 6)).toEqual([10_626, 42_344]);
  });

  test('the pair overlay stands in for either of two shards', () => {
    const { decoded, disagreements } = compare(pair, new Array<number[]>(3).fill([0, 1]), 6);
    print('pair', decoded, 27);
    expect(disagreements).toBe(0);
    expect(decoded[4]).toBe(17_550);
  });

  test('ranks are those of the bit matrix over GF(2)', { timeout: 60_000 }, () => {
    const code = createLinearCode(DEFAULT_LRC);
    const draw = draws(1);
    for (let i = 0; i < (DEEP ? 3000 : 150); i++) {
      const shards = range(27).filter(() => draw(100) < 40 + (i % 40));
      const rows = shards.map((shard) => [...code.generator[shard]!]);
      const rank = code.rank(shards);
      expect(8 * rank).toBe(bitRank(rows));
      expect(code.decodable(shards)).toBe(rank === 16);
    }
  });

  test('Reed-Solomon decodes from any K shards, up to 255 in all', { timeout: 60_000 }, () => {
    const draw = draws(2);
    for (const [dataShards, parityShards] of [
      [16, 8],
      [16, 4],
      [1, 5],
      [40, 24],
      [200, 55],
      [190, 44],
      [191, 40],
      [4, 251],
    ] as const) {
      const code = createLinearCode({ algorithm: 'reed-solomon', dataShards, parityShards });
      for (let i = 0; i < (dataShards > 100 ? 3 : 100); i++) {
        const order = range(code.totalShards).sort(() => draw(3) - 1);
        for (let j = order.length - 1; j > 0; j--) {
          const k = draw(j + 1);
          [order[j], order[k]] = [order[k]!, order[j]!];
        }
        expect(code.decodable(order.slice(0, dataShards))).toBe(true);
        expect(code.decodable(order.slice(0, dataShards - 1))).toBe(false);
      }
    }
  });

  test('RS(16 + 8): every one of the 735,471 patterns of eight lost decodes', () => {
    const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 16, parityShards: 8 });
    let failed = 0;
    for (const lost of masksOf(8, 24)) if (!code.decodableMask((2 ** 24 - 1) & ~lost)) failed++;
    expect(failed).toBe(0);
  });
});

function compare(params: LrcParams, overlay: readonly (readonly number[])[], deepest: number) {
  const code = createLinearCode(params);
  const all = 2 ** code.totalShards - 1;
  const decoded = new Array<number>(deepest + 1).fill(0);
  let disagreements = 0;
  lossPatterns(parityRows(overlay), deepest, (mask, lost, decodable) => {
    if (code.decodableMask(all & ~mask) !== decodable) disagreements++;
    if (decodable) decoded[lost]!++;
  });
  return { decoded, disagreements };
}

function print(name: string, decoded: readonly number[], total: number): void {
  const figures = decoded.map((count, lost) => `${lost}: ${count}/${binomial(total, lost)}`);
  console.log(`${name}, decodable of all patterns by number lost: ${figures.slice(4).join(', ')}`);
}

/** Every mask of `bits` ones. */
function* masksOf(bits: number, total = 27): Generator<number> {
  for (let mask = 2 ** bits - 1; mask < 2 ** total; ) {
    yield mask;
    const lowest = mask & -mask;
    const carried = mask + lowest;
    mask = carried | (((carried ^ mask) >>> 2) / lowest);
  }
}
