import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openVault, type Vault } from '../../src/index.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { freshSchema, startPostgres } from '../engine/postgres-server.ts';
import { noise, readAll } from '../helpers/vault.ts';

const postgres = await startPostgres();
const PROVIDERS = ['p1', 'p2', 'p3', 'p4'];

describe.skipIf(postgres === undefined)('a vault that machines share', () => {
  const pg = postgres!;
  const rootKey = noise(32, 5);
  let folder: string;
  let schema: string;
  const vaults: Vault[] = [];
  /** Each machine has a home of its own. */
  const machine = async (name: string, leaseMs = 60_000): Promise<Vault> => {
    const vault = await openVault({
      home: join(folder, name),
      rootKey,
      env: { HOLDFAST_POSTGRES_URL: pg.url },
      config: {
        engine: { default: 'postgres', postgresSchema: schema, postgresLeaseMs: leaseMs },
        erasure: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 },
        retention: { replacedSeconds: 0 },
        providers: PROVIDERS.map((id) => ({
          id,
          adapter: 'fs',
          root: join(folder, id),
          domain: { provider: id },
        })),
      },
    });
    vaults.push(vault);
    return vault;
  };
  const read = async (vault: Vault, name: string): Promise<Uint8Array> =>
    readAll(await vault.getObject(name));
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-shared-vault-'));
    schema = freshSchema();
    for (const id of PROVIDERS) await initFsProvider(join(folder, id), id);
  });
  afterEach(async () => {
    await Promise.all(vaults.splice(0).map((vault) => vault.close()));
    await pg.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE; DROP TABLE IF EXISTS before_${schema}`);
    await rm(folder, { recursive: true, force: true });
  });

  it('shows each machine what the others have put, replaced and removed', async () => {
    const [one, two] = [await machine('one'), await machine('two')];
    await one.putObject(noise(3000, 1), { name: 'a' });
    expect(await read(two, 'a')).toEqual(noise(3000, 1));
    await two.putObject(noise(4000, 2), { name: 'a' });
    expect(await read(one, 'a')).toEqual(noise(4000, 2));
    await one.deleteObject('a');
    await expect(two.getObject('a')).rejects.toMatchObject({ kind: 'NotFound' });
    expect((await two.status()).standing).toBe('confirmed');
  });

  it('sweeps what a dead machine began once its lease is over, and lets nothing of it show', async () => {
    const [slow, other] = [await machine('slow', 3_600_000), await machine('other')];
    let go = (): void => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 24; i++) yield noise(1024 * 1024, i);
      await held;
      yield noise(10, 99);
    }
    const putting = slow.putObject(source(), { name: 'late' });
    const outcome = putting.catch((error: unknown) => error);
    const journals = () => pg.sql(`SELECT key FROM ${schema}.entries WHERE tab = 'journal'`).catch(() => []);
    await expect.poll(journals).not.toEqual([]);
    await other.gc();
    expect(await journals()).not.toEqual([]);
    await pg.sql(`UPDATE ${schema}.owners SET until = clock_timestamp() - interval '1 second'`);
    await other.gc();
    expect(await journals()).toEqual([]);
    go();
    expect(await outcome).toMatchObject({ kind: 'Conflict', code: 'put_fenced' });
    await expect(other.getObject('late')).rejects.toMatchObject({ kind: 'NotFound' });
  });

  it('knows a database that has gone back, as to a standby that lagged, and destroys nothing', async () => {
    const one = await machine('one');
    await one.putObject(noise(3000, 1), { name: 'a' });
    await one.putObject(noise(3000, 2), { name: 'b' });
    await pg.sql(`CREATE TABLE before_${schema} AS SELECT * FROM ${schema}.entries`);
    await one.putObject(noise(3000, 3), { name: 'c' });
    await one.close();
    await pg.sql(`TRUNCATE ${schema}.entries; INSERT INTO ${schema}.entries SELECT * FROM before_${schema}`);
    const two = await machine('two');
    expect((await two.status()).standing).toBe('behind');
    expect((await two.deleteObject('a')).stateBehind).toBe(true);
    await two.recover();
    expect((await two.status()).standing).toBe('confirmed');
    expect(await read(two, 'c')).toEqual(noise(3000, 3));
  });
});
