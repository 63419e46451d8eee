import { addressOf, type BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { BufferPool } from '../core/buffer-pool.ts';
import { type HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { PinnedBytes } from '../http/representation.ts';
import type { ByteRange } from '../http/selection.ts';
import type { BlobAdapter, BlobStat } from '../providers/adapter.ts';
import { isLong } from './hot-cache.ts';
import {
  digestsOf,
  emptyDigests,
  type Proof,
  pieceBytesFor,
  pieceHolds,
  piecesAround,
  setDigest,
  toGrid,
  windowHolds,
} from './proof.ts';

/** In which ways bytes that are kept may prove wrong: the values of the metric's label. */
export const INTEGRITY_REASONS = ['blob', 'length', 'piece', 'unreadable'] as const;
type IntegrityReason = (typeof INTEGRITY_REASONS)[number];

/** What is asked of an adapter before its bytes are looked at. */
export type StatHint = Pick<BlobStat, 'size' | 'revision'>;

interface InspectorOptions {
  readonly adapter: BlobAdapter;
  readonly blake3: Blake3;
  /** For windows that are held. */
  readonly windows: BufferPool | undefined;
  /** The error for bytes that are not those of the address. */
  mismatch(address: BlobAddress, reason: IntegrityReason): HoldfastError;
  /** Passes a failure to read on. */
  failed(error: unknown): never;
}

/** Reads what an adapter keeps and finds out whether it is what the address says. Remembers nothing. */
interface Inspector {
  /**
   * Reads a whole blob. @param into as long as the blob. @returns the proof of a long one, whose windows are worth
   * reading by themselves. @throws what `mismatch` makes
   */
  readAll(
    address: BlobAddress,
    stat: StatHint,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Proof | undefined>;
  /** Reads a whole blob piece by piece and keeps none of it. @throws what `mismatch` makes */
  prove(address: BlobAddress, stat: StatHint, signal?: AbortSignal): Promise<Proof>;
  /** A window in memory, if there is any to spare. @throws what `mismatch` makes */
  hold(
    address: BlobAddress,
    proof: Proof,
    range: ByteRange,
    signal?: AbortSignal,
  ): Promise<PinnedBytes | undefined>;
  /** A window in pieces. @throws what `mismatch` makes, at the first piece that is not right */
  read(address: BlobAddress, proof: Proof, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export function createInspector(options: InspectorOptions): Inspector {
  const { adapter, blake3, windows, mismatch, failed } = options;

  const fetchInto = (
    address: BlobAddress,
    offset: number,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> =>
    adapter.fetchRange(address, offset, [into], { signal }).catch((error: unknown) => {
      throw isHoldfastError(error, 'RangeNotSatisfiable') ? mismatch(address, 'length') : error;
    });

  const readAll = async (
    address: BlobAddress,
    { size, revision }: StatHint,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Proof | undefined> => {
    if (size > 0) await fetchInto(address, 0, into, signal);
    if (!isLong(size)) {
      if (addressOf(blake3.hash(into)) !== address) throw mismatch(address, 'blob');
      return undefined;
    }
    const found = await digestsOf(into, blake3);
    if (found.address !== address) throw mismatch(address, 'blob');
    return { size, revision, pieceBytes: pieceBytesFor(size), digests: found.digests };
  };

  const prove = async (
    address: BlobAddress,
    { size, revision }: StatHint,
    signal: AbortSignal | undefined,
  ): Promise<Proof> => {
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

  const fillWindow = async (
    address: BlobAddress,
    proof: Proof,
    from: number,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    if (into.length > 0) await fetchInto(address, from, into, signal);
    if (!windowHolds(proof, from, into, blake3)) throw mismatch(address, 'piece');
  };

  return {
    readAll: (address, stat, into, signal) => readAll(address, stat, into, signal).catch(failed),
    prove: (address, stat, signal) => prove(address, stat, signal).catch(failed),
    async hold(address, proof, { start, end }, signal) {
      const [from, to] = piecesAround(proof, start, end);
      const buffer = windows?.take(to - from);
      if (windows === undefined || buffer === undefined) return undefined;
      let open = true;
      const release = (): void => {
        if (open) windows.give(buffer);
        open = false;
      };
      const bytes = buffer.subarray(0, to - from);
      await fillWindow(address, proof, from, bytes, signal).catch((error: unknown) => {
        release();
        failed(error);
      });
      return { bytes: bytes.subarray(start - from, end - from), release };
    },
    async *read(address, proof, { start, end }, signal) {
      if (start === end) return;
      const { pieceBytes } = proof;
      const [from, to] = piecesAround(proof, start, end);
      const window = adapter.fetchStream(address, { offset: from, length: to - from, signal });
      let at = from;
      for await (const piece of toGrid(window, pieceBytes)) {
        if (!pieceHolds(proof, at / pieceBytes, piece, blake3)) throw mismatch(address, 'piece');
        yield piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at));
        at += piece.length;
      }
    },
  };
}
