import { addressOf, type BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { HoldfastError } from '../core/errors.ts';
import type { BlobAdapter, FetchOptions } from './adapter.ts';

/**
 * Reads a whole blob and believes it only if it hashes to its address.
 * @throws HoldfastError `HashMismatch`, and all that `fetch` throws.
 */
export async function fetchVerified(
  adapter: BlobAdapter,
  address: BlobAddress,
  blake3: Blake3,
  options?: FetchOptions,
): Promise<Uint8Array> {
  const bytes = await adapter.fetch(address, options);
  const computed = addressOf(blake3.hash(bytes));
  if (computed === address) return bytes;
  throw new HoldfastError(
    'HashMismatch',
    'the provider returned bytes that do not have the address asked for',
    {
      provider: adapter.adapterId,
      operation: 'fetch',
      context: { expected: address, computed, size: bytes.length },
    },
  );
}
