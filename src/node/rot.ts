import type { AbortOptions } from '../core/abort.ts';
import { addressOf, type BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { VerifiedReader } from '../verified/reader.ts';

interface RotParts {
  readonly reader: VerifiedReader;
  readonly adapter: BlobAdapter;
  readonly blake3: Blake3;
}

type BlobState = 'good' | 'absent' | 'rotten';

/** Tells what is kept under an address. */
export async function stateOf(
  { reader }: Pick<RotParts, 'reader'>,
  address: BlobAddress,
  options?: AbortOptions,
): Promise<BlobState> {
  if (reader.absent(address)) return 'absent';
  try {
    const blob = await reader.open(address, options);
    blob.release?.();
    return 'good';
  } catch (error) {
    if (isHoldfastError(error, 'NotFound')) return 'absent';
    if (isHoldfastError(error, 'HashMismatch') || isHoldfastError(error, 'Corrupt')) return 'rotten';
    throw error;
  }
}

/**
 * Removes what is kept under an address unless it is good. For a caller that has all the right bytes: an adapter takes a
 * blob of the same length for the same blob, so the rotten one has to go before they are stored, but not sooner.
 */
export type MakeWay = (address: BlobAddress, options?: AbortOptions) => Promise<void>;

export function createMakeWay({ reader, adapter }: Omit<RotParts, 'blake3'>): MakeWay {
  const running = new Map<BlobAddress, Promise<void>>();
  const remove = async (address: BlobAddress, options?: AbortOptions): Promise<void> => {
    if ((await stateOf({ reader }, address, options)) !== 'rotten') return;
    await adapter.delete(address, options);
    reader.forget(address);
  };
  return async (address, options) => {
    // One at a time, and each looks again: another upload may have put the right bytes there since.
    const before = running.get(address) ?? Promise.resolve();
    const mine = before.then(() => remove(address, options));
    const settled = mine.catch(() => {});
    running.set(address, settled);
    try {
      await mine;
    } finally {
      if (running.get(address) === settled) running.delete(address);
    }
  };
}

/** Passes the pieces on. After the last one, if they are right, it calls `makeWay`. */
export async function* replacing(
  body: AsyncIterable<Uint8Array>,
  address: BlobAddress,
  blake3: Blake3,
  makeWay: () => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hasher = blake3.createHasher();
  for await (const piece of body) {
    hasher.update(piece);
    yield piece;
  }
  const computed = addressOf(hasher.digest());
  if (computed !== address) throw otherBytes(address, computed);
  await makeWay();
}

export function otherBytes(expected: BlobAddress, computed: BlobAddress): HoldfastError {
  return new HoldfastError('HashMismatch', 'the bytes sent do not have the address given', {
    context: { expected, computed },
  });
}
