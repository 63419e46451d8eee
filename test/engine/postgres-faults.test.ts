import { afterEach, describe, expect, it } from 'vitest';
import type { Engine, PostgresEngineOptions } from '../../src/engine/index.ts';
import { bytes } from './batches.ts';
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.ts';
import { freshSchema, startPostgres } from './postgres-server.ts';

const postgres = await startPostgres();

describe.skipIf(postgres === undefined)('postgres engine among faults', () => {
  const pg = postgres!;
  const schemas: string[] = [];
  const engines: Engine[] = [];
  const proxies: CuttingProxy[] = [];
  const open = (schema: string, options: Partial<PostgresEngineOptions> = {}): Engine => {
    if (!schemas.includes(schema)) schemas.push(schema);
    const engine = pg.engine(schema, options);
    engines.push(engine);
    return engine;
  };
  const behindProxy = async (schema: string, options: Partial<PostgresEngineOptions> = {}) => {
    const proxy = await startCuttingProxy(pg.server.port);
    proxies.push(proxy);
    const url = pg.url.replace(String(pg.server.port), String(proxy.port));
    const engine = open(schema, { url: async () => url, connections: 1, ...options });
    // What has been prepared goes in one message.
    const table = engine.table('t');
    await table.put('warm', bytes(1));
    await table.get('warm');
    return { proxy, engine, table };
  };
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
    for (const schema of schemas.splice(0)) await pg.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  describe('a connection that is lost under a write', () => {
    it.each(['before', 'after'] as const)('applies it exactly once when cut %s it', async (cut) => {
      const schema = freshSchema();
      const { proxy, table } = await behindProxy(schema);
      let value: Uint8Array | undefined;
      for (let i = 0; i < 20; i++) {
        proxy.arm(cut);
        // Tried twice, the second would find another value and fail.
        expect(await table.compareAndSet('k', value, bytes(i), { sync: true })).toBe(true);
        value = bytes(i);
      }
      expect(proxy.cuts()).toBe(20);
      expect(await open(schema).table('t').get('k')).toEqual(bytes(19));
    });

    it('does not take a lost answer for a refusal', async () => {
      const { proxy, engine, table } = await behindProxy(freshSchema());
      await table.put('a', bytes(1));
      proxy.arm('after');
      const ops = [{ table: 't', key: 'a', value: bytes(2) }];
      expect(await engine.batch(ops, [{ table: 't', key: 'a', expected: bytes(9) }])).toBe(false);
      proxy.arm('after');
      expect(await engine.batch(ops, [{ table: 't', key: 'a', expected: bytes(1) }])).toBe(true);
      expect(await table.get('a')).toEqual(bytes(2));
    });

    it('finds out behind a connection that went silent', async () => {
      const { proxy, table } = await behindProxy(freshSchema(), { statementMs: 300 });
      proxy.arm('silence');
      expect(await table.compareAndSet('k', undefined, bytes(1), { sync: true })).toBe(true);
      expect(proxy.cuts()).toBe(1);
      expect(await table.get('k')).toEqual(bytes(1));
    });

    it('says that it does not know when nobody can be asked', async () => {
      const schema = freshSchema();
      const { proxy, table } = await behindProxy(schema, { waitMs: 500 });
      proxy.arm('after');
      proxy.refuse(true);
      await expect(table.put('k', bytes(1), { sync: true })).rejects.toMatchObject({
        kind: 'Unavailable',
        code: 'engine_outcome_unknown',
        hint: expect.stringContaining('it may have been'),
      });
      proxy.refuse(false);
      expect(await table.get('k')).toEqual(bytes(1));
      proxy.arm('before');
      expect(await table.get('k')).toEqual(bytes(1));
    });

    it('never applies what it was told had not been, however late it arrives', async () => {
      const schema = freshSchema();
      const { table, engine } = await behindProxy(schema);
      await table.put('k', bytes(1));
      const [row] = await pg.sql(`SELECT id, seq FROM ${schema}.writers`);
      const next = Number(row!.seq) + 1;
      const settle = `SELECT ${schema}.settle('${row!.id}', ${next}) AS applied`;
      expect(await pg.sql(settle)).toMatchObject([{ applied: false }]);
      const late = `SELECT ${schema}.apply('${row!.id}', ${next}, true, '{}', '{}', '{}', '{}', '{}', '{}', '{t}', '{"\\\\x6b"}', '{"\\\\x00"}', '{}', '{}')`;
      await expect(pg.sql(late)).rejects.toMatchObject({ code: 'HF001' });
      expect(await pg.sql(settle)).toMatchObject([{ applied: false }]);
      expect(await engine.table('t').get('k')).toEqual(bytes(1));
    });
  });

  it('goes on when the server was killed and started again', { timeout: 120_000 }, async () => {
    const schema = freshSchema();
    const engine = open(schema);
    const table = engine.table('t');
    const acknowledged: string[] = [];
    let stop = false;
    const writing = Array.from({ length: 4 }, async (_, writer) => {
      for (let i = 0; !stop; i++) {
        const key = `${writer}/${i}`;
        expect(await table.compareAndSet(key, undefined, bytes(writer), { sync: true })).toBe(true);
        acknowledged.push(key);
      }
    });
    for (let round = 0; round < 2; round++) {
      const before = acknowledged.length;
      await expect.poll(() => acknowledged.length).toBeGreaterThan(before + 50);
      await pg.server.kill();
      await pg.server.restart();
    }
    const before = acknowledged.length;
    await expect.poll(() => acknowledged.length).toBeGreaterThan(before + 50);
    stop = true;
    await Promise.all(writing);
    const found: string[] = [];
    for await (const [key] of table.entries()) found.push(key);
    expect(found.toSorted()).toEqual(acknowledged.toSorted());
  });

  it('can be closed while the server is away', { timeout: 120_000 }, async () => {
    const schema = freshSchema();
    const engine = pg.engine(schema, { waitMs: 3_600_000 });
    schemas.push(schema);
    await engine.table('t').put('k', bytes(1));
    await engine.owners(60_000).current();
    await pg.server.kill();
    await engine.close();
    await pg.server.restart();
  });

  it('says that the server cannot be reached, and names no secret', async () => {
    const url = 'postgres://someone:s3cret@127.0.0.1:1/nothing';
    const engine = open(freshSchema(), { url: async () => url, waitMs: 200 });
    const error = await engine
      .table('t')
      .get('k')
      .catch((failure: unknown) => failure);
    expect(error).toMatchObject({ kind: 'Unavailable', code: 'engine_unreachable', status: 'temporary' });
    expect(JSON.stringify(error) + (error as Error).stack + String((error as Error).cause)).not.toContain(
      's3cret',
    );
    for (const bad of ['mysql://u:s3cret@h/d', 'postgres://u:s3cret@[/d', 's3cret']) {
      const refused = await open(freshSchema(), { url: async () => bad })
        .table('t')
        .get('k')
        .catch((failure: unknown) => failure);
      expect(refused).toMatchObject({ kind: 'ConfigInvalid', code: 'engine_location' });
      expect(JSON.stringify(refused) + (refused as Error).stack).not.toContain('s3cret');
    }
  });

  it('ends a statement that takes too long, with nothing done', async () => {
    const schema = freshSchema();
    const engine = open(schema, { statementMs: 200 });
    await engine.table('t').put('k', bytes(1));
    const held = pg.sql(`BEGIN; SELECT * FROM ${schema}.entries FOR UPDATE; SELECT pg_sleep(1.5); COMMIT`);
    await expect
      .poll(() =>
        pg.sql(
          `SELECT 1 FROM pg_locks WHERE relation = '${schema}.entries'::regclass AND mode = 'RowShareLock'`,
        ),
      )
      .toHaveLength(1);
    await expect(engine.table('t').compareAndSet('k', bytes(1), bytes(2))).rejects.toMatchObject({
      kind: 'Timeout',
      code: 'engine_timeout',
    });
    await held;
    expect(await engine.table('t').get('k')).toEqual(bytes(1));
  });

  it.each(['40001', '40P01'])('tries again after SQLSTATE %s, so often and no more', async (state) => {
    const schema = freshSchema();
    const engine = open(schema);
    await engine.table('t').put('warm', bytes(1));
    await pg.sql(`CREATE SEQUENCE ${schema}.tries;
      CREATE FUNCTION ${schema}.meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('${schema}.tries') <= 5 OR convert_from(NEW.key, 'UTF8') = 'never' THEN RAISE EXCEPTION 'met' USING ERRCODE = '${state}'; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER meet BEFORE INSERT ON ${schema}.entries FOR EACH ROW EXECUTE FUNCTION ${schema}.meet()`);
    expect(await engine.table('t').compareAndSet('k', undefined, bytes(1))).toBe(true);
    expect(await engine.table('t').get('k')).toEqual(bytes(1));
    await expect(engine.table('t').put('never', bytes(1))).rejects.toMatchObject({
      code: 'engine_contended',
    });
    expect(await engine.table('t').get('never')).toBeUndefined();
  });

  it('waits for a server that takes no writes to take them again', async () => {
    const schema = freshSchema();
    const engine = open(schema);
    await engine.table('t').put('k', bytes(1));
    await pg.sql('ALTER DATABASE postgres SET default_transaction_read_only = on');
    const refused = open(schema, { waitMs: 300 }).table('t').put('k', bytes(2));
    await expect(refused).rejects.toMatchObject({ code: 'engine_read_only', status: 'temporary' });
    const put = open(schema).table('t').put('k', bytes(3));
    await pg.sql(
      'SET transaction_read_only = off; ALTER DATABASE postgres RESET default_transaction_read_only',
    );
    await put;
    expect(await engine.table('t').get('k')).toEqual(bytes(3));
  });
});
