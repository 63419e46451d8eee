import { describe, expect, it } from 'vitest';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { withFaults, withTimeout } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { deps } from '../conform.ts';

const address = `b3:${'0'.repeat(64)}` as Parameters<BlobAdapter['exists']>[0];
const memory = (): BlobAdapter => createMemoryAdapter({ id: 'm', ...deps });
const outcome = (promise: Promise<unknown>): { value?: unknown } => {
  const box: { value?: unknown } = {};
  promise.then(
    (value) => Object.assign(box, { value }),
    (error: unknown) => Object.assign(box, { value: error }),
  );
  return box;
};

describe('the timeout layer', () => {
  it('ends a call that hangs, even if the adapter ignores its signal', async () => {
    const clock = new FakeClock();
    const deaf: BlobAdapter = { ...memory(), exists: () => new Promise(() => {}) };
    const result = outcome(withTimeout(deaf, { clock, callTimeoutMs: 5000 }).exists(address));
    await clock.advance(4900);
    expect(result.value).toBeUndefined();
    await clock.advance(1200);
    expect(result.value).toMatchObject({ kind: 'Timeout', status: 'temporary' });
  });

  it('gives a transfer time for its bytes', async () => {
    const clock = new FakeClock();
    const hung = withFaults(memory(), { clock, seed: 1 }, { hang: 1 });
    const timed = withTimeout(hung, { clock, callTimeoutMs: 1000, minBytesPerSecond: 1000 });
    const result = outcome(timed.fetchRange(address, 0, [new Uint8Array(9000)]));
    await clock.advance(9900);
    expect(result.value).toBeUndefined();
    await clock.advance(1200);
    expect(result.value).toMatchObject({ kind: 'Timeout' });
  });

  it('keeps the buffers of a range until the adapter has let go of them', async () => {
    const clock = new FakeClock();
    let release = (): void => {};
    const slow: BlobAdapter = {
      ...memory(),
      fetchRange: () => new Promise((_, reject) => (release = () => reject(new Error('let go')))),
    };
    const result = outcome(
      withTimeout(slow, { clock, callTimeoutMs: 10 }).fetchRange(address, 0, [new Uint8Array(1)]),
    );
    await clock.advance(60_000);
    expect(result.value).toBeUndefined();
    release();
    await clock.advance(1);
    expect(result.value).toBeInstanceOf(Error);
  });

  it('closes a stream that was left in the middle of a step, once the step is over', async () => {
    const clock = new FakeClock();
    let step = (): void => {};
    let closed = false;
    const slow: BlobAdapter = {
      ...memory(),
      async *fetchStream() {
        try {
          await new Promise<void>((resolve) => {
            step = resolve;
          });
          yield new Uint8Array(1);
        } finally {
          closed = true;
        }
      },
    };
    const stop = new AbortController();
    const pieces = withTimeout(slow, { clock }).fetchStream(address, { signal: stop.signal });
    const first = outcome(pieces[Symbol.asyncIterator]().next());
    await clock.advance(1);
    stop.abort();
    await clock.advance(1);
    expect([first.value, closed]).toMatchObject([{ kind: 'Aborted' }, false]);
    step();
    await clock.advance(1);
    expect(closed).toBe(true);
  });

  it('counts neither the reader’s nor the source’s own time', async () => {
    const clock = new FakeClock();
    const timed = withTimeout(memory(), { clock, callTimeoutMs: 1000 });
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 3; i++) {
        await clock.sleep(60_000);
        yield new Uint8Array(1000);
      }
    }
    const stored = outcome(timed.storeStream(undefined, slow()));
    await clock.advance(200_000);
    expect(stored.value).toMatchObject({ size: 3000 });
    const { address: of } = stored.value as { address: typeof address };
    const read = outcome(
      (async () => {
        for await (const _ of timed.fetchStream(of)) await clock.sleep(60_000);
        return 'read';
      })(),
    );
    await clock.advance(200_000);
    expect(read.value).toBe('read');
  });

  it('ends a stream of which no piece comes', async () => {
    const clock = new FakeClock();
    const hung = withFaults(memory(), { clock, seed: 1 }, { operations: ['fetchStream'], hang: 1 });
    const result = outcome(
      (async () => {
        for await (const _ of withTimeout(hung, { clock, callTimeoutMs: 1000 }).fetchStream(address)) void _;
      })(),
    );
    await clock.advance(2100);
    expect(result.value).toMatchObject({ kind: 'Timeout' });
  });

  it('leaves no sleeper behind once all calls are done', async () => {
    const clock = new FakeClock();
    const timed = withTimeout(memory(), { clock });
    for (let i = 0; i < 50; i++) await timed.exists(address);
    await clock.advance(2000);
    const before = clock.sleeps.length;
    await clock.advance(60_000);
    expect(clock.sleeps.length).toBe(before);
    expect(before).toBeLessThan(5);
  });
});
