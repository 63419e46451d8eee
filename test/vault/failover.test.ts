import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openVault, type Vault } from '../../src/index.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { freshSchema, startPostgres, type TestPostgres } from '../engine/postgres-server.ts';
import { noise, readAll } from '../helpers/vault.ts';

const PROVIDERS = ['p1', 'p2', 'p3', 'p4'];

describe('a vault whose database fails over to a standby', { timeout: 120_000 }, async () => {
  const rootKey = noise(32, 5);
  let folder: string;
  let primary: TestPostgres;
  let standby: TestPostgres;
  let isThere = false;
  let schema: string;
  const vaults: Vault[] = [];
  const bothHosts = (): string => {
    const hosts = [primary, standby].map(({ server }) => `127.0.0.1:${server.port}`);
    return `postgres://holdfast@${hosts.join(',')}/postgres`;
  };
  const machine = async (name: string): Promise<Vault> => {
    const vault = await openVault({
      home: join(folder, name),
      rootKey,
      env: { HOLDFAST_POSTGRES_URL: bothHosts() },
      config: {
        engine: { default: 'postgres', postgresSchema: schema, postgresConnections: 2 },
        erasure: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 },
        retention: { replacedSeconds: 0 },
        providers: PROVIDERS.map((id) => ({
          ...{ id, adapter: 'fs', root: join(folder, id), domain: { provider: id } },
        })),
      },
    });
    vaults.push(vault);
    return vault;
  };
  const replayed = async (): Promise<void> => {
    const [at] = await primary.sql('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    const there = `SELECT pg_last_wal_replay_lsn() >= '${at!.lsn}' AS there`;
    await expect.poll(() => standby.sql(there), { timeout: 30_000 }).toMatchObject([{ there: true }]);
  };
  const failOver = async (): Promise<void> => {
    await primary.server.kill();
    await standby.sql('SELECT pg_promote()');
  };
  /** From here on the standby is behind. */
  const cutReplication = async (): Promise<void> => {
    await replayed();
    await standby.sql(`ALTER SYSTEM SET primary_conninfo = ''`);
    await standby.sql('SELECT pg_reload_conf()');
    const receivers = 'SELECT 1 FROM pg_stat_wal_receiver';
    await expect.poll(() => standby.sql(receivers), { timeout: 30_000 }).toEqual([]);
  };
  beforeEach(async (context) => {
    schema = freshSchema();
    folder = await mkdtemp(join(tmpdir(), 'holdfast-failover-'));
    const first = await startPostgres();
    const second = first && (await startPostgres(first));
    isThere = second !== undefined;
    if (first === undefined || second === undefined) return context.skip();
    [primary, standby] = [first, second];
    for (const id of PROVIDERS) await initFsProvider(join(folder, id), id);
  });
  afterEach(async () => {
    await Promise.all(vaults.splice(0).map((vault) => vault.close()));
    if (isThere) await Promise.all([primary.server.stop(), standby.server.stop()]);
    await rm(folder, { recursive: true, force: true });
  });
  const put = (vault: Vault, name: string, seed: number) => vault.putObject(noise(3000, seed), { name });

  it('goes on, confirmed, where the standby has everything', async () => {
    const vault = await machine('one');
    await put(vault, 'a', 1);
    const engine = primary.engine(schema, { url: async () => bothHosts(), connections: 2 });
    await Promise.all(['x', 'y', 'z'].map((key) => engine.table('t').get(key)));
    expect(engine.history()).toBe(0);
    await replayed();
    await failOver();
    await Promise.all(['x', 'y', 'z'].map((key) => engine.table('t').get(key)));
    expect(engine.history()).toBe(1);
    await engine.close();
    expect(await put(vault, 'b', 2)).toMatchObject({ stateBehind: false, unconfirmed: false });
    expect((await vault.status()).standing).toBe('confirmed');
    expect(await readAll(await vault.getObject('a'))).toEqual(noise(3000, 1));
    expect((await vault.deleteObject('a')).stateBehind).toBe(false);
  });

  it('knows a standby that lagged, destroys nothing, says what to do, and has all after that', async () => {
    const vault = await machine('one');
    await put(vault, 'a', 1);
    await cutReplication();
    await put(vault, 'a', 2);
    await put(vault, 'lost', 3);
    await vault.close();
    await failOver();
    const other = await machine('two');
    expect((await other.status()).standing).toBe('behind');
    await expect(other.getObject('a').then(readAll)).rejects.toMatchObject({
      code: 'state_behind',
      hint: expect.stringContaining('holdfast recover'),
    });
    expect((await put(other, 'c', 4)).stateBehind).toBe(true);
    await other.gc();
    await other.recover();
    expect((await other.status()).standing).toBe('confirmed');
    for (const [name, seed] of [
      ['a', 2],
      ['lost', 3],
      ['c', 4],
    ] as const)
      expect(await readAll(await other.getObject(name))).toEqual(noise(3000, seed));
  });

  it('takes nothing for confirmed that was so on the server before, however much it writes at once', async () => {
    const [one, two] = [await machine('one'), await machine('two')];
    await put(one, 'a', 1);
    await put(two, 'b', 2);
    await cutReplication();
    // More than what was lost, so that the count of changes overtakes what the providers know.
    await put(one, 'lost', 3);
    await failOver();
    const names = ['c', 'd', 'e', 'f', 'g', 'h'];
    const done = await Promise.allSettled(names.map((name, i) => put(two, name, 10 + i)));
    expect((await two.status()).standing).toBe('behind');
    await two.gc();
    await two.recover();
    expect(await readAll(await two.getObject('lost'))).toEqual(noise(3000, 3));
    for (const [i, { status }] of done.entries())
      if (status === 'fulfilled')
        expect(await readAll(await two.getObject(names[i]!))).toEqual(noise(3000, 10 + i));
  });
});
