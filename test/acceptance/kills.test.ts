import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { runKills } from '../../bench/kill-run.ts';
import { SLOW } from '../helpers/cli.ts';

describe('a process that is killed at any instant', () => {
  it('loses nothing acknowledged, shows no mixture and leaves no blob that no record knows', async () => {
    const given = { count: SLOW ? 2_000 : 20, seed: Date.now() % 1_000_000, folder: tmpdir(), vaults: 4 };
    const report = await runKills(given);
    console.log(
      `kills: seed ${given.seed}, ${report.kills} processes killed, ${report.struck} operations struck`,
    );
    expect(report.failures).toEqual([]);
    expect(report.struck).toBeGreaterThanOrEqual(given.count);
    // Each name of each vault is read after every kill, and each vault is emptied at least at the end.
    expect(report.reads).toBeGreaterThanOrEqual(report.struck);
    expect(report.emptied).toBeGreaterThanOrEqual(given.vaults);
  });
});
