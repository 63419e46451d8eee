import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Engine, PostgresEngineOptions } from '../../src/engine/index.ts';
import { bytes, keysOf } from './batches.ts';
import { freshSchema, startPostgres } from './postgres-server.ts';

const WORKER = resolve(import.meta.dirname, 'children/worker.mjs');
const DIST = resolve(import.meta.dirname, '../../dist');
const ROUNDS = process.env.SLOW === '1' ? 40 : 3;
const postgres = await startPostgres();

describe.skipIf(postgres === undefined)('a database that many share', () => {
  const pg = postgres!;
  const schemas: string[] = [];
  const engines: Engine[] = [];
  const children: ChildProcess[] = [];
  const open = (schema: string, options: Partial<PostgresEngineOptions> = {}): Engine => {
    if (!schemas.includes(schema)) schemas.push(schema);
    const engine = pg.engine(schema, options);
    engines.push(engine);
    return engine;
  };
  const worker = (schema: string, ...args: string[]) => {
    const command = [WORKER, DIST, `${pg.url}#${schema}`, ...args];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    return {
      child,
      ended: once(child, 'close'),
      lines: () => Buffer.concat(chunks).toString().split('\n').slice(0, -1),
    };
  };
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
    for (const schema of schemas.splice(0)) await pg.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  it('is made once by however many begin at the same time', async () => {
    const schema = freshSchema();
    const many = Array.from({ length: 8 }, () => open(schema, { connections: 1 }));
    const won = await Promise.all(
      many.map((engine, i) => engine.table('t').compareAndSet('first', undefined, bytes(i))),
    );
    expect(won.filter(Boolean)).toHaveLength(1);
  });

  it('is refused when a later version has changed it, and left alone', async () => {
    const schema = freshSchema();
    await open(schema).table('t').put('k', bytes(1));
    await pg.sql(`UPDATE ${schema}.meta SET version = 2`);
    await expect(open(schema).table('t').get('k')).rejects.toMatchObject({
      code: 'engine_schema_newer',
      status: 'permanent',
    });
    expect(await pg.sql(`SELECT version FROM ${schema}.meta`)).toMatchObject([{ version: 2 }]);
  });

  it('takes a role that may only use what is there', async () => {
    const schema = freshSchema();
    await open(schema).table('t').put('k', bytes(1));
    const role = `role_${schema}`;
    await pg.sql(`CREATE ROLE ${role} LOGIN;
      GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT ON ${schema}.meta TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ${schema}.entries, ${schema}.writers, ${schema}.owners TO ${role}`);
    const asRole = async () => pg.url.replace('holdfast@', `${role}@`);
    const least = open(schema, { url: asRole });
    expect(await least.table('t').compareAndSet('k', bytes(1), bytes(2))).toBe(true);
    expect(await keysOf(least.table('t'))).toEqual(['k']);
    await least.close();
    const other = open(freshSchema(), { url: asRole });
    await expect(other.table('t').get('k')).rejects.toMatchObject({ code: 'engine_permission' });
    await pg.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  it('never lets two batches through of which each needs what the other changes', async () => {
    const schema = freshSchema();
    const [one, two] = [open(schema), open(schema)];
    await Promise.all([one, two].map((engine) => engine.table('t').get('warm')));
    // Each stays for a while between what it compares and what it writes.
    await pg.sql(`CREATE FUNCTION ${schema}.dwell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_sleep(0.02);
        RETURN NEW;
      END $$;
      CREATE TRIGGER dwell BEFORE INSERT ON ${schema}.entries FOR EACH ROW EXECUTE FUNCTION ${schema}.dwell()`);
    for (let round = 0; round < 20; round++) {
      const [a, b] = [`a${round}`, `b${round}`];
      const there = round % 2 === 0 ? bytes(1) : undefined;
      if (there) await one.batch([a, b].map((key) => ({ table: 't', key, value: there })));
      const change = (engine: Engine, key: string, needed: string): Promise<boolean> =>
        engine.batch([{ table: 't', key, value: bytes(2) }], [{ table: 't', key: needed, expected: there }]);
      const [first, second] = await Promise.all([change(one, a, b), change(two, b, a)]);
      expect([round, first && second]).toEqual([round, false]);
    }
  });

  it('keeps to its number of connections, however much is asked at once', async () => {
    const schema = freshSchema();
    const engine = open(schema, { connections: 3 });
    const table = engine.table('t');
    let most = 0;
    const counting = (async () => {
      for (let i = 0; i < 5; i++) {
        const [row] = await pg.sql(
          `SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'holdfast'`,
        );
        most = Math.max(most, Number(row!.n));
      }
    })();
    await Promise.all(Array.from({ length: 400 }, (_, i) => table.put(`k${i}`, bytes(i))));
    await counting;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(3);
    expect(await keysOf(table)).toHaveLength(400);
  });

  it('keeps every byte of values and every character of keys', async () => {
    const schema = freshSchema();
    const value = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
    const keys = [
      '\u0001',
      '"',
      "'",
      '\\',
      '\\x00',
      '{',
      '}',
      ',',
      '%',
      '_',
      'NULL',
      '$1',
      '\n',
      '\u00ff',
      '\u{1f600}',
    ];
    const engine = open(schema);
    const ops = keys.map((key) => ({ table: 'null', key, value }));
    expect(await engine.batch(ops)).toBe(true);
    for (const key of keys) expect(await engine.table('null').get(key)).toEqual(value);
    const held = keys.map((key) => ({ table: 'null', key, expected: value }));
    expect(await open(schema).batch([], held)).toBe(true);
    expect((await keysOf(engine.table('null'))).toSorted()).toEqual(keys.toSorted());
  });

  it('tells a record that rotted, and passes over it in a listing that asks for that', async () => {
    const schema = freshSchema();
    const engine = open(schema);
    const table = engine.table('t');
    await engine.batch(['a', 'b', 'c'].map((key) => ({ table: 't', key, value: bytes(1, 2, 3) })));
    await pg.sql(`UPDATE ${schema}.entries SET value = set_byte(value, 5, 9) WHERE key = 'b'`);
    const corrupt = { kind: 'Corrupt', code: 'engine_corrupt' };
    await expect(table.get('b')).rejects.toMatchObject(corrupt);
    await expect(table.compareAndSet('b', bytes(1, 2, 3), bytes(1))).rejects.toMatchObject(corrupt);
    await expect(keysOf(table)).rejects.toMatchObject(corrupt);
    const damaged: string[] = [];
    expect(await keysOf(table, { onDamaged: (key) => void damaged.push(key) })).toEqual(['a', 'c']);
    expect(damaged).toEqual(['b']);
  });

  it('leaves nothing of its own behind but entries when it is closed', async () => {
    const schema = freshSchema();
    const engine = open(schema);
    await Promise.all(Array.from({ length: 20 }, (_, i) => engine.table('t').put(`k${i}`, bytes(i))));
    await engine.close();
    expect(await pg.sql(`SELECT * FROM ${schema}.writers`)).toEqual([]);
  });

  it('loses no increment of a counter that processes share', { timeout: 120_000 }, async () => {
    const schema = freshSchema();
    const engine = open(schema);
    const workers = Array.from({ length: 3 }, () => worker(schema, 'increment', '60'));
    await Promise.all(workers.map(({ ended }) => ended));
    expect(workers.flatMap(({ lines }) => lines())).toEqual(['done', 'done', 'done']);
    const counter = (await engine.table('shared').get('counter'))!;
    expect(new DataView(counter.buffer, counter.byteOffset).getUint32(0)).toBe(180);
  });

  it('has every acknowledged write, and no half of a batch, after kill -9', {
    timeout: 300_000,
  }, async () => {
    const schema = freshSchema();
    const engine = open(schema);
    const acknowledged: string[] = [];
    let least = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const writers = [worker(schema, 'write', `${round}a`), worker(schema, 'write', `${round}b`)];
      const pairs = [worker(schema, 'pair'), worker(schema, 'pair')];
      const all = [...writers, ...pairs];
      await expect.poll(() => Math.min(...writers.map(({ lines }) => lines().length))).toBeGreaterThan(20);
      await expect.poll(() => pairs.flatMap(({ lines }) => lines()).length).toBeGreaterThan(20);
      for (const { child } of all) child.kill('SIGKILL');
      await Promise.all(all.map(({ ended }) => ended));
      acknowledged.push(...writers.flatMap(({ lines }) => lines()));
      least = Math.max(least, ...pairs.flatMap(({ lines }) => lines().map(Number)));
    }
    const found = new Map<string, string>();
    for await (const [key, value] of engine.table('shared').entries())
      found.set(key, Buffer.from(value).toString());
    expect(acknowledged.filter((key) => found.get(key) !== `value of ${key}`)).toEqual([]);
    const [one, other] = [await engine.table('shared').get('one'), await engine.table('others').get('other')];
    expect(other).toEqual(one);
    expect(new DataView(one!.buffer, one!.byteOffset).getUint32(0)).toBeGreaterThanOrEqual(least);
  });
});
