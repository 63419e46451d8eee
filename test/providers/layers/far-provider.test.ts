import { describe, expect, it } from 'vitest';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { withConcurrencyLimit } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { deps } from '../conform.ts';

const RTT_MS = 50;
const READERS = 16;
const address = `b3:${'0'.repeat(64)}` as Parameters<BlobAdapter['exists']>[0];

/**
 * A provider on which every call is one round trip, however many there are at once.
 * @param lateEvery of so many calls one is very late.
 */
function far(clock: FakeClock, lateEvery = Number.POSITIVE_INFINITY): BlobAdapter {
  let calls = 0;
  return {
    ...createMemoryAdapter({ id: 'far', ...deps }),
    async exists() {
      await clock.sleep(++calls % lateEvery === 0 ? 10 * RTT_MS : RTT_MS);
      return true;
    },
  };
}

/** So many readers who each read again as soon as they have read. @returns what the last read of each took. */
async function lastReads(adapter: BlobAdapter, clock: FakeClock, reads: number): Promise<number[]> {
  const last = Array.from({ length: READERS }, async () => {
    let took = 0;
    for (let i = 0; i < reads; i++) {
      const began = clock.monotonic();
      await adapter.exists(address);
      took = clock.monotonic() - began;
    }
    return took;
  });
  await clock.advance(4 * reads * RTT_MS);
  return Promise.all(last);
}

describe('the concurrency limit of a provider that is far away', () => {
  it('soon lets a read take one round trip, not several behind other reads', async () => {
    const clock = new FakeClock();
    const limited = withConcurrencyLimit(far(clock), { clock, maxConcurrency: 64 });
    expect(await lastReads(limited, clock, 10)).toEqual(Array.from({ length: READERS }, () => RTT_MS));
  });

  it('does so too where one answer in twelve is very late', async () => {
    const clock = new FakeClock();
    const limited = withConcurrencyLimit(far(clock, 12), { clock, maxConcurrency: 64 });
    for (const ms of await lastReads(limited, clock, 30)) expect([RTT_MS, 10 * RTT_MS]).toContain(ms);
  });
});
