import { addressOf, type BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { BufferPool } from '../core/buffer-pool.ts';
import { type HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { PinnedBytes } from '../http/representation.ts';
import type { ByteRange } from '../http/selection.ts';
import type { BlobAdapter, BlobStat } from '../providers/adapter.ts';
import { fill } from '../providers/pieces.ts';
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

/** The ways in which kept bytes may prove wrong: the values of the metric's label. */
export const INTEGRITY_REASONS = ['blob', 'length', 'piece', 'unreadable'] as const;
type IntegrityReason = (typeof INTEGRITY_REASONS)[number];

/** The part of a `stat` that a reader needs before it looks at the bytes. */
export interface StatHint {
  readonly size: number;
  readonly revision?: BlobStat['revision'] | undefined;
}

interface InspectorOptions {
  readonly adapter: BlobAdapter;
  readonly blake3: Blake3;
  /** Memory for windows that are pinned. */
  readonly windows: BufferPool | undefined;
  /** Makes the error for bytes that are not those of the address. */
  mismatch(address: BlobAddress, reason: IntegrityReason): HoldfastError;
  /** Passes a failure to read on. */
  failed(error: unknown): never;
}

/**
 * Reads what an adapter keeps and finds out whether it is what the address says. Remembers nothing. Every method throws
 * what `mismatch` makes for bytes that are not.
 */
export class Inspector {
  readonly #options: InspectorOptions;

  constructor(options: InspectorOptions) {
    this.#options = options;
  }

  /**
   * Reads a whole blob. @param into is as long as the blob. @param source its bytes, where they are on their way already.
   * @returns the proof of a long blob, of which a window is worth reading by itself.
   */
  readAll(
    address: BlobAddress,
    stat: StatHint,
    into: Uint8Array,
    signal?: AbortSignal,
    source?: AsyncIterable<Uint8Array>,
  ): Promise<Proof | undefined> {
    return this.#readAll(address, stat, into, signal, source).catch(this.#options.failed);
  }

  /** Reads a whole blob piece by piece and keeps none of it. */
  prove(
    address: BlobAddress,
    stat: StatHint,
    signal?: AbortSignal,
    source: AsyncIterable<Uint8Array> = this.#options.adapter.fetchStream(address, { signal }),
  ): Promise<Proof> {
    return this.#prove(address, stat, source).catch(this.#options.failed);
  }

  /** Begins to read a whole blob. @throws as the adapter. */
  async begin(address: BlobAddress, signal: AbortSignal): Promise<BegunRead> {
    let size: number | undefined;
    const onSize = (told: number): void => {
      size = told;
    };
    const pieces = this.#options.adapter.fetchStream(address, { signal, onSize })[Symbol.asyncIterator]();
    const first = await pieces.next().catch(this.#options.failed);
    const end = async (): Promise<void> => void (await pieces.return?.());
    return { size, pieces: resumed(first, pieces), end };
  }

  /** Reads a window into memory; undefined when there is none to spare. */
  async pin(
    address: BlobAddress,
    proof: Proof,
    { start, end }: ByteRange,
    signal?: AbortSignal,
  ): Promise<PinnedBytes | undefined> {
    const { windows, failed } = this.#options;
    const [from, to] = piecesAround(proof, start, end);
    const buffer = windows?.take(to - from);
    if (windows === undefined || buffer === undefined) return undefined;
    let open = true;
    const release = (): void => {
      if (open) windows.give(buffer);
      open = false;
    };
    const bytes = buffer.subarray(0, to - from);
    await this.#fillWindow(address, proof, from, bytes, signal).catch((error: unknown) => {
      release();
      failed(error);
    });
    return { bytes: bytes.subarray(start - from, end - from), release };
  }

  /** Reads a window in pieces. Throws at the first piece that is wrong. */
  async *read(
    address: BlobAddress,
    proof: Proof,
    { start, end }: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    if (start === end) return;
    const { adapter, blake3, mismatch } = this.#options;
    const { pieceBytes } = proof;
    const [from, to] = piecesAround(proof, start, end);
    const window = adapter.fetchStream(address, { offset: from, length: to - from, signal });
    let at = from;
    for await (const piece of toGrid(window, pieceBytes)) {
      if (!pieceHolds(proof, at / pieceBytes, piece, blake3)) throw mismatch(address, 'piece');
      yield piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at));
      at += piece.length;
    }
  }

  async #readAll(
    address: BlobAddress,
    { size, revision }: StatHint,
    into: Uint8Array,
    signal: AbortSignal | undefined,
    source: AsyncIterable<Uint8Array> | undefined,
  ): Promise<Proof | undefined> {
    const { blake3, mismatch } = this.#options;
    if (source !== undefined) await this.#filled(address, fill(source, [into], signal));
    else if (size > 0) await this.#fetchInto(address, 0, into, signal);
    if (!isLong(size)) {
      if (addressOf(blake3.hash(into)) !== address) throw mismatch(address, 'blob');
      return undefined;
    }
    const found = await digestsOf(into, blake3);
    if (found.address !== address) throw mismatch(address, 'blob');
    return { size, revision, pieceBytes: pieceBytesFor(size), digests: found.digests };
  }

  async #prove(
    address: BlobAddress,
    { size, revision }: StatHint,
    source: AsyncIterable<Uint8Array>,
  ): Promise<Proof> {
    const { blake3, mismatch } = this.#options;
    const pieceBytes = pieceBytesFor(size);
    const whole = blake3.createHasher();
    const digests = emptyDigests(size);
    let at = 0;
    for await (const piece of toGrid(source, pieceBytes)) {
      if (at + piece.length > size) throw mismatch(address, 'length');
      whole.update(piece);
      setDigest(digests, at / pieceBytes, blake3.hash(piece));
      at += piece.length;
    }
    if (at !== size || addressOf(whole.digest()) !== address) throw mismatch(address, 'blob');
    return { size, revision, pieceBytes, digests };
  }

  async #fillWindow(
    address: BlobAddress,
    proof: Proof,
    from: number,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { blake3, mismatch } = this.#options;
    if (into.length > 0) await this.#fetchInto(address, from, into, signal);
    if (!windowHolds(proof, from, into, blake3)) throw mismatch(address, 'piece');
  }

  #fetchInto(
    address: BlobAddress,
    offset: number,
    into: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return this.#filled(address, this.#options.adapter.fetchRange(address, offset, [into], { signal }));
  }

  #filled(address: BlobAddress, filling: Promise<void>): Promise<void> {
    return filling.catch((error: unknown) => {
      throw isHoldfastError(error, 'RangeNotSatisfiable') ? this.#options.mismatch(address, 'length') : error;
    });
  }
}

/** A read of which the first piece has come. */
interface BegunRead {
  /** As the provider states it; undefined where it does not. */
  readonly size: number | undefined;
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Lets go of what was not read. Idempotent. */
  end(): Promise<void>;
}

async function* resumed(
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let step = first; !step.done; step = await rest.next()) yield step.value;
}
