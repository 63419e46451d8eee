import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { concatBytes, utf8Encode } from '../core/bytes.ts';
import { domainOf } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import type { ObjectContext } from './context.ts';

/**
 * Orders providers for a key by highest random weight (Thaler and Ravishankar, 1998): everyone who knows the
 * key and the ids gets the same order, and it changes little when providers come and go. It is how a node is
 * found with no record of where it was put.
 */
export function rendezvousOrder(blake3: Blake3, key: BlobAddress | string, ids: readonly string[]): string[] {
  const prefix = utf8Encode(`${key}\n`);
  const weighed = ids.map((id) => {
    const digest = blake3.hash(concatBytes(prefix, utf8Encode(id)));
    return { id, weight: new DataView(digest.buffer, digest.byteOffset).getBigUint64(0) };
  });
  weighed.sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : a.id < b.id ? -1 : 1));
  return weighed.map(({ id }) => id);
}

/** Rendezvous order of a key, those of a failure domain already used last. */
export function spread(
  context: ObjectContext,
  key: BlobAddress | string,
  usable: readonly Provider[],
): Provider[] {
  const byId = new Map(usable.map((provider) => [provider.id, provider]));
  const seen = new Set<string>();
  const first: Provider[] = [];
  const rest: Provider[] = [];
  for (const id of rendezvousOrder(context.blake3, key, [...byId.keys()])) {
    const provider = byId.get(id)!;
    const domain = domainOf(provider, context.policy.failureDomain);
    (seen.has(domain) ? rest : first).push(provider);
    seen.add(domain);
  }
  return [...first, ...rest];
}
