import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { planTable } from '../../src/placement/plan/plan.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
/** The ends of each range of the table, and what lies below. */
const COUNTS = [2, 3, 5, 6, 8, 9, 11, 12];
const { rows: planned } = planTable({ codes: [createLinearCode(DEFAULT_LRC)], providers: COUNTS });
const tolerates = (count: number): number => planned[COUNTS.indexOf(count)]!.tolerates;

it.each(['README.md', 'docs/providers.md'])(
  '%s says how many losses how many providers survive',
  (document) => {
    const rows = [...read(document).matchAll(/^\| (\d+)(?:–(\d+)| and more) \| (\d+) \|/gm)];
    expect(
      rows.flatMap(([, first, last]) => (last === undefined ? [first] : [first, last])).map(Number),
    ).toEqual(COUNTS.slice(1));
    for (const [, first, last = first, says] of rows) {
      expect([tolerates(Number(first)), tolerates(Number(last))]).toEqual([Number(says), Number(says)]);
    }
    expect(tolerates(2)).toBe(0);
    expect(read(document)).toContain(`${planned[0]!.overhead.toFixed(2)} times`);
  },
);
