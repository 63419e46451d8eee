import type { AbortOptions } from '../core/abort.ts';
import { addressOf, B3_SCHEME, type BlobAddress } from '../core/address.ts';
import { byteLength } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import {
  type BlobAdapter,
  DEFAULT_FETCH_BYTES,
  MAX_BLOB_BYTES,
  MAX_LISTED_BLOBS,
  MAX_LISTED_SLOTS,
  type StoreResult,
  type StoreStreamOptions,
} from './adapter.ts';
import type { AdapterDeps, Driver } from './driver.ts';
import {
  checkAddress,
  checkBlobSize,
  checkListing,
  checkRange,
  checkSlot,
  checkSlotListing,
  createGuard,
  type Guard,
  invalidArgument,
  notFound,
  rangeBeyondEnd,
  unsupported,
} from './guard.ts';
import { ascending } from './listing.ts';
import { interruptible, slices, wrongLength } from './pieces.ts';

const B3_ONLY: readonly string[] = Object.freeze([B3_SCHEME]);

/** The contract over a driver: checks arguments, hashes streams, names errors. Every adapter here is made by it. */
export function adapterFromDriver(driver: Driver, { blake3 }: Pick<AdapterDeps, 'blake3'>): BlobAdapter {
  const { capabilities, schemes = B3_ONLY } = driver;
  const guard = createGuard(driver.id);
  const calls: Calls = {
    driver,
    guard,
    schemes,
    capNow: () => Math.min(capabilities.maxBlobBytes, MAX_BLOB_BYTES),
    onBlob: (operation, address, options, work) =>
      guard.call(operation, options, (signal) => {
        checkAddress(address, schemes);
        return work(signal);
      }),
  };
  return {
    adapterId: driver.id,
    acceptedSchemes: schemes,
    capabilities,
    ...wholeBlobs(calls),
    ...streams(calls, blake3),
    ...listings(calls),
    ...slots(calls),
    probe: (options) => guard.call('probe', options, (signal) => driver.probe(signal)),
    close: async () => {
      if (guard.close()) await driver.close();
    },
  };
}

interface Calls {
  readonly driver: Driver;
  readonly guard: Guard;
  readonly schemes: readonly string[];
  /** The longest blob that is taken now. */
  capNow(): number;
  onBlob<T>(
    operation: string,
    address: BlobAddress,
    options: AbortOptions | undefined,
    work: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T>;
}

type Part<K extends keyof BlobAdapter> = Pick<BlobAdapter, K>;

const wholeBlobs = ({
  driver,
  capNow,
  onBlob,
}: Calls): Part<'store' | 'fetch' | 'fetchRange' | 'exists' | 'delete' | 'stat'> => ({
  store: (address, parts, options) =>
    onBlob('store', address, options, (signal) => {
      const size = byteLength(parts);
      checkBlobSize(size, capNow());
      return driver.store(address, parts, size, signal, options?.replace === true);
    }),

  fetch: (address, options) =>
    onBlob('fetch', address, options, (signal) => {
      const maxBytes = options?.maxBytes ?? DEFAULT_FETCH_BYTES;
      checkRange(0, maxBytes);
      return driver.fetch(address, maxBytes, signal);
    }),

  fetchRange: (address, offset, into, options) =>
    onBlob('fetchRange', address, options, async (signal) => {
      const length = byteLength(into);
      checkRange(offset, length);
      if (length > 0) return driver.fetchRange(address, offset, into, length, signal);
      await remaining(driver, address, offset, signal);
    }),

  exists: (address, options) =>
    onBlob('exists', address, options, async (signal) => (await driver.stat(address, signal)) !== undefined),

  delete: (address, options) =>
    onBlob('delete', address, options, (signal) => driver.delete(address, signal)),

  stat: (address, options) =>
    onBlob('stat', address, options, async (signal) => {
      const found = await driver.stat(address, signal);
      if (found === undefined) throw notFound();
      return found;
    }),
});

const streams = (
  { driver, guard, schemes, capNow }: Calls,
  blake3: AdapterDeps['blake3'],
): Part<'storeStream' | 'fetchStream'> => ({
  storeStream: (address, source, options) =>
    guard.call('storeStream', options, (signal) => {
      if (address !== undefined) checkAddress(address, schemes);
      else if (options?.replace) invalidArgument('a stream that replaces a blob needs its address');
      return storeStream(driver, blake3.createHasher(), capNow(), address, source, { ...options, signal });
    }),

  fetchStream: (address, options) =>
    guard.stream('fetchStream', options, (signal) => {
      checkAddress(address, schemes);
      const offset = options?.offset ?? 0;
      checkRange(offset, options?.length ?? 0);
      return readWindow(driver, MAX_BLOB_BYTES, address, offset, options?.length, signal, options?.onSize);
    }),
});

const listings = ({ driver, guard }: Calls): Part<'list' | 'listSlots'> => ({
  list: (options) =>
    guard.stream('list', options, (signal) => {
      const { prefixHex = '', after = '', limit, details = false } = options ?? {};
      checkListing(options ?? {});
      if (!driver.capabilities.supportsList) unsupported('listing');
      const listed = driver.list(prefixHex, after, details, signal);
      return take(listed, ({ address }) => address, after, limit, MAX_LISTED_BLOBS, signal);
    }),

  listSlots: (options) =>
    guard.stream('listSlots', options, (signal) => {
      const { after = '', limit } = options ?? {};
      checkSlotListing(options ?? {});
      needSlots(driver);
      return take(driver.listSlots(after, signal), String, after, limit, MAX_LISTED_SLOTS, signal);
    }),
});

const slots = ({ driver, guard }: Calls): Part<'readSlot' | 'writeSlot' | 'deleteSlot'> => ({
  readSlot: (name, options) =>
    guard.call('readSlot', options, (signal) => {
      checkSlot(name);
      needSlots(driver);
      return driver.readSlot(name, signal);
    }),

  writeSlot: (name, bytes, expected, options) =>
    guard.call('writeSlot', options, (signal) => {
      checkSlot(name, bytes);
      needSlots(driver);
      return driver.writeSlot(name, bytes, expected, signal);
    }),

  deleteSlot: (name, options) =>
    guard.call('deleteSlot', options, (signal) => {
      checkSlot(name);
      needSlots(driver);
      return driver.deleteSlot(name, signal, options?.forget === true);
    }),
});

const needSlots = ({ capabilities }: Driver): void =>
  void (capabilities.supportsSlots || unsupported('slots'));

async function storeStream(
  driver: Driver,
  hasher: { update(data: Uint8Array): void; digest(): Uint8Array },
  adapterCap: number,
  address: BlobAddress | undefined,
  source: AsyncIterable<Uint8Array>,
  { maxBytes, signal, replace = false }: StoreStreamOptions,
): Promise<StoreResult & { address: BlobAddress; size: number }> {
  const cap = Math.min(adapterCap, maxBytes ?? adapterCap);
  const upload = await driver.openUpload(address, signal, replace);
  try {
    let size = 0;
    for await (const piece of interruptible(source, signal, 'storeStream')) {
      if (!(piece instanceof Uint8Array)) invalidArgument('a stream to store yields Uint8Array pieces');
      size += piece.length;
      checkBlobSize(size, cap);
      hasher.update(piece);
      await upload.write(piece);
    }
    const computed = addressOf(hasher.digest());
    if (address !== undefined && computed !== address) throw streamMismatch(address, computed);
    return { ...(await upload.commit(computed, size)), address: computed, size };
  } catch (error) {
    await upload.discard();
    throw error;
  }
}

function streamMismatch(expected: BlobAddress, computed: BlobAddress): HoldfastError {
  return new HoldfastError('HashMismatch', 'the bytes of the stream do not have the address given', {
    context: { expected, computed },
  });
}

async function* readWindow(
  driver: Driver,
  cap: number,
  address: BlobAddress,
  offset: number,
  wanted: number | undefined,
  signal: AbortSignal | undefined,
  onSize: ((size: number) => void) | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  // Servers disagree on empty ranges and on ranges that start at the end, so none is ever sent.
  let length = wanted;
  if (length === 0 || (length === undefined && offset > 0)) {
    const rest = await remaining(driver, address, offset, signal);
    length ??= rest;
    if (length === 0) return;
  }
  const limit = length ?? cap;
  let sent = 0;
  for await (const piece of driver.read(address, offset, length, signal, onSize)) {
    sent += piece.length;
    if (sent > limit) throw wrongLength('more bytes came than the blob may have');
    yield* slices(piece);
  }
  if (length !== undefined && sent < length) throw rangeBeyondEnd(offset, length, offset + sent);
}

/** Bytes of the blob from `offset` on. @throws NotFound, RangeNotSatisfiable */
async function remaining(
  driver: Driver,
  address: BlobAddress,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const found = await driver.stat(address, signal);
  if (found === undefined) throw notFound();
  if (offset > found.size) throw rangeBeyondEnd(offset, 0, found.size);
  return found.size - offset;
}

/** Whatever a provider lists is checked here: it ascends and it ends. */
async function* take<T>(
  source: AsyncIterable<T>,
  nameOf: (item: T) => string,
  after: string,
  limit: number | undefined,
  max: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  if (left === 0) return;
  for await (const item of ascending(interruptible(source, signal, 'list'), nameOf, after, max)) {
    yield item;
    if (--left === 0) return;
  }
}
