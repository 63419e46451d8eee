import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createLevelEngine } from '../../src/engine/index.ts';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';
import { closedHour } from './hours.ts';

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(`${providersToml(3)}
[settlement]
enabled = true
folders = ["gw"]
pool_credits = 10
`);
  expect((await cli.run(['put', '-', '--name', 'x'], { input: noise(10) })).code).toBe(0);
  await closedHour(join(cli.home, 'gw'), 1);
  await cli.run(['receipts settle']);
}, 60_000);
afterAll(() => cli.remove());

const balances = async () => {
  const { code, stdout } = await cli.run(['receipts balances', '--json']);
  return code === 0 ? (JSON.parse(String(stdout)) as { accounts: unknown[] }).accounts : code;
};

test('a damaged ledger is built anew, by its balances or by anchored roots, and is what it was', async () => {
  expect(said(await cli.run(['receipts rebuild']))).toMatch(/^0: [\s\S]*whole/);
  const before = await balances();
  const damage = async (...keys: readonly [string, string][]): Promise<void> => {
    const engine = createLevelEngine({
      ...{ location: join(cli.home, 'engine'), clock: systemClock },
      ...{ lockWaitMs: 30_000, idleReleaseMs: 50 },
    });
    await engine.batch(keys.map(([table, key]) => ({ table, key, value: undefined })));
    await engine.close();
    expect(await balances()).toBe(5);
  };
  await damage(['ledger_entries', '0000000000000002']);
  expect(said(await cli.run(['receipts rebuild', '--dry-run']))).toMatch(/^0: [\s\S]*recovered +read\//);
  expect(await balances()).toBe(5);
  expect(said(await cli.run(['receipts rebuild']))).toMatch(/^0: [\s\S]*balances +as they were/);
  expect(await balances()).toEqual(before);
  await damage(['ledger_entries', '0000000000000002'], ['ledger_accounts', 'provider/p1']);
  expect(said(await cli.run(['receipts rebuild']))).toMatch(/^0: [\s\S]*lost +read\/[\s\S]*credited/);
  expect(await balances()).toEqual(before);
}, 120_000);
