import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeyedMutex } from '../../src/engine/keyed-mutex.ts';
import { createMemoryGate } from '../../src/gateway/memory-gate.ts';
import { createAdmission, type Load } from '../../src/http/admission.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

/*
 * What lets requests in, in whatever order they come, do their work, end, and give up. Each test drives many tasks, of which
 * fast-check chooses the order of every step.
 */

const RUNS = { numRuns: process.env.SLOW === undefined ? 200 : 5_000 };
const never = new AbortController().signal;

const request = fc.record({
  load: fc.constantFrom<Load>('read', 'write'),
  client: fc.constantFrom('a', 'b', 'c'),
  /** Steps of its work. */
  steps: fc.integer({ min: 0, max: 3 }),
  /** It says that it has ended so often. */
  leaves: fc.integer({ min: 1, max: 3 }),
});

it('admission never takes more than it may, keeps a part for reads, and forgets nobody who left', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.integer({ min: 2, max: 9 }),
      fc.array(request, { minLength: 1, maxLength: 30 }),
      async (scheduler, maxInflight, requests) => {
        const limits = { maxInflight, maxRps: undefined, maxClientRps: undefined };
        const admission = createAdmission(limits, {
          clock: new FakeClock(),
          metrics: silentMetrics.services,
        });
        const maxWrites = Math.max(1, Math.floor(maxInflight * 0.75));
        let inside = 0;
        const work = async ({ load, client, steps, leaves }: (typeof requests)[number]): Promise<void> => {
          await scheduler.schedule(Promise.resolve(), `${client} comes to ${load}`);
          const room = inside < (load === 'write' ? maxWrites : maxInflight);
          if (!room) {
            expect(() => admission.enter(load, client)).toThrow(expect.objectContaining({ status: 503 }));
            return;
          }
          const leave = admission.enter(load, client);
          inside++;
          for (let i = 0; i < steps; i++) {
            expect(admission.inflight).toBe(inside);
            await scheduler.schedule(Promise.resolve(), `${client} works`);
          }
          inside--;
          for (let i = 0; i < leaves; i++) leave();
          expect(admission.inflight).toBe(inside);
        };
        const works = requests.map(work);
        await scheduler.waitAll();
        await Promise.all(works);
        expect([inside, admission.inflight]).toEqual([0, 0]);
      },
    ),
    RUNS,
  );
});

const read = fc.record({
  bytes: fc.integer({ min: 1, max: 120 }),
  steps: fc.integer({ min: 0, max: 3 }),
  /** It gives up at this step of the world; 0: never. */
  leavesAt: fc.constantFrom(0, 0, 1, 4, 9),
});

it('the memory gate never gives more than there is, serves in order, and lets nobody wait for ever', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(read, { minLength: 1, maxLength: 12 }),
      async (scheduler, reads) => {
        const gate = createMemoryGate({
          ...{ clock: new FakeClock(), capacityBytes: 100, maxWaiting: 64, parkAfterMs: 250 },
        });
        let held = 0;
        const served: number[] = [];
        const asked: number[] = [];
        const stops = reads.map(() => new AbortController());
        const work = async ({ bytes, steps }: (typeof reads)[number], i: number): Promise<string> => {
          await scheduler.schedule(Promise.resolve(), `read ${i} comes`);
          asked.push(i);
          const permit = await gate.enter(bytes, 60_000, stops[i]!.signal);
          served.push(i);
          held += Math.min(bytes, 100);
          expect(held).toBeLessThanOrEqual(100);
          for (let step = 0; step < steps; step++)
            await scheduler.schedule(Promise.resolve(), `read ${i} works`);
          held -= Math.min(bytes, 100);
          permit.release();
          permit.release();
          return 'served';
        };
        const works = reads.map((one, i) => work(one, i).catch((error: { kind: string }) => error.kind));
        for (let step = 1; scheduler.count() > 0; step++) {
          for (const [i, { leavesAt }] of reads.entries()) if (leavesAt === step) stops[i]!.abort();
          await scheduler.waitOne();
          await new Promise((resolve) => setImmediate(resolve));
        }
        const ends = await Promise.all(works);
        for (const [i, end] of ends.entries())
          expect(reads[i]!.leavesAt === 0 ? ['served'] : ['served', 'Aborted']).toContain(end);
        expect(served).toEqual(asked.filter((i) => ends[i] === 'served'));
        expect([held, gate.waiting]).toEqual([0, 0]);
        (await gate.enter(100, 1_000, never)).release();
      },
    ),
    RUNS,
  );
});

const turn = fc.record({
  keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
  steps: fc.integer({ min: 0, max: 3 }),
  fails: fc.boolean(),
  leavesAt: fc.constantFrom(0, 0, 0, 1, 5),
});

it('a mutex lets one in at a time for each key, in order, whoever fails or gives up', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(turn, { minLength: 1, maxLength: 12 }),
      async (scheduler, turns) => {
        const mutex = new KeyedMutex();
        const inside = new Set<string>();
        const began: number[] = [];
        const asked: number[] = [];
        const stops = turns.map(() => new AbortController());
        const work = async ({ keys, steps, fails }: (typeof turns)[number], i: number): Promise<string> => {
          await scheduler.schedule(Promise.resolve(), `${i} comes`);
          asked.push(i);
          return mutex.runAll(
            keys,
            async () => {
              began.push(i);
              for (const key of keys) expect(inside.has(key)).toBe(false);
              for (const key of keys) inside.add(key);
              for (let step = 0; step < steps; step++)
                await scheduler.schedule(Promise.resolve(), `${i} works`);
              for (const key of keys) inside.delete(key);
              if (fails) throw new TypeError('on purpose');
              return 'done';
            },
            stops[i]!.signal,
          );
        };
        const works = turns.map((one, i) => work(one, i).catch((error: Error) => error.name));
        for (let step = 1; scheduler.count() > 0; step++) {
          for (const [i, { leavesAt }] of turns.entries()) if (leavesAt === step) stops[i]!.abort();
          await scheduler.waitOne();
          await new Promise((resolve) => setImmediate(resolve));
        }
        const ends = await Promise.all(works);
        for (const [i, { fails, leavesAt }] of turns.entries()) {
          const fine = fails ? 'TypeError' : 'done';
          expect(leavesAt === 0 ? [fine] : [fine, 'HoldfastError', 'Aborted', 'AbortError']).toContain(
            ends[i],
          );
        }
        for (const key of ['a', 'b', 'c'] as const) {
          const atKey = (order: readonly number[]): number[] =>
            order.filter((i) => turns[i]!.keys.includes(key));
          expect(atKey(began)).toEqual(atKey(asked.filter((i) => began.includes(i))));
        }
        expect(inside.size).toBe(0);
      },
    ),
    RUNS,
  );
});
