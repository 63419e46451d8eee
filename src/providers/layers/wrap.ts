import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
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
  /**
   * True when doing it twice is the same as doing it once, and its arguments can be used again. `refused`: only after an
   * answer that says that it was not done.
   */
  readonly repeatable: boolean | 'refused';
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
  const calls = new Calls(inner.adapterId, around);
  return {
    adapterId: inner.adapterId,
    acceptedSchemes: inner.acceptedSchemes,
    capabilities: inner.capabilities,
    ...blobMethods(inner, calls),
    ...slotMethods(inner, calls),
    probe: (options) => calls.call('probe', {}, options, (signal) => inner.probe({ signal })),
    close: () => inner.close(),
  };
}

/** Calls of one adapter, as the layer around it sees them. */
class Calls {
  readonly #provider: string;
  readonly #around: Around;

  constructor(provider: string, around: Around) {
    this.#provider = provider;
    this.#around = around;
  }

  async call<T>(
    operation: Operation,
    more: Partial<CallInfo>,
    options: AbortOptions | undefined,
    run: (signal: Signal) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(options?.signal, operation);
    return this.#around.call(this.#describe(operation, more), options?.signal, run);
  }

  stream<T>(
    operation: Operation,
    more: Partial<CallInfo>,
    options: AbortOptions | undefined,
    open: (signal: Signal) => AsyncIterable<T>,
  ): AsyncIterable<T> {
    return this.#around.stream(this.#describe(operation, more), options?.signal, open);
  }

  #describe(operation: Operation, more: Partial<CallInfo>): CallInfo {
    return {
      operation,
      provider: this.#provider,
      repeatable: true,
      upBytes: 0,
      downBytes: 0,
      lastResort: false,
      ...more,
    };
  }
}

const reading = (downBytes: number, options: ReadOptions | undefined): Partial<CallInfo> => ({
  downBytes,
  lastResort: options?.lastResort ?? false,
});

type BlobMethods =
  | 'store'
  | 'storeStream'
  | 'fetch'
  | 'fetchRange'
  | 'fetchStream'
  | 'exists'
  | 'delete'
  | 'stat'
  | 'list';

function blobMethods(inner: BlobAdapter, calls: Calls): Pick<BlobAdapter, BlobMethods> {
  return {
    store: (address, parts, options) =>
      calls.call('store', { upBytes: byteLength(parts) }, options, (signal) =>
        inner.store(address, parts, { ...options, signal }),
      ),
    storeStream: (address, source, options) =>
      calls.call('storeStream', { repeatable: false }, options, (signal) =>
        inner.storeStream(address, source, { ...options, signal }),
      ),
    fetch: (address, options) =>
      calls.call('fetch', reading(options?.maxBytes ?? PRESUMED_FETCH_BYTES, options), options, (signal) =>
        inner.fetch(address, { ...options, signal }),
      ),
    fetchRange: (address, offset, into, options) =>
      calls.call('fetchRange', reading(byteLength(into), options), options, (signal) =>
        inner.fetchRange(address, offset, into, { ...options, signal }),
      ),
    fetchStream: (address, options) =>
      calls.stream('fetchStream', { downBytes: options?.length ?? 0 }, options, (signal) =>
        inner.fetchStream(address, { ...options, signal }),
      ),
    exists: (address, options) =>
      calls.call('exists', {}, options, (signal) => inner.exists(address, { signal })),
    delete: (address, options) =>
      // Of an answer to the second nobody could say that the first will not be done later.
      calls.call('delete', { repeatable: 'refused' }, options, (signal) => inner.delete(address, { signal })),
    stat: (address, options) => calls.call('stat', {}, options, (signal) => inner.stat(address, { signal })),
    list: (options) => calls.stream('list', {}, options, (signal) => inner.list({ ...options, signal })),
  };
}

type SlotMethods = 'readSlot' | 'writeSlot' | 'deleteSlot' | 'listSlots';

function slotMethods(inner: BlobAdapter, calls: Calls): Pick<BlobAdapter, SlotMethods> {
  return {
    readSlot: (name, options) =>
      calls.call('readSlot', {}, options, (signal) => inner.readSlot(name, { signal })),
    writeSlot: (name, bytes, expected, options) =>
      // Repeated after a lost answer it would conflict with itself.
      calls.call('writeSlot', { upBytes: bytes.length, repeatable: false }, options, (signal) =>
        inner.writeSlot(name, bytes, expected, { signal }),
      ),
    deleteSlot: (name, options) =>
      calls.call('deleteSlot', {}, options, (signal) => inner.deleteSlot(name, { ...options, signal })),
    listSlots: (options) =>
      calls.stream('listSlots', {}, options, (signal) => inner.listSlots({ ...options, signal })),
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
  else closed.catch(() => {}); // the reader that left it behind has the error that counts
}
