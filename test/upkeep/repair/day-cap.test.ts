import { describe, expect, it } from 'vitest';
import { silentMetrics } from '../../../src/telemetry/index.ts';
import { egressOf } from '../../../src/upkeep/repair/egress.ts';
import type { RepairPace } from '../../../src/upkeep/repair/pace.ts';
import { touches } from '../../helpers/engine.ts';
import { DAY_MS, GIB, MIB, type World, worker, world } from '../../helpers/pacing.ts';

describe('the egress of a day', () => {
  const READ = { exempt: false };
  const today = async ({ engine, clock }: World): Promise<Record<string, number>> =>
    Object.fromEntries(await egressOf(engine, clock.now()));

  /** Reads until it is refused. @returns the bytes that were read. */
  async function readAll(
    { clock }: World,
    pace: RepairPace,
    provider: string,
    bytes: number,
  ): Promise<number> {
    for (let sum = 0; ; sum += bytes) {
      const reading = pace.read(provider, bytes, READ).then(
        () => undefined,
        (error: unknown) => error,
      );
      await clock.advance(1_000);
      const error = await reading;
      if (error === undefined) continue;
      expect(error).toMatchObject({
        kind: 'QuotaExceeded',
        code: 'egress_cap',
        provider,
        status: 'temporary',
      });
      return sum;
    }
  }

  it('ends at the cap of each provider, for all workers together, and begins anew the next day', async () => {
    const here = world();
    const [one, two] = [1, 2].map(() => worker(here, { egressPerDay: 100 * MIB }));
    const sum = (await readAll(here, one!, 'p1', MIB)) + (await readAll(here, two!, 'p1', MIB));
    expect(sum).toBe(100 * MIB);
    expect(await today(here)).toEqual({ p1: 100 * MIB });
    expect(await readAll(here, one!, 'p2', 30 * MIB)).toBe(90 * MIB);
    here.clock.jump += DAY_MS;
    expect(await readAll(here, one!, 'p1', 50 * MIB)).toBe(100 * MIB);
  });

  it('is not used up by what was reserved and then not stored, however low the cap', async () => {
    const here = world();
    const pace = worker(here, { egressPerDay: 10 * MIB });
    for (let i = 0; i < 5; i++) (await pace.reserve('p1', 8 * MIB, READ))();
    expect(await today(here)).toEqual({ p1: 8 * MIB });
    await pace.reserve('p1', 10 * MIB, READ);
    await expect(pace.reserve('p1', 1, READ)).rejects.toMatchObject({ code: 'egress_cap' });
    expect(await today(here)).toEqual({ p1: 10 * MIB });
  });

  it('says when it goes on', async () => {
    const here = world();
    const pace = worker(here, { egressPerDay: 0 });
    await expect(pace.read('p1', 1, READ)).rejects.toMatchObject({
      context: { untilMs: Date.UTC(2023, 10, 15), cap: 0, counted: 0 },
    });
  });

  it('lets an object be read that has no loss left to give, and counts it', async () => {
    const here = world();
    const pace = worker(here, { egressPerDay: 10 * MIB });
    const told: [string, number][] = [];
    const exempt = worker(
      here,
      { egressPerDay: 10 * MIB },
      {
        ...silentMetrics.repair,
        egress: (...given) => void told.push(given),
      },
    );
    for (let i = 0; i < 15; i++) {
      const reading = exempt.read('p1', MIB, { exempt: true });
      await here.clock.advance(1_000);
      await reading;
    }
    expect(await today(here)).toEqual({ p1: 15 * MIB });
    expect(told.at(-1)).toEqual(['p1', 15 * MIB]);
    await expect(pace.read('p1', MIB, READ)).rejects.toMatchObject({ code: 'egress_cap' });
  });

  it('is counted before anything is read, by at most a slice more than is read when the process dies', async () => {
    const here = world();
    let sum = 0;
    for (let life = 0; life < 3; life++) {
      const reading = worker(here, { egressPerDay: GIB }).read('p1', MIB, READ);
      await here.clock.advance(1_000);
      await reading;
      sum += MIB;
      const counted = (await today(here)).p1!;
      expect(counted).toBeGreaterThanOrEqual(sum);
      expect(counted).toBeLessThanOrEqual(sum + (life + 1) * 16 * MIB);
    }
  });

  it('counts on the next day what it reads then', async () => {
    const here = world();
    const pace = worker(here, { egressPerDay: GIB });
    for (let day = 0; day < 2; day++) {
      const reading = pace.read('p1', MIB, READ);
      await here.clock.advance(1_000);
      await reading;
      expect((await today(here)).p1).toBe(Math.ceil(GIB / 100));
      here.clock.jump += DAY_MS;
    }
  });

  it('is not written for each shard', async () => {
    const here = world();
    const pace = worker(here, { egressPerDay: GIB });
    for (let i = 0; i < 100; i++) {
      const reading = pace.read('p1', 64 * 1024, READ);
      await here.clock.advance(1_000);
      await reading;
    }
    expect(here.writes.filter((write) => touches(write, 'repair_egress'))).toHaveLength(1);
  });

  it('keeps the counts of eight days, and that of today when a clock was ahead', async () => {
    const here = world();
    const pace = worker(here, { egressPerDay: 10 * MIB });
    const read = async (bytes = MIB): Promise<void> => {
      const reading = pace.read('p1', bytes, READ);
      await here.clock.advance(1_000);
      await reading;
    };
    for (let day = 0; day < 12; day++) {
      here.clock.jump = day * DAY_MS;
      await read(10 * MIB);
    }
    const days = [];
    for await (const [key] of here.engine.table('repair_egress').entries()) days.push(key.slice(0, 10));
    expect([days.length, days[0]]).toEqual([8, '2023-11-18']);
    here.clock.jump = 4000 * DAY_MS;
    await read();
    here.clock.jump = 11 * DAY_MS;
    await expect(pace.read('p1', MIB, READ)).rejects.toMatchObject({ code: 'egress_cap' });
  });

  it('reads what version 1 wrote', async () => {
    const here = world();
    await here.engine.table('repair_egress').put('2023-11-14/p1', Buffer.from('{"v":1,"bytes":5}'));
    expect(await today(here)).toEqual({ p1: 5 });
    await expect(worker(here, { egressPerDay: 10 }).read('p1', 6, READ)).rejects.toMatchObject({
      context: { counted: 5 },
    });
  });
});
