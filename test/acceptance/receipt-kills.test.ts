import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { shimIn } from '../../bench/faults-run.ts';
import { killReceipts, killReceiptsAtCalls } from '../../bench/kill-receipts.ts';
import { mulberry } from '../../bench/kill-vaults.ts';
import { drawn, every } from '../../bench/strikes.ts';
import { absent } from '../helpers/absent.ts';
import { SLOW } from '../helpers/cli.ts';

it('gateways that are killed at any instant leave one root, one final and one credit of each hour', async () => {
  const given = { count: SLOW ? 300 : 4, seed: Date.now() % 1_000_000, folder: tmpdir() };
  const { failures, kills, whole, books } = await killReceipts(given);
  console.log(`receipt kills: seed ${given.seed}, ${kills} processes killed`);
  expect(failures).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(given.count);
  expect(whole).toBeGreaterThanOrEqual(1);
  expect(books!.credits).toBeGreaterThan(0);
});

/** Calls of a life that are struck where not all are, others each time; of them one may be behind the end of a shorter life. */
const STRUCK = 3;

const tried = mkdtempSync(join(tmpdir(), 'holdfast-shim-'));
const shim = shimIn(tried);
rmSync(tried, { recursive: true });
if ('why' in shim) absent(shim.why, 'kills of receipts at single system calls');

it.skipIf('why' in shim)(
  'so do those that are killed at a call that changes a file, or in the middle of it',
  async () => {
    const seed = Date.now() % 1_000_000;
    const choose = SLOW ? every(1) : drawn(STRUCK, mulberry(seed));
    const { failures, calls, kills, struck } = await killReceiptsAtCalls(tmpdir(), choose);
    console.log(`receipt kills at calls: seed ${seed}, of ${calls}: ${[...struck].join(' ')}`);
    expect(failures).toEqual([]);
    expect(calls).toBeGreaterThan(151);
    expect(kills).toBeGreaterThanOrEqual(STRUCK - 1);
  },
);
