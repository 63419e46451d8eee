import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { VerifiedReader } from '../verified/reader.ts';

type BlobState = 'good' | 'absent' | 'rotten';

/** Tells what is kept under an address. */
export async function stateOf(
  reader: VerifiedReader,
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

/** What happens to rotten blobs. A removal that was decided on wrong bytes must never hit the right ones. */
export class Rot {
  readonly #adapter: BlobAdapter;
  readonly #reader: VerifiedReader;
  readonly #replacements = new Map<BlobAddress, number>();
  readonly #removals = new Map<BlobAddress, Promise<unknown>>();

  constructor(adapter: BlobAdapter, reader: VerifiedReader) {
    this.#adapter = adapter;
    this.#reader = reader;
  }

  /** Runs a store that puts the right bytes in the place of wrong ones. Nothing is removed there meanwhile. */
  async replace<T>(address: BlobAddress, store: () => Promise<T>): Promise<T> {
    this.#replacements.set(address, (this.#replacements.get(address) ?? 0) + 1);
    try {
      await this.#removals.get(address);
      return await store();
    } finally {
      this.#reader.forget(address);
      const left = (this.#replacements.get(address) ?? 1) - 1;
      if (left > 0) this.#replacements.set(address, left);
      else this.#replacements.delete(address);
    }
  }

  /**
   * Looks, and removes what is wrong.
   * @returns false when it is not, or when the right bytes are on their way.
   */
  async remove(
    address: BlobAddress,
    isRotten: () => Promise<boolean>,
    options: AbortOptions,
  ): Promise<boolean> {
    await this.#removals.get(address);
    if (this.#replacements.has(address) || this.#removals.has(address)) return false;
    const removal = this.#removeIf(address, isRotten, options);
    const settled = removal.catch(() => {});
    this.#removals.set(address, settled);
    try {
      return await removal;
    } finally {
      this.#removals.delete(address);
    }
  }

  async #removeIf(
    address: BlobAddress,
    isRotten: () => Promise<boolean>,
    options: AbortOptions,
  ): Promise<boolean> {
    if (!(await isRotten())) return false;
    await this.#adapter.delete(address, options);
    this.#reader.forget(address);
    return true;
  }
}

export function otherBytes(expected: BlobAddress, computed: BlobAddress): HoldfastError {
  return new HoldfastError('HashMismatch', 'the bytes sent do not have the address given', {
    context: { expected, computed },
  });
}
