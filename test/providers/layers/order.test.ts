import { describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { withLayers } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { deps } from '../conform.ts';

const bytes = new Uint8Array(1_000);
const at = addressOf(deps.blake3.hash(bytes));

/** All layers around a memory whose `store` and `exists` fail as ordered, each error once. */
function layered(
  clock: FakeClock,
  errors: Partial<Record<'store' | 'exists', HoldfastError[]>>,
  options: { readonly upBytesPerSecond?: number } = {},
) {
  const inner = createMemoryAdapter({ id: 'm', ...deps });
  const failOnce = async (operation: 'store' | 'exists'): Promise<void> => {
    const error = errors[operation]?.shift();
    if (error !== undefined) throw error;
  };
  const flaky: BlobAdapter = {
    ...inner,
    store: (a, parts, o) => failOnce('store').then(() => inner.store(a, parts, o)),
    exists: (a, o) => failOnce('exists').then(() => inner.exists(a, o)),
  };
  return withLayers(flaky, {
    clock,
    random: (length) => new Uint8Array(length).fill(128),
    maxConcurrency: 1,
    onAttempt() {},
    log() {},
    ...options,
  });
}

const busy = (retryAfterMs: number): HoldfastError =>
  new HoldfastError('RateLimited', 'busy', { context: { retryAfterMs } });

describe('all layers together', () => {
  it('hold no seat for a call that backs off', async () => {
    const clock = new FakeClock();
    const provider = layered(clock, { store: [busy(5_000)] });
    const storing = provider.store(at, [bytes]);
    await clock.advance(0);
    let answered = false;
    void provider.exists(at).then(() => {
      answered = true;
    });
    await clock.advance(0);
    expect(answered).toBe(true);
    await clock.advance(5_000);
    await storing;
  });

  it('have each attempt pay for its bytes', async () => {
    const clock = new FakeClock();
    const provider = layered(clock, { store: [busy(1)] }, { upBytesPerSecond: 1_000 });
    let stored = false;
    void provider.store(at, [bytes]).then(() => {
      stored = true;
    });
    // The bucket holds the first attempt's bytes; those of the second are a second's worth.
    await clock.advance(900);
    expect(stored).toBe(false);
    await clock.advance(200);
    expect(stored).toBe(true);
  });

  it('do not count time in the queues of the limits as time that a call had', async () => {
    const clock = new FakeClock();
    // Both attempts wait for bandwidth longer than a call may take.
    const provider = layered(clock, { store: [busy(1)] }, { upBytesPerSecond: 20 });
    const storing = provider.store(at, [bytes]);
    await clock.advance(200_000);
    await storing;
    expect(await provider.exists(at)).toBe(true);
  });

  it('refuse a call at once when too many wait, without trying it again', async () => {
    const clock = new FakeClock();
    const inner = createMemoryAdapter({ id: 'm', ...deps });
    const open: (() => void)[] = [];
    const slow: BlobAdapter = {
      ...inner,
      exists: () => new Promise((resolve) => open.push(() => resolve(true))),
    };
    const provider = withLayers(slow, {
      clock,
      random: (length) => new Uint8Array(length).fill(128),
      maxConcurrency: 1,
      maxWaiting: 1,
      onAttempt() {},
      log() {},
    });
    const running = [provider.exists(at), provider.exists(at)];
    await clock.advance(0);
    let refused: unknown;
    void provider.exists(at).catch((error: unknown) => {
      refused = error;
    });
    await clock.advance(0);
    expect(refused).toMatchObject({ code: 'queue_full', status: 'temporary' });
    while (open.length > 0) {
      open.shift()!();
      await clock.advance(0);
    }
    await Promise.all(running);
  });
});
