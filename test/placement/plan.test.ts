import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { durability } from '../../src/placement/plan/durability.ts';
import { planTable } from '../../src/placement/plan/plan.ts';
import { renderPlan } from '../../src/placement/plan/render.ts';
import { rotate, solvePlacement } from '../../src/placement/solve.ts';
import { bits, providersOf, survivors } from './reference.ts';

const LRC = createLinearCode(DEFAULT_LRC);
const RS = createLinearCode({ algorithm: 'reed-solomon', dataShards: 16, parityShards: 8 });
const XOR = createLinearCode({ algorithm: 'xor', dataShards: 16, parityShards: 11 });
const MODEL = { annualLoss: 0.05, repair: { detectionHours: 24, repairHours: 48 } };
const rowOf = (code: typeof LRC, providers: number) =>
  planTable({ codes: [code], providers: [providers] }).rows[0]!;

describe('the durability model', () => {
  const lossRate = -Math.log(1 - MODEL.annualLoss);
  const repairRate = 8766 / 72;

  it('is the textbook formula for a mirror of two', () => {
    const expected = (3 * lossRate + repairRate) / (2 * lossRate ** 2);
    expect(durability(2, [0, 0, 1], MODEL).mttdlYears).toBeCloseTo(expected, 6);
  });

  it('is the rate of loss alone where nothing is tolerated', () => {
    expect(durability(1, [0, 1], MODEL).annualObjectLoss).toBeCloseTo(MODEL.annualLoss, 12);
    expect(durability(9, [0, 1], MODEL).mttdlYears).toBeCloseTo(1 / (9 * lossRate), 9);
  });

  it('equals the solution of the chain as linear equations, with partly fatal states', () => {
    const fatal = [0, 0, 0.25, 0.6, 1];
    const model = { annualLoss: 0.6, repair: { detectionHours: 2000, repairHours: 3000 } };
    const expected = chainByElimination(6, fatal, -Math.log(1 - model.annualLoss), 8766 / 5000);
    expect(durability(6, fatal, model).mttdlYears / expected).toBeCloseTo(1, 9);
  });

  it('keeps its precision where losses are so rare that differences would cancel', () => {
    const model = { annualLoss: 1e-6, repair: { detectionHours: 1, repairHours: 1 } };
    const mirror = durability(2, [0, 0, 1], model);
    expect(mirror.mttdlYears / (8766 / 2 / 2 / 1e-12)).toBeCloseTo(1, 5);
    const deep = durability(9, [0, 0, 0, 0, 0, 0, 1], model);
    expect(deep.nines).toBeGreaterThan(40);
    expect(Number.isFinite(deep.nines)).toBe(true);
  });

  it('without repair is the chance that what is lost within the year is fatal', () => {
    const alone = { annualLoss: 0.05 };
    expect(durability(1, [0, 1], alone).annualObjectLoss).toBeCloseTo(0.05, 12);
    expect(durability(2, [0, 0, 1], alone).annualObjectLoss).toBeCloseTo(0.05 ** 2, 12);
    expect(durability(3, [0, 0.5, 1], alone).annualObjectLoss).toBeCloseTo(
      0.5 * 3 * 0.05 * 0.95 ** 2 + 3 * 0.05 ** 2 * 0.95 + 0.05 ** 3,
      12,
    );
    // Two go in a row: the waits add up.
    expect(durability(2, [0, 0, 1], alone).mttdlYears).toBeCloseTo(1 / (2 * lossRate) + 1 / lossRate, 9);
    expect(durability(9, [0, 0, 0, 0, 1], alone).nines).toBeLessThan(
      durability(9, [0, 0, 0, 0, 1], MODEL).nines,
    );
  });

  it('counts what was not measured as lost', () => {
    expect(durability(9, [0, 0, 0], MODEL)).toEqual(durability(9, [0, 0, 0, 1], MODEL));
  });

  it.each([
    { ...MODEL, annualLoss: 0 },
    { ...MODEL, annualLoss: 1 },
    { ...MODEL, annualLoss: Number.NaN },
    { ...MODEL, repair: { detectionHours: 1, repairHours: -1 } },
    { annualLoss: 0.1, repair: { detectionHours: 0, repairHours: 0 } },
  ])('refuses %j', (model) => {
    expect(() => durability(9, [0, 1], model)).toThrow(expect.objectContaining({ kind: 'ConfigInvalid' }));
  });
});

describe('a row of the plan', () => {
  it('counts the fatal sets of an object that uses every turn, as brute force does', () => {
    const count = 10;
    const placement = solvePlacement({ code: LRC, providers: providersOf(count), failureDomain: 'provider' });
    const chunks = Array.from({ length: count }, (_, turn) => [...rotate(placement, turn)]);
    const survives = survivors(LRC, chunks, count);
    const fatal = (lost: number) => survives.filter((alive, set) => !alive && bits(set) === lost).length;
    const { losses } = rowOf(LRC, count);
    expect(losses.slice(0, 5).map((entry) => entry.fatal)).toEqual([0, 0, 0, 0, fatal(4)]);
    for (const entry of losses) expect(entry.fatal).toBe(fatal(entry.lost));
  });

  it('says what the default code costs and gives on nine providers', () => {
    const row = rowOf(LRC, 9);
    expect(row).toMatchObject({ code: 'lrc(16+5+3+3w)', providers: 9, overhead: 27 / 16, tolerates: 3 });
    expect(row.reads_per_lost_shard).toMatchObject({ least: 3 });
    expect(row.reads_per_lost_shard.most).toBeLessThanOrEqual(16);
    expect(row.reads_per_lost_provider!.shards).toBe(3);
    expect(row.reads_per_lost_provider!.mean).toBeLessThan(16);
    expect(row.durability.nines).toBeGreaterThan(rowOf(RS, 9).durability.nines);
  });

  it('reads sixteen shards for any loss of reed-solomon', () => {
    expect(rowOf(RS, 8)).toMatchObject({
      reads_per_lost_shard: { least: 16, most: 16, mean: 16 },
      reads_per_lost_provider: { least: 16, most: 16, shards: 3 },
    });
  });

  it('counts on all that is tolerated, however many sets that is', () => {
    const wide = createLinearCode({ algorithm: 'reed-solomon', dataShards: 16, parityShards: 11 });
    expect(rowOf(wide, 27).tolerates).toBe(11);
    expect(rowOf(wide, 27).losses.at(-1)).toEqual({ lost: 11, sets: 13_037_895, fatal: 0 });
    expect(rowOf(wide, 27).durability.nines).toBeGreaterThan(rowOf(wide, 24).durability.nines);
  });

  it('is plain data', () => {
    const table = planTable({ codes: [LRC, RS], providers: [3, 9] });
    expect(JSON.parse(JSON.stringify(table))).toEqual(table);
  });

  it.each([0, 54, 2.5, Number.NaN])('is refused for %d providers', (count) => {
    expect(() => rowOf(LRC, count)).toThrow(expect.objectContaining({ kind: 'ConfigInvalid' }));
  });
});

describe('the printed plan', () => {
  const text = renderPlan(planTable({ codes: [LRC, XOR], providers: [1, 9] }));

  it('has a line for each code and number of providers', () => {
    expect(text).toMatch(/^lrc\(16\+5\+3\+3w\) +9 +1\.69x +3 +p1\+p2\+p3\+p4 /m);
    expect(text).toMatch(/^xor\(16\+11\) +9 +1\.69x +none +p1 .* impossible /m);
  });

  it('says plainly what cannot survive even one loss', () => {
    expect(text).toContain('lrc(16+5+3+3w) on 1 provider cannot survive even one loss.');
    expect(text).toContain('xor(16+11) on 1, 9 providers cannot survive even one loss.');
  });

  it('says what the nines assume and leave out', () => {
    expect(text).toContain('5 % a year, and nothing is rebuilt');
    const repaired = renderPlan(planTable({ codes: [LRC], providers: [9], model: MODEL }));
    expect(repaired).toContain('nothing does that by itself');
    expect(text).toContain('losses independent of each other');
  });
});

/** E_j = (1 + up·s·E_{j+1} + down·E_{j−1}) / (up + down), as a dense system. */
function chainByElimination(
  domains: number,
  fatal: readonly number[],
  lossRate: number,
  repairRate: number,
): number {
  const states = fatal.length - 1;
  const rows = Array.from({ length: states }, (_, j) => {
    const up = (domains - j) * lossRate;
    const down = j * repairRate;
    const row = new Array<number>(states + 1).fill(0);
    row[j] = up + down;
    if (j + 1 < states) row[j + 1] = -up * ((1 - fatal[j + 1]!) / (1 - fatal[j]!));
    if (j > 0) row[j - 1] = -down;
    row[states] = 1;
    return row;
  });
  for (let column = 0; column < states; column++) {
    for (const [r, row] of rows.entries()) {
      if (r === column) continue;
      const factor = row[column]! / rows[column]![column]!;
      for (let c = 0; c <= states; c++) row[c]! -= factor * rows[column]![c]!;
    }
  }
  return rows[0]![states]! / rows[0]![0]!;
}
