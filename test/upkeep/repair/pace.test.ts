import { describe, expect, it } from 'vitest';
import { createMemoryEngine, type Engine } from '../../../src/engine/index.ts';
import { silentMetrics } from '../../../src/telemetry/index.ts';
import { egressOf } from '../../../src/upkeep/repair/egress.ts';
import { createRepairPace, type PaceLimits, type RepairPace } from '../../../src/upkeep/repair/pace.ts';
import { aroundWrites, type EngineWrite, touches } from '../../helpers/engine.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { fixedRandom } from '../../helpers/fixed-random.ts';

const MIB = 1024 ** 2;
const GIB = 1024 * MIB;
const DAY_MS = 86_400_000;
const NO_LIMIT = 1024 * GIB;
const UNLIMITED: PaceLimits = {
  bytesPerSecond: NO_LIMIT,
  clusterBytesPerSecond: NO_LIMIT,
  egressPerDay: NO_LIMIT,
};

interface World {
  readonly clock: FakeClock;
  readonly engine: Engine;
  readonly writes: EngineWrite[];
}

function world(): World {
  const writes: EngineWrite[] = [];
  const engine = aroundWrites(createMemoryEngine(), (write, work) => {
    writes.push(write);
    return work();
  });
  return { clock: new FakeClock(), engine, writes };
}

const worker = (
  { engine, clock }: Pick<World, 'engine' | 'clock'>,
  limits: Partial<PaceLimits>,
  metrics = silentMetrics.repair,
): RepairPace =>
  createRepairPace({ engine, clock, random: fixedRandom('pace'), metrics }, { ...UNLIMITED, ...limits });

/** Lets workers move as much as they may, for so long. @returns the bytes that each has moved. */
async function moved(
  { clock }: World,
  workers: readonly RepairPace[],
  bytes: number,
  ms: number,
  during: (passedMs: number) => void = () => {},
): Promise<number[]> {
  const stop = new AbortController();
  const sums = workers.map(() => 0);
  const work = workers.flatMap((pace, i) =>
    Array.from({ length: 4 }, async () => {
      for (let turn = 0; ; turn++) {
        if (turn % 5 === 4) await pace.store(bytes / 2, { signal: stop.signal });
        else await pace.read('p1', bytes, { exempt: false, signal: stop.signal });
        sums[i]! += bytes;
      }
    }).map((endless) => endless.catch(() => {})),
  );
  for (let passed = 0; passed < ms; passed += 1000) {
    during(passed);
    await clock.advance(Math.min(1000, ms - passed));
  }
  const counted = [...sums];
  stop.abort();
  await Promise.all(work);
  return counted;
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
const within = (sum: number, rate: number, seconds: number): void => {
  expect(sum / (rate * seconds)).toBeLessThanOrEqual(1.05);
  expect(sum / (rate * seconds)).toBeGreaterThanOrEqual(0.95);
};

describe('the rate of repair', () => {
  it.each([64 * 1024, 400_000, 3 * MIB])(
    'is held by one worker within 5 %%, moving %d bytes at once',
    async (bytes) => {
      const here = world();
      const sums = await moved(here, [worker(here, { bytesPerSecond: 10 * MIB })], bytes, 20_000);
      within(sumOf(sums), 10 * MIB, 20);
    },
  );

  it.each([1, 3])('is exceeded in no five seconds, after a pause and with %d workers', async (count) => {
    const here = world();
    const limits = { bytesPerSecond: 10 * MIB, clusterBytesPerSecond: 10 * MIB };
    const workers = Array.from({ length: count }, () => worker(here, limits));
    const stop = new AbortController();
    const { signal } = stop;
    const granted: { readonly ms: number; readonly bytes: number }[] = [];
    const work = async (pace: RepairPace, bytes: number): Promise<void> => {
      for (let turn = 0; ; turn++) {
        await pace.read('p1', bytes, { exempt: false, signal });
        granted.push({ ms: here.clock.monotonic(), bytes });
        if (turn % 200 === 199) await here.clock.sleep(2_000, signal);
      }
    };
    const all = workers.flatMap((pace) =>
      [work(pace, 300_000), work(pace, 100_000)].map((one) => one.catch(() => {})),
    );
    for (let passed = 0; passed < 60_000; passed += 100) await here.clock.advance(100);
    stop.abort();
    await Promise.all(all);
    for (const { ms: from } of granted) {
      const within = granted.filter(({ ms }) => ms > from && ms <= from + 5_000);
      expect(sumOf(within.map(({ bytes }) => bytes)) / (10 * MIB * 5)).toBeLessThanOrEqual(1.05);
    }
  });

  it('is held by all workers of an engine together within 5 %, and each has its share', async () => {
    const here = world();
    const workers = [1, 2, 3].map(() => worker(here, { clusterBytesPerSecond: 10 * MIB }));
    const sums = await moved(here, workers, 256 * 1024, 20_000);
    within(sumOf(sums), 10 * MIB, 20);
    for (const sum of sums) expect(sum / (sumOf(sums) / 3)).toBeGreaterThan(0.8);
  });

  it('is written down eight times a second at the most, however short what is moved', async () => {
    const here = world();
    await moved(here, [worker(here, { clusterBytesPerSecond: 10 * MIB })], 64 * 1024, 10_000);
    const written = here.writes.filter((write) => touches(write, 'repair_pace')).length;
    expect(written).toBeGreaterThan(20);
    expect(written).toBeLessThanOrEqual(84);
  });

  it('does not become more by waiting', async () => {
    const here = world();
    const pace = worker(here, { bytesPerSecond: 10 * MIB, clusterBytesPerSecond: 10 * MIB });
    await moved(here, [pace], 256 * 1024, 2_000);
    await here.clock.advance(3_600_000);
    within(sumOf(await moved(here, [pace], 256 * 1024, 10_000)), 10 * MIB, 10);
  });

  it('goes on as before when the clock on the wall jumps, to and fro', async () => {
    const here = world();
    const workers = [1, 2].map(() => worker(here, { clusterBytesPerSecond: 10 * MIB }));
    const jumps = [0, 400 * DAY_MS, -400 * DAY_MS, 3_600_000, 0];
    const jump = (passed: number): void => {
      here.clock.jump = jumps[Math.floor(passed / 4000)]!;
    };
    within(sumOf(await moved(here, workers, 256 * 1024, 20_000, jump)), 10 * MIB, 20);
  });

  it('is not opened by workers that begin again and again', async () => {
    const here = world();
    let sum = 0;
    for (let life = 0; life < 10; life++) {
      const pace = worker(here, { clusterBytesPerSecond: 10 * MIB });
      sum += sumOf(await moved(here, [pace], 256 * 1024, 2_000));
    }
    expect(sum).toBeLessThanOrEqual(1.05 * 20 * 10 * MIB);
  });

  it.each([
    ['lost', 0.95, undefined],
    ['damaged', 0.95, Buffer.from('{"v":1')],
    ['beyond all measure', 0.45, Buffer.from(`{"v":1,"bytes":${2 ** 49}}`)],
  ])('does not stop for long when the count is %s', async (_, least, value) => {
    const here = world();
    const pace = worker(here, { clusterBytesPerSecond: 10 * MIB });
    await moved(here, [pace], 256 * 1024, 2_000);
    const table = here.engine.table('repair_pace');
    if (value === undefined) await table.delete('cluster');
    else await table.put('cluster', value);
    const sum = sumOf(await moved(here, [pace], 256 * 1024, 120_000));
    expect(sum / (10 * MIB * 120)).toBeLessThanOrEqual(1.05);
    expect(sum / (10 * MIB * 120)).toBeGreaterThan(least);
  });

  it('gives up after some tries when others change the count without end', async () => {
    const { clock, engine } = world();
    const table = engine.table('repair_pace');
    let other = 0;
    const busy = aroundWrites(engine, async (_, work) => {
      await table.put('cluster', Buffer.from(`{"v":1,"bytes":${other++}}`));
      return work();
    });
    const pace = worker({ clock, engine: busy }, {});
    const outcome = expect(pace.store(MIB)).rejects.toMatchObject({
      kind: 'Conflict',
      code: 'pace_contended',
      status: 'temporary',
    });
    await clock.advance(10_000);
    await outcome;
    expect(other).toBeLessThan(20);
  });

  it('lets go of who gives up waiting, and keeps what it had taken for others', async () => {
    const here = world();
    const pace = worker(here, { bytesPerSecond: MIB });
    const stop = new AbortController();
    const waiting = pace.read('p1', 100 * MIB, { exempt: false, signal: stop.signal });
    const refused = expect(waiting).rejects.toMatchObject({ kind: 'Aborted' });
    await here.clock.advance(1_000);
    stop.abort();
    await refused;
    within(sumOf(await moved(here, [pace], 64 * 1024, 10_000)), MIB, 10);
  });

  it('tells how long it kept who waiting', async () => {
    const here = world();
    const told: number[] = [];
    const metrics = { ...silentMetrics.repair, paced: (seconds: number) => void told.push(seconds) };
    const done = worker(here, { bytesPerSecond: MIB }, metrics).store(2.5 * MIB);
    await here.clock.advance(6_000);
    await done;
    expect(told).toHaveLength(1);
    expect(told[0]).toBeCloseTo(5, 1);
  });
});

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
