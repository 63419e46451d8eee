import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { withRetry } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { deps } from '../conform.ts';

const address = `b3:${'0'.repeat(64)}` as Parameters<BlobAdapter['exists']>[0];
const half = (length: number): Uint8Array => new Uint8Array(length).fill(128);

function failing(errors: readonly unknown[]) {
  const inner = createMemoryAdapter({ id: 'm', ...deps });
  let calls = 0;
  const fail = async (): Promise<void> => {
    const error = errors[calls++];
    if (error !== undefined) throw error;
  };
  const adapter: BlobAdapter = {
    ...inner,
    exists: (a, o) => fail().then(() => inner.exists(a, o)),
    writeSlot: (...a) => fail().then(() => inner.writeSlot(...a)),
    storeStream: (...a) => fail().then(() => inner.storeStream(...a)),
    async *fetchStream() {
      await fail();
      yield Uint8Array.of(1);
      await fail();
      yield Uint8Array.of(2);
    },
  };
  return { adapter, calls: () => calls };
}

const gone = (): HoldfastError => new HoldfastError('Unavailable', 'gone');

describe('retry', () => {
  it('repeats what failed for a while, after doubling random waits', async () => {
    const clock = new FakeClock({ auto: true });
    const { adapter, calls } = failing([gone(), gone(), gone()]);
    expect(await withRetry(adapter, { clock, random: half, baseDelayMs: 100 }).exists(address)).toBe(false);
    expect(calls()).toBe(4);
    expect(clock.sleeps.map(Math.round)).toEqual([50, 100, 201]);
  });

  it('gives up after the last attempt and says that it had tried', async () => {
    const clock = new FakeClock({ auto: true });
    const { adapter, calls } = failing(Array.from({ length: 9 }, gone));
    const attempt = withRetry(adapter, { clock, random: half, maxAttempts: 3 }).exists(address);
    await expect(attempt).rejects.toMatchObject({
      kind: 'Unavailable',
      status: 'persistent',
      context: { attempts: 3 },
    });
    expect(calls()).toBe(3);
  });

  it('starts no attempt after as long as one alone may take: silence is not asked for four times over', async () => {
    const clock = new FakeClock();
    let calls = 0;
    const exists = async (): Promise<boolean> => {
      calls++;
      await clock.sleep(12_000);
      throw new HoldfastError('Timeout', 'nothing came');
    };
    const silent = { ...createMemoryAdapter({ id: 'm', ...deps }), exists };
    const attempt = withRetry(silent, { clock, random: half, callTimeoutMs: 20_000 })
      .exists(address)
      .catch((error: unknown) => error);
    for (let i = 0; i < 10; i++) await clock.advance(6_000);
    expect(await attempt).toMatchObject({ kind: 'Timeout', status: 'persistent', context: { attempts: 2 } });
    expect(calls).toBe(2);
  });

  it('waits as long as the provider asks, and gives up where that is too long', async () => {
    const clock = new FakeClock({ auto: true });
    const limited = (retryAfterMs: number) =>
      new HoldfastError('RateLimited', 'slow', { context: { retryAfterMs } });
    await withRetry(failing([limited(7000)]).adapter, { clock, random: half }).exists(address);
    expect(clock.sleeps).toEqual([7000]);
    const { adapter, calls } = failing([limited(60_000)]);
    await expect(withRetry(adapter, { clock, random: half }).exists(address)).rejects.toMatchObject({
      kind: 'RateLimited',
    });
    expect(calls()).toBe(1);
  });

  it('never repeats a permanent failure, a slot write or a stream of input', async () => {
    const clock = new FakeClock({ auto: true });
    const permanent = failing([new HoldfastError('PermissionDenied', 'no')]);
    await expect(withRetry(permanent.adapter, { clock, random: half }).exists(address)).rejects.toThrow('no');
    const slot = failing([gone()]);
    const write = withRetry(slot.adapter, { clock, random: half }).writeSlot(
      '0'.repeat(16),
      new Uint8Array(),
      undefined,
    );
    await expect(write).rejects.toMatchObject({ status: 'temporary' });
    const stream = failing([gone()]);
    async function* none(): AsyncGenerator<Uint8Array> {}
    await expect(
      withRetry(stream.adapter, { clock, random: half }).storeStream(undefined, none()),
    ).rejects.toThrow('gone');
    expect([permanent.calls(), slot.calls(), stream.calls()]).toEqual([1, 1, 1]);
  });

  it('opens a stream again only before its first piece', async () => {
    const clock = new FakeClock({ auto: true });
    const early = failing([gone()]);
    const pieces: number[] = [];
    for await (const piece of withRetry(early.adapter, { clock, random: half }).fetchStream(address))
      pieces.push(piece[0]!);
    expect(pieces).toEqual([1, 2]);
    const late = failing([undefined, gone()]);
    const seen: number[] = [];
    const reading = (async () => {
      for await (const piece of withRetry(late.adapter, { clock, random: half }).fetchStream(address))
        seen.push(piece[0]!);
    })();
    await expect(reading).rejects.toThrow('gone');
    expect(seen).toEqual([1]);
  });

  it('spends a budget, so that a dead provider is not asked many times as often', async () => {
    const clock = new FakeClock({ auto: true });
    const { adapter, calls } = failing(Array.from({ length: 1000 }, gone));
    const layered = withRetry(adapter, { clock, random: half });
    for (let i = 0; i < 200; i++) await layered.exists(address).catch(() => {});
    expect(calls()).toBeLessThan(200 + 20 + 0.1 * 200 + 2);
  });

  it('stops waiting when the caller gives up', async () => {
    const clock = new FakeClock();
    const { adapter, calls } = failing([gone(), gone()]);
    const controller = new AbortController();
    const attempt = withRetry(adapter, { clock, random: half }).exists(address, {
      signal: controller.signal,
    });
    attempt.catch(() => {});
    await clock.advance(1);
    controller.abort();
    await expect(attempt).rejects.toMatchObject({ kind: 'Aborted' });
    expect(calls()).toBe(1);
  });
});
