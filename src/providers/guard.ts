import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { addressOf, B3_SCHEME, type BlobAddress, isBlobAddress, parseAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import {
  type BlobAdapter,
  type FetchOptions,
  isSlotName,
  type ListOptions,
  type ListSlotsOptions,
  MAX_SLOT_BYTES,
} from './adapter.ts';

/** The checks every adapter makes before it touches anything, in one place. */

/** @throws HoldfastError `Unexpected`, code `invalid_argument`. */
export function invalidArgument(message: string): never {
  throw new HoldfastError('Unexpected', message, { code: 'invalid_argument' });
}

export function unsupported(what: string): never {
  throw new HoldfastError('PermissionDenied', `this provider does not support ${what}`, {
    code: 'unsupported',
  });
}

/** @throws HoldfastError `UnsupportedScheme`, with the accepted ones in the context; `Corrupt` for what is no address. */
export function checkAddress(address: string, accepted: readonly string[]): void {
  const scheme = /^([a-z0-9]{1,16}):/.exec(address)?.[1] ?? B3_SCHEME;
  if (scheme === B3_SCHEME && accepted.includes(scheme)) return void parseAddress(address);
  if (accepted.includes(scheme)) return;
  throw new HoldfastError('UnsupportedScheme', `addresses of scheme "${scheme}" are not taken here`, {
    hint: `This provider takes ${accepted.join(', ')}.`,
    context: { accepted },
  });
}

export function checkBlobSize(size: number, cap: number): void {
  if (size <= cap) return;
  throw new HoldfastError('RangeNotSatisfiable', `a blob of more than ${cap} bytes is not taken here`, {
    code: 'blob_too_large',
    context: { size, cap },
  });
}

export function checkRange(offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(offset + length) && length >= 0)
    return;
  throw new HoldfastError('RangeNotSatisfiable', 'a range is two whole numbers that are not negative', {
    context: { offset, length },
  });
}

export function rangeBeyondEnd(offset: number, length: number, size?: number): HoldfastError {
  return new HoldfastError('RangeNotSatisfiable', 'the blob ends before the range does', {
    context: { offset, length, ...(size === undefined ? {} : { size }) },
  });
}

export function checkSlot(name: string, bytes?: Uint8Array): void {
  if (!isSlotName(name)) invalidArgument('a slot name has 16 to 128 lower-case hex digits');
  if (bytes === undefined || bytes.length <= MAX_SLOT_BYTES) return;
  throw new HoldfastError('RangeNotSatisfiable', `a slot holds at most ${MAX_SLOT_BYTES} bytes`, {
    code: 'slot_too_large',
    context: { size: bytes.length },
  });
}

export function checkListing({ prefixHex = '', after, limit }: ListOptions): void {
  if (!/^[0-9a-f]{0,64}$/.test(prefixHex)) invalidArgument('a prefix has at most 64 lower-case hex digits');
  if (after !== undefined && !isBlobAddress(after)) invalidArgument('a listing begins behind an address');
  checkLimit(limit);
}

export function checkSlotListing({ after, limit }: ListSlotsOptions): void {
  if (after !== undefined) checkSlot(after);
  checkLimit(limit);
}

function checkLimit(limit: number | undefined): void {
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    invalidArgument('a limit is a whole number that is not negative');
  }
}

export const notFound = (what = 'the blob'): HoldfastError =>
  new HoldfastError('NotFound', `${what} is not at this provider`);

/** Does what puts a blob in the place of one that is there. @throws PermissionDenied, code `replace_refused` */
export async function overwriting<T>(existed: boolean, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!existed || !isHoldfastError(error, 'PermissionDenied')) throw error;
    throw error.with({
      code: 'replace_refused',
      hint: 'The provider keeps the blob that is there: look for a lock, a retention rule, or rights that lack overwriting.',
    });
  }
}

export const slotConflict = (): HoldfastError =>
  new HoldfastError('Conflict', 'another writer changed the slot first', {
    hint: 'Read the slot again and decide anew.',
  });

/** Names provider and operation on what passes through, and refuses calls that come too late. */
export interface Guard {
  call<T>(
    operation: string,
    options: AbortOptions | undefined,
    work: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T>;
  stream<T>(
    operation: string,
    options: AbortOptions | undefined,
    open: (signal: AbortSignal | undefined) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined>;
  /** True the first time. */
  close(): boolean;
}

export function createGuard(provider: string): Guard {
  let closed = false;
  const enter = (operation: string, options: AbortOptions | undefined): AbortSignal | undefined => {
    throwIfAborted(options?.signal, operation);
    if (closed) {
      throw new HoldfastError('Unavailable', 'the adapter was closed', {
        code: 'closed',
        status: 'permanent',
      });
    }
    return options?.signal;
  };
  const named = (error: unknown, operation: string): HoldfastError => {
    const typed = asHoldfastError(error, { provider, operation });
    return typed.provider === undefined || typed.operation === undefined
      ? typed.with({ provider, operation })
      : typed;
  };
  return {
    async call(operation, options, work) {
      try {
        return await work(enter(operation, options));
      } catch (error) {
        throw named(error, operation);
      }
    },
    async *stream(operation, options, open) {
      try {
        yield* open(enter(operation, options));
      } catch (error) {
        throw named(error, operation);
      }
    },
    close() {
      const first = !closed;
      closed = true;
      return first;
    },
  };
}

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
