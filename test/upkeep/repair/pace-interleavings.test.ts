import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Engine, Table } from '../../../src/engine/index.ts';
import type { RepairPace } from '../../../src/upkeep/repair/pace.ts';
import { MIB, worker, world } from '../../helpers/pacing.ts';

const RATE = 1 * MIB;
const WORKERS = [0, 1, 2];
/** What each worker may have saved up, and what rounding up adds: see rate.ts. */
const SAVED_SECONDS = WORKERS.length * 0.08 + 0.001;

/** An engine whose every step waits for its turn. */
function stepped(engine: Engine, step: <T>(label: string, work: () => Promise<T>) => Promise<T>): Engine {
  const table = (name: string): Table => {
    const real = engine.table(name);
    return {
      ...real,
      get: (key, options) => step(`get ${key}`, () => real.get(key, options)),
      compareAndSet: (key, expected, next, options) =>
        step(`set ${key}`, () => real.compareAndSet(key, expected, next, options)),
    };
  };
  return { ...engine, table };
}

interface Task {
  readonly worker: number;
  readonly bytes: number;
  readonly store: boolean;
  /** It gives up after so many turns of the world; 0: never. */
  readonly leavesAfter: number;
}

const task = fc.record({
  worker: fc.integer({ min: 0, max: 2 }),
  bytes: fc.integer({ min: 1, max: 400_000 }),
  store: fc.boolean(),
  leavesAfter: fc.constantFrom(0, 0, 0, 1, 3, 8),
});

describe('the repair pacer, in whatever order the steps of its workers come', () => {
  it('keeps all workers under the rate together, loses nobody who waits, and lets whoever leaves go', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(task, { minLength: 1, maxLength: 10 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 3 })),
        run,
      ),
      { numRuns: process.env.SLOW === undefined ? 150 : 3_000 },
    );
  });
});

async function run(scheduler: fc.Scheduler, tasks: readonly Task[], turns: fc.Stream<number>): Promise<void> {
  const here = world();
  const engine = stepped(here.engine, (label, work) =>
    scheduler.schedule(Promise.resolve(), label).then(work),
  );
  const workers = WORKERS.map(() => worker({ engine, clock: here.clock }, { clusterBytesPerSecond: RATE }));
  // One that has just started knows of no debts, so that each takes something first.
  for (const pace of workers) {
    const known = pace.read('p1', 1, { exempt: true });
    while ((await Promise.race([known.then(() => 'known'), here.clock.advance(10)])) !== 'known')
      if (scheduler.count() > 0) await scheduler.waitOne();
  }
  const beganMs = here.clock.monotonic();
  const granted: { readonly ms: number; readonly bytes: number }[] = [];
  const ends = new Map<Task, string>();
  const leaving = tasks.map(() => new AbortController());
  const works = tasks.map(async (one, i) => {
    const ended = await move(workers[one.worker]!, one, leaving[i]!.signal).then(
      () => 'moved',
      (error: { kind: string }) => error.kind,
    );
    // What is stored is read back, too.
    if (ended === 'moved')
      granted.push({ ms: here.clock.monotonic() - beganMs, bytes: one.bytes * (one.store ? 2 : 1) });
    ends.set(one, ended);
  });
  for (let turn = 1; ends.size < tasks.length; turn++) {
    expect(turn, 'somebody waits for ever').toBeLessThan(20_000);
    for (const [i, { leavesAfter }] of tasks.entries()) if (leavesAfter === turn) leaving[i]!.abort();
    const [choice] = [...turns.take(1)];
    if (scheduler.count() > 0 && choice !== 0) await scheduler.waitOne();
    else await here.clock.advance(20 * choice! + 5);
  }
  await Promise.all(works);
  for (const [one, ended] of ends)
    expect(one.leavesAfter === 0 ? ['moved'] : ['moved', 'Aborted']).toContain(ended);
  holdsRate(granted);
}

const move = (pace: RepairPace, { bytes, store }: Task, signal: AbortSignal): Promise<void> =>
  store ? pace.store(bytes, { signal }) : pace.read('p1', bytes, { exempt: true, signal });

/** From the beginning to each grant, no more was granted than the rate gives and workers may have saved up. */
function holdsRate(granted: readonly { readonly ms: number; readonly bytes: number }[]): void {
  let sum = 0;
  for (const { ms, bytes } of granted.toSorted((a, b) => a.ms - b.ms)) {
    sum += bytes;
    expect(sum / RATE).toBeLessThanOrEqual(ms / 1000 + SAVED_SECONDS);
  }
}
