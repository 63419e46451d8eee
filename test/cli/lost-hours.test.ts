import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';
import { closedHour, HOUR } from './hours.ts';

let cli: CliVault;
const toml = (anchor: string): string => `${providersToml(3)}
[settlement]
enabled = true
folders = ["gw"]
pool_credits = 10
[anchor]
kind = "${anchor}"
`;

beforeAll(async () => {
  cli = await CliVault.create(toml('none'));
  expect((await cli.run(['put', '-', '--name', 'x'], { input: noise(10) })).code).toBe(0);
  await closedHour(join(cli.home, 'gw'), 1);
  await closedHour(join(cli.home, 'gw'), 1, 1);
}, 120_000);
afterAll(() => cli.remove());

const settled = async (): Promise<[number | null, unknown[]]> => {
  const { code, stdout } = await cli.run(['receipts settle', '--json']);
  const { folders } = JSON.parse(String(stdout)) as {
    folders: { epochs: { epoch: number; state: string }[] }[];
  };
  return [code, folders.flatMap(({ epochs }) => epochs.map(({ epoch, state }) => [epoch - HOUR, state]))];
};

test('another anchor is handed what was credited, and nothing is called lost', async () => {
  await settled();
  expect(await settled()).toEqual([0, []]);
  await writeFile(join(cli.home, 'storage.toml'), toml('local'));
  expect(await settled()).toEqual([
    0,
    [
      [0, 'moving'],
      [1, 'moving'],
    ],
  ]);
  expect(await settled()).toEqual([0, []]);
  expect(said(await cli.run(['status']))).toMatch(/^0: /);
}, 120_000);

test('hours that an anchor has lost stand in the status until it has them again', async () => {
  await rm(join(cli.home, 'anchor'), { recursive: true });
  expect(await settled()).toEqual([
    5,
    [
      [0, 'lost'],
      [1, 'lost'],
    ],
  ]);
  const status = await cli.run(['status']);
  expect(said(status)).toMatch(
    /^5: [\s\S]*unanchored +2 hours of \S*gw that were credited, epochs 400000 to 400001/,
  );
  expect(await settled()).toEqual([0, []]);
  expect((await cli.run(['status'])).code).toBe(0);
}, 120_000);
