import { describe, expect, it } from 'vitest';
import { silentMetrics } from '../../../src/telemetry/index.ts';
import type { RepairPace } from '../../../src/upkeep/repair/pace.ts';
import { aroundWrites, touches } from '../../helpers/engine.ts';
import { DAY_MS, MIB, type World, worker, world } from '../../helpers/pacing.ts';

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
