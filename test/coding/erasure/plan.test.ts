import { describe, expect, test } from 'vitest';
import { createLinearCode, DEFAULT_LRC, type LinearCode } from '../../../src/coding/erasure/index.ts';
import { GROUPS } from '../../reference/erasure.ts';
import { draws, range, subsets, without } from './helpers.ts';

const lrc = createLinearCode(DEFAULT_LRC);

describe('repair plans', () => {
  test('a lost shard of a group is rebuilt from the three or four others of it', () => {
    const lines: string[] = [];
    for (const [g, group] of GROUPS.entries()) {
      const members = [...group, 16 + g];
      for (const shard of members) {
        const { reads, steps } = lrc.repairPlan([shard], without(27, [shard]));
        expect(reads).toEqual(members.filter((other) => other !== shard));
        expect(steps).toEqual([{ shard, from: reads, why: 'local' }]);
        lines.push(`${shard}: ${reads.length * 64} KiB from ${reads.join(' ')}`);
      }
    }
    console.log(`read to rebuild one shard of 64 KiB\n${lines.join('\n')}`);
  });

  test('a lost global or overlay costs fewer shards than all data', () => {
    const reads = [21, 22, 23, 24, 25, 26].map(
      (shard) => lrc.repairPlan([shard], without(27, [shard])).reads.length,
    );
    console.log(`shards read to rebuild 21 to 26 alone: ${reads.join(', ')}`);
    expect(reads).toEqual([14, 12, 12, 6, 6, 6]);
  });

  test('two groups with one loss each cost their members and no more', () => {
    const { reads, steps } = lrc.repairPlan([1, 8], without(27, [1, 8]));
    expect(reads).toEqual([0, 2, 3, 7, 9, 16, 18]);
    expect(steps.every((step) => step.why === 'local')).toBe(true);
  });

  test('reads span what is missing, use only what is there, and name each once', () => {
    const draw = draws(11);
    for (let i = 0; i < 400; i++) {
      const missing = range(27).filter(() => draw(100) < 15);
      const available = without(27, missing).filter(() => draw(100) < 95);
      if (missing.length === 0 || !lrc.decodable(available)) continue;
      const { reads, steps } = lrc.repairPlan(missing, available);
      expect(reads.every((shard) => available.includes(shard))).toBe(true);
      expect(new Set(reads).size).toBe(reads.length);
      expect(lrc.rank([...reads, ...missing])).toBe(lrc.rank(reads));
      expect(steps.map((step) => step.shard).sort((a, b) => a - b)).toEqual(missing);
      const known = new Set(reads);
      for (const step of steps) {
        expect(step.from.every((shard) => known.has(shard))).toBe(true);
        known.add(step.shard);
      }
    }
  });

  test('no smaller set of shards would do, for one lost and for most pairs', () => {
    const small = createLinearCode({
      ...DEFAULT_LRC,
      dataShards: 6,
      localParity: 2,
      globalParity: 2,
      fountainShards: 1,
    });
    let beaten = 0;
    let plans = 0;
    for (const missing of [...subsets(11, 1), ...subsets(11, 2)]) {
      const available = without(11, missing);
      const { reads } = small.repairPlan(missing, available);
      const least = fewestReads(small, missing, available);
      if (missing.length === 1) expect(reads.length).toBe(least);
      if (reads.length > least) beaten++;
      plans++;
    }
    console.log(`plans that read more than the least possible: ${beaten} of ${plans}`);
    expect(beaten).toBe(0);
  });

  test('dear shards are left alone where cheaper ones do', () => {
    const cost = (shard: number): number => (shard === 2 ? 100 : 1);
    const { reads } = lrc.repairPlan([0], without(27, [0]), cost);
    expect(reads).not.toContain(2);
    expect(lrc.repairPlan([0], without(27, [0])).reads).toContain(2);
  });

  test('what cannot be had says what would do', () => {
    const lost = [0, 1, 2, 3, 16, 21, 22, 23, 24, 25, 26];
    const error = thrown(() => lrc.repairPlan([0], without(27, lost)));
    expect(error).toMatchObject({
      kind: 'Unavailable',
      code: 'undecodable',
      context: { rank: 12, needed: 16 },
    });
    expect(error.hint).toBe('at least 4 more shards are needed');
    expect(thrown(() => lrc.repairPlan([0], []))).toMatchObject({
      code: 'undecodable',
      context: { rank: 0 },
    });
    // One equation short, and only shards that know of shard 0 bring it.
    const nearly = thrown(() => lrc.repairPlan([0], without(27, [0, 16, 21, 22, 23, 24, 25, 26])));
    const knowing = range(27).filter((shard) => shard > 0 && lrc.generator[shard]![0] !== 0);
    expect(nearly.context.helpful).toEqual([0, ...knowing].map((shard) => [shard]));
    expect(nearly.hint).toBe('any one of these would do: 0, 16, 21, 22, 23, 24, 25, 26');
  });
});

describe('the cheapest set to read', () => {
  test('is the data shards where all are there', () => {
    expect(lrc.cheapestDecodable(range(27))).toEqual(range(16));
  });

  test('costs the least that any decodable set costs', () => {
    const small = createLinearCode({
      ...DEFAULT_LRC,
      dataShards: 5,
      localParity: 2,
      globalParity: 2,
      fountainShards: 1,
    });
    const draw = draws(21);
    for (let i = 0; i < 60; i++) {
      const costs = range(10).map(() => 1 + draw(9));
      const available = range(10).filter(() => draw(100) < 85);
      const chosen = small.cheapestDecodable(available, (shard) => costs[shard]!);
      const total = (set: readonly number[]): number => set.reduce((sum, shard) => sum + costs[shard]!, 0);
      const sets = [...subsets(10, 5)].filter(
        (set) => set.every((s) => available.includes(s)) && small.decodable(set),
      );
      if (chosen === undefined) expect(sets).toEqual([]);
      else expect(total(chosen)).toBe(Math.min(...sets.map(total)));
    }
  });

  test('is undefined when nothing decodes', () => {
    expect(lrc.cheapestDecodable(range(15))).toBeUndefined();
  });
});

function fewestReads(code: LinearCode, missing: readonly number[], available: readonly number[]): number {
  for (let size = 1; ; size++) {
    for (const pick of subsets(available.length, size)) {
      const reads = pick.map((i) => available[i]!);
      if (code.rank([...reads, ...missing]) === code.rank(reads)) return size;
    }
  }
}

function thrown(work: () => unknown): { hint?: string; context: Record<string, unknown> } {
  try {
    work();
  } catch (error) {
    return error as { hint?: string; context: Record<string, unknown> };
  }
  throw new Error('nothing was thrown');
}
