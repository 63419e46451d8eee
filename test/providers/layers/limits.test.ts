import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { firstGoodput, type GoodputState, nextGoodput } from '../../../src/providers/layers/goodput.ts';
import { withBandwidthLimit, withConcurrencyLimit } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { deps } from '../conform.ts';

const address = `b3:${'0'.repeat(64)}` as Parameters<BlobAdapter['exists']>[0];
const memory = (): BlobAdapter => createMemoryAdapter({ id: 'm', ...deps });

/** `exists` answers when told to. */
function gated() {
  const open: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const adapter: BlobAdapter = {
    ...memory(),
    exists: async () => {
      running++;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => open.push(resolve));
      running--;
      return true;
    },
  };
  return { adapter, open, most: () => most, running: () => running };
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the concurrency limit', () => {
  it('lets no more calls in than it says, in the order they came', async () => {
    const { adapter, open, most, running } = gated();
    const limited = withConcurrencyLimit(adapter, { clock: new FakeClock(), maxConcurrency: 2 });
    const order: number[] = [];
    const calls = Array.from({ length: 6 }, (_, i) => limited.exists(address).then(() => order.push(i)));
    for (let i = 0; i < 6; i++) {
      await tick();
      expect(running()).toBeLessThanOrEqual(2);
      open.shift()?.();
    }
    await tick();
    while (open.length > 0) open.shift()!();
    await Promise.all(calls);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most()).toBe(2);
  });

  it('lets probes pass, which would else tell of the queue', async () => {
    const { adapter, open } = gated();
    const limited = withConcurrencyLimit(adapter, { clock: new FakeClock(), maxConcurrency: 1 });
    const busy = [limited.exists(address), limited.exists(address)];
    expect(await limited.probe()).toMatchObject({ rttMs: expect.any(Number) });
    while (open.length > 0) {
      open.shift()!();
      await tick();
    }
    await Promise.all(busy);
  });

  it('bounds the queue, and an abandoned call leaves it', async () => {
    const { adapter, open } = gated();
    const limited = withConcurrencyLimit(adapter, {
      clock: new FakeClock(),
      maxConcurrency: 1,
      maxWaiting: 1,
    });
    const first = limited.exists(address);
    const controller = new AbortController();
    const second = limited.exists(address, { signal: controller.signal });
    second.catch(() => {});
    await tick();
    await expect(limited.exists(address)).rejects.toMatchObject({ kind: 'RateLimited', code: 'queue_full' });
    controller.abort();
    await expect(second).rejects.toMatchObject({ kind: 'Aborted' });
    const third = limited.exists(address);
    await tick();
    open.shift()!();
    await first;
    await tick();
    open.shift()!();
    await third;
  });

  it('of one does not lock up a loop over a listing, or a copy between two providers both ways', async () => {
    const one = (): BlobAdapter => withConcurrencyLimit(memory(), { ...deps, maxConcurrency: 1 });
    const [a, b] = [one(), one()];
    for (const adapter of [a, b]) {
      for (let i = 0; i < 3; i++)
        await adapter.storeStream(
          undefined,
          (async function* () {
            yield deps.random(10);
          })(),
        );
      for await (const { address } of adapter.list()) await adapter.stat(address);
    }
    const copy = async (from: BlobAdapter, to: BlobAdapter): Promise<void> => {
      for await (const { address } of from.list()) await to.storeStream(address, from.fetchStream(address));
    };
    await Promise.all([copy(a, b), copy(b, a)]);
    let count = 0;
    for await (const _ of a.list()) count++;
    expect(count).toBe(6);
  });

  /** A provider that moves `rate(limit)` units a second with that many calls in flight. */
  const climb = (rate: (limit: number) => number, steps: number, max = 64): number[] => {
    let state: GoodputState = { limit: 4, lastRate: 0, direction: 1 };
    return Array.from({ length: steps }, () => {
      const bytes = rate(state.limit) * 1000;
      state = nextGoodput(
        state,
        { elapsedMs: 1000, bytes, completed: 0, overloaded: 0, saturated: true },
        max,
      );
      return state.limit;
    });
  };

  it('climbs while more at once brings more', () => {
    expect(climb((limit) => limit * 1e6, 100, 32).at(-1)).toBe(32);
  });

  it('stays near the point from which more at once brings nothing', () => {
    const tail = climb((limit) => Math.min(limit, 10) * 1e6, 200).slice(50);
    expect(Math.max(...tail)).toBeLessThanOrEqual(13);
    expect(Math.min(...tail)).toBeGreaterThanOrEqual(8);
  });

  it('doubles at first while that pays, and takes one slow window for no reason to stop', () => {
    const begin = (rates: readonly number[]): number[] => {
      let state = firstGoodput(4);
      return rates.map((rate) => {
        const window = { elapsedMs: 1000, bytes: rate * 1e6, completed: 0, overloaded: 0, saturated: true };
        state = nextGoodput(state, window, 40);
        return state.limit;
      });
    };
    expect(begin([4, 8, 16, 32])).toEqual([8, 16, 32, 40]);
    expect(begin([4, 3, 8, 16])).toEqual([8, 8, 16, 32]);
    // It brings nothing twice: from there on by ones.
    expect(begin([4, 8, 9, 9, 9])).toEqual([8, 16, 16, 17, 16]);
  });

  it('climbs while calls take no longer, however much the rate scatters, and not once they do', () => {
    let state = firstGoodput(4);
    const see = (medianMs: number, rate: number): number => {
      const window = { elapsedMs: 1000, bytes: rate * 1e6, completed: 0, overloaded: 0, saturated: true };
      state = nextGoodput(state, { ...window, medianMs }, 64);
      return state.limit;
    };
    expect([see(40, 9), see(42, 2), see(39, 8), see(41, 3)]).toEqual([8, 16, 32, 64]);
    state = { ...firstGoodput(4), doubts: undefined, leastMs: 40 };
    expect([see(40, 9), see(42, 2), see(39, 8), see(41, 3)]).toEqual([5, 6, 7, 8]);
    // The provider is full: twice as many take twice as long.
    state = firstGoodput(4);
    expect([see(40, 9), see(80, 9), see(80, 9), see(80, 9)]).toEqual([8, 8, 7, 6]);
  });

  it('gives way at once when the provider is overloaded, and never falls below one', () => {
    let state: GoodputState = { limit: 20, lastRate: 1, direction: 1 };
    const window = { elapsedMs: 1000, bytes: 0, completed: 20, overloaded: 10, saturated: true };
    state = nextGoodput(state, window, 64);
    expect(state.limit).toBe(14);
    for (let i = 0; i < 20; i++) state = nextGoodput(state, window, 64);
    expect(state.limit).toBe(1);
  });

  it('learns from errors that it sees', async () => {
    const adapter: BlobAdapter = {
      ...memory(),
      exists: () => Promise.reject(new HoldfastError('RateLimited', 'slow')),
    };
    const limited = withConcurrencyLimit(adapter, { clock: new FakeClock(), maxConcurrency: 8 });
    for (let i = 0; i < 40; i++) await limited.exists(address).catch(() => {});
    const { adapter: slow, open, running } = gated();
    Object.assign(adapter, { exists: slow.exists });
    const calls = Array.from({ length: 3 }, () => limited.exists(address));
    await tick();
    expect(running()).toBeLessThan(3);
    for (let i = 0; i < 6; i++) {
      open.shift()?.();
      await tick();
    }
    await Promise.all(calls);
  });
});

describe('the bandwidth limit', () => {
  it('makes a long run of bytes take its time, up and down', async () => {
    const clock = new FakeClock({ auto: true });
    const limited = withBandwidthLimit(memory(), { clock, upBytesPerSecond: 1000, downBytesPerSecond: 2000 });
    const bytes = deps.random(500);
    const { address: stored } = await limited.storeStream(
      undefined,
      (async function* () {
        for (let i = 0; i < 20; i++) yield bytes;
      })(),
    );
    expect(clock.monotonic()).toBeCloseTo(9000, -1); // 10,000 bytes, of which one second's worth was saved up
    const start = clock.monotonic();
    for (let i = 0; i < 10; i++) await limited.fetchRange(stored, 0, [new Uint8Array(1000)]);
    expect(clock.monotonic() - start).toBeCloseTo(4000, -1);
    await limited.fetch(stored);
    const later = clock.monotonic();
    await limited.fetchRange(stored, 0, [new Uint8Array(1)]);
    expect(clock.monotonic() - later).toBeGreaterThan(4000);
  });

  it('gives bytes back that were never sent', async () => {
    const clock = new FakeClock();
    const limited = withBandwidthLimit(memory(), { clock, upBytesPerSecond: 100 });
    const blob = deps.random(1000);
    const controller = new AbortController();
    const attempt = limited.store(address, [blob], { signal: controller.signal });
    attempt.catch(() => {});
    await clock.advance(10);
    controller.abort();
    await expect(attempt).rejects.toMatchObject({ kind: 'Aborted' });
    await limited.store(address, [blob.subarray(0, 90)]);
    expect(await limited.exists(address)).toBe(true);
  });
});
