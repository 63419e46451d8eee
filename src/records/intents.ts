import type { AbortOptions } from '../core/abort.ts';
import { isBlobAddress } from '../core/address.ts';
import { HoldfastError } from '../core/errors.ts';
import type { BlobAt } from './claims.ts';
import type { RecordsContext } from './context.ts';
import { JOURNAL_TABLE } from './journal.ts';

/** A damaged place is no address, and keeps none of the others from being found. */
const LENIENT = new TextDecoder();

/** Blobs that a journal's put may have stored. */
export async function intentsOf(
  context: RecordsContext,
  id: string,
  options: AbortOptions,
): Promise<BlobAt[]> {
  const blobs: BlobAt[] = [];
  const entries = context.engine.table(JOURNAL_TABLE).entries({ ...options, prefix: `${id}/` });
  for await (const [key, value] of entries) {
    for (const place of placesIn(key, value)) {
      const slash = place.lastIndexOf('/');
      const address = place.slice(slash + 1);
      if (isBlobAddress(address)) blobs.push({ provider: place.slice(0, slash), address, bytes: 0 });
    }
  }
  return blobs;
}

/** Earlier versions wrote one empty record for each blob, with its place in the key. */
const placesIn = (key: string, value: Uint8Array): readonly string[] =>
  value.length === 0 ? [key.slice(key.indexOf('/') + 1)] : LENIENT.decode(value).split('\n');

/**
 * Of these places, `<provider>/<address>`, those that some journal speaks for, whoever wrote it, whole or not. A header that is
 * damaged hides none of them.
 * @param passDamaged where claims keep a place that is stored to from being deleted. Default: a record of places that cannot
 * be read is an error.
 * @throws HoldfastError `Corrupt`; what the engine throws.
 */
export async function intendedAmong(
  { engine }: RecordsContext,
  places: ReadonlySet<string>,
  { signal, passDamaged = false }: AbortOptions & { readonly passDamaged?: boolean },
): Promise<Set<string>> {
  const intended = new Set<string>();
  const damaged: string[] = [];
  const onDamaged = (key: string): void => {
    if (key.includes('/') && !passDamaged) damaged.push(key);
  };
  for await (const [key, value] of engine.table(JOURNAL_TABLE).entries({ signal, onDamaged })) {
    if (damaged.length > 0) break;
    if (!key.includes('/')) continue;
    for (const place of placesIn(key, value)) if (places.has(place)) intended.add(place);
  }
  if (damaged.length === 0) return intended;
  throw new HoldfastError('Corrupt', `what a put intended to store cannot be read: ${damaged[0]}`, {
    code: 'engine_corrupt',
    hint: 'See `holdfast status`.',
  });
}
