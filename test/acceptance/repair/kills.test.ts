import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { runKills } from '../../../bench/kill-run.ts';
import { REPAIR_OPERATIONS, struckIn } from '../../../bench/kill-vaults.ts';
import { SLOW } from '../../helpers/cli.ts';

describe('a process that is killed at any instant of a repair', () => {
  it('loses nothing acknowledged, has in the end all again that a provider had lost, and leaves no blob behind', async () => {
    const given = {
      ...{ count: SLOW ? 1_000 : 12, seed: Date.now() % 1_000_000 },
      ...{ folder: tmpdir(), vaults: 3, repairs: true },
    };
    const report = await runKills(given);
    const struck = REPAIR_OPERATIONS.map((op) => `${op} ${struckIn(report, op)}`).join(', ');
    console.log(`kills: seed ${given.seed}, ${report.kills} processes killed; struck: ${struck}`);
    expect(report.failures).toEqual([]);
    expect(report.struck).toBeGreaterThanOrEqual(given.count);
    expect(report.reads).toBeGreaterThanOrEqual(report.struck);
    expect(report.emptied).toBeGreaterThanOrEqual(given.vaults);
  });
});
