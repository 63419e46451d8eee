import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { BufferPool } from '../core/buffer-pool.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { createSharedWork } from '../core/shared-work.ts';
import type { PinnedBytes } from '../http/representation.ts';
import type { ByteRange } from '../http/selection.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { createHotCache, type HotBlob, type HotLimits, type HotReservation } from './hot-cache.ts';
import { createInspector, type StatHint } from './inspect.ts';
import { createProofCache, type Proof } from './proof.ts';

/**
 * Blobs that are known to be what their address says.
 *
 * The first reader of a blob pays for hashing all of it. Then it stays in memory while there is room, and of a long one
 * the hashes of its pieces are remembered: what the adapter gives later is checked against them, piece by piece, before
 * it is handed out, since between two looks a disk may rot. Both hold for as long as the adapter says that the stored
 * bytes are the same, and it is asked every time.
 */
export interface VerifiedReader {
  /**
   * The blob, once all of it is known to be good; at once if it is in memory and a look that waits for nothing says that
   * it is still kept as it was.
   * @param options its signal is not asked for unless it is needed: to make one costs as much as to find the blob.
   * @throws NotFound; HashMismatch when the bytes are not those of the address, which is counted.
   */
  open(address: BlobAddress, options?: AbortOptions): VerifiedBlob | Promise<VerifiedBlob>;
  /** Reads the bytes even if they are remembered as good, and remembers nothing. @returns how many. @throws as `open` */
  scrub(address: BlobAddress, signal?: AbortSignal): Promise<number>;
  /** True when a look that waits for nothing says that there is no such blob. */
  absent(address: BlobAddress): boolean;
  /** Forgets what is known of a blob. */
  forget(address: BlobAddress): void;
}

export interface VerifiedBlob {
  readonly size: number;
  /** All bytes, when they are in memory: not to be written to, nor read once they are released. */
  readonly bytes?: Uint8Array;
  /** To be called, if there is one, when the blob is not used any more: until then its memory is taken. */
  release?(): void;
  /**
   * Checked bytes of a window, in memory until they are released; undefined when there is none for them.
   * @throws as `read`, but before any byte is handed out.
   */
  hold?(range: ByteRange, signal?: AbortSignal): Promise<PinnedBytes | undefined>;
  /** Checked bytes of a window, in pieces. @throws HashMismatch, counted, at the first piece that is not right. */
  read(range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface VerifiedReaderOptions {
  readonly adapter: BlobAdapter;
  readonly blake3: Blake3;
  readonly metrics: ServiceMetrics;
  readonly hot: HotLimits;
  /** For windows of blobs that are not in memory as a whole; without it they are streamed. */
  readonly windows?: BufferPool | undefined;
  /** Bound of what is remembered of verified blobs. */
  readonly proofBytes: number;
  /** Part of the adapter's `stat` without waiting; undefined where that cannot be had. */
  readonly peekStat?: ((address: BlobAddress) => StatHint | 'absent' | undefined) | undefined;
}

type Known = Proof | HotBlob;

export function createVerifiedReader(options: VerifiedReaderOptions): VerifiedReader {
  const { adapter, blake3, metrics, peekStat, windows } = options;
  const hot = createHotCache(options.hot, (bytes) => metrics.cacheBytes('blobs', bytes));
  const proofs = createProofCache(options.proofBytes);
  const verifications = createSharedWork<Known>();
  const loads = new Map<string, Promise<HotBlob>>();

  const forget = (address: BlobAddress): void => {
    hot.drop(address);
    proofs.drop(address);
  };
  const inspector = createInspector({
    adapter,
    blake3,
    windows,
    mismatch(address, reason) {
      forget(address);
      metrics.integrityFail(reason);
      return new HoldfastError('HashMismatch', 'the bytes kept here are not those of the address', {
        context: { address, reason },
      });
    },
    failed(error) {
      // A disk that cannot read its sectors has lost the blob just as well.
      if (isHoldfastError(error, 'Corrupt')) metrics.integrityFail('unreadable');
      throw error;
    },
  });

  /** Takes a blob into memory. */
  const fill = async (
    address: BlobAddress,
    stat: StatHint,
    room: HotReservation,
    signal: AbortSignal | undefined,
  ): Promise<HotBlob> => {
    const proof = await inspector.readAll(address, stat, room.bytes, signal);
    if (proof !== undefined) proofs.set(address, proof);
    return room.keep(address, stat.revision);
  };

  const verify = async (address: BlobAddress, stat: StatHint, signal: AbortSignal): Promise<Known> => {
    const room = hot.reserve(stat.size);
    try {
      if (room !== undefined) return await fill(address, stat, room, signal);
      const proof = await inspector.prove(address, stat, signal);
      proofs.set(address, proof);
      return proof;
    } finally {
      room?.release();
    }
  };

  const statOf = async (address: BlobAddress, signal: AbortSignal | undefined): Promise<StatHint> => {
    const seen = peekStat?.(address);
    // Whether it is the blob that is absent or all of them, only the adapter can tell.
    if (seen !== undefined && seen !== 'absent') return seen;
    try {
      return await adapter.stat(address, { signal });
    } catch (error) {
      forget(address);
      throw error;
    }
  };

  const inPieces = (address: BlobAddress, proof: Proof): VerifiedBlob => ({
    size: proof.size,
    hold: (range, signal) => inspector.hold(address, proof, range, signal),
    read: (range, signal) => inspector.read(address, proof, range, signal),
  });

  /** Whatever it takes. */
  const find = async (address: BlobAddress, signal: AbortSignal | undefined): Promise<VerifiedBlob> => {
    const stat = await statOf(address, signal);
    const held = inMemory(stillGood(hot.get(address), stat)?.hold());
    metrics.cache('blobs', held !== undefined);
    if (held !== undefined) return held;
    const known =
      stillGood(proofs.get(address), stat) ??
      (await verifications.run(
        `${address} ${stat.revision}`,
        (shared) => verify(address, stat, shared),
        signal,
      ));
    if ('digests' in known) return inPieces(address, known);
    // Others may have needed the room since.
    const again = inMemory(known.hold());
    if (again !== undefined) return again;
    const proof = stillGood(proofs.get(address), stat) ?? (await inspector.prove(address, stat, signal));
    return inPieces(address, proof);
  };

  /**
   * A blob on its way into memory, for all who ask at the time, whether or not they stay: that saves them a signal each.
   * Undefined when it is too long for that, its pieces are known, or there is no memory to spare.
   */
  const load = (address: BlobAddress, seen: StatHint): Promise<HotBlob> | undefined => {
    const key = `${address} ${seen.revision}`;
    const running = loads.get(key);
    if (running !== undefined || stillGood(proofs.get(address), seen)) return running;
    const room = hot.reserve(seen.size);
    if (room === undefined) return undefined;
    const loading = fill(address, seen, room, undefined).finally(() => {
      room.release();
      loads.delete(key);
    });
    loads.set(key, loading);
    return loading;
  };

  return {
    forget,
    absent: (address) => peekStat?.(address) === 'absent',
    open(address, options) {
      const seen = peekStat?.(address);
      if (seen === undefined || seen === 'absent') return find(address, options?.signal);
      const held = inMemory(stillGood(hot.get(address), seen)?.hold());
      const loading = held === undefined ? load(address, seen) : undefined;
      if (held === undefined && loading === undefined) return find(address, options?.signal);
      metrics.cache('blobs', held !== undefined);
      return held ?? loading!.then((blob) => inMemory(blob.hold()) ?? find(address, options?.signal));
    },
    async scrub(address, signal) {
      forget(address);
      return (await inspector.prove(address, await statOf(address, signal), signal)).size;
    },
  };
}

function inMemory(held: PinnedBytes | undefined): VerifiedBlob | undefined {
  if (held === undefined) return undefined;
  const { bytes, release } = held;
  return { size: bytes.length, bytes, release, read: ({ start, end }) => once(bytes.subarray(start, end)) };
}

async function* once(piece: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield piece;
}

function stillGood<T extends Known>(known: T | undefined, { size, revision }: StatHint): T | undefined {
  return known !== undefined && known.revision === revision && known.size === size ? known : undefined;
}
