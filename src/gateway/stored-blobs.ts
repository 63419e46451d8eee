import { throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Hedge } from '../core/hedge.ts';
import type { ByteRange } from '../http/selection.ts';
import { rendezvousOrder } from '../object/rendezvous.ts';
import type { Provider } from '../providers/provider.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { createVerifiedReader, type VerifiedReader } from '../verified/reader.ts';
import type { StoredBlob } from './store.ts';

interface StoredBlobsOptions {
  readonly providers: () => readonly Provider[];
  readonly blake3: Blake3;
  /** Asks the next provider beside one that is late. */
  readonly reads: Hedge;
  readonly metrics: ServiceMetrics;
}

/** Memory for the hashes of verified blobs, over all providers. */
const PROOF_BYTES = 16 * 1024 * 1024;
const NOBODY: ReadonlySet<string> = new Set();
const NOTHING_HOT = { maxBytes: 0, maxBlobBytes: 0 } as const;

/**
 * Opens blobs as providers keep them, packs and manifest nodes, from any provider that has them whole. It asks the
 * providers in the order in which nodes are placed.
 * @throws HoldfastError `NotFound` when all answered and none has it, else `Unavailable` (`blob_unavailable`).
 */
export function createStoredBlobs(
  options: StoredBlobsOptions,
): (address: BlobAddress, signal: AbortSignal) => Promise<StoredBlob> {
  const { blake3 } = options;
  // The readers keep no blobs, so there is nothing to count.
  const metrics: ServiceMetrics = { ...options.metrics, cache() {}, cacheBytes() {} };
  const readers = new WeakMap<Provider, VerifiedReader>();
  const readerOf = (provider: Provider, count: number): VerifiedReader => {
    const known = readers.get(provider);
    if (known !== undefined) return known;
    const proofBytes = Math.floor(PROOF_BYTES / count);
    const reader = createVerifiedReader({
      adapter: provider.adapter,
      blake3,
      metrics,
      hot: NOTHING_HOT,
      proofBytes,
    });
    readers.set(provider, reader);
    return reader;
  };

  const openSomewhere = async (
    address: BlobAddress,
    without: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ): Promise<OpenedAt> => {
    const providers = options.providers().filter(({ id }) => !without.has(id));
    const byId = new Map(providers.map((provider) => [provider.id, provider]));
    const problems: string[] = [];
    const order = rendezvousOrder(blake3, address, [...byId.keys()]);
    const attempts = order.map((id) => async (stop: AbortSignal): Promise<OpenedAt> => {
      const reader = readerOf(byId.get(id)!, byId.size);
      return { id, blob: await reader.open(address, { signal: stop }) };
    });
    const won = await options.reads.run(attempts, {
      signal,
      operation: 'read',
      onFailure(attempt, error) {
        if (error.kind !== 'NotFound') problems.push(`${order[attempt]}: ${error.kind}`);
      },
    });
    if (won !== undefined) return won.value;
    if (problems.length === 0) throw new HoldfastError('NotFound', 'no provider has this blob');
    throw new HoldfastError('Unavailable', 'no provider returned this blob whole', {
      code: 'blob_unavailable',
      context: { problems },
    });
  };

  return async (address, signal) => {
    const opened = await openSomewhere(address, NOBODY, signal);
    const elsewhere: OpenElsewhere = (tried, stop) => openSomewhere(address, tried, stop);
    return { size: opened.blob.size, read: (range, stop) => readAcross(opened, elsewhere, range, stop) };
  };
}

interface OpenedAt {
  readonly id: string;
  readonly blob: StoredBlob;
}

type OpenElsewhere = (tried: ReadonlySet<string>, signal: AbortSignal | undefined) => Promise<OpenedAt>;

/** Reads bytes that several providers have. Where one fails in the middle, the next goes on. */
async function* readAcross(
  opened: OpenedAt,
  elsewhere: OpenElsewhere,
  { start, end }: ByteRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const tried = new Set<string>();
  let at = start;
  for (let { id, blob } = opened; ; ) {
    try {
      for await (const piece of blob.read({ start: at, end }, signal)) {
        at += piece.length;
        yield piece;
      }
      return;
    } catch (error) {
      throwIfAborted(signal, 'read');
      tried.add(id);
      ({ id, blob } = await elsewhere(tried, signal).catch(() => {
        throw error;
      }));
    }
  }
}
