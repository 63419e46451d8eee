import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { PostgresEngineOptions } from '../../src/engine/index.ts';
import type { SharedEngine } from '../../src/engine/postgres/engine.ts';
import { freshSchema, startPostgres } from './postgres-server.ts';

const postgres = await startPostgres();

describe.skipIf(postgres === undefined)('owners on a database that hosts share', () => {
  const pg = postgres!;
  const schemas: string[] = [];
  const engines: SharedEngine[] = [];
  const open = (schema: string, options: Partial<PostgresEngineOptions> = {}): SharedEngine => {
    if (!schemas.includes(schema)) schemas.push(schema);
    const engine = pg.engine(schema, options);
    engines.push(engine);
    return engine;
  };
  /** A host that is held up: no timer of it ever fires, and its clock stands still. */
  const heldUp = { ...systemClock, timer: () => () => {}, monotonic: () => 0 };
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
    for (const schema of schemas.splice(0)) await pg.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  it('are alive while they renew their lease, and dead to all when it is over', async () => {
    const schema = freshSchema();
    const living = open(schema).owners(1_000);
    const frozen = open(schema, { clock: heldUp }).owners(1_000);
    const [one, other] = [await living.current(), await frozen.current()];
    const third = open(schema).owners(1_000);
    expect([await third.standing(one), await third.standing(other)]).toEqual(['alive', 'alive']);
    await expect.poll(() => third.standing(other)).toBe('dead');
    expect(await third.standing(one)).toBe('alive');
    expect(await living.current()).toBe(one);
  });

  it('go on under another name once they were found dead, with a higher fence', async () => {
    const schema = freshSchema();
    let ms = 0;
    const clock = { ...heldUp, monotonic: () => ms };
    const owner = open(schema, { clock }).owners(1_000);
    const first = await owner.current();
    expect(await owner.current()).toBe(first);
    await pg.sql(`UPDATE ${schema}.owners SET until = clock_timestamp()`);
    expect(await open(schema).owners(1_000).standing(first)).toBe('dead');
    ms = 1_001;
    const second = await owner.current();
    expect(second).not.toBe(first);
    const fence = (name: string): number => Number(name.split('-')[2]);
    expect(fence(second)).toBeGreaterThan(fence(first));
    expect(await open(schema).owners(1_000).standing(first)).toBe('dead');
  });

  it('keep their name when they come back before anybody looked', async () => {
    const schema = freshSchema();
    let ms = 0;
    const clock = { ...heldUp, monotonic: () => ms };
    const owner = open(schema, { clock }).owners(1_000);
    const first = await owner.current();
    await pg.sql(`UPDATE ${schema}.owners SET until = clock_timestamp()`);
    ms = 1_001;
    expect(await owner.current()).toBe(first);
    expect(await open(schema).owners(1_000).standing(first)).toBe('alive');
  });

  it('are gone as soon as they are closed, and say nothing of owners of other engines', async () => {
    const schema = freshSchema();
    const engine = open(schema);
    const name = await engine.owners(60_000).current();
    await engine.close();
    const other = open(schema).owners(60_000);
    expect(await other.standing(name)).toBe('dead');
    expect(await other.standing('0123456789abcdef-0123456789abcdef')).toBe('unknown');
    expect(await other.anyAlive()).toBe(false);
  });
});
