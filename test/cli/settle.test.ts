import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diskFiles } from '../../src/receipts/log/disk.ts';
import { finalPath } from '../../src/receipts/log/folder.ts';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';
import { closedHour, HOUR } from './hours.ts';

const MIB = 1024 ** 2;
let cli: CliVault;

beforeAll(async () => {
  cli = await CliVault.create(
    `${providersToml(4).replace('root = "providers/p1"', 'root = "providers/p1"\ncredits = 64')}
[settlement]
enabled = true
interval_seconds = 1
folders = ["gw-b"]
pool_credits = 10
epoch_share = 1000
provider_share = 1000
rent_bytes_per_mib = 1024
escrow_credits = 1
[receipts]
folder = "gw-a"
`,
  );
  expect((await cli.run(['put', '-', '--name', 'x'], { input: noise(3 * MIB) })).code).toBe(0);
  for (const [i, name] of ['gw-a', 'gw-b'].entries()) await closedHour(join(cli.home, name), i + 1);
}, 60_000);
afterAll(() => cli.remove());

const json = async (...args: string[]): Promise<never> =>
  JSON.parse((await cli.run([...args, '--json'])).stdout.toString()) as never;

test('hours of several gateways are anchored and credited once, and quotas follow', async () => {
  // At once, as a timer and a person may.
  const runs = await Promise.all([0, 1, 2].map(() => cli.run(['receipts settle', '--json'])));
  expect(runs.map(({ code }) => code).every((code) => [0, 4].includes(code!))).toBe(true);
  const settled = await cli.run(['receipts settle']);
  expect(said(settled)).toMatch(/^0: /);
  expect(said(settled)).toContain('every closed hour is credited');
  expect(await diskFiles.read(finalPath(join(cli.home, 'gw-a'), HOUR), 4_096)).toBeDefined();

  const { debits, credits, accounts } = (await json('receipts balances')) as {
    debits: string;
    credits: string;
    accounts: { account: string; bytes: string }[];
  };
  const of = new Map(accounts.map(({ account, bytes }) => [account, Number(bytes)]));
  expect(of.get('pool')).toBe(10 * MIB - 2 * (2 * MIB + 5));
  expect(debits).toBe(credits);
  expect(debits).toBe(`${11 * MIB}`);
  const rent = of.get('provider/p2')!;
  expect(rent).toBeGreaterThan(0);
  expect(rent % 1024).toBe(0);

  const [p1, p2] = (await json('providers')) as {
    quotaBytes?: number;
    earnedCredits: number;
    balanceCredits?: number;
  }[];
  expect(p1).toMatchObject({ earnedCredits: 4, balanceCredits: 68, quotaBytes: 68 * MIB });
  expect(p2).toMatchObject({ earnedCredits: 0 });
  expect(p2!.quotaBytes).toBeUndefined();
  expect((await cli.run(['providers'])).stdout.toString()).toContain('4 / 68');

  const entries = (await json('receipts ledger', '--limit', '9')) as { id: string }[];
  expect(entries.filter(({ id }) => id.startsWith('read/'))).toHaveLength(2);
  expect((await cli.run(['receipts ledger', '--limit', '1'])).stderr).toContain('--limit');
}, 60_000);

test('a daemon and a gateway settle by themselves, and a folder that [receipts] names is settled too', async () => {
  for (const [i, command] of ['daemon', 'gateway'].entries()) {
    const folder = join(cli.home, 'gw-a');
    await closedHour(folder, 1, i + 1);
    const running = cli.start([command, '--bind', '127.0.0.1:0', '--sealed']);
    await expect
      .poll(() => diskFiles.read(finalPath(folder, HOUR + i + 1), 4_096), { timeout: 30_000 })
      .toBeDefined();
    running.child.kill('SIGTERM');
    await running.outcome;
  }
  const { accounts } = (await json('receipts balances')) as {
    accounts: { account: string; bytes: string }[];
  };
  const pool = accounts.find(({ account }) => account === 'pool')!.bytes;
  expect(Number(pool)).toBe(10 * MIB - 4 * (2 * MIB + 5));
}, 90_000);

test('a folder that is gone and a root that is damaged are told of by the exit code', async () => {
  const root = join(cli.home, 'gw-b', 'read', `${HOUR + 5}.root`);
  await writeFile(root, 'none');
  const refused = await cli.run(['receipts settle']);
  expect(said(refused)).toMatch(/^5: [\s\S]*epoch 400005 {2}refused/);
  await rm(root);
  await rm(join(cli.home, 'gw-b'), { recursive: true });
  const gone = await cli.run(['receipts settle']);
  expect(said(gone)).toMatch(/^4: [\s\S]*gw-b is no folder/);
}, 60_000);

test('without [settlement] nobody is credited, and the command says what to set', async () => {
  const other = await CliVault.create(providersToml(3));
  await other.run(['put', '-', '--name', 'x'], { input: noise(100) });
  const run = await other.run(['receipts settle']);
  expect(said(run)).toMatch(/^2: [\s\S]*\[settlement\]/);
  await other.remove();
});
