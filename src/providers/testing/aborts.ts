import { systemClock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { callsWith } from './blobs.ts';
import { check, checkBytes, checkRejects, drain, eventually, piecesOf } from './check.ts';
import type { ConformanceCase } from './context.ts';

export const abortCases: readonly ConformanceCase[] = [
  {
    name: 'an already-aborted signal is honoured by every method',
    async run({ adapter, stored, slot }) {
      const { address, bytes } = await stored(100);
      const signal = AbortSignal.abort();
      const name = slot();
      const calls = {
        ...callsWith(adapter, address, signal),
        probe: () => adapter.probe({ signal }),
        list: () => drain(adapter.list({ signal })),
        readSlot: () => adapter.readSlot(name, { signal }),
        writeSlot: () => adapter.writeSlot(name, bytes, undefined, { signal }),
        deleteSlot: () => adapter.deleteSlot(name, { signal }),
        listSlots: () => drain(adapter.listSlots({ signal })),
      };
      for (const [method, call] of Object.entries(calls)) await checkRejects(call(), 'Aborted', method);
      check(await adapter.exists(address), 'the blob was deleted all the same');
    },
  },
  {
    name: 'an already-aborted store never touches its source',
    async run({ adapter, blob }) {
      let touched = false;
      const source = {
        [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
          touched = true;
          return piecesOf(new Uint8Array(1), 1);
        },
      };
      const attempt = adapter.storeStream(blob(1).address, source, { signal: AbortSignal.abort() });
      await checkRejects(attempt, 'Aborted', 'storeStream');
      check(!touched, 'the source was opened');
    },
  },
  {
    name: 'a deadline’s own error passes through',
    async run({ adapter, stored }) {
      const { address } = await stored(10);
      const signal = AbortSignal.abort(new HoldfastError('Timeout', 'too late'));
      await checkRejects(adapter.fetch(address, { signal }), 'Timeout', 'fetch');
    },
  },
  {
    name: 'an abort in the middle of a stream stops it, tells the source and leaves nothing',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(100_000);
      const controller = new AbortController();
      let told = false;
      async function* source(): AsyncGenerator<Uint8Array> {
        try {
          yield* piecesOf(bytes.subarray(0, 50_000), 10_000);
          controller.abort();
          yield* piecesOf(bytes.subarray(50_000), 10_000);
        } finally {
          told = true;
        }
      }
      await checkRejects(
        adapter.storeStream(address, source(), { signal: controller.signal }),
        'Aborted',
        'storeStream',
      );
      await eventually(() => told, 'the source was not told to stop');
      check(!(await adapter.exists(address)), 'it exists');
    },
  },
  {
    name: 'an abort ends a store whose source hangs',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(100);
      const controller = new AbortController();
      async function* hanging(): AsyncGenerator<Uint8Array> {
        yield bytes;
        queueMicrotask(() => controller.abort());
        await new Promise(() => {});
      }
      const attempt = adapter.storeStream(address, hanging(), { signal: controller.signal });
      await checkRejects(attempt, 'Aborted', 'storeStream');
      check(!(await adapter.exists(address)), 'it exists');
    },
  },
  {
    name: 'an abort in the middle of a large store leaves all of it or nothing',
    async run({ adapter, blob, largeBytes }) {
      const { bytes, address } = blob(largeBytes);
      const controller = new AbortController();
      const attempt = adapter.store(address, [bytes], { signal: controller.signal });
      systemClock.timer(2, () => controller.abort());
      const stored = await attempt.then(
        () => true,
        async (error: unknown) => {
          await checkRejects(Promise.reject(error), 'Aborted', 'store');
          return adapter.exists(address);
        },
      );
      if (stored) checkBytes(await adapter.fetch(address, { maxBytes: largeBytes }), bytes, 'fetch');
    },
  },
  {
    name: 'an abort in the middle of a large read ends it, and the buffers are at rest',
    async run({ adapter, stored, largeBytes }) {
      const { address, bytes } = await stored(largeBytes);
      const controller = new AbortController();
      const into = new Uint8Array(largeBytes);
      const attempt = adapter.fetchRange(address, 0, [into], { signal: controller.signal });
      systemClock.timer(1, () => controller.abort());
      const finished = await attempt.then(
        () => true,
        (error: unknown) => checkRejects(Promise.reject(error), 'Aborted', 'fetchRange').then(() => false),
      );
      if (finished) return checkBytes(into, bytes, 'fetchRange');
      into.fill(9);
      await systemClock.sleep(50);
      check(
        into.every((byte) => byte === 9),
        'a buffer was written to after the call had settled',
      );
    },
  },
  {
    name: 'an abort in the middle of a stream being read ends it',
    async run({ adapter, stored, largeBytes }) {
      const { address } = await stored(largeBytes);
      const controller = new AbortController();
      const reading = (async () => {
        for await (const piece of adapter.fetchStream(address, { signal: controller.signal })) {
          check(piece.length < largeBytes, 'the whole blob came as one piece');
          controller.abort();
        }
      })();
      await checkRejects(reading, 'Aborted', 'fetchStream');
    },
  },
];
