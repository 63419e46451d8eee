import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Engine, PostgresEngineOptions } from '../../src/engine/index.ts';
import { bytes } from './batches.ts';
import { startCuttingProxy } from './cutting-proxy.ts';
import { freshSchema, startPostgres } from './postgres-server.ts';

const postgres = await startPostgres();
/** Every byte with SLOW=1, else about a dozen of them. */
const CUTS = process.env.SLOW === '1' ? Number.POSITIVE_INFINITY : 12;
/** Longer than the message of a small write and than its answer: cut there, nothing is cut. */
const LONGEST = { message: 560, answer: 96 } as const;

describe.skipIf(postgres === undefined)('postgres engine under attack', () => {
  const pg = postgres!;
  const schemas: string[] = [];
  const engines: Engine[] = [];
  const open = (schema: string, options: Partial<PostgresEngineOptions> = {}): Engine => {
    if (!schemas.includes(schema)) schemas.push(schema);
    const engine = pg.engine(schema, options);
    engines.push(engine);
    return engine;
  };
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
    for (const schema of schemas.splice(0)) await pg.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  it.each(['message', 'answer'] as const)(
    'applies a write once, wherever its %s is cut',
    {
      timeout: 300_000,
    },
    async (side) => {
      const schema = freshSchema();
      const proxy = await startCuttingProxy(pg.server.port);
      const url = pg.url.replace(String(pg.server.port), String(proxy.port));
      const table = open(schema, { url: async () => url, connections: 1 }).table('t');
      await table.put('warm', bytes(1));
      const beside = open(schema).table('t');
      const step = Math.max(1, Math.floor(LONGEST[side] / CUTS));
      let value: Uint8Array | undefined;
      for (let at = 0; at <= LONGEST[side]; at += step) {
        const next = Buffer.from(`cut at ${at}`);
        proxy.armAt(side, at);
        // Tried twice, the second would find another value and fail.
        expect([at, await table.compareAndSet('k', value, next, { sync: true })]).toEqual([at, true]);
        expect(Buffer.from((await beside.get('k'))!)).toEqual(next);
        value = next;
      }
      expect(proxy.cuts()).toBeGreaterThan(LONGEST[side] / step - 1);
      await Promise.all(engines.splice(0).map((engine) => engine.close()));
      await proxy.close();
    },
  );

  it('gives up on a server that stands still in its time, and goes on with it afterwards', {
    timeout: 120_000,
  }, async () => {
    const schema = freshSchema();
    const table = open(schema, { statementMs: 300, waitMs: 2_000, connections: 1 }).table('t');
    await table.put('k', bytes(1));
    const pids = serverProcesses(pg.server.dir);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      await expect(table.put('k', bytes(2), { sync: true })).rejects.toMatchObject({
        code: 'engine_outcome_unknown',
      });
      await expect(table.get('k')).rejects.toMatchObject({ code: 'engine_unreachable' });
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
    const now = (await table.get('k'))!;
    expect([1, 2]).toContain(now[0]);
    expect(await table.compareAndSet('k', now, bytes(3), { sync: true })).toBe(true);
    expect(await open(schema).table('t').get('k')).toEqual(bytes(3));
  });

  it('says that the server takes no more connections, and goes on once it does', async () => {
    const schema = freshSchema();
    await open(schema).table('t').put('k', bytes(1));
    const role = `few_${schema}`;
    await pg.sql(`CREATE ROLE ${role} LOGIN CONNECTION LIMIT 1; GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role}`);
    const url = async (): Promise<string> => pg.url.replace('holdfast@', `${role}@`);
    const one = open(schema, { url, connections: 1 });
    await one.table('t').get('k');
    const other = open(schema, { url, connections: 1, waitMs: 500 });
    await expect(other.table('t').get('k')).rejects.toMatchObject({
      code: 'engine_contended',
      status: 'temporary',
      hint: expect.stringContaining('max_connections'),
    });
    await one.close();
    await expect.poll(() => other.table('t').get('k'), { timeout: 10_000 }).toEqual(bytes(1));
    await other.close();
    await pg.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  it('loses no change where the server would make every transaction serializable or read-only', async () => {
    const schema = freshSchema();
    await pg.sql(`ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
      ALTER DATABASE postgres SET idle_in_transaction_session_timeout = '1ms'`);
    try {
      const both = [open(schema), open(schema)];
      const increment = async (engine: Engine): Promise<void> => {
        for (let done = 0; done < 20; ) {
          const now = await engine.table('t').get('count');
          if (await engine.table('t').compareAndSet('count', now, bytes((now?.[0] ?? 0) + 1))) done++;
        }
      };
      await Promise.all(both.map(increment));
      expect(await both[0]!.table('t').get('count')).toEqual(bytes(40));
    } finally {
      await pg.sql(`ALTER DATABASE postgres RESET default_transaction_isolation;
        ALTER DATABASE postgres RESET idle_in_transaction_session_timeout`);
    }
  });

  it('says so when its database is gone, and names nothing else', async () => {
    const name = `d${freshSchema()}`;
    await pg.sql(`CREATE DATABASE ${name}`);
    const url = async (): Promise<string> => pg.url.replace('/postgres', `/${name}`);
    const engine = pg.engine('holdfast', { url, waitMs: 5_000 });
    engines.push(engine);
    await engine.table('t').put('k', bytes(1));
    await pg.sql(`DROP DATABASE ${name} WITH (FORCE)`);
    for (const attempt of [() => engine.table('t').get('k'), () => engine.table('t').put('k', bytes(2))])
      await expect(attempt()).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'engine_location' });
  });
});

/** Each of them, for a stopped parent stops none of its children. */
function serverProcesses(dir: string): number[] {
  const parent = Number(readFileSync(join(dir, 'postgres.pid'), 'utf8'));
  const parentOf = (pid: string): number => {
    try {
      return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1]);
    } catch {
      return 0;
    }
  };
  const children = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === parent);
  return [parent, ...children.map(Number)];
}
