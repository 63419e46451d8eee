import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { isBlobAddress, parseAddress } from '../core/address.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { isSlotName, type ListOptions, type ListSlotsOptions, MAX_SLOT_BYTES } from './adapter.ts';

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

export const checkAddress = (address: string): void => void parseAddress(address);

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
