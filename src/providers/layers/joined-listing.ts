import type { BlobAddress } from '../../core/address.ts';
import type { BlobAdapter, ListOptions } from '../adapter.ts';
import { checkListing } from '../guard.ts';

const FIRST_BYTES: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** What any of them has, each address once; by first bytes, so that a 256th of all addresses is held and no more. */
export async function* joinedListing(
  backends: readonly BlobAdapter[],
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
