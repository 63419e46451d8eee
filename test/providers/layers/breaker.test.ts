import { beforeEach, describe, expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { withBreaker } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/index.ts';
import { deps } from '../conform.ts';
import { createFakeClock, type FakeClock } from '../fake-clock.ts';

const address = `b3:${'0'.repeat(64)}` as Parameters<BlobAdapter['exists']>[0];
let clock: FakeClock;
let error: HoldfastError | undefined;
let asked: number;
let states: string[];
let adapter: BlobAdapter;

beforeEach(() => {
  clock = createFakeClock();
  error = undefined;
  asked = 0;
  states = [];
  const inner = createMemoryAdapter({ id: 'm', ...deps });
  const exists = async (): Promise<boolean> => {
    asked++;
    if (error !== undefined) throw error;
    return true;
  };
  adapter = withBreaker({ ...inner, exists }, { clock, onBreaker: (_, state) => states.push(state) });
});

const call = (times = 1, signal?: AbortSignal): Promise<unknown[]> =>
  Promise.all(
    Array.from({ length: times }, () => adapter.exists(address, { signal }).catch((e: unknown) => e)),
  );
const gone = (): HoldfastError => new HoldfastError('Unavailable', 'gone');

async function open(): Promise<void> {
  error = gone();
  for (let i = 0; i < 5; i++) await call();
  expect(states).toEqual(['open']);
  asked = 0;
}

describe('the circuit breaker', () => {
  it('stops asking after repeated failures, and says for how long', async () => {
    await open();
    const [refused] = await call();
    expect(refused).toMatchObject({
      kind: 'Unavailable',
      code: 'circuit_open',
      context: { retryAfterMs: 5000 },
    });
    expect(asked).toBe(0);
  });

  it('lets one call try after the pause, and closes when it succeeds', async () => {
    await open();
    await clock.advance(5001);
    error = undefined;
    const results = await call(5);
    expect(asked).toBe(1);
    expect(results.filter((result) => result === true)).toHaveLength(1);
    expect(states).toEqual(['open', 'half-open', 'closed']);
    expect(await call(3)).toEqual([true, true, true]);
  });

  it('waits longer after each trial that fails, within a bound', async () => {
    await open();
    for (const pause of [5000, 10_000, 20_000, 40_000, 80_000, 80_000]) {
      await clock.advance(pause - 10);
      await call();
      expect(asked).toBe(0);
      await clock.advance(20);
      await call();
      expect(asked).toBe(1);
      asked = 0;
    }
  });

  it('forgets: failures far apart never open it', async () => {
    error = gone();
    for (let i = 0; i < 20; i++) {
      await call();
      await clock.advance(30_000);
    }
    expect(states).toEqual([]);
  });

  it('stays closed while most calls succeed', async () => {
    for (let i = 0; i < 60; i++) {
      error = i % 4 === 0 ? gone() : undefined;
      await call();
    }
    expect(states).toEqual([]);
  });

  it('does not hold an answer, or the caller’s own doing, against the provider', async () => {
    for (const kind of ['NotFound', 'Conflict', 'RangeNotSatisfiable', 'Aborted', 'QuotaExceeded'] as const) {
      error = new HoldfastError(kind, 'x');
      for (let i = 0; i < 10; i++) await call();
    }
    expect(states).toEqual([]);
  });

  it('is not held up by a trial that its caller gave up', async () => {
    await open();
    await clock.advance(5001);
    error = new HoldfastError('Aborted', 'given up');
    await call();
    error = undefined;
    expect(await call()).toEqual([true]);
  });

  it('lets probes pass, which close nothing', async () => {
    await open();
    await adapter.probe();
    expect((await call())[0]).toMatchObject({ code: 'circuit_open' });
  });
});
