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

export interface CopiesWanted {
  readonly wanted: number;
  /** Failure domains, so that losing one fewer leaves a copy. */
  readonly needed: number;
}

/**
 * Deals out providers until copies enough are held, or under way, in failure domains enough. One whose domain has no copy
 * yet comes before all others; where only domains are lacking, no other is dealt out.
 */
export class CopyDealer {
  readonly #context: Pick<ObjectContext, 'policy'>;
  readonly #copies: CopiesWanted;
  readonly #queue: Provider[];
  readonly #underWay = new Set<Provider>();
  readonly #holders = new Set<Provider>();

  /** @param queue in the order in which they are asked; more may be added later. */
  constructor(context: Pick<ObjectContext, 'policy'>, copies: CopiesWanted, queue: readonly Provider[]) {
    this.#context = context;
    this.#copies = copies;
    this.#queue = [...queue];
  }

  /** Failure domains that hold a copy. */
  get domains(): number {
    return this.#domainsOf(this.#holders).size;
  }

  get copies(): number {
    return this.#holders.size;
  }

  /** Ids of those that hold one. */
  get holders(): string[] {
    return Array.from(this.#holders, ({ id }) => id);
  }

  /** The provider to ask now; undefined while no more are needed, and when there are none. */
  next(): Provider | undefined {
    const busy = new Set([...this.#holders, ...this.#underWay]);
    const used = this.#domainsOf(busy);
    const enough = busy.size >= this.#copies.wanted;
    if (enough && used.size >= this.#copies.needed) return undefined;
    const unused = this.#queue.findIndex((provider) => !used.has(this.#domainOf(provider)));
    if (unused < 0 && enough) return undefined;
    const [provider] = this.#queue.splice(Math.max(0, unused), 1);
    if (provider !== undefined) this.#underWay.add(provider);
    return provider;
  }

  answered(provider: Provider, held: boolean): void {
    this.#underWay.delete(provider);
    if (held) this.#holders.add(provider);
  }

  add(providers: readonly Provider[]): void {
    this.#queue.push(...providers);
  }

  #domainsOf(providers: Iterable<Provider>): Set<string> {
    return new Set(Array.from(providers, (provider) => this.#domainOf(provider)));
  }

  #domainOf(provider: Provider): string {
    return domainOf(provider, this.#context.policy.failureDomain);
  }
}
