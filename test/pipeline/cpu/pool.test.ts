import { afterEach, describe, expect, test } from 'vitest';
import { TileMemory } from '../../../src/coding/erasure/xor-program.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { createSharedMemory } from '../../../src/core/wasm.ts';
import type { CpuStage, DecodeJob } from '../../../src/pipeline/cpu/jobs.ts';
import { createPoolStage } from '../../../src/pipeline/cpu/pool.ts';

const SCRIPT = new URL('./echo-worker.mjs', import.meta.url);

interface Echo {
  readonly thread: number;
  readonly wish: string;
}

let pool: CpuStage | undefined;
afterEach(() => pool?.close());

function start(options: { threads?: number; maxQueue?: number; idleMs?: number } = {}): CpuStage {
  const memory = createSharedMemory(65_536);
  const acceleration = { native: false, wasm: false };
  pool = createPoolStage({
    memory,
    acceleration,
    tiles: new TileMemory(),
    threads: 2,
    maxQueue: 100,
    script: SCRIPT,
    clock: systemClock,
    ...options,
  });
  return pool;
}

const ask = (stage: CpuStage, wish: string): Promise<Echo> =>
  stage.decode({ key: Buffer.from(wish) } as unknown as DecodeJob) as unknown as Promise<Echo>;

describe('worker threads', () => {
  test('every job gets its own answer, and all threads work', async () => {
    const stage = start();
    const wishes = Array.from({ length: 40 }, (_, i) => `hold ${i}`);
    const answers = await Promise.all(wishes.map((wish) => ask(stage, wish)));
    expect(answers.map(({ wish }) => wish)).toEqual(wishes);
    expect(new Set(answers.map(({ thread }) => thread)).size).toBe(2);
  });

  test('a failure arrives as the typed error it was, and the thread goes on', async () => {
    const stage = start({ threads: 1 });
    await expect(ask(stage, 'fail')).rejects.toMatchObject({ kind: 'Corrupt', code: 'wrong_length' });
    expect((await ask(stage, 'next')).wish).toBe('next');
  });

  test.each(['die', 'throw'])(
    'a thread that comes to an end (%s) takes its own jobs with it only',
    async (how) => {
      const stage = start({ threads: 1 });
      const lost = [ask(stage, how), ask(stage, 'silent')];
      const later = ask(stage, 'later');
      for (const job of lost) await expect(job).rejects.toMatchObject({ code: 'worker_failed' });
      expect((await later).wish).toBe('later');
    },
  );

  test('more jobs than may wait are refused', async () => {
    const stage = start({ threads: 1, maxQueue: 3 });
    const jobs = Array.from({ length: 6 }, (_, i) => ask(stage, `hold ${i}`));
    await expect(jobs[5]).rejects.toMatchObject({ kind: 'QuotaExceeded', code: 'pool_full' });
    for (const job of jobs.slice(0, 5)) await job;
  });

  test('close ends what runs and what waits', async () => {
    const stage = start({ threads: 1 });
    const jobs = Array.from({ length: 4 }, () => ask(stage, 'silent'));
    const outcomes = Promise.allSettled(jobs);
    await stage.close();
    expect((await outcomes).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
    await expect(ask(stage, 'late')).rejects.toMatchObject({ code: 'pool_closed' });
  });

  test('an idle thread ends, and the next job starts another', async () => {
    const stage = start({ threads: 1, idleMs: 1 });
    const first = await ask(stage, 'one');
    await expect.poll(async () => (await ask(stage, 'two')).thread, { interval: 50 }).not.toBe(first.thread);
  });
});
