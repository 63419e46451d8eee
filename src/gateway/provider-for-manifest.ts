import type { Blake3 } from '../core/b3/blake3.ts';
import { utf8Encode } from '../core/bytes.ts';

export interface ProviderSources {
  readonly blake3: Blake3;
  /** As the manifest lists them: in any order, doubled or not, perhaps none. */
  readonly providers: readonly string[];
  /** The provider that answered first, for a manifest that lists none. */
  readonly firstAnswered: string | undefined;
}

/**
 * The provider that a read is credited to: the same for the same key and the same set of providers, spread evenly
 * over keys. The list is normalised first: trimmed, without blanks and doubles, in the order of code units.
 * @returns undefined when there is none to be named.
 */
export function providerForManifest(
  reservationKey: string,
  { blake3, providers, firstAnswered }: ProviderSources,
): string | undefined {
  const ids = normalise(providers);
  if (ids.length === 0) return firstAnswered;
  const digest = blake3.hash(utf8Encode(reservationKey));
  const hash = new DataView(digest.buffer, digest.byteOffset).getBigUint64(0, true);
  return ids[Number(hash % BigInt(ids.length))];
}

function normalise(providers: readonly string[]): string[] {
  const ids = providers.map((id) => id.trim()).filter((id) => id !== '');
  return [...new Set(ids)].sort();
}
