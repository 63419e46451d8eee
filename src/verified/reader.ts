import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { BufferPool } from '../core/buffer-pool.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { createSharedWork, type SharedWork } from '../core/shared-work.ts';
import type { PinnedBytes } from '../http/representation.ts';
import type { ByteRange } from '../http/selection.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { type HotBlob, HotCache, type HotLimits, type HotReservation } from './hot-cache.ts';
import { Inspector, type StatHint } from './inspect.ts';
import { createProofCache, type Proof, type ProofCache } from './proof.ts';

/**
 * Hands out blobs that are known to be what their address says.
 *
 * The first reader of a blob pays for hashing all of it. The blob then stays in memory while there is room. Of a long
 * blob the reader also remembers the hashes of its pieces: a disk may rot between two looks, so each piece that the
 * adapter gives later is checked before it is handed out. Both are used only while the adapter says that the stored
 * bytes are the same, and the reader asks it every time.
 */
export interface VerifiedReader {
  /**
   * Gives the blob once all of it is known to be good. Answers without a promise when the blob is in memory and
   * `peekStat` says that its stored bytes are unchanged.
   * @param options reads `signal` only when it is needed: making one costs as much as finding the blob.
   * @throws NotFound; HashMismatch when the bytes are not those of the address, which is counted.
   */
  open(address: BlobAddress, options?: AbortOptions): VerifiedBlob | Promise<VerifiedBlob>;
  /** Reads all bytes again, whatever is remembered, and remembers nothing. @returns how many. @throws as `open` */
  scrub(address: BlobAddress, signal?: AbortSignal): Promise<number>;
  /** True when `peekStat` says that there is no such blob. */
  absent(address: BlobAddress): boolean;
  /** Forgets what is known of a blob. */
  forget(address: BlobAddress): void;
}

export interface VerifiedBlob {
  readonly size: number;
  /** All bytes, when they are in memory. Nobody may write to them, or read them after `release`. */
  readonly bytes?: Uint8Array;
  /** The caller calls it, if it is there, when it is done with the blob. Until then the memory stays taken. */
  release?(): void;
  /**
   * Gives checked bytes of a window, in memory until they are released; undefined when there is no memory for them.
   * @throws as `read`, but before any byte is handed out.
   */
  pin?(range: ByteRange, signal?: AbortSignal): Promise<PinnedBytes | undefined>;
  /** Gives checked bytes of a window, in pieces. @throws HashMismatch, counted, at the first piece that is wrong. */
  read(range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface VerifiedReaderOptions {
  readonly adapter: BlobAdapter;
  readonly blake3: Blake3;
  readonly metrics: ServiceMetrics;
  readonly hot: HotLimits;
  /** Memory for windows of blobs that are not in memory as a whole. Without it windows are streamed. */
  readonly windows?: BufferPool | undefined;
  /** The most memory for the hashes of verified blobs. */
  readonly proofBytes: number;
  /** Answers part of the adapter's `stat` without waiting, or undefined where it cannot. */
  readonly peekStat?: ((address: BlobAddress) => StatHint | 'absent' | undefined) | undefined;
}

type Known = Proof | HotBlob;

export const createVerifiedReader = (options: VerifiedReaderOptions): VerifiedReader => new Reader(options);

class Reader implements VerifiedReader {
  readonly #options: VerifiedReaderOptions;
  readonly #hot: HotCache;
  readonly #proofs: ProofCache;
  readonly #inspector: Inspector;
  readonly #verifications: SharedWork<Known> = createSharedWork();
  readonly #loads = new Map<string, Promise<HotBlob>>();
  /** Whether the length of a blob comes with its bytes, and no cheaper way to it is at hand. */
  readonly #statesSize: boolean;

  constructor(options: VerifiedReaderOptions) {
    const { adapter, blake3, metrics, windows } = options;
    this.#options = options;
    this.#statesSize = options.peekStat === undefined && adapter.capabilities.statesSize === true;
    this.#hot = new HotCache(options.hot, (bytes) => metrics.cacheBytes('blobs', bytes));
    this.#proofs = createProofCache(options.proofBytes);
    this.#inspector = new Inspector({
      adapter,
      blake3,
      windows,
      mismatch: (address, reason) => {
        this.forget(address);
        metrics.integrityFail(reason);
        return new HoldfastError('HashMismatch', 'the bytes kept here do not have the address', {
          context: { address, reason },
        });
      },
      failed(error) {
        // A disk that cannot read its sectors has lost the blob just as well.
        if (isHoldfastError(error, 'Corrupt')) metrics.integrityFail('unreadable');
        throw error;
      },
    });
  }

  open(address: BlobAddress, options?: AbortOptions): VerifiedBlob | Promise<VerifiedBlob> {
    const seen = this.#options.peekStat?.(address);
    if (seen === undefined || seen === 'absent') return this.#find(address, options?.signal);
    const pinned = inMemory(stillGood(this.#hot.get(address), seen)?.pin());
    const loading = pinned === undefined ? this.#load(address, seen) : undefined;
    if (pinned === undefined && loading === undefined) return this.#find(address, options?.signal);
    this.#options.metrics.cache('blobs', pinned !== undefined);
    return pinned ?? loading!.then((blob) => inMemory(blob.pin()) ?? this.#find(address, options?.signal));
  }

  async scrub(address: BlobAddress, signal?: AbortSignal): Promise<number> {
    this.forget(address);
    return (await this.#inspector.prove(address, await this.#stat(address, signal), signal)).size;
  }

  absent(address: BlobAddress): boolean {
    return this.#options.peekStat?.(address) === 'absent';
  }

  forget(address: BlobAddress): void {
    this.#hot.drop(address);
    this.#proofs.drop(address);
  }

  /** Finds a blob in memory or at the adapter, however long that takes. */
  async #find(address: BlobAddress, signal: AbortSignal | undefined): Promise<VerifiedBlob> {
    if (this.#statesSize && this.#isNew(address)) {
      this.#options.metrics.cache('blobs', false);
      const read = (shared: AbortSignal): Promise<Known> => this.#readFirst(address, shared);
      return this.#opened(address, await this.#verifications.run(address, read, signal), signal);
    }
    const stat = await this.#stat(address, signal);
    const pinned = inMemory(stillGood(this.#hot.get(address), stat)?.pin());
    this.#options.metrics.cache('blobs', pinned !== undefined);
    if (pinned !== undefined) return pinned;
    const known =
      stillGood(this.#proofs.get(address), stat) ??
      (await this.#verifications.run(
        `${address} ${stat.revision}`,
        (shared) => this.#verify(address, stat, shared),
        signal,
      ));
    return this.#opened(address, known, signal);
  }

  async #opened(address: BlobAddress, known: Known, signal: AbortSignal | undefined): Promise<VerifiedBlob> {
    if ('digests' in known) return this.#inPieces(address, known);
    // Others may have needed the room since.
    const again = inMemory(known.pin());
    if (again !== undefined) return again;
    const proof =
      stillGood(this.#proofs.get(address), known) ?? (await this.#inspector.prove(address, known, signal));
    return this.#inPieces(address, proof);
  }

  async #stat(address: BlobAddress, signal: AbortSignal | undefined): Promise<StatHint> {
    const seen = this.#options.peekStat?.(address);
    // Only the adapter can tell whether this blob is absent or all of them are.
    if (seen !== undefined && seen !== 'absent') return seen;
    try {
      return await this.#options.adapter.stat(address, { signal });
    } catch (error) {
      this.forget(address);
      throw error;
    }
  }

  #isNew(address: BlobAddress): boolean {
    return this.#hot.get(address) === undefined && this.#proofs.get(address) === undefined;
  }

  /** Takes the length from the answer that brings the bytes: to ask for it first would be one more round trip. */
  async #readFirst(address: BlobAddress, signal: AbortSignal): Promise<Known> {
    const read = await this.#inspector.begin(address, signal);
    try {
      const { size, pieces } = read;
      if (size !== undefined) return await this.#verify(address, { size }, signal, pieces);
    } catch (error) {
      // Nobody tries a stream again that broke off in the middle.
      if (signal.aborted || !isHoldfastError(error) || error.status !== 'temporary') throw error;
    } finally {
      await read.end();
    }
    return this.#verify(address, await this.#stat(address, signal), signal);
  }

  /** @param source the bytes of the blob, where they are on their way already. */
  async #verify(
    address: BlobAddress,
    stat: StatHint,
    signal: AbortSignal,
    source?: AsyncIterable<Uint8Array>,
  ): Promise<Known> {
    const room = this.#hot.reserve(stat.size);
    try {
      if (room !== undefined) return await this.#fill(address, stat, room, signal, source);
      const proof = await this.#inspector.prove(address, stat, signal, source);
      this.#proofs.set(address, proof);
      return proof;
    } finally {
      room?.release();
    }
  }

  /**
   * Takes a blob into memory for all who ask at the time, whether or not they stay: that saves them a signal each.
   * Undefined when the blob is too long, its pieces are known, or there is no memory to spare.
   */
  #load(address: BlobAddress, seen: StatHint): Promise<HotBlob> | undefined {
    const key = `${address} ${seen.revision}`;
    const running = this.#loads.get(key);
    if (running !== undefined || stillGood(this.#proofs.get(address), seen)) return running;
    const room = this.#hot.reserve(seen.size);
    if (room === undefined) return undefined;
    const loading = this.#fill(address, seen, room, undefined).finally(() => {
      room.release();
      this.#loads.delete(key);
    });
    this.#loads.set(key, loading);
    return loading;
  }

  /** Reads a blob into its room, checked, and keeps it there. */
  async #fill(
    address: BlobAddress,
    stat: StatHint,
    room: HotReservation,
    signal: AbortSignal | undefined,
    source?: AsyncIterable<Uint8Array>,
  ): Promise<HotBlob> {
    const proof = await this.#inspector.readAll(address, stat, room.bytes, signal, source);
    if (proof !== undefined) this.#proofs.set(address, proof);
    return room.keep(address, stat.revision);
  }

  #inPieces(address: BlobAddress, proof: Proof): VerifiedBlob {
    return {
      size: proof.size,
      pin: (range, signal) => this.#inspector.pin(address, proof, range, signal),
      read: (range, signal) => this.#inspector.read(address, proof, range, signal),
    };
  }
}

function inMemory(pinned: PinnedBytes | undefined): VerifiedBlob | undefined {
  if (pinned === undefined) return undefined;
  const { bytes, release } = pinned;
  return { size: bytes.length, bytes, release, read: ({ start, end }) => once(bytes.subarray(start, end)) };
}

async function* once(piece: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield piece;
}

function stillGood<T extends Known>(known: T | undefined, { size, revision }: StatHint): T | undefined {
  return known !== undefined && known.revision === revision && known.size === size ? known : undefined;
}
