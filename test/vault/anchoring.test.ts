import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestOf, parseAddress } from '../../src/core/address.ts';
import { createVault, type OpenVaultOptions, openVault, type Vault } from '../../src/index.ts';
import { type AnchorItem, openAnchor } from '../../src/receipts.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { noise } from '../helpers/vault.ts';

const env = { HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE };
const providers = ['x', 'y', 'z'].map((id) => ({ id, adapter: 'fs', root: `at/${id}` }) as const);
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-anchor-'));
});
afterEach(() => rm(home, { recursive: true }));

type Input = NonNullable<Exclude<OpenVaultOptions['config'], string>>;
const withAnchor = (anchor: Input['anchor']): Input => ({ providers, anchor });
const open = (anchor: Input['anchor'], log?: (...told: unknown[]) => void): Promise<Vault> =>
  openVault({ home, env, config: withAnchor(anchor), log: log as never });
const itemOf = (manifest: string, total: number): AnchorItem => ({
  ...{ kind: 'blob', key: manifest, digest: digestOf(parseAddress(manifest)), total },
});
const size = async (): Promise<number> =>
  Number((await readFile(join(home, 'anchor/public/checkpoint'), 'utf8')).split('\n')[1]);

test('what a program puts and closes is in the log, and so is what another puts at the same time', async () => {
  await (await createVault({ home, env, config: withAnchor({ kind: 'local' }), unwrapped: true })).close();
  const [one, other] = await Promise.all([open({ kind: 'local' }), open({ kind: 'local' })]);
  const { manifest } = await one.putObject(noise(20_000), { name: 'first' });
  const second = await other.putObject(noise(300));
  await Promise.all([one.close(), other.close()]);
  const log = await openAnchor({ folder: join(home, 'anchor') });
  const states = await log.look([itemOf(manifest, 20_000), itemOf(second.manifest, 300)]);
  expect(states.map(({ state }) => state)).toEqual(['included', 'included']);
  await log.close();
  expect(await size()).toBe(2);
});

test('what could not be anchored is by whoever opens the vault next and puts', async () => {
  await (await createVault({ home, env, config: withAnchor({ kind: 'none' }), unwrapped: true })).close();
  const chain: Input['anchor'] = {
    kind: 'evm',
    url: 'http://127.0.0.1:9',
    chainId: 1,
    contract: `0x${'1'.repeat(40)}`,
  };
  const told: unknown[] = [];
  const away = await open(chain, (...event) => void told.push(event[1]));
  const { manifest } = await away.putObject(noise(1_000));
  await away.close();
  expect(told).toContain('anchor_failed');
  const back = await open({ kind: 'local', folder: 'log', confirmations: 12 });
  const second = await back.putObject(noise(2_000));
  await back.close();
  const log = await openAnchor({ folder: join(home, 'log') });
  const states = await log.look([itemOf(manifest, 1_000), itemOf(second.manifest, 2_000)]);
  expect(states.map(({ state }) => state)).toEqual(['included', 'included']);
  await log.close();
});

test('what is in the log is not due any more, however deep it would have to be on a chain', async () => {
  const config = withAnchor({ kind: 'local', confirmations: 12 });
  const vault = await createVault({ home, env, config, unwrapped: true });
  await vault.putObject(noise(1_000));
  await vault.close();
  await using again = await open({ kind: 'none' });
  const due: string[] = [];
  for await (const [key] of internalsOf(again).context.engine.table('anchor_due').entries({ prefix: 'L' }))
    due.push(key);
  expect(due).toEqual([]);
  expect(await size()).toBe(1);
});

test('objects are not anchored where the configuration says so', async () => {
  const config = withAnchor({ kind: 'local', objects: false });
  await using vault = await createVault({ home, env, config, unwrapped: true });
  await vault.putObject(noise(1_000));
  await vault.close();
  await expect(readFile(join(home, 'anchor/public/checkpoint'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('objects from before the anchor are in the log once somebody with the key has put or stayed', async () => {
  const vault = await createVault({ home, env, config: withAnchor({ kind: 'none' }), unwrapped: true });
  const older: [string, number][] = [];
  for (const bytes of [500, 700]) older.push([(await vault.putObject(noise(bytes))).manifest, bytes]);
  await vault.close();
  for (let round = 0; round < 2; round++) {
    const next = await open({ kind: 'local' });
    await next.putObject(noise(100 + round));
    await next.close();
  }
  const log = await openAnchor({ folder: join(home, 'anchor') });
  const states = await log.look(older.map(([manifest, bytes]) => itemOf(manifest, bytes)));
  expect(states.map(({ state }) => state)).toEqual(['included', 'included']);
  await log.close();
  expect(await size()).toBe(4);
});
