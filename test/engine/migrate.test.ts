import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/core/clock.ts';
import { secureRandom } from '../../src/core/random.ts';
import { contentsOf, copyRecords, requireSame } from '../../src/engine/copy.ts';
import {
  createLevelEngine,
  createMemoryStore,
  createOwnerLocks,
  type Engine,
} from '../../src/engine/index.ts';
import { createKeyFile, homePaths } from '../../src/vault/home.ts';
import { type MigrateOptions, type MigrateResult, migrateRecords } from '../../src/vault/migrate.ts';
import { bytes } from './batches.ts';
import { freshSchema, startPostgres } from './postgres-server.ts';

const postgres = await startPostgres();

describe('moving records to another engine', () => {
  let folder: string;
  const schemas: string[] = [];
  const home = (name: string): string => join(folder, name);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-migrate-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
    for (const schema of schemas.splice(0)) await postgres?.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  const schemaOf = (): string => {
    const schema = freshSchema();
    schemas.push(schema);
    return schema;
  };
  const migrate = (
    from: string,
    to: string,
    engine: 'level' | 'postgres' | 'memory',
    options: MigrateOptions = {},
  ): Promise<MigrateResult> => {
    const env = { HOLDFAST_POSTGRES_URL: postgres?.url };
    const config = loadConfig({ text: '', file: 'c.toml', env: {}, home: home('config') });
    return migrateRecords(config, env, { from, to, engine }, options);
  };
  const level = (name: string): Engine =>
    createLevelEngine({
      location: homePaths(home(name)).engine,
      clock: systemClock,
      lockWaitMs: 2000,
      idleReleaseMs: 5,
    });
  const fill = async (name: string, records: number): Promise<void> => {
    const engine = level(name);
    for (let at = 0; at < records; at += 500) {
      const count = Math.min(500, records - at);
      await engine.batch(
        Array.from({ length: count }, (_, i) => ({
          table: ['names', 'journal', 'of_no_version_yet'][(at + i) % 3]!,
          key: `key ${at + i} \u{1f600}`,
          value: secureRandom((at + i) % 97),
        })),
      );
    }
    await engine.close();
  };
  const moved = { kind: 'Unavailable', code: 'engine_moved', status: 'permanent' };

  it('moves every record of every table, and leaves a mark in the old place', async () => {
    await fill('old', 2500);
    const rehearsed = await migrate(home('old'), 'memory', 'memory');
    const result = await migrate(home('old'), home('new'), 'level');
    expect(result).toMatchObject({ records: 2500, resumedAt: 0, checksum: rehearsed.checksum });
    const old = level('old');
    await expect(old.table('names').get('key 0 \u{1f600}')).rejects.toMatchObject({
      ...moved,
      message: expect.stringContaining(home('new')),
    });
    await old.close();
    const fresh = level('new');
    expect(await fresh.table('names').get('key 0 \u{1f600}')).toEqual(bytes());
    await fresh.close();
    expect(await readdir(homePaths(home('old')).engine)).not.toContain('CURRENT');
    await expect(migrate(home('old'), home('other'), 'level')).rejects.toMatchObject(moved);
    expect(await migrate(home('new'), 'memory', 'memory')).toMatchObject({ checksum: rehearsed.checksum });
  });

  it('takes the key file along, and moves nothing to a place that has another', async () => {
    await fill('old', 10);
    const keyIn = (name: string): string => homePaths(home(name)).keyFile;
    const make = (name: string): Promise<void> =>
      createKeyFile(homePaths(home(name)), 'a passphrase', secureRandom);
    await mkdir(home('keyed'));
    await make('keyed');
    await rename(keyIn('keyed'), keyIn('old'));
    await make('other');
    await expect(migrate(home('old'), home('other'), 'level')).rejects.toMatchObject({
      ...{ kind: 'Conflict', code: 'key_file_differs' },
      message: expect.stringContaining(keyIn('other')),
    });
    await mkdir(homePaths(home('blocked')).keyFile, { recursive: true });
    await expect(migrate(home('old'), home('blocked'), 'level')).rejects.toMatchObject({
      kind: 'PermissionDenied',
    });
    expect(await migrate(home('old'), home('new'), 'level')).toMatchObject({ records: 10 });
    expect(await readFile(keyIn('new'), 'utf8')).toBe(await readFile(keyIn('old'), 'utf8'));
  });

  it('goes on where it was ended, and opens neither place until then', async () => {
    await fill('old', 6000);
    const { checksum } = await migrate(home('old'), 'memory', 'memory');
    let ended = 0;
    let result: MigrateResult | undefined;
    while (result === undefined) {
      const stop = new AbortController();
      const onProgress = (step: string): void => {
        if (step === 'copying') stop.abort();
      };
      try {
        result = await migrate(home('old'), home('new'), 'level', { signal: stop.signal, onProgress });
      } catch (error) {
        expect(error).toMatchObject({ kind: 'Aborted' });
        ended++;
        for (const name of ['old', 'new']) {
          const engine = level(name);
          await expect(engine.table('names').get('x')).rejects.toMatchObject(moved);
          await engine.close();
        }
        await expect(migrate(home('old'), home('elsewhere'), 'level')).rejects.toMatchObject(moved);
      }
    }
    expect(ended).toBeGreaterThan(3);
    expect(result).toMatchObject({ records: 6000, checksum });
    expect(result.resumedAt).toBeGreaterThan(4000);
    const fresh = level('new');
    expect(await fresh.table('migration').get('progress')).toBeUndefined();
    await fresh.close();
  });

  it('lets one of two runs that copy to the same place at once go on', async () => {
    const [from, to] = [createMemoryStore(), createMemoryStore()];
    for (let i = 0; i < 3000; i++) await from.table('names').put(`key ${i}`, bytes(i % 251));
    let second: Promise<number> | undefined;
    const onProgress = (): void => {
      second ??= copyRecords(from, to);
    };
    const first = copyRecords(from, to, { onProgress });
    await first.catch(() => undefined);
    const outcomes = await Promise.allSettled([first, second]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { kind: 'Conflict', code: 'engine_in_use' },
    });
    requireSame(await contentsOf(from), await contentsOf(to));
  });

  it('refuses an old place where somebody works, and one with nothing in it', async () => {
    await fill('old', 10);
    const owners = createOwnerLocks({
      folder: homePaths(home('old')).owners,
      clock: systemClock,
      random: secureRandom,
    });
    await owners.current();
    await expect(migrate(home('old'), home('new'), 'level')).rejects.toMatchObject({
      kind: 'Conflict',
      code: 'engine_in_use',
    });
    const old = level('old');
    expect(await old.table('names').get('key 0 \u{1f600}')).toEqual(bytes());
    await old.close();
    await owners.close();
    await expect(migrate(home('nowhere'), home('new'), 'level')).rejects.toMatchObject({
      code: 'state_missing',
    });
    await expect(migrate(home('old'), home('new'), 'level')).resolves.toMatchObject({ records: 10 });
  });

  it('refuses a new place that has records of its own, and the same place', async () => {
    await fill('old', 10);
    await fill('new', 1);
    await expect(migrate(home('old'), home('new'), 'level')).rejects.toMatchObject({
      code: 'already_initialised',
    });
    await expect(migrate(home('old'), home('old'), 'level')).rejects.toMatchObject({
      code: 'engine_location',
    });
    await expect(migrate(home('old'), 'postgres:No', 'postgres')).rejects.toMatchObject({
      code: 'engine_location',
    });
    await expect(migrate(home('old'), home('x'), 'postgres')).rejects.toMatchObject({
      code: 'engine_location',
    });
    const old = level('old');
    expect(await old.table('names').get('key 0 \u{1f600}')).toEqual(bytes());
    await old.close();
  });

  it('finds a copy that differs, and leaves the original to be copied again', async () => {
    await fill('old', 3000);
    const stop = new AbortController();
    const onProgress = (): void => stop.abort();
    const ended = migrate(home('old'), home('new'), 'level', { signal: stop.signal, onProgress });
    await expect(ended).rejects.toMatchObject({ kind: 'Aborted' });
    const location = homePaths(home('new')).engine;
    const options = { clock: systemClock, lockWaitMs: 2000, idleReleaseMs: 5, moving: true };
    const target = createLevelEngine({ location, ...options });
    await target.table('journal').put('key 1 \u{1f600}', bytes(9));
    await target.close();
    await expect(migrate(home('old'), home('new'), 'level')).rejects.toMatchObject({
      kind: 'Corrupt',
      code: 'engine_copy_differs',
      context: { tables: ['journal'] },
    });
    await rm(home('new'), { recursive: true });
    await expect(migrate(home('old'), home('new'), 'level')).resolves.toMatchObject({ records: 3000 });
  });

  it.skipIf(postgres === undefined)('goes to PostgreSQL and back, and comes back the same', async () => {
    await fill('old', 2500);
    const [one, two] = [schemaOf(), schemaOf()];
    const { checksum } = await migrate(home('old'), 'memory', 'memory');
    expect(await migrate(home('old'), `postgres:${one}`, 'postgres')).toMatchObject({
      records: 2500,
      checksum,
    });
    const worker = postgres!.engine(one);
    const busy = postgres!.engine(one);
    await busy.table('names').get('x');
    expect(await worker.table('of_no_version_yet').get('key 2 \u{1f600}')).toHaveLength(2);
    await expect(migrate(home('old'), `postgres:${two}`, 'postgres')).rejects.toMatchObject(moved);
    expect(await migrate(`postgres:${one}`, `postgres:${two}`, 'postgres')).toMatchObject({ checksum });
    // Who had it open reads on, and writes nothing any more.
    await expect(busy.table('names').put('late', bytes(1))).rejects.toMatchObject({ code: 'engine_moved' });
    await expect(postgres!.engine(one).table('names').get('x')).rejects.toMatchObject(moved);
    expect(await migrate(`postgres:${two}`, home('back'), 'level')).toMatchObject({ checksum });
    await Promise.all([worker.close(), busy.close()]);
  });

  it.skipIf(postgres === undefined)(
    'refuses to move from PostgreSQL while an owner has its lease',
    async () => {
      const schema = schemaOf();
      const engine = postgres!.engine(schema);
      await engine.table('names').put('a', bytes(1));
      const owners = engine.owners(60_000);
      await owners.current();
      await expect(migrate(`postgres:${schema}`, home('new'), 'level')).rejects.toMatchObject({
        code: 'engine_in_use',
      });
      await engine.close();
      await expect(migrate(`postgres:${schema}`, home('new'), 'level')).resolves.toMatchObject({
        records: 1,
      });
    },
  );
});
