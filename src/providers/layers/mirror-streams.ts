import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { asHoldfastError, type HoldfastError } from '../../core/errors.ts';
import type { BlobAdapter, FetchStreamOptions, ListOptions } from '../adapter.ts';
import { checkListing } from '../guard.ts';
import { type Backends, worstOf } from './mirror.ts';

/** A blob's bytes from the first that gives them; where it fails in the middle, the next goes on. */
export async function* streamFromAny(
  backends: Backends,
  address: BlobAddress,
  { offset = 0, length, signal }: FetchStreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let sent = 0;
  const failures: HoldfastError[] = [];
  for (const each of backends) {
    throwIfAborted(signal, 'fetchStream');
    const rest = { offset: offset + sent, length: length === undefined ? undefined : length - sent, signal };
    try {
      for await (const piece of each.fetchStream(address, rest)) {
        sent += piece.length;
        yield piece;
      }
      return;
    } catch (error) {
      failures.push(asHoldfastError(error, { provider: each.adapterId }));
    }
  }
  throwIfAborted(signal, 'fetchStream');
  throw worstOf(failures);
}

const FIRST_BYTES: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** What any of them has, each address once; by first bytes, so that a 256th of all addresses is held and no more. */
export async function* joinedListing(
  backends: Backends,
  { prefixHex = '', limit, signal }: ListOptions = {},
): AsyncGenerator<BlobAddress, void, undefined> {
  checkListing(prefixHex, limit);
  const parts =
    prefixHex.length >= 2 ? [prefixHex] : FIRST_BYTES.filter((byte) => byte.startsWith(prefixHex));
  let left = limit ?? Number.POSITIVE_INFINITY;
  for (const part of parts) {
    for (const address of await joined(backends, part, signal)) {
      if (left-- <= 0) return;
      yield address;
    }
  }
}

/** All must answer: what only the silent one has would be missing. */
async function joined(
  backends: readonly BlobAdapter[],
  prefixHex: string,
  signal: AbortSignal | undefined,
): Promise<Set<BlobAddress>> {
  const found = new Set<BlobAddress>();
  for (const each of backends) {
    for await (const address of each.list({ prefixHex, signal })) found.add(address);
  }
  return found;
}
