import { beforeEach, describe, expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { withBreaker } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { deps } from '../conform.ts';

const address = `b3:${'0'.repeat(64)}` as Parameters<BlobAdapter['exists']>[0];
let clock: FakeClock;
let error: HoldfastError | undefined;
let asked: number;
let states: string[];
let adapter: BlobAdapter;
/** What a read's answer waits for. */
let answering: Promise<void>;

beforeEach(() => {
  clock = new FakeClock();
  error = undefined;
  asked = 0;
  states = [];
  const inner = createMemoryAdapter({ id: 'm', ...deps });
  const exists = async (): Promise<boolean> => {
    asked++;
    if (error !== undefined) throw error;
    return true;
  };
  const fetch = async (): Promise<Uint8Array> => {
    asked++;
    const outcome = error;
    await answering;
    if (outcome !== undefined) throw outcome;
    return new Uint8Array();
  };
  answering = Promise.resolve();
  adapter = withBreaker({ ...inner, exists, fetch }, { clock, onBreaker: (_, state) => states.push(state) });
});

/** Reads that have nowhere else to go. */
const lastResort = (times = 1, signal?: AbortSignal): Promise<unknown[]> =>
  Promise.all(
    Array.from({ length: times }, () =>
      adapter.fetch(address, { lastResort: true, signal }).then(
        () => 'read',
        (e: unknown) => e,
      ),
    ),
  );

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

  it('lets probes pass, which close nothing: one that is answered lets the next call try', async () => {
    await open();
    await adapter.probe();
    expect(await call(3)).toMatchObject([
      { message: 'gone' },
      { code: 'circuit_open' },
      { code: 'circuit_open' },
    ]);
    expect(asked).toBe(1);
    expect((await call())[0]).toMatchObject({ code: 'circuit_open' });
    expect(states).toEqual(['open', 'half-open', 'open']);
  });

  it('lets those that come during such a try wait for what it finds', async () => {
    await open();
    error = undefined;
    let answer = (): void => {};
    answering = new Promise((resolve) => {
      answer = resolve;
    });
    await adapter.probe();
    const first = adapter.fetch(address);
    const gaveUp = new AbortController();
    const others = call(2);
    const impatient = call(1, gaveUp.signal);
    gaveUp.abort();
    expect(await impatient).toMatchObject([{ kind: 'Aborted' }]);
    await clock.advance(1);
    expect(asked).toBe(1);
    answer();
    await first;
    expect(await others).toEqual([true, true]);
    expect(states).toEqual(['open', 'half-open', 'closed']);
  });

  it('lets nobody wait for a try that is never over', async () => {
    await open();
    error = undefined;
    answering = new Promise(() => {});
    await adapter.probe();
    void adapter.fetch(address);
    const other = call();
    await clock.advance(5_000);
    expect(await other).toMatchObject([{ code: 'circuit_open' }]);
  });

  it('tries before the pause is over for reads that have nowhere else to go, one at a time', async () => {
    await open();
    error = undefined;
    let answer = (): void => {};
    answering = new Promise((resolve) => {
      answer = resolve;
    });
    const reads = lastResort(5);
    await clock.advance(1);
    expect(asked).toBe(1);
    expect((await call())[0]).toMatchObject({ code: 'circuit_open' });
    answer();
    expect(await reads).toEqual(Array(5).fill('read'));
    expect(states).toEqual(['open', 'half-open', 'closed']);
    expect(await call()).toEqual([true]);
  });

  it('a last resort that fails lengthens no pause, refuses those that waited for it, and is not repeated at once', async () => {
    await open();
    const refused = { code: 'circuit_open', context: { retryAfterMs: 5000 } };
    const results = await lastResort(3);
    expect(asked).toBe(1);
    expect(results).toEqual([error, expect.objectContaining(refused), expect.objectContaining(refused)]);
    const next = lastResort();
    await clock.advance(900);
    expect(asked).toBe(1);
    await clock.advance(200);
    expect(await next).toEqual([error]);
    expect(asked).toBe(2);
    await clock.advance(3901);
    error = undefined;
    expect(await call()).toEqual([true]);
  });

  it('whoever waits for another’s last resort may give up, and takes over when that was given up', async () => {
    await open();
    let answer = (): void => {};
    answering = new Promise((resolve) => {
      answer = resolve;
    });
    error = new HoldfastError('Aborted', 'given up');
    const trial = lastResort();
    await clock.advance(1);
    error = undefined;
    const impatient = new AbortController();
    const waiting = lastResort(1, impatient.signal);
    const patient = lastResort();
    impatient.abort();
    expect(await waiting).toEqual([expect.objectContaining({ kind: 'Aborted' })]);
    expect(asked).toBe(1);
    answer();
    expect(await trial).toEqual([expect.objectContaining({ kind: 'Aborted' })]);
    expect(await patient).toEqual(['read']);
    expect(asked).toBe(2);
  });
});
