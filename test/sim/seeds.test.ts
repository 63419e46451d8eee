import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { secureRandom } from '../../src/core/random.ts';
import { Guard } from './guard.ts';
import { runSeed, warmUp } from './run.ts';

/** `npm run sim` takes many more. */
const FROM = 1;
const SLOW = process.env.SLOW === '1';
const SEEDS = SLOW ? 2_000 : 12;

describe('the simulation', () => {
  beforeAll(warmUp, 120_000);

  it(`keeps every promise in ${SEEDS} runs, under faults that fire`, {
    timeout: SEEDS * 20_000,
  }, async () => {
    let faults = 0;
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      const { violations, compared, seen } = await runSeed(seed);
      expect({ seed, violations }).toEqual({ seed, violations: [] });
      expect(compared, `compared in seed ${seed}`).toBeGreaterThan(0);
      for (const [what, times] of seen) if (what.startsWith('fault ')) faults += times;
    }
    expect(faults).toBeGreaterThan(SEEDS);
  });
});

describe('a seed', () => {
  /** In the repository, so that it finds its packages. */
  const built = new URL('../../dist-sim/of-a-test/main.mjs', import.meta.url).pathname;

  beforeAll(async () => {
    const entry = new URL('main.ts', import.meta.url).pathname;
    const options = { platform: 'node', format: 'esm', packages: 'external', bundle: true } as const;
    await build({ ...options, entryPoints: [entry], outfile: built });
  }, 120_000);
  afterAll(() => rm(built, { force: true }));

  const inOwnProcess = async (seed: number): Promise<string | undefined> => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      built,
      '--seeds',
      '1',
      '--from',
      `${seed}`,
    ]);
    return stdout.trim().split('\n').at(-1);
  };

  it('has the same trace in every process, whatever ran there before', { timeout: 300_000 }, async () => {
    const { hash } = await runSeed(4);
    const { hash: other } = await runSeed(5);
    const apart = await Promise.all((SLOW ? [4, 4, 5] : [4]).map(inOwnProcess));
    expect(apart).toEqual(SLOW ? [hash, hash, other] : [hash]);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(other).not.toBe(hash);
  });
});

describe('the guard', () => {
  it.each([
    ['the time', () => systemClock.now()],
    ['a timer', () => systemClock.timer(1, () => {})()],
    ['chance', () => secureRandom(8)],
  ])('sees the product read %s of the machine', (_, read) => {
    const guard = new Guard();
    try {
      read();
    } finally {
      guard.end();
    }
    expect([...guard.escapes]).toMatchObject([expect.stringContaining('real time or chance')]);
  });

  it('sees a rejection that nobody takes, and nothing once it has ended', async () => {
    const guard = new Guard();
    void Promise.reject(new Error('left alone'));
    await new Promise((resolve) => setImmediate(resolve));
    guard.end();
    systemClock.now();
    expect([...guard.escapes]).toMatchObject([expect.stringContaining('left alone')]);
  });
});
