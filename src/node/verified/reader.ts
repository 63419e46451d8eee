import { addressOf, type BlobAddress } from '../../core/address.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { ByteRange } from '../../http/message/range.ts';
import type { BlobAdapter, BlobStat } from '../../providers/adapter.ts';
import type { ServiceMetrics } from '../../telemetry/index.ts';
import { toGrid } from './grid.ts';
import { createHotCache, type HotLimits } from './hot-cache.ts';
import { createProofCache, emptyDigests, type Proof, pieceBytesFor, pieceHolds, setDigest } from './proof.ts';
import { createSharedWork } from './shared-work.ts';

/**
 * Blobs that are known to be what their address says.
 *
 * The first reader of a blob pays for hashing all of it; its piece hashes are remembered for as long as the adapter
 * says that the stored bytes are the same. Bytes from the adapter are then checked once more, piece by piece,
 * before they are handed out: between two looks a disk may rot.
 */
export interface VerifiedReader {
  /**
   * Resolves once the whole blob is known to be good.
   * @throws NotFound; HashMismatch when the bytes are not those of the address, which is counted.
   */
  open(address: BlobAddress, signal?: AbortSignal): Promise<VerifiedBlob>;
  /** As `open`, but reads the bytes even if they are remembered as good. */
  scrub(address: BlobAddress, signal?: AbortSignal): Promise<VerifiedBlob>;
  /** Forgets what is known of a blob. */
  forget(address: BlobAddress): void;
}

export interface VerifiedBlob {
  readonly size: number;
  /** All bytes, when they are in memory. Not to be written to. */
  readonly bytes: Uint8Array | undefined;
  /** Checked bytes of a window, in pieces. @throws HashMismatch, counted, at the first piece that is not right. */
  read(range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface VerifiedReaderOptions {
  readonly adapter: BlobAdapter;
  readonly blake3: Blake3;
  readonly metrics: ServiceMetrics;
  readonly hot: HotLimits;
  /** Bound of what is remembered of verified blobs. */
  readonly proofBytes: number;
}

export function createVerifiedReader(options: VerifiedReaderOptions): VerifiedReader {
  const { adapter, blake3, metrics } = options;
  const hot = createHotCache(options.hot);
  const proofs = createProofCache(options.proofBytes);
  const verifications = createSharedWork<Proof>();

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

  const verify = async (address: BlobAddress, stat: BlobStat, signal: AbortSignal): Promise<Proof> => {
    const { size, revision } = stat;
    const pieceBytes = pieceBytesFor(size);
    const whole = blake3.createHasher();
    const digests = emptyDigests(size);
    const room = hot.reserve(size);
    try {
      let at = 0;
      for await (const piece of toGrid(adapter.fetchStream(address, { signal }), pieceBytes)) {
        if (at + piece.length > size) throw mismatch(address, 'length');
        whole.update(piece);
        setDigest(digests, at / pieceBytes, blake3.hash(piece));
        room?.bytes.set(piece, at);
        at += piece.length;
      }
      if (at !== size || addressOf(whole.digest()) !== address) throw mismatch(address, 'blob');
      const proof = { size, revision, pieceBytes, digests };
      proofs.set(address, proof);
      room?.keep(address);
      return proof;
    } catch (error) {
      // A disk that cannot read its sectors has lost the blob just as well.
      if (isHoldfastError(error, 'Corrupt')) metrics.integrityFail('unreadable');
      throw error;
    } finally {
      room?.release();
    }
  };

  const openWith = async (
    address: BlobAddress,
    signal: AbortSignal | undefined,
    known: (stat: BlobStat) => Proof | undefined,
  ): Promise<VerifiedBlob> => {
    const stat = await adapter.stat(address, { signal }).catch((error: unknown) => {
      forget(address);
      throw error;
    });
    const proof =
      known(stat) ??
      (await verifications.run(
        `${address} ${stat.revision}`,
        (shared) => verify(address, stat, shared),
        signal,
      ));
    return {
      size: proof.size,
      bytes: hot.get(address),
      read: (range, stop) => read(address, proof, range, stop),
    };
  };

  async function* read(
    address: BlobAddress,
    proof: Proof,
    { start, end }: ByteRange,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    if (start === end) return;
    const { pieceBytes, size } = proof;
    let index = Math.floor(start / pieceBytes);
    let at = index * pieceBytes;
    const length = Math.min(size, Math.ceil(end / pieceBytes) * pieceBytes) - at;
    const window = adapter.fetchStream(address, { offset: at, length, signal });
    for await (const piece of toGrid(window, pieceBytes)) {
      if (!pieceHolds(proof, index, piece, blake3)) throw mismatch(address, 'piece');
      yield piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at));
      index++;
      at += piece.length;
    }
  }

  return {
    forget,
    open: (address, signal) => openWith(address, signal, (stat) => stillGood(proofs.get(address), stat)),
    scrub(address, signal) {
      forget(address);
      return openWith(address, signal, () => undefined);
    },
  };
}

function stillGood(proof: Proof | undefined, { size, revision }: BlobStat): Proof | undefined {
  return proof !== undefined && proof.size === size && proof.revision === revision ? proof : undefined;
}
