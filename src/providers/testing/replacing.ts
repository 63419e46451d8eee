import { systemClock } from '../../core/clock.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { BlobAdapter } from '../adapter.ts';
import { collect } from '../pieces.ts';
import { check, checkBytes, checkRejects, piecesOf } from './check.ts';
import type { Blob, CaseContext, ConformanceCase } from './context.ts';

/** The last byte is another: what a look at the length does not show. */
function rotten(bytes: Uint8Array): Uint8Array {
  const wrong = bytes.slice();
  wrong[wrong.length - 1]! ^= 1;
  return wrong;
}

/** Another in every byte, so that a mixture shows wherever it begins. */
const inverted = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 0xff);

/** What is there; undefined where the other side serves right bytes only, and those there are wrong. */
async function bytesAt(adapter: BlobAdapter, { address, bytes }: Blob): Promise<Uint8Array | undefined> {
  return adapter.fetch(address, { maxBytes: bytes.length + 3 }).catch((error: unknown) => {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
    return undefined;
  });
}

/** Nothing is there but what was before. */
async function checkOld(adapter: BlobAdapter, blob: Blob, wrong: Uint8Array): Promise<void> {
  const found = await bytesAt(adapter, blob);
  if (found !== undefined) checkBytes(found, wrong, 'fetch');
}

const replacedCase = (
  name: string,
  wrong: (bytes: Uint8Array) => Uint8Array,
  replace: (context: CaseContext, blob: Blob) => Promise<{ readonly existed: boolean }>,
): ConformanceCase => ({
  name,
  async run(context) {
    const blob = context.blob(70_001);
    await context.plant(blob.address, wrong(blob.bytes));
    const { existed } = await replace(context, blob);
    check(existed, 'a blob that was there is said to be new');
    checkBytes(await context.adapter.fetch(blob.address), blob.bytes, 'fetch');
    check((await context.adapter.stat(blob.address)).size === blob.bytes.length, 'stat tells another size');
  },
});

const whole = ({ adapter }: CaseContext, { address, bytes }: Blob) =>
  adapter.store(address, [bytes.subarray(0, 100), bytes.subarray(100)], { replace: true });
const streamed = ({ adapter }: CaseContext, { address, bytes }: Blob) =>
  adapter.storeStream(address, piecesOf(bytes, 30_000), { replace: true });

/** Replaces a blob some times while others read it, and checks all that they get. */
async function readMeanwhile(context: CaseContext, size: number): Promise<void> {
  const { adapter, plant } = context;
  const { address, bytes } = context.blob(size);
  const wrong = inverted(bytes);
  let over = false;
  const failures: unknown[] = [];
  const read = async (fetch: () => Promise<Uint8Array>): Promise<void> => {
    while (!over) {
      const got = await fetch().catch((error: unknown) => {
        if (!isHoldfastError(error, 'Corrupt')) throw error;
      });
      if (got !== undefined) checkBytes(got, got[0] === bytes[0] ? bytes : wrong, 'a read meanwhile');
    }
  };
  await plant(address, wrong);
  const readers = [
    read(() => adapter.fetch(address)),
    read(() => collect(adapter.fetchStream(address), size)),
  ].map((reader) => reader.catch((error: unknown) => failures.push(error)));
  try {
    for (let round = 0; round < 4; round++) {
      if (round > 0) await plant(address, wrong);
      await adapter.store(address, [bytes], { replace: true });
    }
  } finally {
    over = true;
    await Promise.all(readers);
  }
  if (failures.length > 0) throw failures[0];
  checkBytes(await adapter.fetch(address), bytes, 'fetch');
}

export const replaceCases: readonly ConformanceCase[] = [
  replacedCase('a blob with a rotten byte is replaced', rotten, whole),
  replacedCase('a blob cut short is replaced', (bytes) => bytes.slice(0, 5000), whole),
  replacedCase('a blob that is too long is replaced', (bytes) => Uint8Array.of(...bytes, 1, 2, 3), whole),
  replacedCase('an empty blob in the place of another is replaced', () => new Uint8Array(), whole),
  replacedCase('a blob with a rotten byte is replaced by a stream', rotten, streamed),
  {
    name: 'replacing what is not there stores it and says so; a good blob stays good',
    async run({ adapter, blob }) {
      const { address, bytes } = blob(3000);
      check(
        !(await adapter.store(address, [bytes], { replace: true })).existed,
        'it is said to have existed',
      );
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
      check((await adapter.store(address, [bytes], { replace: true })).existed, 'it is said to be new');
      checkBytes(await adapter.fetch(address), bytes, 'second fetch');
    },
  },
  {
    name: 'a large blob is replaced, the empty one too',
    async run(context) {
      const { adapter, plant, largeBytes } = context;
      const large = context.blob(largeBytes);
      await plant(large.address, rotten(large.bytes));
      await adapter.store(large.address, [large.bytes], { replace: true });
      checkBytes(await adapter.fetch(large.address, { maxBytes: largeBytes }), large.bytes, 'fetch');
      const empty = context.blob(0);
      await plant(empty.address, Uint8Array.of(7));
      await adapter.store(empty.address, [], { replace: true });
      checkBytes(await adapter.fetch(empty.address), empty.bytes, 'fetch of the empty one');
    },
  },
  {
    name: 'who reads during a replacement gets the old bytes or the new, never a mixture',
    requires: 'replacing at once',
    run: (context) => readMeanwhile(context, 400_000),
  },
  {
    name: 'a blob replaced by several at once is right in the end',
    async run({ adapter, blob, plant }) {
      const { address, bytes } = blob(100_000);
      await plant(address, rotten(bytes));
      await Promise.all(Array.from({ length: 4 }, () => adapter.store(address, [bytes], { replace: true })));
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'a replacement that was aborted before it began leaves the old bytes',
    async run({ adapter, blob, plant }) {
      const { address, bytes } = blob(5000);
      const wrong = rotten(bytes);
      await plant(address, wrong);
      const options = { replace: true, signal: AbortSignal.abort() };
      await checkRejects(adapter.store(address, [bytes], options), 'Aborted', 'store');
      const stream = adapter.storeStream(address, piecesOf(bytes, 1000), options);
      await checkRejects(stream, 'Aborted', 'storeStream');
      await checkOld(adapter, { address, bytes }, wrong);
    },
  },
  {
    name: 'an abort in the middle of a replacement leaves the old bytes or the new',
    async run(context) {
      const blob = context.blob(context.largeBytes);
      const { adapter, plant } = context;
      const wrong = inverted(blob.bytes);
      await plant(blob.address, wrong);
      const controller = new AbortController();
      const attempt = adapter.store(blob.address, [blob.bytes], { replace: true, signal: controller.signal });
      systemClock.timer(2, () => controller.abort());
      const replaced = await attempt.then(
        () => true,
        (error: unknown) => checkRejects(Promise.reject(error), 'Aborted', 'store').then(() => false),
      );
      const { replacesAtOnce = true } = adapter.capabilities;
      const found = await bytesAt(adapter, blob).catch((error: unknown) => {
        // Where the old bytes go before the new ones come, what is cut off between leaves none.
        if (replaced || replacesAtOnce || !isHoldfastError(error, 'NotFound')) throw error;
        return undefined;
      });
      const isNew = replaced || found?.[0] === blob.bytes[0];
      if (found !== undefined || replaced) checkBytes(found ?? wrong, isNew ? blob.bytes : wrong, 'fetch');
    },
  },
  {
    name: 'a stream that ends before its replacement does leaves the old bytes',
    async run({ adapter, blob, plant }) {
      const made = blob(100_000);
      const wrong = rotten(made.bytes);
      await plant(made.address, wrong);
      const controller = new AbortController();
      async function* aborted(): AsyncGenerator<Uint8Array> {
        yield* piecesOf(made.bytes.subarray(0, 50_000), 10_000);
        controller.abort();
        yield* piecesOf(made.bytes.subarray(50_000), 10_000);
      }
      const options = { replace: true, signal: controller.signal };
      await checkRejects(adapter.storeStream(made.address, aborted(), options), 'Aborted', 'storeStream');
      await checkOld(adapter, made, wrong);
      const other = piecesOf(blob(100_000).bytes, 30_000);
      const attempt = adapter.storeStream(made.address, other, { replace: true });
      await checkRejects(attempt, 'HashMismatch', 'storeStream of other bytes');
      await checkOld(adapter, made, wrong);
    },
  },
  {
    name: 'a stream that replaces needs an address',
    async run({ adapter, blob }) {
      const attempt = adapter.storeStream(undefined, piecesOf(blob(10).bytes, 10), { replace: true });
      await checkRejects(attempt, 'Unexpected', 'storeStream');
    },
  },
];
