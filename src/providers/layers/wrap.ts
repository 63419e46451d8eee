import { throwIfAborted } from '../../core/abort.ts';
import { byteLength } from '../../core/bytes.ts';
import type { BlobAdapter, ReadOptions } from '../adapter.ts';

export type Operation = Exclude<
  keyof BlobAdapter,
  'adapterId' | 'acceptedSchemes' | 'capabilities' | 'close'
>;

/** Length of a blob fetched by a caller who named no limit, for reckoning how long that may take. */
const PRESUMED_FETCH_BYTES = 8 * 1024 * 1024;

type Signal = AbortSignal | undefined;

/** What a layer sees of a call. */
export interface CallInfo {
  readonly operation: Operation;
  readonly provider: string;
  /** True when doing it twice is the same as doing it once, and its arguments can be used again. */
  readonly repeatable: boolean;
  /** Bytes on their way up, as far as known beforehand. */
  readonly upBytes: number;
  /** Most bytes that the answer is expected to have. */
  readonly downBytes: number;
  /** The caller knows no other place to read it. */
  readonly lastResort: boolean;
}

/** What a layer does around every call, and around every stream of results. */
export interface Around {
  call<T>(info: CallInfo, signal: Signal, run: (signal: Signal) => Promise<T>): Promise<T>;
  stream<T>(info: CallInfo, signal: Signal, open: (signal: Signal) => AsyncIterable<T>): AsyncIterable<T>;
}

/** The adapter with `around` around each of its methods: a layer cannot forget one. */
export function wrapAdapter(inner: BlobAdapter, around: Around): BlobAdapter {
  const provider = inner.adapterId;
  const describe = (operation: Operation, more: Partial<CallInfo> = {}): CallInfo => ({
    operation,
    provider,
    repeatable: true,
    upBytes: 0,
    downBytes: 0,
    lastResort: false,
    ...more,
  });
  const read = (operation: Operation, downBytes: number, options: ReadOptions | undefined): CallInfo =>
    describe(operation, { downBytes, lastResort: options?.lastResort ?? false });
  const call = async <T>(info: CallInfo, signal: Signal, run: (signal: Signal) => Promise<T>): Promise<T> => {
    throwIfAborted(signal, info.operation);
    return around.call(info, signal, run);
  };
  const fixed = {
    exists: describe('exists'),
    delete: describe('delete'),
    stat: describe('stat'),
    list: describe('list'),
    probe: describe('probe'),
    readSlot: describe('readSlot'),
    deleteSlot: describe('deleteSlot'),
    listSlots: describe('listSlots'),
    storeStream: describe('storeStream', { repeatable: false }),
  };

  return {
    adapterId: inner.adapterId,
    acceptedSchemes: inner.acceptedSchemes,
    capabilities: inner.capabilities,
    store: (address, parts, options) =>
      call(describe('store', { upBytes: byteLength(parts) }), options?.signal, (signal) =>
        inner.store(address, parts, { signal }),
      ),
    storeStream: (address, source, options) =>
      call(fixed.storeStream, options?.signal, (signal) =>
        inner.storeStream(address, source, { ...options, signal }),
      ),
    fetch: (address, options) =>
      call(read('fetch', options?.maxBytes ?? PRESUMED_FETCH_BYTES, options), options?.signal, (signal) =>
        inner.fetch(address, { ...options, signal }),
      ),
    fetchRange: (address, offset, into, options) =>
      call(read('fetchRange', byteLength(into), options), options?.signal, (signal) =>
        inner.fetchRange(address, offset, into, { ...options, signal }),
      ),
    fetchStream: (address, options) =>
      around.stream(describe('fetchStream', { downBytes: options?.length ?? 0 }), options?.signal, (signal) =>
        inner.fetchStream(address, { ...options, signal }),
      ),
    exists: (address, options) =>
      call(fixed.exists, options?.signal, (signal) => inner.exists(address, { signal })),
    delete: (address, options) =>
      call(fixed.delete, options?.signal, (signal) => inner.delete(address, { signal })),
    stat: (address, options) =>
      call(fixed.stat, options?.signal, (signal) => inner.stat(address, { signal })),
    list: (options) =>
      around.stream(fixed.list, options?.signal, (signal) => inner.list({ ...options, signal })),
    probe: (options) => call(fixed.probe, options?.signal, (signal) => inner.probe({ signal })),
    readSlot: (name, options) =>
      call(fixed.readSlot, options?.signal, (signal) => inner.readSlot(name, { signal })),
    writeSlot: (name, bytes, expected, options) =>
      // Repeated after a lost answer it would conflict with itself.
      call(describe('writeSlot', { upBytes: bytes.length, repeatable: false }), options?.signal, (signal) =>
        inner.writeSlot(name, bytes, expected, { signal }),
      ),
    deleteSlot: (name, options) =>
      call(fixed.deleteSlot, options?.signal, (signal) => inner.deleteSlot(name, { ...options, signal })),
    listSlots: (options) =>
      around.stream(fixed.listSlots, options?.signal, (signal) => inner.listSlots({ ...options, signal })),
    close: () => inner.close(),
  };
}

/** Length of what an answer or a piece carries. */
export const sizeOfAnswer = (answer: unknown): number => (answer instanceof Uint8Array ? answer.length : 0);

/**
 * Hand-driven iteration: `step` surrounds every `next()`, and the source is closed when the reader stops. That is waited
 * for unless a `next()` was left behind, as by a deadline: what it may bring yet is closed when it comes.
 */
export async function* stepwise<T>(
  source: AsyncIterable<T>,
  step: (next: () => Promise<IteratorResult<T>>) => Promise<IteratorResult<T>>,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let state: 'open' | 'asked' | 'ended' = 'open';
  const next = async (): Promise<IteratorResult<T>> => {
    state = 'asked';
    try {
      const result = await iterator.next();
      state = result.done ? 'ended' : 'open';
      return result;
    } catch (error) {
      state = 'ended';
      throw error;
    }
  };
  try {
    for (;;) {
      const result = await step(next);
      if (result.done) return;
      yield result.value;
    }
  } finally {
    await close(iterator, state);
  }
}

async function close<T>(iterator: AsyncIterator<T>, state: 'open' | 'asked' | 'ended'): Promise<void> {
  if (state === 'ended') return;
  const closed = Promise.resolve(iterator.return?.());
  if (state === 'open') await closed;
  else closed.catch(() => {}); // whoever left it behind has the error that counts
}
