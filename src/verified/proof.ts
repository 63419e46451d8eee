import { setImmediate as nextTurn } from 'node:timers/promises';
import { addressOf, type BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { equalBytes } from '../core/bytes.ts';

/**
 * The hash of every piece of a blob whose bytes were found to have its address. With it a reader checks any window
 * again on its way out, whatever happened to the disk since.
 */
export interface Proof {
  readonly size: number;
  /** Revision of the stored bytes when they were read; see `BlobStat`. */
  readonly revision: string | undefined;
  readonly pieceBytes: number;
  /** 32 bytes a piece. */
  readonly digests: Uint8Array;
}

const DIGEST_BYTES = 32;
const SMALL_PIECE = 64 * 1024;
const LARGE_PIECE = 1024 * 1024;
const SMALL_PIECES_UP_TO = 64 * 1024 * 1024;

/** Pieces of short blobs are short: a window there is likely to be a good part of the blob, so little is read beside it. */
export const pieceBytesFor = (size: number): number =>
  size <= SMALL_PIECES_UP_TO ? SMALL_PIECE : LARGE_PIECE;

export const emptyDigests = (size: number): Uint8Array =>
  new Uint8Array(DIGEST_BYTES * Math.ceil(size / pieceBytesFor(size)));

export function setDigest(digests: Uint8Array, index: number, digest: Uint8Array): void {
  digests.set(digest, index * DIGEST_BYTES);
}

export function pieceHolds(proof: Proof, index: number, piece: Uint8Array, blake3: Blake3): boolean {
  const expected = proof.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
  return equalBytes(blake3.hash(piece), expected);
}

/** Widens a window to whole pieces. */
export function piecesAround(
  { size, pieceBytes }: Proof,
  start: number,
  end: number,
): [from: number, to: number] {
  const from = Math.floor(start / pieceBytes) * pieceBytes;
  return [from, Math.min(size, Math.ceil(end / pieceBytes) * pieceBytes)];
}

/** Tells whether bytes are those that were proven. They start at a boundary of the grid and end at one or at the end. */
export function windowHolds(proof: Proof, from: number, bytes: Uint8Array, blake3: Blake3): boolean {
  const { pieceBytes } = proof;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    if (!pieceHolds(proof, (from + at) / pieceBytes, piece, blake3)) return false;
  }
  return true;
}

/** Keeps proofs in memory, within a bound on their bytes. The least recently used goes first. */
export interface ProofCache {
  get(address: BlobAddress): Proof | undefined;
  set(address: BlobAddress, proof: Proof): void;
  drop(address: BlobAddress): void;
}

/** The cost of an entry beside its digests. */
const OVERHEAD_BYTES = 512;

export function createProofCache(maxBytes: number): ProofCache {
  const proofs = new Map<BlobAddress, Proof>();
  let used = 0;
  const costOf = (proof: Proof): number => proof.digests.length + OVERHEAD_BYTES;
  const drop = (address: BlobAddress): void => {
    const proof = proofs.get(address);
    if (proof === undefined) return;
    used -= costOf(proof);
    proofs.delete(address);
  };
  return {
    drop,
    get(address) {
      const proof = proofs.get(address);
      if (proof === undefined) return undefined;
      proofs.delete(address);
      proofs.set(address, proof);
      return proof;
    },
    set(address, proof) {
      drop(address);
      proofs.set(address, proof);
      used += costOf(proof);
      for (const oldest of proofs.keys()) {
        if (used <= maxBytes || oldest === address) break;
        drop(oldest);
      }
    },
  };
}

/**
 * Cuts a stream of pieces into pieces of exactly `pieceBytes` (the last one shorter). Copies only where a boundary
 * of the source falls inside a piece.
 */
export async function* toGrid(
  source: AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let pending: Uint8Array | undefined;
  let filled = 0;
  for await (const piece of source) {
    let at = 0;
    if (pending !== undefined) {
      at = Math.min(piece.length, pieceBytes - filled);
      pending.set(piece.subarray(0, at), filled);
      filled += at;
      if (filled < pieceBytes) continue;
      yield pending;
      pending = undefined;
    }
    for (; at + pieceBytes <= piece.length; at += pieceBytes) yield piece.subarray(at, at + pieceBytes);
    if (at === piece.length) continue;
    pending = new Uint8Array(pieceBytes);
    pending.set(piece.subarray(at));
    filled = piece.length - at;
  }
  if (pending !== undefined) yield pending.subarray(0, filled);
}

/** Bytes hashed without a break, twice: about half a millisecond. A multiple of every grid's pieces. */
const TURN_BYTES = 1024 * 1024;

/** Computes a blob's address and the hashes of its pieces in one pass. Serves others in between. */
export async function digestsOf(
  bytes: Uint8Array,
  blake3: Blake3,
): Promise<{ readonly address: BlobAddress; readonly digests: Uint8Array }> {
  const size = bytes.length;
  const pieceBytes = pieceBytesFor(size);
  const digests = emptyDigests(size);
  const whole = blake3.createHasher();
  for (let from = 0; from < size; from += TURN_BYTES) {
    if (from > 0) await nextTurn();
    const part = bytes.subarray(from, from + TURN_BYTES);
    whole.update(part);
    for (let at = 0; at < part.length; at += pieceBytes) {
      setDigest(digests, (from + at) / pieceBytes, blake3.hash(part.subarray(at, at + pieceBytes)));
    }
  }
  return { address: addressOf(whole.digest()), digests };
}
