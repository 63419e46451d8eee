import { addressOf, type BlobAddress } from '../../core/address.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { HeldBytes } from '../../http/held.ts';
import type { ByteRange } from '../../http/message/range.ts';
import type { BlobAdapter, BlobStat } from '../../providers/adapter.ts';
import type { ServiceMetrics } from '../../telemetry/index.ts';
import type { BufferPool } from '../buffer-pool.ts';
import { digestsOf } from './digests.ts';
import { toGrid } from './grid.ts';
import { createHotCache, type HotBlob, type HotLimits, type HotReservation, isLong } from './hot-cache.ts';
import {
  createProofCache,
  emptyDigests,
  type Proof,
  pieceBytesFor,
  pieceHolds,
  piecesAround,
  setDigest,
  windowHolds,
} from './proof.ts';
import { createSharedWork } from './shared-work.ts';

/**
 * Blobs that are known to be what their address says.
 *
 * The first reader of a blob pays for hashing all of it. Then it stays in memory while there is room, and of a long one
 * the hashes of its pieces are remembered: what the adapter gives later is checked against them, piece by piece, before
 * it is handed out, since between two looks a disk may rot. Both hold for as long as the adapter says that the stored
 * bytes are the same, and it is asked every time.
 */
export interface VerifiedReader {
  /** What is in memory, if a look that waits for nothing says that it is still kept as it was. */
  recall(address: BlobAddress): VerifiedBlob | undefined;
  /**
   * Reads a blob into memory, for all who ask at the time, whether or not they stay. Undefined when it is too long for
   * that or its pieces are known, when there is no memory to spare, or only `open` can tell.
   * @throws as `open`
   */
  load(address: BlobAddress): Promise<VerifiedBlob> | undefined;
  /**
   * Resolves once the whole blob is known to be good.
   * @throws NotFound; HashMismatch when the bytes are not those of the address, which is counted.
   */
  open(address: BlobAddress, signal?: AbortSignal): Promise<VerifiedBlob>;
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
  hold?(range: ByteRange, signal?: AbortSignal): Promise<HeldBytes | undefined>;
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
  readonly glance?: ((address: BlobAddress) => Sketch | 'absent' | undefined) | undefined;
}

type Known = Proof | HotBlob;
type Sketch = Pick<BlobStat, 'size' | 'revision'>;

export function createVerifiedReader(options: VerifiedReaderOptions): VerifiedReader {
  const { adapter, blake3, metrics, glance, windows } = options;
  const hot = createHotCache(options.hot, (bytes) => metrics.cacheBytes('blobs', bytes));
  const proofs = createProofCache(options.proofBytes);
  const verifications = createSharedWork<Known>();
  const loads = new Map<string, Promise<HotBlob>>();

  const forget = (address: BlobAddress): void => {
    hot.drop(address);
    proofs.drop(address);
  };

  const mismatch = (address: BlobAddress, reason: string): HoldfastError => {
    forget(address);
    metrics.integrityFail(reason);
    return new HoldfastError('HashMismatch', 'the bytes kept here are not those of the address', {
      context: { address, reason },
    });
  };

  const fetchAll = (
    address: BlobAddress,
    offset: number,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> =>
    adapter.fetchRange(address, offset, [into], { signal }).catch((error: unknown) => {
      throw isHoldfastError(error, 'RangeNotSatisfiable') ? mismatch(address, 'length') : error;
    });

  const fill = async (
    address: BlobAddress,
    { size, revision }: Sketch,
    room: HotReservation,
    signal: AbortSignal | undefined,
  ): Promise<HotBlob> => {
    const { bytes } = room;
    if (size > 0) await fetchAll(address, 0, bytes, signal);
    if (isLong(size)) {
      const found = await digestsOf(bytes, blake3);
      if (found.address !== address) throw mismatch(address, 'blob');
      proofs.set(address, { size, revision, pieceBytes: pieceBytesFor(size), digests: found.digests });
    } else if (addressOf(blake3.hash(bytes)) !== address) {
      throw mismatch(address, 'blob');
    }
    return room.keep(address, revision);
  };

  const prove = async (address: BlobAddress, stat: Sketch, signal?: AbortSignal): Promise<Proof> => {
    const { size, revision } = stat;
    const pieceBytes = pieceBytesFor(size);
    const whole = blake3.createHasher();
    const digests = emptyDigests(size);
    let at = 0;
    for await (const piece of toGrid(adapter.fetchStream(address, { signal }), pieceBytes)) {
      if (at + piece.length > size) throw mismatch(address, 'length');
      whole.update(piece);
      setDigest(digests, at / pieceBytes, blake3.hash(piece));
      at += piece.length;
    }
    if (at !== size || addressOf(whole.digest()) !== address) throw mismatch(address, 'blob');
    return { size, revision, pieceBytes, digests };
  };

  const verify = async (address: BlobAddress, stat: Sketch, signal: AbortSignal): Promise<Known> => {
    const room = hot.reserve(stat.size);
    try {
      if (room !== undefined) return await fill(address, stat, room, signal);
      const proof = await prove(address, stat, signal);
      proofs.set(address, proof);
      return proof;
    } finally {
      room?.release();
    }
  };

  /** A disk that cannot read its sectors has lost the blob just as well. */
  const counted = (error: unknown): never => {
    if (isHoldfastError(error, 'Corrupt')) metrics.integrityFail('unreadable');
    throw error;
  };

  const verified = (address: BlobAddress, stat: Sketch, signal: AbortSignal | undefined): Promise<Known> =>
    verifications.run(
      `${address} ${stat.revision}`,
      (shared) => verify(address, stat, shared).catch(counted),
      signal,
    );

  const statOf = async (address: BlobAddress, signal: AbortSignal | undefined): Promise<Sketch> => {
    const seen = glance?.(address);
    // Whether it is the blob that is absent or all of them, only the adapter can tell.
    if (seen !== undefined && seen !== 'absent') return seen;
    try {
      return await adapter.stat(address, { signal });
    } catch (error) {
      forget(address);
      throw error;
    }
  };

  const blobOf = (address: BlobAddress, proof: Proof): VerifiedBlob => ({
    size: proof.size,
    hold: (range, signal) => hold(address, proof, range, signal),
    read: (range, signal) => read(address, proof, range, signal),
  });

  const hold = async (
    address: BlobAddress,
    proof: Proof,
    { start, end }: ByteRange,
    signal: AbortSignal | undefined,
  ): Promise<HeldBytes | undefined> => {
    const [from, to] = piecesAround(proof, start, end);
    const buffer = windows?.take(to - from);
    if (windows === undefined || buffer === undefined) return undefined;
    let open = true;
    const release = (): void => {
      if (open) windows.give(buffer);
      open = false;
    };
    try {
      const bytes = buffer.subarray(0, to - from);
      if (from < to) await fetchAll(address, from, bytes, signal).catch(counted);
      if (!windowHolds(proof, from, bytes, blake3)) throw mismatch(address, 'piece');
      return { bytes: bytes.subarray(start - from, end - from), release };
    } catch (error) {
      release();
      throw error;
    }
  };

  async function* read(
    address: BlobAddress,
    proof: Proof,
    { start, end }: ByteRange,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    if (start === end) return;
    const { pieceBytes } = proof;
    const [from, to] = piecesAround(proof, start, end);
    const window = adapter.fetchStream(address, { offset: from, length: to - from, signal });
    let index = from / pieceBytes;
    let at = from;
    for await (const piece of toGrid(window, pieceBytes)) {
      if (!pieceHolds(proof, index, piece, blake3)) throw mismatch(address, 'piece');
      yield piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at));
      index++;
      at += piece.length;
    }
  }

  const open = async (address: BlobAddress, signal: AbortSignal | undefined): Promise<VerifiedBlob> => {
    const stat = await statOf(address, signal);
    const held = inMemory(stillGood(hot.get(address), stat)?.hold());
    metrics.cache('blobs', held !== undefined);
    if (held !== undefined) return held;
    const known = stillGood(proofs.get(address), stat) ?? (await verified(address, stat, signal));
    if ('digests' in known) return blobOf(address, known);
    // Others may have needed the room since.
    const again = inMemory(known.hold());
    if (again !== undefined) return again;
    const proof = stillGood(proofs.get(address), stat) ?? (await prove(address, stat, signal).catch(counted));
    return blobOf(address, proof);
  };

  const startLoad = (address: BlobAddress, seen: Sketch): Promise<HotBlob> | undefined => {
    const key = `${address} ${seen.revision}`;
    const running = loads.get(key);
    if (running !== undefined || stillGood(proofs.get(address), seen)) return running;
    const room = hot.reserve(seen.size);
    if (room === undefined) return undefined;
    const load = fill(address, seen, room, undefined)
      .catch(counted)
      .finally(() => {
        room.release();
        loads.delete(key);
      });
    loads.set(key, load);
    return load;
  };

  return {
    forget,
    absent: (address) => glance?.(address) === 'absent',
    recall(address) {
      const blob = hot.get(address);
      const seen = blob && glance?.(address);
      if (seen === undefined || seen === 'absent') return undefined;
      const held = inMemory(stillGood(blob, seen)?.hold());
      if (held !== undefined) metrics.cache('blobs', true);
      return held;
    },
    load(address) {
      const seen = glance?.(address);
      if (seen === undefined || seen === 'absent') return undefined;
      const load = startLoad(address, seen);
      if (load !== undefined) metrics.cache('blobs', false);
      return load?.then((blob) => inMemory(blob.hold()) ?? open(address, undefined));
    },
    open,
    async scrub(address, signal) {
      forget(address);
      return (await prove(address, await statOf(address, signal), signal).catch(counted)).size;
    },
  };
}

function inMemory(held: HeldBytes | undefined): VerifiedBlob | undefined {
  if (held === undefined) return undefined;
  const { bytes, release } = held;
  return { size: bytes.length, bytes, release, read: ({ start, end }) => once(bytes.subarray(start, end)) };
}

async function* once(piece: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield piece;
}

function stillGood<T extends Known>(known: T | undefined, { size, revision }: Sketch): T | undefined {
  return known !== undefined && known.revision === revision && known.size === size ? known : undefined;
}
